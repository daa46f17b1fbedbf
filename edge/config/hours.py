"""Opening hours and schedules: days and ranges of local time as they are written."""

from __future__ import annotations

import re
from datetime import date

from rules import convert
from rules import yaml_source as ys
from rules.calendar import Range, Schedule
from rules.convert import Context
from rules.problems import Mark, Problems, nearest_or_all

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
_RANGE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RANGE_HINT = 'write it like "09:00-21:00", or closed'


def schedule(node: ys.Node, context: Context) -> Schedule:
    """Return the schedule in `{mon-sat: "09:00-21:00", holidays: {…}}`, without what is wrong."""
    found = convert.resolve(node, context)
    problems = context.problems
    if not isinstance(found, ys.Mapping):
        if found is not None:
            problems.error(found.mark, f"a mapping is wanted, not {ys.describe(found)}")
        return Schedule()
    week: dict[int, tuple[Range, ...]] = {}
    holidays: dict[date, tuple[Range, ...]] = {}
    for key, item in found.items.items():
        if key == "holidays":
            holidays = _holidays(item, context)
            continue
        ranges = _ranges(item, context)
        for day in _days(key, found.keys[key], problems):
            if day in week:
                problems.error(found.keys[key], f"{DAYS[day]} is given twice")
            week[day] = ranges
    return Schedule(week=week, holidays=holidays)


def _days(text: str, mark: Mark, problems: Problems) -> list[int]:
    days: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        wrong = [word for word in ((first, last) if dash else (first,)) if word not in DAYS]
        if wrong:
            hint = nearest_or_all(wrong[0], DAYS) or f"known: {', '.join(DAYS)}"
            problems.error(mark, f"{text!r} is not a day, a range like mon-sat, or holidays", hint)
            return []
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        days += [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]
    return days


def _holidays(node: ys.Node, context: Context) -> dict[date, tuple[Range, ...]]:
    found = convert.resolve(node, context)
    if not isinstance(found, ys.Mapping):
        if found is not None:
            context.problems.error(found.mark, "holidays map a date to hours, or to closed")
        return {}
    days: dict[date, tuple[Range, ...]] = {}
    for key, item in found.items.items():
        day = _date(key)
        if day is None:
            hint = "write it like 2026-12-25"
            context.problems.error(found.keys[key], f"{key!r} is not a date", hint)
        else:
            days[day] = _ranges(item, context)
    return days


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _ranges(node: ys.Node, context: Context) -> tuple[Range, ...]:
    found = convert.resolve(node, context)
    if found is None:
        return ()
    if isinstance(found, ys.Scalar) and found.text == "closed" and not found.tag:
        return ()
    items = found.items if isinstance(found, ys.Sequence) else (found,)
    ranges: list[Range] = []
    for item in items:
        one = _range(item, context)
        if one is None:
            continue
        if any(one[0] < end and start < one[1] for start, end in ranges):
            context.problems.error(item.mark, f"{ys.describe(item)} overlaps another range")
        ranges.append(one)
    return tuple(sorted(ranges))


def _range(node: ys.Node, context: Context) -> Range | None:
    found = convert.resolve(node, context)
    if found is None:
        return None
    parts = _RANGE.fullmatch(found.text) if isinstance(found, ys.Scalar) else None
    if parts is None or found.tag:
        said = "a secret" if found.tag else ys.describe(found)
        context.problems.error(found.mark, f"{said} is not a range of local time", _RANGE_HINT)
        return None
    start = int(parts[1]) * 60 + int(parts[2])
    end = DAY if parts[3] is None else int(parts[3]) * 60 + int(parts[4])
    return (start, end if end > start else end + DAY)
