"""Keep the journal under its size: what matters least and is oldest goes first.

Sent telemetry, unsent telemetry, sent operations, and so on up the ladder. What is never to be
sent, as traces are, goes after what was sent and before what is unsent. Each priority keeps its
reserve; the last snapshot and what came after it stay, for they are the state of the house. A body
goes, its hash stays. What left unsent is returned as gaps.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from buffer import chain
from buffer.folding import Folding
from buffer.gap import Gap
from buffer.marks import WEIGHT, Marks
from buffer.record import PRIORITIES, Kind
from buffer.rows import KINDS
from buffer.storage import JournalError

LOG_BYTES = 4 << 20
"""Bytes of the log at which it is brought into the file, where the size allows as much."""
RESERVES = (0.10, 0.05, 0.20, 0.10, 0.0)
"""The share of the size that each priority keeps, whatever the others need."""
HASHES_SHARE = 0.1
"""The share of the size that hashes of evicted bodies may take; the oldest are folded then."""
HASH_WEIGHT = 48
"""Bytes that one of them takes, about."""
_FOLDED_TOGETHER = 2048
_BATCH = 256
_MOST_GAPS = 64
"""Stretches of sent records between unsent ones that are looked into at most."""


_Which = Literal["sent", "own", "unsent"]


@dataclass(frozen=True, slots=True)
class _Victim:
    sequence: int
    kind: Kind
    published: bool
    previous: int | None
    body: bytes


class Quota:
    """The bound of one open file, the log included. Works inside the caller's transaction."""

    def __init__(
        self, db: sqlite3.Connection, marks: Marks, max_size: int, *, folding: Folding
    ) -> None:
        """`max_size` in bytes; at least a few hundred kB make sense.

        `folding` is what old hashes are given to.
        """
        self._folding = folding
        self._db = db
        self._marks = marks
        (self._page,) = db.execute("PRAGMA page_size").fetchone()
        log_pages = max(16, min(LOG_BYTES, max_size // 16) // self._page)
        self._step = min(500, max(16, max_size // self._page // 100))
        # The log may hold what one commit evicts and adds on top of what calls for a checkpoint.
        self._pages = max_size // self._page - 2 * (log_pages + self._step) - 32
        self._gone = [0] * len(PRIORITIES)
        self._own_gone = [0] * len(PRIORITIES)
        """Up to where nothing is left that was never to be sent, but before unsent records."""
        (self._hashes,) = db.execute("SELECT count(*) FROM evicted").fetchone()
        db.execute(f"PRAGMA wal_autocheckpoint = {log_pages}")
        db.execute(f"PRAGMA journal_size_limit = {log_pages * self._page}")

    def make_room(self, size: int, head: int) -> list[Gap]:
        """Make room for records of `size` bytes after `head`; returns what left unsent.

        Raises:
            JournalError: what may go is not enough.
        """
        # Bodies share pages with what surrounds them, and a tree keeps some room of its own.
        needed = size * 5 // 4 // self._page + 8
        if self._free() >= needed:
            return []
        floor = self._marks.latest.get(Kind.SNAPSHOT, head + 1)
        lost: dict[int, list[_Victim]] = {}
        while self._hashes * HASH_WEIGHT > HASHES_SHARE * self._pages * self._page:
            self._fold()
        while self._free() < needed + self._step:
            if not self._evict(floor, lost):
                if self._free() >= needed:
                    break
                raise JournalError(f"the quota of {self._pages * self._page} bytes is full")
        return [_gap(priority, victims) for priority, victims in sorted(lost.items())]

    def _free(self) -> int:
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        return self._pages - int(pages) + int(free)

    def _evict(self, floor: int, lost: dict[int, list[_Victim]]) -> bool:
        """Evict one batch; returns whether there was any."""
        for priority in reversed(PRIORITIES):
            spare = self._marks.weight[priority] - RESERVES[priority] * self._pages * self._page
            if spare <= 0:
                continue
            unsent = self._marks.unsent[priority]
            for first, last, which in self._stretches(priority, floor - 1):
                victims = self._find(priority, first, last, spare, own=which == "own")
                if which == "own":
                    self._own_gone[priority] = victims[-1].sequence if victims else last
                if not victims:
                    continue
                self._remove(priority, victims)
                if which == "unsent":
                    for victim in victims:
                        if victim.published:
                            unsent.remove(victim.sequence, victim.previous, lambda *_: 0)
                            lost.setdefault(priority, []).append(victim)
                if not unsent.spans or victims[-1].sequence < unsent.spans[0].first:
                    self._gone[priority] = victims[-1].sequence
                return True
        return False

    def _stretches(self, priority: int, last: int) -> Iterator[tuple[int, int, _Which]]:
        """Yield ranges of sequences to look into, up to `last`.

        Those without unsent records, then what was never to be sent, then those with unsent ones.
        """
        spans = [span for span in self._marks.unsent[priority].spans if span.first <= last]
        start = self._gone[priority] + 1
        for span in spans[:_MOST_GAPS]:
            if start < span.first:
                yield start, span.first - 1, "sent"
            start = span.last + 1
        if len(spans) <= _MOST_GAPS and start <= last:
            yield start, last, "sent"
        if spans and (own := max(spans[0].first, self._own_gone[priority] + 1)) <= last:
            yield own, last, "own"
        for span in spans:
            yield span.first, min(span.last, last), "unsent"

    def _find(
        self, priority: int, first: int, last: int, spare: float, *, own: bool
    ) -> list[_Victim]:
        rows = self._db.execute(
            "SELECT sequence, kind, topic IS NOT NULL, previous, body FROM records"
            " WHERE sequence BETWEEN ? AND ? AND priority = ? AND (topic IS NULL OR NOT ?)"
            " ORDER BY sequence LIMIT ?",
            (first, last, priority, own, _BATCH),
        )
        victims: list[_Victim] = []
        for sequence, kind, published, previous, body in rows:
            spare -= len(body) + WEIGHT
            if spare < 0 and victims:
                break
            victims.append(_Victim(sequence, KINDS[kind], bool(published), previous, body))
        return victims

    def _remove(self, priority: int, victims: list[_Victim]) -> None:
        self._db.executemany(
            "DELETE FROM records WHERE sequence = ?", [(v.sequence,) for v in victims]
        )
        self._db.executemany(
            "INSERT INTO evicted VALUES (?, ?, ?)",
            [(v.sequence, priority, chain.body_hash(v.body)) for v in victims],
        )
        self._hashes += len(victims)
        self._marks.stale = True
        self._marks.evicted += len(victims)
        self._marks.weight[priority] -= sum(len(v.body) + WEIGHT for v in victims)

    def _fold(self) -> None:
        """Put the oldest hashes into folded runs."""
        self._hashes -= self._folding.fold(_FOLDED_TOGETHER)


def _gap(priority: int, victims: list[_Victim]) -> Gap:
    return Gap(
        reason="quota",
        priority=priority,
        count=len(victims),
        first=victims[0].sequence,
        last=victims[-1].sequence,
        kinds=dict(Counter(victim.kind.value for victim in victims)),
    )
