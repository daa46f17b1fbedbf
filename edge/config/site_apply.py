"""`apply:` of site.yaml: how new rules are tried before they stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.settings import Seconds
from edge.config.model import Apply
from rules import convert
from rules import yaml_source as ys
from rules.convert import Context

_PERCENT = re.compile(r"([+-]\d{1,5}(?:\.\d+)?)\s?%")
_HINT = "a sign and a percentage, like +20%"
_SHORTEST, _LONGEST = 1.0, 7 * 86400.0
MOST_SLACK = 1000
LIMITS = ("alarms", "siren", "blind", "order_failures")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAsWritten:
    """`apply:`; how new rules are tried before they stay."""

    watch: Seconds = Seconds(1800.0)
    """How long new rules are watched, 1s to 7d."""
    backtest: Seconds = Seconds(30 * 86400.0)
    """How much of the history they are backtested with."""
    alarms: str = "+20%"
    """By how much alarms may rise, in the backtest and in the watch."""
    siren: str = "+20%"
    """By how much the seconds of siren may rise, in the backtest."""
    blind: str = "+100%"
    """By how much `rule.blind` may rise, in the watch."""
    order_failures: str = "+50%"
    """By how much orders of rules that fail may rise, in the watch."""
    slack: int = 3
    """That many more never count as a rise, 0 to 1000; a quiet store is to trip nothing."""


def percent(text: str) -> float | None:
    """Return `+20%` as 0.2; None when it is no such thing."""
    found = _PERCENT.fullmatch(text.strip())
    return None if found is None or float(found[1]) < -100 else float(found[1]) / 100


def apply(node: ys.Node, values: Mapping[str, Any], context: Context) -> Apply:
    """Return the limits after saying what is wrong with them."""
    problems = context.problems
    written = {**values}
    for name in LIMITS:
        if name in written and (share := percent(written[name])) is not None:
            written[name] = share
        elif name in written:
            message = f"{written.pop(name)!r} is not a limit"
            problems.error(convert.place(node, name), message, _HINT)
    for name in ("watch", "backtest"):
        if name in written and not written[name] >= _SHORTEST:
            problems.error(convert.place(node, name), f"{name!r} is at least 1s")
    if written.get("watch", _SHORTEST) > _LONGEST:
        problems.error(convert.place(node, "watch"), "'watch' is at most 7d")
    if not 0 <= written.get("slack", 0) <= MOST_SLACK:
        problems.error(convert.place(node, "slack"), f"'slack' is 0 to {MOST_SLACK}")
    return Apply(**written)
