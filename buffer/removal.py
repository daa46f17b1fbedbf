"""Taking records out of the file: the body goes, its hash stays, and old hashes are folded."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from buffer import chain
from buffer.folding import Folding
from buffer.gap import Losses
from buffer.marks import WEIGHT, Marks
from buffer.record import Kind
from buffer.rows import KINDS

HASH_WEIGHT = 48
"""Bytes that the hash of an evicted body takes, about."""
_NEAR = 8
"""Records so close to each other share a page, about."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A record that may go."""

    sequence: int
    priority: int
    kind: Kind
    published: bool
    previous: int | None
    body: bytes

    @property
    def weight(self) -> int:
        """Bytes that it takes, about."""
        return len(self.body) + WEIGHT


class Removal:
    """Works inside the caller's transaction; `reload` after one that was rolled back."""

    def __init__(self, db: sqlite3.Connection, marks: Marks, *, folding: Folding) -> None:
        """`folding` is what old hashes are given to."""
        self._db = db
        self._marks = marks
        self._folding = folding
        self.hashes = 0
        """How many hashes of evicted bodies the file holds."""
        self.reload()

    def reload(self) -> None:
        """Count the hashes in the file."""
        (self.hashes,) = self._db.execute("SELECT count(*) FROM evicted").fetchone()

    def find(self, where: str, values: tuple[object, ...], limit: int) -> list[Victim]:
        """Return the first `limit` records that `where` holds for, oldest first."""
        rows = self._db.execute(
            "SELECT sequence, priority, kind, topic IS NOT NULL, previous, body FROM records"  # noqa: S608
            f" WHERE {where} ORDER BY sequence LIMIT ?",
            (*values, limit),
        )
        return [
            Victim(sequence, priority, KINDS[kind], bool(published), previous, body)
            for sequence, priority, kind, published, previous, body in rows
        ]

    def remove(self, victims: Sequence[Victim], losses: Losses) -> None:
        """Take `victims` out; those that the broker does not have are added to `losses`."""
        marks = self._marks
        for victim in victims:
            if victim.published and marks.unsent[victim.priority].remove(
                victim.sequence,
                victim.previous,
                lambda *span, p=victim.priority: self._count(p, *span),
            ):
                losses.add(victim.priority, victim.kind, victim.sequence)
            marks.weight[victim.priority] -= victim.weight
        self._db.executemany(
            "DELETE FROM records WHERE sequence = ?", [(v.sequence,) for v in victims]
        )
        self._db.executemany(
            "INSERT INTO evicted (sequence, priority, hash) VALUES (?, ?, ?)",
            [(v.sequence, v.priority, chain.body_hash(v.body)) for v in victims],
        )
        self.hashes += len(victims)
        marks.stale = True
        marks.evicted += len(victims)

    def fold(self, most: int) -> None:
        """Put the oldest `most` hashes into folded runs."""
        self.hashes -= self._folding.fold(most)

    def _count(self, priority: int, first: int, last: int) -> int:
        found: tuple[int] = self._db.execute(
            "SELECT count(*) FROM records"
            " WHERE sequence BETWEEN ? AND ? AND priority = ? AND topic IS NOT NULL",
            (first, last, priority),
        ).fetchone()
        return found[0]


def pages_touched(victims: Sequence[Victim], page: int) -> int:
    """Return how many pages of `page` bytes are written when `victims` go, about, at most."""
    apart = sum(later.sequence - victim.sequence > _NEAR for victim, later in pairwise(victims))
    freed = sum(victim.weight for victim in victims) // page
    return 3 * (apart + 1) + freed // 8 + len(victims) * HASH_WEIGHT // page
