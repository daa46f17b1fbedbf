"""`modes:` of site.yaml: the words that say how the store is, and how long each may last."""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers.settings import Seconds
from drivers.signals import UNKNOWN
from rules import convert
from rules import yaml_source as ys
from rules.convert import WRONG, Context
from rules.modes import BUILT_IN, HOURS

WEEK = 7 * 86400.0
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_NO_MODES = frozenset({HOURS, UNKNOWN, "end", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeAsWritten:
    """A mode of `modes:`; `open`, `closed`, `delivery`, `stock_take`, `maintenance` are there."""

    longest: Seconds
    """After so long it ends by itself; at most a week."""


def modes(node: ys.Node | None, context: Context) -> dict[str, float]:
    """Return every mode of the site with the seconds that it lasts at most."""
    found = dict(BUILT_IN)
    if node is None or (isinstance(node, ys.Scalar) and node.null):
        return found
    written = convert.resolve(node, context)
    problems = context.problems
    if not isinstance(written, ys.Mapping):
        if written is not None:
            message = f"a mapping is wanted, not {ys.describe(written)}"
            problems.error(written.mark, message, "write stock_take: {longest: 12h}")
        return found
    for name, item in written.items.items():
        if not _WORD.fullmatch(name) or name in _NO_MODES:
            hint = "a small letter, then small letters, digits and _"
            hint = "it says that no mode is set" if name in _NO_MODES else hint
            problems.error(written.keys[name], f"{name!r} can't name a mode", hint)
            continue
        mode = convert.convert(item, ModeAsWritten, context)
        if mode is WRONG:
            continue
        longest = float(mode.longest)
        if not 0 < longest <= WEEK:
            hint = "what lasts longer belongs in hours: or schedules:"
            problems.error(convert.place(item, "longest"), "a mode lasts at most 7d", hint)
        found[name] = longest
    return found
