"""Opening hours and schedules: days and ranges of local time as they are written."""

from __future__ import annotations

import re
from datetime import date, timedelta

from rules import convert
from rules import yaml_source as ys
from rules.calendar import Range, Schedule
from rules.convert import Context
from rules.problems import Mark, Problems, nearest_or_all

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
_RANGE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_YEARLY = re.compile(r"\d\d-\d\d", re.ASCII)
LONGEST = 366
"""Days in one range of dates."""
LEAP_YEAR = 2000
_EVERY_DAY = [
    (day.month, day.day)
    for n in range(LONGEST)
    for day in (date(LEAP_YEAR, 1, 1) + timedelta(days=n),)
]

Day = date | tuple[int, int]
"""A date, or the month and day of every year."""
Holidays = dict[date, tuple[Range, ...]]
Yearly = dict[tuple[int, int], tuple[Range, ...]]
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
    holidays: Holidays = {}
    yearly: Yearly = {}
    for key, item in found.items.items():
        if key == "holidays":
            holidays, yearly = _holidays(item, context)
            continue
        ranges = _ranges(item, context)
        for day in _days(key, found.keys[key], problems):
            if day in week:
                problems.error(found.keys[key], f"{DAYS[day]} is given twice")
            week[day] = ranges
    return Schedule(week=week, holidays=holidays, yearly=yearly)


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


def _holidays(node: ys.Node, context: Context) -> tuple[Holidays, Yearly]:
    """Return the dates of one year, and those of every year.

    A date stands above a range of dates around it; of two ranges no date may be in both.
    """
    found = convert.resolve(node, context)
    if not isinstance(found, ys.Mapping):
        if found is not None:
            context.problems.error(found.mark, "holidays map a date to hours, or to closed")
        return {}, {}
    given: dict[tuple[bool, bool], dict[Day, tuple[Range, ...]]] = {}
    for key, item in found.items.items():
        days = _dates(key, found.keys[key], context.problems)
        ranges = _ranges(item, context)
        several = ".." in key
        for day in days:
            same = given.setdefault((isinstance(day, date), several), {})
            if day in same:
                message = f"{_shown(day)} is in two ranges" if several else f"{key} is given twice"
                context.problems.error(found.keys[key], message, "each date is given once")
                break
            same[day] = ranges
    dated = {**given.get((True, True), {}), **given.get((True, False), {})}
    yearly = {**given.get((False, True), {}), **given.get((False, False), {})}
    return (
        {day: ranges for day, ranges in dated.items() if isinstance(day, date)},
        {day: ranges for day, ranges in yearly.items() if isinstance(day, tuple)},
    )


def _shown(day: Day) -> str:
    return day.isoformat() if isinstance(day, date) else f"{day[0]:02}-{day[1]:02}"


def _dates(text: str, mark: Mark, problems: Problems) -> list[Day]:
    """Return the days of `2026-12-25`, `12-25`, or of a range `2026-12-24..2026-12-31`."""
    hint = "write it like 2026-12-25, 12-25, 2026-12-24..2026-12-31"
    first_text, dots, last_text = text.partition("..")
    first = _date(first_text)
    last = _date(last_text) if dots else first
    if first is None or last is None:
        wrong = first_text if first is None else last_text
        problems.error(mark, f"{wrong!r} is not a date", hint)
        return []
    if isinstance(first, date) and isinstance(last, date):
        days: list[Day] = []
        if last < first:
            problems.error(mark, f"{text} ends before it begins")
        elif (last - first).days >= LONGEST:
            problems.error(mark, f"{text} is longer than {LONGEST} days")
        else:
            days += [first + timedelta(days=n) for n in range((last - first).days + 1)]
        return days
    if isinstance(first, tuple) and isinstance(last, tuple):
        start, end = _EVERY_DAY.index(first), _EVERY_DAY.index(last)
        if end >= start:
            return list(_EVERY_DAY[start : end + 1])
        return [*_EVERY_DAY[start:], *_EVERY_DAY[: end + 1]]
    problems.error(mark, f"{text} has a year at one end only", hint)
    return []


def _date(text: str) -> Day | None:
    """Return a date, or (month, day) of every year."""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
        if _YEARLY.fullmatch(text):
            day = date.fromisoformat(f"{LEAP_YEAR}-{text}")
            return (day.month, day.day)
    except ValueError:
        return None
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
