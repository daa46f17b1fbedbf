"""What the loop and the journal's thread tell each other."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buffer.journal import Journal
from buffer.record import Kind, Record


@dataclass(frozen=True, slots=True)
class Call:
    """Something to do with the journal on its thread, and whom to tell."""

    do: Callable[[Journal], object]
    done: Callable[[object], None]
    failed: Callable[[BaseException], None]
    after_marks: bool = False
    """Whether what was sent so far must be marked before."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Records that found no room on the way here, while the disk hung: a gap is to tell of them."""

    lost: Counter[tuple[int, Kind]]


class Stop:
    """The last thing the thread is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the loop is told after each commit, failure and opening."""

    settled: int
    """How many of the drafts handed over are committed or lost by now."""
    head: int
    """The last sequence committed; 0 while the journal was never open."""
    records: Sequence[Record]
    """What was committed since the last progress, in order."""
    drafts: int
    """How many of them this commit took; 0 when there was no commit."""
    seconds: float
    """How long it took."""
    lost: tuple[int, ...]
    """Records given up so far, by priority."""
    error: str | None
    """What the disk says, while it refuses."""
    unsent: tuple[int, ...]
    """How many published records the broker does not have, by priority."""
    oldest: int | None
    """A sequence that none of them is below; None when there is none."""
