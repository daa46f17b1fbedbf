"""Records that the broker refused: kept, tried again later, and never in the way of others.

What it refuses for what it is will never pass, so it is set aside until somebody asks for it to be
tried again. What it refuses for another reason is tried again by itself.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from buffer.message import Refused
from buffer.record import LIFE_SAFETY, Record

log = logging.getLogger(__name__)

FIRST_WAIT = 60.0
"""Seconds before a refused record is tried again; doubles each time, but for life_safety."""
LONGEST_WAIT = 3600.0
KNOWN = 10_000
"""Refused records that are remembered; of more, the oldest are tried again sooner."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    due: float
    wait: float


class Refusals:
    """Outlives connections. Times are those of the loop."""

    def __init__(self, tell: Callable[[Record, Refused], None]) -> None:
        """`tell` is called the first time a record is refused."""
        self._tell = tell
        self._known: dict[int, _Refusal] = {}
        self._aside: set[int] = set()
        self._asked = False
        self._grave: dict[int, Record] = {}
        """Those of life_safety, which no backlog may keep waiting."""

    def __len__(self) -> int:
        """How many are to be tried again."""
        return len(self._known)

    @property
    def aside(self) -> int:
        """How many are set aside."""
        return len(self._aside)

    def waits(self, sequence: int, now: float) -> bool:
        """Whether that record was refused and is not to be tried yet."""
        if sequence in self._aside:
            return True
        refusal = self._known.get(sequence)
        return refusal is not None and now < refusal.due

    def due(self, now: float) -> bool:
        """Whether any record is to be tried again."""
        return self._asked or any(now >= refusal.due for refusal in self._known.values())

    def grave(self, now: float) -> list[Record]:
        """Return the records of life_safety that are due, each once."""
        due = [sequence for sequence in self._grave if not self.waits(sequence, now)]
        return [self._grave.pop(sequence) for sequence in due]

    def trying(self, sequence: int) -> None:
        """Take note that a record is sent now."""
        self._grave.pop(sequence, None)

    def swept(self) -> None:
        """Take note that all that is due is in the lanes again."""
        self._asked = False

    def refused(self, record: Record, reason: Refused, now: float) -> None:
        """Take note of a refusal that may not last."""
        before = self._known.pop(record.sequence, None)
        grave = record.priority == LIFE_SAFETY
        wait = FIRST_WAIT if before is None or grave else min(before.wait * 2, LONGEST_WAIT)
        self._known[record.sequence] = _Refusal(now + wait, wait)
        if grave:
            self._grave[record.sequence] = record
        if len(self._known) > KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._grave.pop(oldest, None)
        if before is None:
            log.warning("the broker refuses record %d: %s", record.sequence, reason)
            self._tell(record, reason)

    def set_aside(self, record: Record, reason: Refused) -> None:
        """Take note of a refusal that lasts."""
        self._known.pop(record.sequence, None)
        if record.sequence not in self._aside:
            self._aside.add(record.sequence)
            log.warning("record %d is set aside; the broker says: %s", record.sequence, reason)
            self._tell(record, reason)

    def forget_but(self, sequences: Collection[int]) -> None:
        """Take note that no others are set aside any more: they were evicted meanwhile."""
        self._aside.intersection_update(sequences)

    def remember(self, sequences: Iterable[int]) -> None:
        """Take note of what was set aside before."""
        self._aside.update(sequences)

    def retry(self) -> None:
        """Let all of them be tried again, soon."""
        self._known.clear()
        self._aside.clear()
        self._asked = True

    def delivered(self, sequence: int) -> None:
        """Take note that the broker has the record after all."""
        self._known.pop(sequence, None)
