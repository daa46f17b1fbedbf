"""Which moments of video are on disk: segments by our own clock, and what of a clip is missing.

A camera's clock and a file's name lie about time. A segment's time stamps are moved to our clock by
the smallest lag between a segment's end and the moment ffmpeg told of it: buffering only adds.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

LAGS = 50
"""Segments whose lag is compared; few enough to follow a camera clock that drifts."""
SLACK = 0.5
"""Seconds that may lack at a clip's start or between two segments without being a gap."""

_ENTRY = re.compile(r"([A-Za-z0-9_-]+\.ts),(\d{1,9}\.\d{1,6}),(\d{1,9}\.\d{1,6})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of ffmpeg's segment list."""

    name: str
    first: float
    """The stream's time at the segment's start, seconds."""
    last: float


def entry(line: str) -> Entry | None:
    """Return what a line of a `csv` segment list says, None if it is no such line."""
    found = _ENTRY.fullmatch(line)
    if found is None or float(found[3]) < float(found[2]):
        return None
    return Entry(name=found[1], first=float(found[2]), last=float(found[3]))


@dataclass(slots=True, kw_only=True, eq=False)
class Stretch:
    """One unbroken stream of a camera: what turns its time into ours."""

    begins: float
    """The time stamp that the stream was made to begin with, seconds."""
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=LAGS))

    @property
    def lag(self) -> float:
        """What to add to the stream's time to get ours."""
        return min(self.lags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One finished piece of video, from a key frame to the next piece."""

    path: Path
    stretch: Stretch
    first: float
    """Stream seconds."""
    last: float
    told: float
    """Loop time when ffmpeg told of it."""
    told_at: datetime
    """Wall time of that moment."""

    @property
    def start(self) -> float:
        """Loop time, seconds."""
        return self.first + self.stretch.lag

    @property
    def end(self) -> float:
        """Loop time, seconds."""
        return self.last + self.stretch.lag

    @property
    def start_at(self) -> datetime:
        """Wall time as our clock showed it then."""
        return self.told_at - timedelta(seconds=self.told - self.start)


class Ring:
    """The segments on disk, oldest first."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def add(
        self, found: Entry, stretch: Stretch, folder: Path, now: float, now_at: datetime
    ) -> None:
        """Take a segment that ffmpeg has just told of; `now` loop time, `now_at` UTC."""
        stretch.lags.append(now - found.last)
        self.segments.append(
            Segment(
                path=folder / found.name,
                stretch=stretch,
                first=max(found.first, stretch.begins),  # of the first one ffmpeg says 0
                last=found.last,
                told=now,
                told_at=now_at,
            )
        )

    def reaches(self, moment: float) -> bool:
        """Return whether there is video of `moment` (loop time) or later."""
        return bool(self.segments) and self.segments[-1].end >= moment

    def drop_before(self, moment: float) -> list[Path]:
        """Forget the segments that ended before `moment`, and return their files."""
        dropped = [s.path for s in self.segments if s.end < moment]
        self.segments = [s for s in self.segments if s.end >= moment]
        return dropped

    def between(self, start: float, end: float) -> list[Segment]:
        """Return the segments with video of [start, end), oldest first."""
        return [s for s in self.segments if s.end > start and s.start < end]


def missing(segments: Sequence[Segment], start: float, end: float) -> str:
    """Return what of [start, end] (loop time) is not in `segments`; empty when all of it is."""
    if not segments:
        return "no video of that time"
    lacks = []
    late = segments[0].start - start
    if late > SLACK:
        lacks.append(f"the first {late:.1f} s are missing")
    gap = sum(
        max(0.0, after.start - before.end)
        for before, after in pairwise(segments)
        if after.stretch is not before.stretch
    )
    if gap > SLACK:
        lacks.append(f"{gap:.1f} s within are missing")
    early = end - segments[-1].end
    if early > 0:
        lacks.append(f"the last {early:.1f} s are missing")
    return ", ".join(lacks)
