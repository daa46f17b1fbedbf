"""Records that the broker refused for what they are: noted on disk, unsent, and in nobody's way."""

import sqlite3
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

from buffer.record import PRIORITIES, Record
from buffer.storage import translated
from buffer.unsent import Unsent

TOGETHER = 100
"""Records set aside, after which those that were evicted meanwhile are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A record that is set aside."""

    sequence: int
    topic: str
    code: int
    """MQTT v5 reason code."""
    reason: str
    """Its name in the standard."""


class RefusedRecords:
    """The journal's table of them. They stay unsent: what evicts one says so in a gap record."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: tuple[list[int], ...] = tuple([] for _ in PRIORITIES)
        self._previous: dict[int, int | None] = {}
        """The published record of its priority before each."""

    def __len__(self) -> int:
        return sum(map(len, self._known))

    def load(self) -> None:
        """Read the table, where the file has one: older schemas have none."""
        self._forget()
        if not self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'refused'").fetchone():
            return
        for sequence, priority, previous in self._db.execute(
            "SELECT sequence, priority, previous FROM refused JOIN records USING (sequence)"
            " ORDER BY sequence"
        ):
            self._known[priority].append(sequence)
            self._previous[sequence] = previous

    def sequences(self) -> frozenset[int]:
        """Return which records are set aside."""
        return frozenset(sequence for known in self._known for sequence in known)

    def shown(self, limit: int) -> list[SetAside]:
        """Return the last `limit` of them, oldest first.

        Raises:
            JournalError: the file cannot be read.
        """
        with translated("read what is set aside"):
            rows = self._db.execute(
                "SELECT sequence, topics.name, code, reason FROM refused"
                " JOIN records USING (sequence) JOIN topics USING (topic)"
                " ORDER BY sequence DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [SetAside(sequence=s, topic=t, code=c, reason=r) for s, t, c, r in reversed(rows)]

    def add(self, record: Record, code: int, reason: str) -> None:
        """Set `record` aside, durably.

        Raises:
            JournalError: the disk refuses. Nothing was changed.
        """
        with translated("set a record aside"):
            self._db.execute(
                "INSERT OR REPLACE INTO refused (sequence, code, reason) VALUES (?, ?, ?)",
                (record.sequence, code, reason),
            )
            if len(self) % TOGETHER == 0:
                self._db.execute(
                    "DELETE FROM refused WHERE NOT EXISTS"
                    " (SELECT 1 FROM records WHERE records.sequence = refused.sequence)"
                )
                self.load()
        if record.sequence not in self._previous:
            self._previous[record.sequence] = record.previous
            insort(self._known[record.priority], record.sequence)

    def clear(self) -> int:
        """Let all of them be tried again, and return how many that are.

        Raises:
            JournalError: the disk refuses. Nothing was changed.
        """
        count = len(self)
        with translated("take what is set aside"):
            self._db.execute("DELETE FROM refused")
        self._forget()
        return count

    def _forget(self) -> None:
        self._known = tuple([] for _ in PRIORITIES)
        self._previous.clear()

    def apart_from(self, unsent: Sequence[Unsent]) -> tuple[tuple[int, ...], int | None]:
        """Return how many others are unsent by priority, and a sequence none of those is below."""
        counts: list[int] = []
        firsts: list[int] = []
        for one, known in zip(unsent, self._known, strict=True):
            if not known:
                counts.append(one.count)
                firsts += () if one.first is None else (one.first,)
                continue
            count, first = 0, None
            for span in one.spans:
                apart = known[bisect_left(known, span.first) : bisect_right(known, span.last)]
                if span.count > len(apart):
                    count += span.count - len(apart)
                    first = self._after(apart, span.first) if first is None else first
            counts.append(count)
            firsts += () if first is None else (first,)
        return tuple(counts), min(firsts, default=None)

    def _after(self, apart: Sequence[int], first: int) -> int:
        """Return a sequence that no other record is below, from `first` on."""
        for sequence in apart:
            before = self._previous[sequence]
            if before is not None and before >= first:
                break
            first = sequence + 1
        return first
