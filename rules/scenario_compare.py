"""What a test expects against what the rules did: complete, and said in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drivers.commands import BY_KIND, SITE_COMMANDS
from rules.model import NotFired
from rules.scenario_stage import Did

CLOSE = 1e-6
"""Seconds within which two instants are the same."""
WORDS = {*BY_KIND, *SITE_COMMANDS, "ends"}


def compare(
    expect: Sequence[Mapping[str, Any]], did: Sequence[Did], not_fired: Sequence[NotFired]
) -> list[str]:
    """Return what is missing and what is too much, in the order of time."""
    open_ = list(did)
    missing: list[tuple[float, str]] = []
    for entry in sorted((e for e in expect if "not_fired" not in e), key=len, reverse=True):
        found = next((d for d in open_ if _fits(entry, d)), None)
        if found is None:
            missing.append((_at(entry), _missing(entry, open_)))
        else:
            open_.remove(found)
    more = [(d.at, f"at {_seconds(d.at)} {_told(d)}, which was not expected") for d in open_]
    problems = [text for _, text in sorted([*missing, *more], key=lambda one: one[0])]
    for entry in expect:
        if "not_fired" in entry and (text := _fired(entry, did, not_fired)):
            problems.append(text)
    return problems


def _at(entry: Mapping[str, Any]) -> float:
    return float(entry.get("at", 0.0))


def _word(entry: Mapping[str, Any]) -> str:
    return next((key for key in entry if key in WORDS), "")


def _fits(entry: Mapping[str, Any], did: Did, *, at_any_time: bool = False) -> bool:
    word = _word(entry)
    if did.word != word or did.target != str(entry[word]):
        return False
    if "rule" in entry and entry["rule"] != did.rule:
        return False
    if not at_any_time and "at" in entry and abs(_at(entry) - did.at) > CLOSE:
        return False
    written = {k: v for k, v in entry.items() if k not in ("at", "rule", word)}
    return all(_same(value, did.parameters.get(name)) for name, value in written.items())


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return abs(expected - found) <= CLOSE
    return str(expected) == str(found)


def _missing(entry: Mapping[str, Any], open_: Iterable[Did]) -> str:
    word = _word(entry)
    who = f"{entry['rule']}: " if "rule" in entry else ""
    written = {k: v for k, v in entry.items() if k not in ("at", "rule", word)}
    more = "".join(f", {name}: {value}" for name, value in written.items())
    text = f"at {_seconds(_at(entry))} expected {who}{word} {entry[word]}{more}"
    others = [_seconds(d.at) for d in open_ if _fits(entry, d, at_any_time=True)]
    if others:
        return f"{text}; it came at {', '.join(others)}"
    bare = {k: v for k, v in entry.items() if k in ("at", "rule", word)}
    near = [d for d in open_ if _fits(bare, d)]
    if near:
        found = {k: near[0].parameters.get(k) for k in written}
        return text + "; it had " + ", ".join(f"{k}: {v}" for k, v in found.items())
    return f"{text}; it did not come"


def _told(did: Did) -> str:
    more = "".join(f", {name}: {value}" for name, value in did.parameters.items())
    if did.word in SITE_COMMANDS:
        more = ""
    return f"{did.rule}: {did.word} {did.target}{more}"


def _seconds(at: float) -> str:
    return f"{round(at, 6):g}s"


def _fired(entry: Mapping[str, Any], did: Sequence[Did], not_fired: Sequence[NotFired]) -> str:
    """Return what is wrong with a `not_fired` entry, or an empty string."""
    wanted = entry["not_fired"]
    rule, because = str(wanted["rule"]), str(wanted.get("because", ""))
    at = _at(entry) if "at" in entry else None
    found = [n for n in not_fired if n.rule == rule and (at is None or abs(n.tick - at) <= CLOSE)]
    if any(because in n.reason for n in found):
        return ""
    if found:
        reasons = "; ".join(dict.fromkeys(n.reason for n in found))
        return f"{rule} did not fire, but not because of {because!r}: {reasons}"
    fired = [d for d in did if d.rule == rule and (at is None or abs(d.at - at) <= CLOSE)]
    if fired:
        return f"{rule} was not to fire, and fired at {_seconds(fired[0].at)}"
    return f"{rule} was never about to fire" if because else ""
