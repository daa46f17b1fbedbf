"""Adding to an open journal file: records, marks of what was sent, and what makes room for them."""

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from buffer import noted, storage
from buffer.chained import chained, new_topics
from buffer.checkpoints import Checkpoints
from buffer.gap import Gap, plain_gap
from buffer.marks import Marks
from buffer.quota import Quota
from buffer.reading import Reading
from buffer.record import Draft, Record
from buffer.recovery import Recovery
from buffer.refused import RefusedRecords
from buffer.rows import insert
from buffer.storage import JournalFull

_RESERVED = 100_000
"""Sequence numbers noted beside the file as possibly used, for when the file itself is lost."""

_MARK_PAGES = 16
"""Pages that marks alone are written to, about, at most."""


class Appending(Reading):
    """What can be added to an open file. Used from the thread that opened it."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, read_only: bool) -> None:
        super().__init__(db, read_only=read_only)
        self.path = path
        self._id = ""
        self._first = 1
        self._head = 0
        self._link = b""
        self._marks = Marks(db)
        self.refused = RefusedRecords(db)
        """What the broker will never take as it is."""
        self._topics: dict[str, int] = {}
        self._reserved = 0
        self._noted = 0
        """The last sequence that was noted as committed."""
        self._quota: Quota | None = None
        self._own: list[Record] = []
        """Records of gaps that nobody was told of yet."""
        self._checkpoints = Checkpoints(db, "", None)
        self._gap: Callable[[Gap], Draft] = plain_gap
        self._recovery = Recovery(path, db, self._marks)

    @property
    def head(self) -> int:
        """The last sequence committed."""
        return self._head

    @property
    def bounded(self) -> bool:
        """Whether it was opened with a size."""
        return self._quota is not None

    @property
    def together(self) -> int:
        """Bytes of bodies that may well be appended in one commit."""
        return sys.maxsize if self._quota is None else self._quota.room.together

    def fits(self, drafts: Sequence[Draft]) -> bool:
        """Whether `drafts` could be appended at once, were there nothing else."""
        return self._quota is None or self._quota.fits(drafts)

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        sent: Iterable[Record] = (),
        save_marks: bool = True,
        level: int | None = None,
    ) -> list[Record]:
        """Commit `drafts`, all or none, and return them as records; also mark `sent`.

        Marks may be left to be saved later: a power cut or a kill undoes them until then.
        Where the size is reached, others are evicted before, as far as they may go for what
        matters as much as priority `level`: None is the highest one of `drafts`. Records of the
        gaps this leaves come first in what is returned.

        Raises:
            JournalBroken: the file is damaged; open it again with `distrust`.
            JournalFull: the disk or the size given is full. Nothing of `drafts` was kept.
            JournalError: the disk fails. Nothing was kept.
        """
        self._recovery.check_place()
        if sent:
            self._forget(sent)
        marks = save_marks and self._marks.changed
        if level is None:
            level = min((draft.priority for draft in drafts), default=0)
        try:
            self._clear(drafts, level)
            records = self._keep(drafts, marks=marks, level=level)
        except JournalFull:
            if not self._relieve():
                raise
            self._clear(drafts, level)
            records = self._keep(drafts, marks=marks, level=level)
        own, self._own = self._own, []
        return [*own, *records]

    def _keep(
        self,
        drafts: Sequence[Draft],
        *,
        marks: bool = False,
        level: int = 0,
        after: Callable[[], Sequence[Gap]] = tuple,
    ) -> list[Record]:
        """Commit `drafts` after `after` was done in the same transaction, and the gaps of that."""
        pages = 0 if self._quota is None or not drafts else self._quota.pages(drafts)
        with self._transaction(f"keep {len(drafts)} records", pages=pages, level=level):
            gaps = [self._gap(gap) for gap in after()]
            drafts = [*drafts, *gaps]
            published = self._marks.published
            records = chained(drafts, self._head, self._link, published)
            topics = new_topics(records, self._topics)
            numbers = self._topics | topics if topics else self._topics
            if topics:
                self._db.executemany(
                    "INSERT INTO topics (topic, name) VALUES (?, ?)",
                    [(n, name) for name, n in topics.items()],
                )
            insert(self._db, records, numbers)
            saved = None
            if marks or self._marks.stale or self._marks.due(self._head):
                saved = self._marks.save(self._head, counters=self._marks.stale)
            self._checkpoints.save()
        if saved is not None:
            self._marks.committed(saved)
        self._checkpoints.committed()
        self._topics = numbers
        self._names.update((n, name) for name, n in topics.items())
        self._marks.note(records)
        if records:
            self._head, self._link = records[-1].sequence, records[-1].link
        if self._quota is not None:
            self._quota.took(self._quota.pages(drafts) if gaps or not pages else pages)
        self._reserve()
        return records

    def mark_sent(self, records: Sequence[Record]) -> None:
        """Note that the broker has `records`. Not synced by itself: a power cut may undo it.

        Raises:
            JournalError: not saved; the next save has it too.
        """
        self._forget(records)
        self._save()

    def _keep_own(self, draft: Draft, after: Callable[[], Sequence[Gap]]) -> None:
        self._own += self._keep([draft], after=after)

    def _keep_gaps(self, do: Callable[[], Sequence[Gap]]) -> None:
        self._own += self._keep([], after=do)

    def _clear(self, drafts: Sequence[Draft], level: int) -> None:
        """Make room for `drafts`, in transactions that are short and small."""
        quota = self._quota
        while quota is not None and self._lacking(quota, drafts):
            evict = partial(quota.evict, drafts, level, self._head)
            self._own += self._keep([], level=level, after=evict)

    def _lacking(self, quota: Quota, drafts: Sequence[Draft]) -> bool:
        with storage.translated("look for room"):
            return quota.lacking(drafts)

    def _relieve(self) -> bool:
        """Make do with less beside the records; returns whether there is more room now."""
        with storage.translated("make room"):
            return self._quota is not None and self._quota.relieve()

    def _forget(self, records: Iterable[Record]) -> None:
        with storage.sound("mark what was sent"), storage.translated("mark what was sent"):
            for record in records:
                self._marks.forget(record)

    def _save(self, *, counters: bool = False) -> None:
        # A lost mark costs one repeat, so it is not worth a sync.
        with storage.sound("mark what was sent"), storage.translated("mark what was sent"):
            self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                with self._transaction("mark what was sent", pages=_MARK_PAGES):
                    saved = self._marks.save(self._head, counters=counters)
                    if counters:
                        self._checkpoints.save_head(self._head, self._link)
                self._marks.committed(saved)
            finally:
                self._db.execute("PRAGMA synchronous = FULL")

    def _reserve(self) -> None:
        if self._head >= self._reserved:
            self._reserved = self._head + _RESERVED
            self._noted = self._head
            noted.reserve(self.path, self._reserved, noted.Head(self._head, self._link))

    def _note_head(self) -> None:
        """Note the head beside the file, which may lose its end and look whole."""
        if self._head > self._noted:
            self._noted = self._head
            noted.keep_head(self.path, self._reserved, noted.Head(self._head, self._link))

    @contextmanager
    def _transaction(self, doing: str, *, pages: int = 0, level: int = 0) -> Iterator[None]:
        with storage.translated(doing):
            if self._quota is not None:
                self._quota.room.admit(pages or self._quota.room.turn, level)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                with suppress(sqlite3.Error):
                    if self._marks.stale:
                        self._marks.load(self._first)
                    if self._quota is not None:
                        self._quota.reload()
                raise
