"""Reading records back out of an open journal file."""

import sqlite3
from collections.abc import Iterator

from buffer import storage
from buffer.record import Record
from buffer.rows import COLUMNS, to_record

_BATCH = 500
"""Records read at a time, so that no reader holds back the log for long."""


class Reading:
    """What can be asked of the records of a file. Used from the thread that opened it."""

    def __init__(self, db: sqlite3.Connection, *, read_only: bool) -> None:
        """A file opened `read_only` may be written by another process meanwhile."""
        self._db = db
        self._read_only = read_only
        self._names: dict[int, str] = {}

    def published(self, priority: int, first: int, last: int, limit: int) -> list[Record]:
        """Return the first `limit` records of `priority` with a topic from `first` to `last`."""
        return self._select(
            "WHERE sequence BETWEEN ? AND ? AND priority = ? AND topic IS NOT NULL"
            " ORDER BY sequence LIMIT ?",
            (first, last, priority, limit),
        )

    def since(self, sequence: int, limit: int | None = None) -> Iterator[Record]:
        """Yield the records after `sequence` in order, at most `limit`, as of when each is read."""
        left = limit
        while left is None or left > 0:
            batch = _BATCH if left is None else min(left, _BATCH)
            found = self._select("WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, batch))
            yield from found
            if len(found) < batch:
                return
            sequence = found[-1].sequence
            left = None if left is None else left - batch

    def tail(self, count: int) -> list[Record]:
        """Return the last `count` records, oldest first."""
        return self._select("ORDER BY sequence DESC LIMIT ?", (count,))[::-1]

    def _select(self, where: str, values: tuple[object, ...]) -> list[Record]:
        query = f"SELECT {COLUMNS} FROM records {where}"  # noqa: S608
        with storage.sound("read"), storage.translated("read"):
            rows = self._db.execute(query, values).fetchall()
            if self._read_only:
                self._names = dict(self._db.execute("SELECT topic, name FROM topics"))
            return [to_record(row, self._names) for row in rows]
