"""Many records in order, only those asked for, and only what a replay needs of them.

The choice is made in the database: by the topic's number, and for some topics by bytes that the
body has to hold. A reader holds no transaction between two batches, so it holds back no log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from buffer import storage
from buffer.record import Kind
from buffer.rows import KINDS

BATCH = 20_000
"""Sequence numbers looked at in one query."""
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


class Row(NamedTuple):
    """What a replay needs of a record."""

    sequence: int
    priority: int
    kind: int
    """Its place in buffer.rows.KINDS."""
    identity: bytes | str
    """16 bytes for 32 hex digits, else text."""
    body: bytes


class Scan:
    """A journal file opened for reading, also while another process writes it."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            JournalError: it can't be opened, or it is no journal of this version.
        """
        self._db = storage.connect(path, read_only=True)
        try:
            with storage.translated(f"open {path}"):
                first = self._db.execute("SELECT min(sequence) FROM records").fetchone()[0]
                last = self._db.execute("SELECT max(sequence) FROM records").fetchone()[0]
        except BaseException:
            self._db.close()
            raise
        self.first: int = first or 0
        self.last: int = last or 0
        """The newest record when it was opened; later ones are not read."""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def topics(self) -> dict[int, str]:
        """Return every topic's name by its number."""
        with storage.translated("read topics"):
            return dict(self._db.execute("SELECT topic, name FROM topics"))

    def at_or_after(self, sequence: int) -> Row | None:
        """Return the first record from `sequence` on."""
        return self._one("WHERE sequence >= ? ORDER BY sequence LIMIT 1", sequence)

    def last_before(self, sequence: int) -> int:
        """Return the sequence of the record before `sequence`; 0 when there is none."""
        row = self._one("WHERE sequence < ? ORDER BY sequence DESC LIMIT 1", sequence)
        return 0 if row is None else row.sequence

    def before(self, sequence: int, kind: Kind, within: int) -> Row | None:
        """Return the last record of `kind` among the `within` sequence numbers before."""
        return self._one(
            "WHERE sequence < ? AND sequence >= ? AND kind = ? ORDER BY sequence DESC LIMIT 1",
            sequence,
            sequence - within,
            _NUMBERS[kind],
        )

    def evicted(self, first: int, last: int) -> int:
        """Return how many records from `first` to `last` had to go because of the size."""
        with storage.translated("count what was evicted"):
            (some,) = self._db.execute(
                "SELECT count(*) FROM evicted WHERE sequence BETWEEN ? AND ?", (first, last)
            ).fetchone()
            (folded,) = self._db.execute(
                "SELECT coalesce(sum(min(last, ?2) - max(first, ?1) + 1), 0) FROM folded"
                " WHERE last >= ?1 AND first <= ?2",
                (first, last),
            ).fetchone()
        return int(some) + int(folded)

    def count(self, first: int, last: int, kinds: tuple[Kind, ...]) -> int:
        """Return how many records of `kinds` there are from `first` to `last`."""
        marks = ", ".join(str(_NUMBERS[kind]) for kind in kinds)
        query = f"SELECT count(*) FROM records WHERE sequence BETWEEN ? AND ? AND kind IN ({marks})"  # noqa: S608
        with storage.translated("count"):
            return int(self._db.execute(query, (first, last)).fetchone()[0])

    def rows(
        self,
        first: int,
        last: int,
        kinds: tuple[Kind, ...],
        *,
        topics: frozenset[int],
        marked: frozenset[int] = frozenset(),
        mark: bytes = b"",
        progress: Callable[[int], None] = lambda _sequence: None,
    ) -> Iterator[Row]:
        """Yield the records of `kinds` from `first` to `last`, in order.

        They have one of `topics`, or one of `marked` and `mark` somewhere in the body. `progress`
        is told the sequence that was reached.
        """
        numbers = ", ".join(str(_NUMBERS[kind]) for kind in kinds)
        query = (
            "SELECT sequence, priority, kind, id, body FROM records"  # noqa: S608
            f" WHERE sequence BETWEEN ? AND ? AND kind IN ({numbers})"
            f" AND (topic IN ({_list(topics)})"
            f" OR (topic IN ({_list(marked)}) AND instr(body, ?) > 0)) ORDER BY sequence"
        )
        for start in range(first, last + 1, BATCH):
            end = min(start + BATCH - 1, last)
            with storage.translated("read"):
                found = self._db.execute(query, (start, end, mark)).fetchall()
            yield from map(Row._make, found)
            progress(end)

    def backwards(
        self, first: int, last: int, kinds: tuple[Kind, ...], *, mark: bytes = b""
    ) -> Iterator[Row]:
        """Yield the records of `kinds` that hold `mark`, from `last` back to `first`."""
        numbers = ", ".join(str(_NUMBERS[kind]) for kind in kinds)
        query = (
            "SELECT sequence, priority, kind, id, body FROM records"  # noqa: S608
            f" WHERE sequence BETWEEN ? AND ? AND kind IN ({numbers}) AND instr(body, ?) > 0"
            " ORDER BY sequence DESC"
        )
        for end in range(last, first - 1, -BATCH):
            start = max(end - BATCH + 1, first)
            with storage.translated("read"):
                found = self._db.execute(query, (start, end, mark)).fetchall()
            yield from map(Row._make, found)

    def _one(self, where: str, *values: int) -> Row | None:
        query = f"SELECT sequence, priority, kind, id, body FROM records {where}"  # noqa: S608
        with storage.translated("read"), contextlib.closing(self._db.execute(query, values)) as got:
            row = got.fetchone()
        return None if row is None else Row._make(row)


def _list(numbers: frozenset[int]) -> str:
    return ", ".join(str(int(n)) for n in sorted(numbers))
