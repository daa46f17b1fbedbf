"""What a simulated store has in place of its journal: the numbers of its records, in memory.

The uplink's code is the real one; disks are left out: one disk here would stand for thousands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from buffer.marks import Spans
from buffer.record import OPERATIONS, SECURITY, TELEMETRY, Kind, Record
from buffer.unsent import Span
from buffer.writer import Stats

BODY = b'{"device": "eas_front", "signal": "eas.visitors", "at": "2026-11-20T12:00:00.000000Z"}'
SIZE = 350
"""Bytes of a record."""
LINK = bytes(32)
PRIORITIES_USED = (SECURITY, OPERATIONS, TELEMETRY)


def priority_of(sequence: int) -> int:
    """Return the priority of a record: of fifty one is security, ten are operations."""
    if sequence % 50 == 0:
        return SECURITY
    return OPERATIONS if sequence % 5 == 1 else TELEMETRY


class Memory:
    """Stands for `buffer.writer.Writer` and its journal, as far as an uplink uses them."""

    def __init__(self, site: str, took: Callable[[int, float], None]) -> None:
        """`took` hears priority and seconds of each live record that the broker has."""
        self._site, self._took = site, took
        self._head = 0
        self._sent_to = dict.fromkeys(PRIORITIES_USED, 0)
        self._sent: set[int] = set()
        self._kept: dict[int, float] = {}
        self._left = 0
        self._followers: list[Callable[[Sequence[Record]], None]] = []
        self.refused = _Refused()

    # --- as the writer -------------------------------------------------------------------------

    @property
    def left(self) -> int:
        """How many records the broker does not have."""
        return self._left

    @property
    def stats(self) -> Stats:
        unsent = (0, 0, 0, 0, self._left)
        return Stats(
            pending=0, lost=(0,) * 5, head=self._head, error=None, unsent=unsent, oldest_unsent=0.0
        )

    def follow(self, follower: Callable[[Sequence[Record]], None]) -> Callable[[], None]:
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    async def call(self, do: Callable[[Any], Any]) -> Any:
        return do(self)

    async def begin_lanes(self) -> tuple[Spans, int]:
        spans: Spans = {}
        for priority in PRIORITIES_USED:
            count = sum(1 for _ in self._unsent(priority, 1, self._head))
            if count:
                first = self._sent_to[priority] + 1
                spans[priority] = (Span(first=first, last=self._head, count=count),)
        return spans, self._head

    def mark_sent(self, record: Record) -> None:
        sequence = record.sequence
        if sequence in self._sent or sequence <= self._sent_to[record.priority]:
            return
        self._sent.add(sequence)
        self._left -= 1
        kept = self._kept.pop(sequence, None)
        if kept is not None:
            self._took(record.priority, asyncio.get_running_loop().time() - kept)
        ahead = self._sent_to[record.priority] + 1
        while ahead <= self._head:  # what is sent without a gap needs no set
            if priority_of(ahead) == record.priority:
                if ahead not in self._sent:
                    break
                self._sent.discard(ahead)
            self._sent_to[record.priority] = ahead
            ahead += 1

    # --- as the journal ------------------------------------------------------------------------

    def published(self, priority: int, first: int, last: int, limit: int) -> list[Record]:
        found = []
        for sequence in self._unsent(priority, first, last):
            found.append(self._record(sequence))
            if len(found) == limit:
                break
        return found

    # --- as the store --------------------------------------------------------------------------

    def happen(self, *, timed: bool) -> None:
        """Commit one record now; `timed`: tell how long it takes to the broker."""
        self._head += 1
        self._left += 1
        if timed:
            self._kept[self._head] = asyncio.get_running_loop().time()
        record = self._record(self._head)
        for follower in tuple(self._followers):
            follower((record,))

    def happened(self, count: int) -> None:
        """Have `count` records that were committed while nobody could be reached."""
        self._head += count
        self._left += count

    def _unsent(self, priority: int, first: int, last: int) -> Any:
        for sequence in range(max(first, self._sent_to[priority] + 1), last + 1):
            if priority_of(sequence) == priority and sequence not in self._sent:
                yield sequence

    def _record(self, sequence: int) -> Record:
        return Record(
            sequence=sequence,
            id=f"{sequence:032x}",
            kind=Kind.EVENT,
            priority=priority_of(sequence),
            topic=f"storewarden/{self._site}/event/eas_front/eas.visitors",
            body=BODY.ljust(SIZE),
            link=LINK,
            previous=None,
        )


class _Refused:
    """Nothing is refused here."""

    def sequences(self) -> frozenset[int]:
        return frozenset()

    def shown(self, _limit: int) -> list[Any]:
        return []
