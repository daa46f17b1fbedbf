"""The journal: every record once, in order, on disk before it counts, chained by hash.

Durability: `append` returns after the commit was synced (WAL, synchronous=FULL), so what it
returned survives kill -9 and a power cut, as far as the disk honours fsync. Order: sequence numbers
are given in the order of the drafts, without gaps. Marks of what the broker has are outside the
chain; one that is lost only makes the uplink send a record again, with the same id.

A Journal is used from the thread that opened it.
"""

import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from buffer import chain, storage
from buffer.ballast import make_way
from buffer.chain import Break
from buffer.chained import chained, new_topics
from buffer.checkpoints import Anchor, Checkpoints, Signer
from buffer.folding import Folding
from buffer.gap import Gap, plain_gap
from buffer.housework import Housework
from buffer.marks import Marks, Spans
from buffer.opening import Opening, Salvaged, plain_opening, plain_salvaged
from buffer.quota import Quota
from buffer.reading import Reading
from buffer.record import Draft, Kind, Record
from buffer.recovery import Recovery
from buffer.refused import RefusedRecords
from buffer.retention import HOUR, Retention
from buffer.rows import insert
from buffer.salvage import plain_topic
from buffer.stat import Stat
from buffer.storage import JournalBroken, JournalError, JournalFull, JournalTooNew

_RESERVED = 100_000
"""Sequence numbers noted beside the file as possibly used, for when the file itself is lost."""

_MARK_PAGES = 16
"""Pages that marks alone are written to, about, at most."""


