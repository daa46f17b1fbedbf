"""Begin a file after another one, and take over from the other what it still has."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from buffer import frames, noted, storage
from buffer.gap import Gap
from buffer.marks import Marks
from buffer.opening import Opening, Salvaged, gaps_of, plain_salvaged, plain_topic
from buffer.quota import Quota
from buffer.record import OPERATIONS, Draft, Kind, Record
from buffer.storage import JournalCut, JournalError, JournalFull

if TYPE_CHECKING:
    from buffer.salvage import Salvage
    from buffer.wreck import Wreck

log = logging.getLogger(__name__)

STATE_WITHIN = 5.0
"""Seconds that an opening waits for the last snapshot and what followed it."""
UNSENT_WITHIN = 5.0
"""Seconds after the opening in which the uplink waits for what it has to send first."""
ROOM_WITHIN = 600.0
"""Seconds after the opening in which nothing is given up because others have filled the disk."""
_LOOK_EVERY = 1.0
_ASIDE_SHARE = 4
"""What is set aside may take the size given, divided by this."""
_PAGES = 64
"""Pages that a stretch takes beside its records."""
_LEAST = 8 << 10
"""Bytes of a stretch at least; of a small journal a transaction must be small too."""


class Recovery:
    """What one open file has to do with those before it."""

    def __init__(self, path: Path, db: sqlite3.Connection, marks: Marks) -> None:
        self._path = path
        self._db = db
        self._marks = marks
        self._since = time.monotonic()
        self._wreck: Wreck | None = None
        self._lost = 0
        self.first = 1
        """The first number that this file, or one before it, ever gave."""
        self._place, self._size = _place(path)
        self._looked = self._since
        self.topic_of: Callable[[Kind, bytes], str | None] = plain_topic
        self.salvaged: Callable[[Salvaged], Draft] = plain_salvaged
        self.max_size: int | None = None
        self.salvage: Salvage | None = None
        """What is being taken over."""
        self.hopeless: Gap | None = None
        """What is lost with a file of which nothing is left."""

    @property
    def lost(self) -> int:
        """How many numbers nothing is here of."""
        return self._lost

    def count(self) -> None:
        """Look how many numbers nothing is here of."""
        query = "SELECT coalesce(sum(last - first + 1), 0) FROM lost"
        (self._lost,) = self._db.execute(query).fetchone()
        (self.first,) = self._db.execute("SELECT min(first) FROM journal").fetchone()

    def begin(self, journal: str, reason: str | None) -> tuple[int, Opening]:
        """Return the last number that may have been used, and what the new file says of that."""
        with storage.translated(f"look into {self._path.parent}"):
            newer = sorted(self._path.parent.glob(f"{self._path.name}.schema-*"))
        old = storage.asides(self._path) + newer
        bound = noted.reserved(self._path)
        source, newest = None, None
        for source in sorted(old, key=_set_aside_at, reverse=True):
            self._wreck = _wreck(source, bound)
            if self._wreck is not None and (newest := self._wreck.newest()) is None:
                # Nothing is in it: what a start left that failed, or no journal at all.
                self._wreck.close()
                self._wreck = None
                continue
            if self._wreck is not None or source.is_file():
                break
        else:
            source = max(old, key=_set_aside_at, default=None)
        link = None if newest is None else newest.columns[6] if newest.table == "records" else None
        told = Opening(
            journal=journal,
            file=source.name if source is not None else None,
            sequence=None if newest is None else newest.last,
            link=link.hex() if isinstance(link, bytes) else None,
            reason=reason,
        )
        return max(bound, 0 if newest is None else newest.last), told

    def write(self, journal: str, used: int, told: Opening) -> None:
        """Write how the file begins, inside the caller's transaction."""
        file, readable = told.file, told.sequence or 0
        self._db.execute("DELETE FROM journal")
        self._db.execute("DELETE FROM lost")
        self._db.execute("INSERT INTO journal (id, first) VALUES (?, ?)", (journal, used + 1))
        if used:
            self._db.execute("INSERT INTO journal (id, first) VALUES ('', 1)")
            # One that may not be read now may be another time.
            held = self._wreck is not None or (file and self._path.with_name(file).is_file())
            there = file if held else None
            known = noted.head(self._path)
            committed = 0 if known is None else min(known.sequence, used)
            if committed <= readable:
                committed = 0
            # What is known to have been there, and what may have been: salvage tells them apart.
            rows = [(1, there, committed), (committed + 1, there, used)]
            self._db.executemany(
                "INSERT INTO lost (first, file, last) VALUES (?, ?, ?)",
                [row for row in rows if row[0] <= row[2]],
            )
            self._lost = used
            if there is None and committed:
                self.hopeless = Gap(
                    reason="damage", priority=OPERATIONS, count=committed, first=1, last=committed
                )

    def resume(self) -> bool:
        """Turn to the newest file that may hold lost records; returns whether there is one."""
        if self.salvage is not None:
            return True
        known = len(storage.schema())
        rows = self._db.execute(
            "SELECT file FROM lost WHERE file IS NOT NULL GROUP BY file ORDER BY max(last) DESC"
        ).fetchall()
        for (name,) in rows:
            source = self._path.with_name(name)
            newer = _newer(name) > known
            wreck, self._wreck = self._wreck, None
            if wreck is None:
                wreck = None if newer else _wreck(source, noted.reserved(self._path))
            if wreck is not None:
                from buffer.salvage import Salvage

                if self.max_size is not None:
                    wreck.together = min(wreck.together, max(_LEAST, self.max_size // 64))
                self.salvage = Salvage(
                    self._db,
                    self._marks,
                    wreck,
                    source,
                    topic_of=lambda kind, body: self.topic_of(kind, body),
                    keep=newer,
                )
                return True
            with storage.translated(f"look for {source}"):
                gone = not newer and not source.exists()
            if gone:
                self._db.execute("UPDATE lost SET file = NULL WHERE file = ?", (name,))
        if self._wreck is not None:
            self._wreck.close()
            self._wreck = None
        return False

    def waits_for_state(self) -> bool:
        """Return whether the last snapshot, and what came after it, is still to be taken over."""
        if self.salvage is None or Kind.SNAPSHOT in self._marks.latest:
            return False
        return time.monotonic() - self._since < STATE_WITHIN

    def waits_for_unsent(self) -> bool:
        """Return whether what the broker does not have is still to be taken over, for a while."""
        if self.salvage is None or self.salvage.unsent_known:
            return False
        return time.monotonic() - self._since < UNSENT_WITHIN

    def missing(self, first: int) -> bool:
        """Return whether records from `first` on may be among those still to be taken over."""
        if self.salvage is None:
            return False
        return self.salvage.below is None or first < self.salvage.below

    def step(
        self,
        head: int,
        quota: Quota | None,
        *,
        clear: Callable[[Sequence[Draft], int], None],
        transaction: Callable[..., AbstractContextManager[None]],
        keep: Callable[[Draft, Callable[[], Sequence[Gap]]], None],
    ) -> bool:
        """Take over the next stretch of a broken file; returns whether there may be more.

        `clear(drafts, level)` makes room, `transaction(doing, pages=…)` is one that is synced at
        its end, `keep(draft, after)` appends and does `after` in the same.

        Raises:
            JournalError: not now; try again.
        """
        with storage.translated("take over records"):
            if not self.resume():
                return False
            assert self.salvage is not None  # noqa: S101
            drafts = self.salvage.next()
        if drafts is None:
            keep(*self._end())
            self._ended()
            return True
        pages = 0
        if quota is not None:
            drafts = self._room_for(drafts, quota, clear)
            pages = quota.pages(drafts) + _PAGES
        with transaction("take over records", pages=pages):
            self.salvage.take()
            saved = self._marks.save(head, counters=True)
        self._marks.committed(saved)
        self.salvage.committed()
        self.count()
        if quota is not None:
            quota.reload()
        return True

    def _room_for(
        self, drafts: Sequence[Draft], quota: Quota, clear: Callable[[Sequence[Draft], int], None]
    ) -> list[Draft]:
        """See to room for what is taken over; returns those of `drafts` that there is room for.

        What is taken over is older than all that is here, so it never takes the place of its like.
        """
        salvage = self.salvage
        assert salvage is not None  # noqa: S101
        while salvage.least >= 0:
            some = [draft for draft in drafts if draft.priority <= salvage.least]
            if not some or not quota.lacking(some):
                return some
            if quota.room.tight and time.monotonic() - self._since < ROOM_WITHIN:
                raise JournalFull(f"the disk is full; what is left in {salvage.source} waits")
            before = self._marks.weight[salvage.least]
            try:
                clear(some, salvage.least)
            except JournalFull:
                salvage.least -= 1
                continue
            if self._marks.weight[salvage.least] >= before:
                return some
            salvage.least -= 1
        return []

    def _end(self) -> tuple[Draft, Callable[[], Sequence[Gap]]]:
        """Return the record of what became of the file, and what ends it, with the gaps to tell."""
        salvage = self.salvage
        assert salvage is not None  # noqa: S101
        result = salvage.result()

        def end() -> Sequence[Gap]:
            salvage.settle()
            return [*gaps_of(result), *salvage.left.gaps("quota")]

        return self.salvaged(result), end

    def _ended(self) -> None:
        """Take note that all of the file was taken over: what is left of it is bounded."""
        salvage, self.salvage = self.salvage, None
        assert salvage is not None  # noqa: S101
        salvage.ended()
        self.count()
        log.warning("%s: %s", salvage.source, salvage.summary())
        with suppress(JournalError):
            if 0 < _newer(salvage.source.name) <= len(storage.schema()):
                old = storage.asides(self._path)
                number = 1 + max((int(p.suffix[7:]) for p in old), default=0)
                aside = self._path.with_name(f"{self._path.name}.aside-{number}")
                storage.move(salvage.source, aside)
            most = None if self.max_size is None else self.max_size // _ASIDE_SHARE
            storage.prune(self._path, most)

    def close(self) -> None:
        """Leave the rest for the next opening."""
        for held in (self.salvage, self._wreck):
            if held is not None:
                held.close()

    def check_place(self, every: float | None = None) -> None:
        """See now and then that the file is still the one at its path, and whole.

        One that was removed is copied from what is open, and taken over like a damaged one.

        Raises:
            JournalCut: it was made smaller, not by us.
            JournalError: it was removed or replaced, or its log; open the journal again.
        """
        if time.monotonic() - self._looked < (_LOOK_EVERY if every is None else every):
            return
        self._looked = time.monotonic()
        now, size = _place(self._path)
        if now == self._place:
            before, self._size = self._size, size
            if size < before:
                self._check_size(before, size)
            return
        if now[0] == self._place[0]:
            if self._place[1] is None or now[1] is not None:
                self._place = now
                if self._place[1] is None:
                    return
            raise JournalError(f"the log of {self._path} was removed or replaced")
        ours = now[1] is not None and now[1] == self._place[1]
        with storage.translated(f"save {self._path}"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        if now[0] is not None:
            # What came in the place of ours is not to take our log along.
            storage.set_aside(self._path, ("",) if ours else storage.PARTS)
        self._save_copy()
        if ours:
            with storage.translated(f"remove the log of {self._path}"):
                for suffix in ("-wal", "-shm"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        raise JournalError(f"{self._path} was removed or replaced")

    def _check_size(self, before: int, size: int) -> None:
        """See that a file that became smaller lacks nothing."""
        with suppress(sqlite3.Error):  # it sees that, too
            both = "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
            pages, page = self._db.execute(both).fetchone()
            if frames.complete(self._path, size, pages, page):
                return
        raise JournalCut(f"{self._path} was cut from {before} to {size} bytes")

    def _save_copy(self) -> None:
        number = 1 + max((int(p.suffix[7:]) for p in storage.asides(self._path)), default=0)
        copy = self._path.with_name(f"{self._path.name}.aside-{number}")
        with storage.translated(f"copy {self._path}"):
            target = sqlite3.connect(copy, isolation_level=None)
            try:
                self._db.backup(target)
            finally:
                target.close()


def newest_records(path: Path, most: int) -> list[Record]:
    """Return the last snapshot of a file that need not open, and at most `most` records since.

    Raises:
        OSError: it cannot be read.
    """
    from buffer.wreck import Wreck, record_of

    records: list[Record] = []
    with Wreck(path) as wreck:
        for entries, _ in wreck.entries():
            some = [record_of(entry, wreck.small.topics) for entry in entries]
            records[:0] = [record for record in some if record is not None]
            if len(records) > most or any(r.kind is Kind.SNAPSHOT for r in records):
                break
    return records[-most:]


def _place(path: Path) -> tuple[tuple[tuple[int, int] | None, tuple[int, int] | None], int]:
    """Return which files the journal and its log are, and the size of the journal in bytes."""
    found: list[tuple[int, int] | None] = []
    sizes: list[int] = []
    for suffix in ("", "-wal"):
        try:
            stat = Path(f"{path}{suffix}").stat()
            found.append((stat.st_dev, stat.st_ino))
            sizes.append(stat.st_size)
        except OSError:
            found.append(None)
            sizes.append(0)
    return (found[0], found[1]), sizes[0]


def _wreck(source: Path, bound: int) -> Wreck | None:
    try:
        if not source.is_file() and not Path(f"{source}-wal").is_file():
            return None
        from buffer.wreck import HIGHEST, Wreck

        return Wreck(source, below=bound + 1 if bound else HIGHEST)
    except OSError as error:
        log.error("%s cannot be read: %s", source, error.strerror)  # noqa: TRY400
        return None


def _newer(name: str) -> int:
    """Return the schema in the name of a file that was too new, else 0."""
    _, found, version = name.rpartition(".schema-")
    number = version.partition("-")[0]
    return int(number) if found and number.isdigit() else 0


def _set_aside_at(path: Path) -> float:
    """Return when a file or its log was renamed, in seconds."""
    times = [0.0]
    for part in ("", "-wal"):
        with suppress(OSError):
            times.append(Path(f"{path}{part}").lstat().st_ctime)
    return max(times)
