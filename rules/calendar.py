"""Local time as the site lives it: hours, schedules, daily moments. Pure; asks no clock.

Every function takes and gives instants as aware UTC datetimes. A local time that does not exist
(the clocks went forward) is the first instant after the gap; one that exists twice is its first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from rules.model import Moment

Range = tuple[int, int]
"""Local minutes after midnight, start and end; an end above 1440 is on the next day."""

Week = Mapping[int, tuple[Range, ...]]
"""Day (0 is Monday) to its ranges; a missing day has none."""

LATE = timedelta(minutes=15)
"""What was jumped over is said late up to here, and is missed beyond."""
FORGOTTEN = timedelta(days=2)
"""What was jumped over longer ago is not even missed: the clock was set over years."""
PROMPT = timedelta(seconds=5)
"""What is said within it is not late."""
HORIZON = timedelta(days=400)
"""How far `Calendar.next_due` looks ahead."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When something is on: a week, and dates that differ."""

    week: Week = field(default_factory=dict)
    holidays: Mapping[date, tuple[Range, ...]] = field(default_factory=dict)
    yearly: Mapping[tuple[int, int], tuple[Range, ...]] = field(default_factory=dict)
    """(month, day) to the ranges of that date in each year that has no word of its own."""

    def ranges(self, day: date) -> tuple[Range, ...]:
        """Return the ranges that begin on this local date: the more exact word counts."""
        usual = self.week.get(day.weekday(), ())
        return self.holidays.get(day, self.yearly.get((day.month, day.day), usual))

    def exceptions(self) -> list[date]:
        """Return the dates that differ from the week; of those of every year one in a leap year."""
        return [*self.holidays, *(date(2000, month, day) for month, day in self.yearly)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something that the site says at an instant: a daily moment or the edge of a schedule."""

    at: datetime
    day: date
    """The local date it belongs to."""
    kind: str
    """`daily`, `opened`, `closed`, `<schedule>.started`, `<schedule>.ended`."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    """States of the site that follow."""

    @property
    def key(self) -> str:
        """What may be said once per local date."""
        moment = self.fields.get("moment")
        return f"{self.kind} {moment}" if moment else f"{self.kind} {self.at:%H:%M}"


def instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Return the instant of `minutes` after midnight on the clock of `day` (1500: 01:00 next)."""
    local = datetime.combine(day, time(), UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    found = local.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while found - early > timedelta(seconds=1):
        middle = early + (found - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            found = middle
    return found.replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The hours and schedules of a site in its zone."""

    zone: str = "UTC"
    hours: Schedule | None = None
    """None: nobody knows when the site is open."""
    schedules: Mapping[str, Schedule] = field(default_factory=dict)

    def states(self, at: datetime) -> dict[str, str]:
        """Return the site's states `open` and one per schedule, `yes` or `no`."""
        named = {"open": self.hours} if self.hours else {}
        found = {**named, **self.schedules}
        return {name: "yes" if self._on(s, at) else "no" for name, s in found.items() if s}

    def due(self, after: datetime, until: datetime, moments: Iterable[Moment] = ()) -> list[Due]:
        """Return what the site says in (after, until], earliest first, each edge before `daily`."""
        found = [*self._edges(after, until), *self._daily(after, until, moments)]
        return sorted((d for d in found if after < d.at <= until), key=lambda d: d.at)

    def next_due(self, after: datetime, moments: Iterable[Moment] = ()) -> datetime | None:
        """Return the first instant after `after` with something to say, None within 400 days."""
        kept, start = tuple(moments), after
        while start < after + HORIZON:
            if found := self.due(start, start + 8 * _DAY, kept):
                return found[0].at
            start += 8 * _DAY
        return None

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def _days(self, after: datetime, until: datetime) -> list[date]:
        first = after.astimezone(self._zone()).date() - 3 * _DAY
        last = until.astimezone(self._zone()).date() + 3 * _DAY
        return [first + _DAY * n for n in range((last - first).days + 1)]

    def _spans(
        self, schedule: Schedule, after: datetime, until: datetime
    ) -> list[tuple[datetime, datetime, date, date]]:
        """Return start, end and their dates, touching spans joined."""
        zone, joined = self._zone(), list[tuple[datetime, datetime, date, date]]()
        spans = sorted(
            (instant(day, start, zone), instant(day, end, zone), day)
            for day in self._days(after, until)
            for start, end in schedule.ranges(day)
        )
        for start, end, day in spans:
            if joined and start <= joined[-1][1]:
                was = joined[-1]
                joined[-1] = (was[0], max(was[1], end), was[2], day)
            elif end > start:
                joined.append((start, end, day, day))
        return joined

    def _on(self, schedule: Schedule, at: datetime) -> bool:
        return any(start <= at < end for start, end, _, _ in self._spans(schedule, at, at))

    def _edges(self, after: datetime, until: datetime) -> list[Due]:
        words = {"open": ("opened", "closed", self.hours)} if self.hours else {}
        for name, schedule in self.schedules.items():
            words[name] = (f"{name}.started", f"{name}.ended", schedule)
        found = []
        for state, (starts, ends, some) in words.items():
            for start, end, first, last in self._spans(some or Schedule(), after, until):
                found.append(Due(at=start, day=first, kind=starts, sets={state: "yes"}))
                found.append(Due(at=end, day=last, kind=ends, sets={state: "no"}))
        return found

    def _daily(self, after: datetime, until: datetime, moments: Iterable[Moment]) -> list[Due]:
        found, zone = [], self._zone()
        for moment in moments:
            for day in self._days(after, until):
                minutes = self._minutes(moment, day)
                if minutes is None or day.weekday() not in moment.days:
                    continue
                at = instant(day, minutes, zone) + timedelta(seconds=moment.offset)
                found.append(Due(at=at, day=day, kind="daily", fields={"moment": moment.key}))
        return found

    def _minutes(self, moment: Moment, day: date) -> int | None:
        if moment.at not in ("opening", "closing"):
            hour, _, minute = moment.at.partition(":")
            return int(hour) * 60 + int(minute)
        ranges = self.hours.ranges(day) if self.hours else ()
        if not ranges:
            return None
        return min(r[0] for r in ranges) if moment.at == "opening" else max(r[1] for r in ranges)


@dataclass(slots=True, kw_only=True)
class Diary:
    """What was said on which local date, so that a clock set back repeats nothing."""

    calendar: Calendar
    moments: tuple[Moment, ...] = ()
    last: datetime | None = None
    """The last instant looked at."""
    said: dict[str, list[str]] = field(default_factory=dict)
    """Key to its latest local dates."""

    def look(self, now: datetime) -> tuple[list[tuple[Due, bool]], list[Due]]:
        """Return what is due now, each with whether it is late, and what was missed.

        The first look is the beginning: it finds nothing. Call it with trusted time only.
        """
        last, self.last = self.last, now
        due: list[tuple[Due, bool]] = []
        missed: list[Due] = []
        for one in self.calendar.due(max(last or now, now - FORGOTTEN), now, self.moments):
            days = self.said.setdefault(one.key, [])
            if one.day.isoformat() in days:
                continue
            days.append(one.day.isoformat())
            del days[:-8]
            if now - one.at <= LATE:
                due.append((one, now - one.at > PROMPT))
            else:
                missed.append(one)
        return due, missed

    def save(self) -> dict[str, Any]:
        """Return the diary as JSON values."""
        last = self.last.isoformat() if self.last else None
        return {"last": last, "said": {key: list(days) for key, days in self.said.items()}}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned."""
        self.last = datetime.fromisoformat(saved["last"]) if saved["last"] else None
        self.said = {key: list(days) for key, days in saved["said"].items()}
