"""Records that the broker refused: kept, tried again later, and never in the way of others."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from buffer.message import Refused
from buffer.record import Record

log = logging.getLogger(__name__)

FIRST_WAIT = 60.0
"""Seconds before a refused record is tried again; doubles each time."""
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

    def __len__(self) -> int:
        return len(self._known)

    def waits(self, sequence: int, now: float) -> bool:
        """Whether that record was refused and is not to be tried yet."""
        refusal = self._known.get(sequence)
        return refusal is not None and now < refusal.due

    def due(self, now: float) -> bool:
        """Whether any record is to be tried again."""
        return any(now >= refusal.due for refusal in self._known.values())

    def refused(self, record: Record, reason: Refused, now: float) -> None:
        """Take note of a refusal."""
        before = self._known.pop(record.sequence, None)
        wait = FIRST_WAIT if before is None else min(before.wait * 2, LONGEST_WAIT)
        self._known[record.sequence] = _Refusal(now + wait, wait)
        if len(self._known) > KNOWN:
            self._known.pop(next(iter(self._known)))
        if before is None:
            log.warning("the broker refuses record %d: %s", record.sequence, reason)
            self._tell(record, reason)

    def delivered(self, sequence: int) -> None:
        """Take note that the broker has the record after all."""
        self._known.pop(sequence, None)
