"""Keep the journal under its size: what matters least and is oldest goes first.

Sent telemetry, unsent telemetry, sent operations, and so on up the ladder. What is never to be
sent, as traces are, goes after what was sent and before what is unsent. Each priority keeps its
reserve. Nothing unsent goes for what matters less and has its reserve already. The last snapshot
stays, and what came after it, for they are the state of the house; only when nothing else is left,
what came after it goes too.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from buffer.folding import Folding
from buffer.gap import Gap, Losses
from buffer.marks import WEIGHT, Marks
from buffer.record import PRIORITIES, Draft, Kind
from buffer.removal import HASH_WEIGHT, Removal, Victim, pages_touched
from buffer.room import Room
from buffer.storage import JournalFull

RESERVES = (0.10, 0.05, 0.20, 0.10, 0.0)
"""The share of the size that each priority keeps, whatever the others need."""
HASHES_SHARE = 0.1
"""The share of the size that hashes of evicted bodies may take; the oldest are folded then."""
_BATCH = 256
_STEP = 128
"""Pages that one round of evictions frees beyond what is needed: a commit waits for it."""
_TIGHT_BATCH = 32
"""Records evicted together while others fill the disk, and the log has not all its room."""
_FOLDS = 8
"""Batches of hashes that one transaction folds at most."""
_MOST_GAPS = 64
"""Stretches of sent records between unsent ones that are looked into at most."""
_SPARE_PAGES = 16
"""Pages for what the journal writes of itself with a commit."""

_Which = Literal["sent", "own", "unsent"]


class _Prey(NamedTuple):
    """Where records that may go are looked for."""

    priority: int
    spare: float
    """Bytes of them that may go."""
    last: int
    """The last sequence that may go."""
    unsent: bool
    """Whether those may go too that the broker does not have."""


class Quota:
    """The bound of one open file. Works inside the caller's transaction."""

    def __init__(
        self,
        db: sqlite3.Connection,
        marks: Marks,
        max_size: int,
        *,
        path: Path,
        folding: Folding,
    ) -> None:
        """`max_size` in bytes; at least 1 MB makes sense. `folding` is given old hashes."""
        self._db = db
        self._marks = marks
        self.removal = Removal(db, marks, folding=folding)
        self.room = Room(db, path, max_size)
        self._size = (self.room.pages - self.room.slack) * self.room.page
        self._reserves = tuple(share * self._size for share in RESERVES)
        self._step = min(_STEP, max(8, self.room.pages // 100))
        self._in_vain = [0] * len(PRIORITIES)
        """Up to where a search found nothing though nothing was evicted."""
        self._searched_again = False
        self.reload()

    def reload(self) -> None:
        """Forget what was evicted in a transaction that was rolled back, and look anew."""
        self.removal.reload()
        self._free = 0
        """Pages known to be free, at least."""
        self._gone = list(map(max, self._searched(), self._in_vain))
        """Up to where nothing is left of each priority: a search of the file takes long."""
        self._own_gone = [0] * len(PRIORITIES)
        """Up to where nothing is left that was never to be sent, but before unsent records."""

    def _rescuing(self) -> bool:
        """Return whether older records may still be put back from a broken file."""
        (some,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM lost WHERE file IS NOT NULL)"
        ).fetchone()
        return bool(some)

    def _searched(self) -> list[int]:
        if self._rescuing():
            return [0] * len(PRIORITIES)
        counters: dict[str, int] = dict(self._db.execute("SELECT name, value FROM counters"))
        return [counters.get(f"searched.{priority}", 0) for priority in PRIORITIES]

    def pages(self, drafts: Sequence[Draft]) -> int:
        """Return how many pages `drafts` take, about, at most."""
        page, apart = self.room.page, 0
        lengths = [len(draft.body) + WEIGHT for draft in drafts]
        if lengths and max(lengths) > page - 35:
            long = [length for length in lengths if length > page - 35]
            apart = sum(length // (page - 4) + 1 for length in long)
            lengths = [
                min(length, page // 4) if length > page - 35 else length for length in lengths
            ]
        return apart + sum(lengths) * 5 // 4 // page + _SPARE_PAGES

    def fits(self, drafts: Sequence[Draft]) -> bool:
        """Return whether `drafts` could ever be taken together, were the journal empty."""
        return self.pages(drafts) + 2 * self._step < self.room.pages // 2

    def lacking(self, drafts: Sequence[Draft]) -> bool:
        """Return whether others have to go before `drafts` can be taken."""
        pages = self.pages(drafts)
        if self._free < pages:
            self._free = self.room.free()
        return self._free < pages

    def took(self, pages: int) -> None:
        """Take note that so many pages were written to the file, at most."""
        self._free -= pages

    def evict(self, drafts: Sequence[Draft], level: int, head: int) -> list[Gap]:
        """Evict what one transaction can for `drafts`, and a step more; returns what left unsent.

        `level` is the priority for which all of `drafts` are taken or none; `head` is the last
        sequence. Ask `lacking` again afterwards.

        Raises:
            JournalFull: nothing may go any more.
        """
        losses, self._free = Losses(), 0
        size = sum(len(draft.body) + WEIGHT for draft in drafts)
        room, written = self.room, 0
        wanted = self.pages(drafts) + (0 if room.tight else self._step)
        self.fold()
        before = list(self._gone)
        while written < room.turn // 2 and (not written or room.free() < wanted):
            victims = self._evict(level, size, head, losses)
            if not victims and not self._searched_again:
                # Records may have been put back that were rescued from a broken file.
                self._in_vain = [0] * len(PRIORITIES)
                self._gone, self._own_gone = list(self._in_vain), list(self._in_vain)
                victims = self._evict(level, size, head, losses)
            self._searched_again = not victims
            if not victims:
                if written:
                    break
                self._in_vain = list(self._gone)
                full = "the disk" if room.tight else f"the {self._size} bytes for records"
                verb = "is" if room.tight else "are"
                raise JournalFull(
                    f"{full} {verb} full, and nothing that matters less is left to go"
                )
            written += pages_touched(victims, room.page)
        if self._gone != before and not self._rescuing():
            self._db.executemany(
                "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)",
                [(f"searched.{priority}", gone) for priority, gone in enumerate(self._gone)],
            )
        return losses.gaps("quota")

    def relieve(self) -> bool:
        """Make room where others have filled the disk; returns whether there is more now."""
        self._free = 0
        return self.room.relieve()

    def fold(self) -> None:
        """Fold some hashes where there are too many: more than one batch adds."""
        for _ in range(_FOLDS):
            if self.removal.hashes * HASH_WEIGHT > HASHES_SHARE * self._size:
                self.removal.fold(_BATCH)

    def _evict(self, level: int, size: int, head: int, losses: Losses) -> list[Victim]:
        """Evict one batch and return it; empty when nothing may go."""
        snapshot = self._marks.latest.get(Kind.SNAPSHOT, 0)
        # The last snapshot is passed by, but it will not always be the last.
        before = snapshot - 1 if snapshot else head
        for prey in self._preys(level, size, before, head):
            priority = prey.priority
            for first, last, which in self._stretches(priority, prey.last):
                if which == "unsent" and not prey.unsent:
                    continue
                victims = self._find(prey, first, last, which, snapshot)
                if which == "own":
                    reached = victims[-1].sequence if victims else last
                    self._own_gone[priority] = min(reached, before)
                elif not victims and first == self._gone[priority] + 1:
                    self._gone[priority] = min(last, before)
                if victims:
                    self.removal.remove(victims, losses)
                    spans = self._marks.unsent[priority].spans
                    if which != "own" and (not spans or victims[-1].sequence < spans[0].first):
                        self._gone[priority] = min(victims[-1].sequence, before)
                    return victims
        return []

    def _preys(self, level: int, size: int, floor: int, head: int) -> Iterator[_Prey]:
        """Yield what may go for records of `level`, the least important first."""
        weight, lower = self._marks.weight, range(len(PRIORITIES) - 1, level, -1)
        entitled = weight[level] + size <= self._reserves[level]
        for last in (floor, head):
            for priority in reversed(PRIORITIES):
                spare = weight[priority] - self._reserves[priority]
                if spare > 0:
                    yield _Prey(priority, spare, last, entitled or priority >= level)
            own = _Prey(level, weight[level], last, unsent=True)
            if not entitled:
                yield own
            for priority in lower:
                yield _Prey(priority, weight[priority], last, unsent=True)
            if entitled:
                yield own

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
        self, prey: _Prey, first: int, last: int, which: _Which, snapshot: int
    ) -> list[Victim]:
        own = " AND topic IS NULL" if which == "own" else ""
        found = self.removal.find(
            f"sequence BETWEEN ? AND ? AND priority = ? AND sequence <> ?{own}",
            (first, last, prey.priority, snapshot),
            _TIGHT_BATCH if self.room.tight else _BATCH,
        )
        victims: list[Victim] = []
        spare = prey.spare
        for victim in found:
            spare -= victim.weight
            if spare < 0 and victims:
                break
            victims.append(victim)
        return victims