class Journal(Reading):
    """One open file. `with Journal.open(path) as journal:` closes it."""

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
        self._quota: Quota | None = None
        self._housework: Housework | None = None
        self._own: list[Record] = []
        """Records of gaps that nobody was told of yet."""
        self._checkpoints = Checkpoints(db, "", None)
        self._gap: Callable[[Gap], Draft] = plain_gap
        self._recovery = Recovery(path, db, self._marks)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        distrust: str | None = None,
        max_size: int | None = None,
        keep: float | None = None,
        tick: Callable[[], float | None] = lambda: None,
        opening: Callable[[Opening], Draft] = plain_opening,
        gap: Callable[[Gap], Draft] = plain_gap,
        salvaged: Callable[[Salvaged], Draft] = plain_salvaged,
        topic_of: Callable[[Kind, bytes], str | None] = plain_topic,
        signer: Signer | None = None,
    ) -> Self:
        """Open `path`, beginning a new file where there is none.

        A damaged file, one of a newer version, or one distrusted for the reason given is set aside
        first; `salvage` takes over what it still has, and `salvaged` makes the record of that,
        `topic_of` the topic of a record that the file tells none of any more. `max_size` is
        the most bytes the file and all beside it may take; `keep` is how old a record may get, in
        seconds of `tick`, which is None while it is not known; without `max_size` it has no effect.
        `opening` makes the first record of a new
        file, `gap` the record of what left unsent because of the size. `signer` signs heads and
        folded runs; what is there is signed as found when this signer never did.

        Raises:
            JournalTooNew, JournalBroken: it is, and `read_only` forbids to set it aside.
            JournalError: it cannot be opened now.
        """
        if read_only:
            return cls._load(path, read_only=True)
        make_way(path)
        reason = distrust or storage.obstacle(path)
        if reason is None:
            try:
                journal = storage.sure(lambda: cls._load(path, read_only=False, opening=opening))
            except (JournalBroken, JournalTooNew) as refused:
                reason = str(refused)
        if reason is not None:
            storage.set_aside(path)
            journal = cls._load(path, read_only=False, opening=opening, reason=reason)
        journal._gap = gap
        recovery = journal._recovery
        recovery.salvaged, recovery.topic_of, recovery.max_size = salvaged, topic_of, max_size
        journal._sign(signer)
        if max_size is not None:
            folding = journal._folding
            with storage.translated(f"open {path}"):
                quota = Quota(journal._db, journal._marks, max_size, path=path, folding=folding)
                retention = Retention(journal._db, journal._marks, quota.removal, keep, tick)
                journal._quota, journal._housework = (
                    quota,
                    Housework(
                        journal._db, quota, retention, journal._keep_gaps, journal._transaction
                    ),
                )
        with suppress(JournalError):
            while journal.salvage() and recovery.waits_for_state():
                pass
        journal._own = []  # whoever opens it reads what is new
        return journal

    @classmethod
    def _load(
        cls,
        path: Path,
        *,
        read_only: bool,
        opening: Callable[[Opening], Draft] = plain_opening,
        reason: str | None = None,
    ) -> Self:
        db = storage.connect(path, read_only=read_only)
        journal = cls(path, db, read_only=read_only)
        try:
            with storage.translated(f"open {path}"):
                begun = journal._refresh()
                if not begun and read_only:
                    raise OSError("it has no records yet")  # noqa: TRY301
            if not begun:
                journal._begin(opening, reason)
        except BaseException:
            db.close()
            raise
        return journal

    @property
    def id(self) -> str:
        """The random id of this file: 32 hex digits."""
        return self._id

    @property
    def head(self) -> int:
        """The last sequence committed."""
        return self._head

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
        self._forget(sent)
        marks = save_marks and self._marks.changed
        if level is None:
            level = min((draft.priority for draft in drafts), default=0)
        try:
            self._clear(drafts, level)
            records = self._keep(drafts, marks=marks, level=level)
        except JournalFull:
            if self._quota is None or not self._quota.relieve():
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
            drafts = [*drafts, *map(self._gap, after())]
            published = self._marks.published
            records = chained(drafts, self._head, self._link, published)
            topics = new_topics(records, self._topics)
            numbers = self._topics | topics if topics else self._topics
            self._db.executemany(
                "INSERT INTO topics VALUES (?, ?)", [(n, name) for name, n in topics.items()]
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
            self._quota.took(drafts)
        self._reserve()
        return records

    def salvage(self) -> bool:
        """Take over a little more of a broken file; returns whether there may be more.

        Raises:
            JournalError: not now; try again.
        """
        more = self._recovery.step(
            self._head,
            self._quota,
            clear=self._clear,
            transaction=self._transaction,
            keep=self._keep_own,
        )
        if more:
            self._first = self._recovery.first
            self._read_topics()
        return more

    @property
    def recovery(self) -> Recovery:
        """What of a broken file is still to be taken over."""
        return self._recovery

    def published(self, priority: int, first: int, last: int, limit: int) -> list[Record]:
        """Return the first `limit` records of `priority` with a topic from `first` to `last`.

        Raises:
            JournalError: some of them are being taken over from a broken file; ask again.
        """
        if self._recovery.missing(first):
            raise JournalError("they are being taken over from a broken file")
        return super().published(priority, first, last, limit)

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

    def mark_sent(self, records: Sequence[Record]) -> None:
        """Note that the broker has `records`. Not synced by itself: a power cut may undo it.

        Raises:
            JournalError: not saved; the next save has it too.
        """
        self._forget(records)
        self._save()

    def unsent(self) -> Spans:
        """Return what the broker does not have, oldest first, for each priority that has some."""
        return {p: tuple(u.spans) for p, u in enumerate(self._marks.unsent) if u.spans}

    def unsent_counts(self) -> tuple[tuple[int, ...], int | None]:
        """Return how many are unsent by priority, and a sequence that none of them is below.

        What is set aside because the broker refuses it does not count.
        """
        return self.refused.apart_from(self._marks.unsent)

    def seal(self) -> None:
        """Let no record to come join a span of those before it."""
        for unsent in self._marks.unsent:
            unsent.seal()

    def latest(self, kind: Kind) -> Record | None:
        """Return the last record of `kind`, or None."""
        if self._read_only:
            self._refresh()
        sequence = self._marks.latest.get(kind)
        found = self._select("WHERE sequence = ?", (sequence,)) if sequence else []
        return found[0] if found else None

    def anchor(self) -> Anchor:
        """Return the head, signed where there is a key; now and then it is kept in the file."""
        return self._checkpoints.anchor(self._head, self._link)

    def stat(self) -> Stat:
        """Return how the journal stands now."""
        if self._read_only:
            self._refresh()
        return Stat(
            journal=self._id,
            records=self._head - self._first + 1 - self._marks.evicted - self._recovery.lost,
            evicted=self._marks.evicted,
            bytes=self.size(),
            first=self._first,
            last=self._head,
            link=self._link.hex(),
            unsent=tuple(unsent.count for unsent in self._marks.unsent),
            refused=len(self.refused),
        )

    def size(self) -> int:
        """Return the bytes that the file and its log take."""
        total = 0
        for suffix in ("", "-wal"):
            with suppress(OSError):
                total += Path(f"{self.path}{suffix}").stat().st_size
        return total

    def verify(self) -> Break | None:
        """Check the chain over the whole file; returns the first record that does not fit, or None.

        Reads every body. A cut tail is not seen: compare `stat().link` with a published one.

        Raises:
            JournalBroken: a part of the file cannot be read.
        """
        from buffer.proof_rows import examine

        return examine(self._db).broken

    def close(self) -> None:
        """Save the marks and close. Safe to call twice."""
        if not self._read_only:
            with suppress(JournalError, sqlite3.ProgrammingError):
                self._save(counters=True)
        self._recovery.close()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, opening: Callable[[Opening], Draft], reason: str | None) -> None:
        self._id = secrets.token_hex(16)
        used, told = self._recovery.begin(self._id, reason)
        self._first, self._head = 1 if used else used + 1, used
        self._marks.start(used)
        self._link = chain.genesis(self._id)
        with self._transaction("begin a journal"):
            self._recovery.write(self._id, used, told.file)
        self.append([opening(told)])

    def _keep_own(self, draft: Draft, after: Callable[[], Sequence[Gap]]) -> None:
        self._own += self._keep([draft], after=after)

    def _read_topics(self) -> None:
        with storage.translated("read topics"):
            self._names = dict(self._db.execute("SELECT topic, name FROM topics"))
        self._topics = {name: number for number, name in self._names.items()}

    def _sign(self, signer: Signer | None) -> None:
        """Have `signer` sign from now on; what is there is signed as found, if it never was."""
        self._checkpoints = Checkpoints(self._db, self._id, signer)
        self._folding = Folding(self._db, signer)
        # A disk that refuses records will say so itself; this can be made up for.
        with suppress(JournalError):
            with storage.translated("look for signatures"):
                known = self._checkpoints.known
            if not known:
                with self._transaction("sign what is there"):
                    self._folding.adopt()
                    self._checkpoints.save_head(self._head, self._link)

    def tidy(self) -> tuple[float, list[Record]]:
        """Do one short step of what is to do when nothing waits: take over, purge, give space back.

        Returns in how many seconds the next is wanted, and the records of gaps it left.

        Raises:
            JournalError: the disk refuses.
        """
        begun = time.monotonic()
        self._recovery.check_place()
        if self.salvage():
            own, self._own = self._own, []
            return time.monotonic() - begun, own
        if self._housework is None:
            return HOUR, []
        with storage.translated("tidy up"):
            wait = self._housework.step(self._head)
        own, self._own = self._own, []
        return wait, own

    def _keep_gaps(self, do: Callable[[], Sequence[Gap]]) -> None:
        self._own += self._keep([], after=do)

    def _clear(self, drafts: Sequence[Draft], level: int) -> None:
        """Make room for `drafts`, in transactions that are short and small."""
        quota = self._quota
        while quota is not None and quota.lacking(drafts):
            evict = partial(quota.evict, drafts, level, self._head)
            self._own += self._keep([], level=level, after=evict)

    def _forget(self, records: Iterable[Record]) -> None:
        with storage.translated("mark what was sent"):
            for record in records:
                self._marks.forget(record)

    def _save(self, *, counters: bool = False) -> None:
        # A lost mark costs one repeat, so it is not worth a sync.
        with storage.translated("mark what was sent"):
            self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                with self._transaction("mark what was sent", pages=_MARK_PAGES):
                    saved = self._marks.save(self._head, counters=counters)
                    if counters:
                        self._checkpoints.save_head(self._head, self._link)
                self._marks.committed(saved)
            finally:
                self._db.execute("PRAGMA synchronous = FULL")

    def _refresh(self) -> bool:
        """Read the state of the journal from the file; returns whether there is one."""
        chains = self._db.execute("SELECT id, first FROM journal ORDER BY first").fetchall()
        newest = "SELECT sequence, link FROM records ORDER BY sequence DESC LIMIT 1"
        last = self._db.execute(newest).fetchone()
        if not chains or last is None:
            return False
        self._id, self._first = chains[-1][0], chains[0][1]
        self._head, self._link = last
        self._read_topics()
        self._marks.load(self._first)
        self.refused.load()
        self._recovery.count()
        self._reserved = storage.reserved(self.path)
        return True

    def _reserve(self) -> None:
        if self._head >= self._reserved:
            self._reserved = self._head + _RESERVED
            storage.reserve(self.path, self._reserved)

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
