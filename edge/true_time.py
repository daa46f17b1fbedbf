"""The true time of what was recorded while the wall clock was wrong. Pure; asks no clock.

A record `clock.corrected` of a boot says: from the tick `since` up to its own tick the wall clock
was wrong or nobody had set it, and at its own tick the true time is its own `at`. Of several that
speak of a tick, the latest counts.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from drivers.event import SITE, Event

CORRECTED = "clock.corrected"
MOST = 1000
"""Corrections that are known at a time, the newest: a boot without a battery clock has one."""
SAVED = 100
"""How many of them a restart of the daemon knows."""
LONGEST = 1e10
"""Seconds: a clock that was wrong for longer than 300 years is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The wall clock of one boot was wrong in the ticks from `since` up to `tick`."""

    boot: str
    since: float
    tick: float
    at: datetime
    """The true time at `tick`, UTC."""


class Corrections:
    """Answers for any record what its true time is. Corrections may come in any order."""

    def __init__(self, found: Iterable[Correction] = ()) -> None:
        self._found: deque[Correction] = deque(found, MOST)
        self._stretches: dict[str, _Stretches] | None = None

    def __len__(self) -> int:
        return len(self._found)

    def add(self, correction: Correction) -> None:
        """Take one more; one that is known already changes nothing."""
        if correction not in self._found:
            self._found.append(correction)
            self._stretches = None

    def heard(self, body: Mapping[str, Any]) -> None:
        """Take the body of a record, as read from its JSON; only a `clock.corrected` counts."""
        correction = correction_of(body)
        if correction is not None:
            self.add(correction)

    def true_time(self, boot: str, tick: float) -> datetime | None:
        """Return the true time of what was recorded in `boot` at `tick`; None: as recorded."""
        if self._stretches is None:
            self._stretches = _stretches(self._found)
        known = self._stretches.get(boot)
        return None if known is None else known.true_time(tick)

    def time_of(self, body: Any) -> datetime | None:
        """Return the true time of a record by its body, as read from JSON; None: as recorded."""
        if not isinstance(body, dict):
            return None
        boot, tick = body.get("boot"), body.get("tick")
        if not isinstance(boot, str) or not isinstance(tick, int | float):
            return None
        return self.true_time(boot, tick)

    def save(self) -> list[list[Any]]:
        """Return the newest as JSON values."""
        newest = list(self._found)[-SAVED:]
        return [[c.boot, c.since, c.tick, c.at.isoformat()] for c in newest]

    @classmethod
    def restored(cls, saved: Iterable[Iterable[Any]]) -> Corrections:
        """Return what `save` was called on.

        Raises:
            TypeError, ValueError: it is not what `save` returns.
        """
        made = cls()
        for boot, since, tick, at in saved:
            told = {"signal": CORRECTED, "device": SITE, "boot": boot, "tick": tick, "at": at}
            made.heard({**told, "data": {"since": since}})
        return made


class _Stretches:
    """The stretches of one boot, apart from each other, earliest first."""

    __slots__ = ("_begins", "_by")

    def __init__(self) -> None:
        self._begins: list[float] = []
        self._by: list[Correction | None] = []

    def paint(self, correction: Correction) -> None:
        """Lay one over those before; its tick is not below theirs."""
        while self._begins and self._begins[-1] >= correction.since:
            self._begins.pop()
            self._by.pop()
        self._begins += [correction.since, correction.tick]
        self._by += [correction, None]

    def true_time(self, tick: float) -> datetime | None:
        place = bisect_right(self._begins, tick) - 1
        by = self._by[place] if place >= 0 else None
        return None if by is None else by.at + timedelta(seconds=tick - by.tick)


def _stretches(found: Iterable[Correction]) -> dict[str, _Stretches]:
    made: dict[str, _Stretches] = {}
    for correction in sorted(found, key=lambda c: c.tick):
        made.setdefault(correction.boot, _Stretches()).paint(correction)
    return made


def said_by(event: Event) -> Correction | None:
    """Return what an event of `clock.corrected` says; None for any other."""
    if event.kind != CORRECTED:
        return None
    told = {"signal": event.kind, "device": event.device, "boot": event.boot, "tick": event.tick}
    return correction_of({**told, "at": event.at.isoformat(), "data": event.fields})


def correction_of(body: Mapping[str, Any]) -> Correction | None:
    """Return what the body of a `clock.corrected` says; None for any other and a wrong one."""
    if body.get("signal") != CORRECTED or body.get("device") != SITE:
        return None
    try:
        at = datetime.fromisoformat(body["at"])
        boot, tick, since = body["boot"], float(body["tick"]), float(body["data"]["since"])
        if at.tzinfo is None or not math.isfinite(tick) or not 0 < tick - since < LONGEST:
            return None
        at = at.astimezone(UTC)
        at - timedelta(seconds=tick - since)  # no time before year 1
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not isinstance(boot, str):
        return None
    return Correction(boot=boot, since=since, tick=tick, at=at)


def corrections_in(path: Path) -> Corrections:
    """Return all that a journal file knows, also of one that a daemon writes. Reads all of it.

    Raises:
        JournalError: it can't be opened or read.
    """
    return _of_file(path, every=True)


def newest_corrections(path: Path) -> Corrections:
    """Return what the daemon of a journal file knows: enough for its newest records, and quick.

    Raises:
        JournalError: it can't be opened or read.
    """
    return _of_file(path, every=False)


def _of_file(path: Path, *, every: bool) -> Corrections:
    from buffer.record import Kind
    from buffer.scan import Scan

    found = Corrections()
    with Scan(path) as scan:
        first = scan.first
        snapshot = scan.before(scan.last + 1, Kind.SNAPSHOT, scan.last + 1)
        if snapshot is not None:  # it knows of those that had to go because of the size
            found = _of_snapshot(snapshot.body)
            first = first if every else snapshot.sequence
        end = f"/event/{SITE}/{CORRECTED}"
        topics = frozenset(n for n, name in scan.topics().items() if name.endswith(end))
        if topics:
            for row in scan.rows(first, scan.last, (Kind.EVENT,), topics=topics):
                with suppress(ValueError):
                    found.heard(json.loads(row.body))
    return found


def _of_snapshot(body: bytes) -> Corrections:
    try:
        return Corrections.restored(json.loads(body)["data"]["clock"]["corrections"])
    except (KeyError, TypeError, ValueError):
        return Corrections()
