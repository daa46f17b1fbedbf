"""Read a `daily` trigger: a local time, or one counted from opening or closing, on some days."""

from __future__ import annotations

import re

from rules import yaml_source as ys
from rules.convert import duration
from rules.load_scope import Scope
from rules.model import Fact, Moment
from rules.problems import did_you_mean

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_EDGE = re.compile(r"(opening|closing)(?:([+-])(.+))?")
_HINT = 'write "21:30", opening-15m or closing+30m'


def daily(node: ys.Mapping, scope: Scope) -> Fact | None:
    """Return the fact that the site says at that moment, which is noted in the scope."""
    scope.known_keys(node, ("daily", "days"))
    text = scope.word(node.items["daily"]) if "daily" in node.items else None
    days = _days(node.items["days"], scope) if "days" in node.items else frozenset(range(7))
    if text is None or days is None:
        return None
    found = _moment(text, node, scope)
    if found is None:
        return None
    at, offset = found
    key = text if len(days) == 7 else f"{text} {','.join(DAYS[d] for d in sorted(days))}"
    scope.moments[key] = Moment(key=key, at=at, offset=offset, days=days)
    return Fact(mark=node.mark, members=("site",), signal="daily", fields={"moment": (key,)})


def _moment(text: str, node: ys.Mapping, scope: Scope) -> tuple[str, float] | None:
    """Return the clock time or edge, and the seconds added to it."""
    if _CLOCK.fullmatch(text):
        return text, 0.0
    found = _EDGE.fullmatch(text)
    if found is None:
        early = _CLOCK.fullmatch(f"0{text}") is not None
        hint = f'did you mean "0{text}"?' if early else _HINT
        scope.problems.error(node.items["daily"].mark, f"{text!r} is no time of day", hint)
        return None
    if scope.world.calendar.hours is None:
        scope.problems.error(
            node.items["daily"].mark, "the site has no hours", "add hours: to site.yaml"
        )
    edge, sign, length = found.groups()
    seconds = duration(length) if length else 0.0
    if seconds is None:
        scope.problems.error(node.items["daily"].mark, f"{length!r} is not a duration", _HINT)
        return None
    return edge, -seconds if sign == "-" else seconds


def _days(node: ys.Node, scope: Scope) -> frozenset[int] | None:
    """Return days as numbers, 0 is Monday: `sat`, `mon-sat`, `"mon,wed"`, `[mon, wed]`."""
    items = scope.items(node)
    found: set[int] = set()
    for item in items:
        text = scope.word(item)
        if text is None:
            return None
        for part in text.split(","):
            days = _days_of(part.strip(), item, scope)
            if days is None:
                return None
            found |= days
    if not items:
        scope.problems.error(node.mark, "on no day at all")
        return None
    return frozenset(found)


def _days_of(text: str, node: ys.Node, scope: Scope) -> set[int] | None:
    """Return the days of `sat` or `mon-sat`."""
    first, dash, last = text.partition("-")
    for day in (first, last) if dash else (first,):
        if day not in DAYS:
            near = day[:3].lower()
            hint = f"did you mean {near}?" if near in DAYS else did_you_mean(day, DAYS)
            hint = hint or f"known: {', '.join(DAYS)}, mon-fri"
            scope.problems.error(node.mark, f"unknown day {day!r}", hint)
            return None
    start, end = DAYS.index(first), DAYS.index(last if dash else first)
    return {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
