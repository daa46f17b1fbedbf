"""How many alarms, blind rules and failed orders the journal has at such a time of day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from buffer.record import Kind
from buffer.scan import Scan
from drivers.priorities import Priority
from edge.encode import Body
from edge.history import sequence_at
from edge.watch import WORDS, Word, counted

HOUR = 3600.0
SHORTEST = HOUR
"""Seconds of history without which nothing is usual."""
BY_HOUR = 3 * 86400.0
"""Seconds of history from which each hour of the day is looked at by itself."""
_SIGNALS = ("rule.fired", "rule.blind", "order.failed", "evacuation.started", "evacuation.ended")
_KINDS = (Kind.EVENT, Kind.OUTCOME, Kind.DECISION)


@dataclass(slots=True, kw_only=True)
class Usual:
    """What was counted, by local hour of the day."""

    zone: str = "UTC"
    begins: datetime | None = None
    ends: datetime | None = None
    hours: Counter[tuple[Word, int]] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """How long the history is."""
        if self.begins is None or self.ends is None:
            return 0.0
        return max((self.ends - self.begins).total_seconds(), 0.0)

    def count(self, word: Word, at: datetime) -> None:
        """Count one more."""
        self.hours[word, at.astimezone(ZoneInfo(self.zone)).hour] += 1

    def expected(self, now: datetime, lasts: float) -> Mapping[str, float] | None:
        """Return how many of each to expect in the `lasts` seconds from `now` on.

        None: there is less than an hour to compare with. With less than three days every hour
        of the day is taken as the same.
        """
        if self.seconds < SHORTEST:
            return None
        return {word: self._expected(word, now, lasts) for word in WORDS}

    def _expected(self, word: Word, now: datetime, lasts: float) -> float:
        if self.seconds < BY_HOUR:
            total = sum(self.hours[word, hour] for hour in range(24))
            return total * lasts / self.seconds
        days = self.seconds / 86400
        return sum(share * self.hours[word, hour] / days for hour, share in self._hours(now, lasts))

    def _hours(self, now: datetime, lasts: float) -> Iterable[tuple[int, float]]:
        """Yield each local hour of the time from `now` on, with how much of it is in there."""
        local, left = now.astimezone(ZoneInfo(self.zone)), lasts
        part = HOUR - (local.minute * 60 + local.second + local.microsecond / 1e6)
        while left > 0:
            part = min(part, left)
            yield local.hour, part / HOUR
            left -= part
            local += timedelta(seconds=part)
            part = HOUR


def usual(journal: Path, since: datetime, now: datetime, zone: str) -> Usual:
    """Return what the journal has between two times.

    Raises:
        JournalError: it can't be opened or read.
    """
    found = Usual(zone=zone, ends=now)
    evacuating = False
    with Scan(journal) as scan:
        first = sequence_at(scan, since)
        row = scan.at_or_after(first)
        found.begins = None if row is None else _at(row.body)
        names = scan.topics().items()
        topics = frozenset(n for n, name in names if name.rpartition("/")[2] in _SIGNALS)
        for row in scan.rows(first, scan.last, _KINDS, topics=topics):
            try:
                body = msgspec.json.decode(row.body, type=Body)
                at = datetime.fromisoformat(body.at)
            except (msgspec.DecodeError, ValueError, RecursionError):
                continue
            if body.signal.startswith("evacuation."):
                evacuating = body.signal == "evacuation.started"
            word = counted(body.signal, body.data, Priority(row.priority))
            if word is not None and not evacuating and at <= now:
                found.count(word, at)
    return found


def _at(body: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(msgspec.json.decode(body, type=Body).at)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
