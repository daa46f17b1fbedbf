"""The journal: every record once, in order, on disk before it counts, chained by hash.

Durability: `append` returns after the commit was synced (WAL, synchronous=FULL), so what it
returned survives kill -9 and a power cut, as far as the disk honours fsync. Order: sequence numbers
are given in the order of the drafts, without gaps. Marks of what the broker has are outside the
chain; one that is lost only makes the uplink send a record again, with the same id.

A Journal is used from the thread that opened it.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from buffer import chain, storage
from buffer.chain import Break
from buffer.checkpoints import Anchor, Checkpoints, Signer
from buffer.folding import Folding
from buffer.gap import Gap, plain_gap
from buffer.marks import WEIGHT, Marks, Spans
from buffer.opening import Opening, plain_opening
from buffer.quota import Quota
from buffer.reading import Reading
from buffer.record import Draft, Kind, Record
from buffer.rows import insert
from buffer.stat import Stat
from buffer.storage import JournalBroken, JournalError

_RESERVED = 100_000
"""Sequence numbers noted beside the file as possibly used, for when the file itself is lost."""


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
        self._topics: dict[str, int] = {}
        self._reserved = 0
        self._quota: Quota | None = None
        self._checkpoints = Checkpoints(db, "", None)
        self._gap: Callable[[Gap], Draft] = plain_gap

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        distrust: str | None = None,
        max_size: int | None = None,
        opening: Callable[[Opening], Draft] = plain_opening,
        gap: Callable[[Gap], Draft] = plain_gap,
        signer: Signer | None = None,
    ) -> Self:
        """Open `path`, beginning a new file where there is none.

        A damaged file, or one distrusted for the reason given, is set aside first. `max_size` is
        the most bytes the file and its log may take. `opening` makes the first record of a new
        file, `gap` the record of what left unsent because of the size. `signer` signs heads and
        folded runs; what is there is signed as found when this signer never did.

        Raises:
            JournalTooNew: a newer program wrote it; the file is left alone.
            JournalBroken: it is damaged and `read_only` forbids to set it aside.
            JournalError: it cannot be opened now.
        """
        if read_only:
            return cls._load(path, read_only=True)
        reason = distrust
        if reason is None:
            try:
                journal = cls._load(path, read_only=False, opening=opening)
            except JournalBroken as broken:
                reason = str(broken)
        if reason is not None:
            storage.set_aside(path)
            journal = cls._load(path, read_only=False, opening=opening, reason=reason)
        journal._gap = gap
        journal._sign(signer)
        if max_size is not None:
            folding = journal._folding
            journal._quota = Quota(journal._db, journal._marks, max_size, folding=folding)
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

    def append(self, drafts: Sequence[Draft], *, sent: Iterable[Record] = ()) -> list[Record]:
        """Commit `drafts`, all or none, and return them as records; also mark `sent`.

        Where the size is reached, others are evicted in the same commit, and records of the gaps
        this leaves follow.

        Raises:
            JournalBroken: the file is damaged; open it again with `distrust`.
            JournalError: the disk or the quota is full, or the disk fails. Nothing was kept.
        """
        marks = self._forget(sent)
        with self._transaction(f"keep {len(drafts)} records"):
            gaps = self._make_room(drafts)
            records, topics = self._chained([*drafts, *gaps])
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
        self._reserve()
        return records

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
        """Return how many are unsent by priority, and a sequence that none of them is below."""
        firsts = [u.first for u in self._marks.unsent if u.first is not None]
        return tuple(u.count for u in self._marks.unsent), min(firsts, default=None)

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
            records=self._head - self._first + 1 - self._marks.evicted,
            evicted=self._marks.evicted,
            bytes=self.size(),
            first=self._first,
            last=self._head,
            link=self._link.hex(),
            unsent=tuple(unsent.count for unsent in self._marks.unsent),
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
        old = storage.asides(self.path)
        known = storage.last_readable(old[-1]) if old else None
        used = max(known[0] if known else 0, storage.reserved(self.path))
        self._first, self._head = used + 1, used
        self._marks.start(used)
        self._link = chain.genesis(self._id)
        told = Opening(
            journal=self._id,
            file=old[-1].name if old else None,
            sequence=known[0] if known else None,
            link=known[1].hex() if known else None,
            reason=reason,
        )
        with self._transaction("begin a journal"):
            self._db.execute("DELETE FROM journal")
            self._db.execute("INSERT INTO journal VALUES (?, ?)", (self._id, self._first))
        self.append([opening(told)])

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

    def _make_room(self, drafts: Sequence[Draft]) -> list[Draft]:
        if self._quota is None:
            return []
        size = sum(len(draft.body) + WEIGHT for draft in drafts)
        gaps = self._quota.make_room(size, self._head)
        return [self._gap(gap) for gap in gaps]

    def _chained(self, drafts: Sequence[Draft]) -> tuple[list[Record], dict[str, int]]:
        """Return `drafts` as the next records, and the numbers of topics that are new."""
        records: list[Record] = []
        topics: dict[str, int] = {}
        sequence, head, published = self._head, self._link, list(self._marks.published)
        for draft in drafts:
            sequence += 1
            priority, topic = draft.priority, draft.topic
            head = chain.link(head, sequence, priority, chain.body_hash(draft.body))
            records.append(
                Record(
                    sequence=sequence,
                    id=draft.id,
                    kind=draft.kind,
                    priority=priority,
                    topic=topic,
                    body=draft.body,
                    link=head,
                    previous=published[priority],
                )
            )
            if topic is not None:
                published[priority] = sequence
                if topic not in self._topics and topic not in topics:
                    topics[topic] = len(self._topics) + len(topics) + 1
        return records, topics

    def _forget(self, records: Iterable[Record]) -> bool:
        with storage.translated("mark what was sent"):
            return sum(self._marks.forget(record) for record in records) > 0

    def _save(self, *, counters: bool = False) -> None:
        # A lost mark costs one repeat, so it is not worth a sync.
        with storage.translated("mark what was sent"):
            self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                with self._transaction("mark what was sent"):
                    saved = self._marks.save(self._head, counters=counters)
                    if counters:
                        self._checkpoints.save_head(self._head, self._link)
                self._marks.committed(saved)
            finally:
                self._db.execute("PRAGMA synchronous = FULL")

    def _refresh(self) -> bool:
        """Read the state of the journal from the file; returns whether there is one."""
        begun = self._db.execute("SELECT id, first FROM journal").fetchone()
        newest = "SELECT sequence, link FROM records ORDER BY sequence DESC LIMIT 1"
        last = self._db.execute(newest).fetchone()
        if begun is None or last is None:
            return False
        self._id, self._first = begun
        self._head, self._link = last
        self._names = dict(self._db.execute("SELECT topic, name FROM topics"))
        self._topics = {name: number for number, name in self._names.items()}
        self._marks.load(self._first)
        self._reserved = storage.reserved(self.path)
        return True

    def _reserve(self) -> None:
        if self._head >= self._reserved:
            self._reserved = self._head + _RESERVED
            storage.reserve(self.path, self._reserved)

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with storage.translated(doing):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                    if self._marks.stale:
                        self._marks.load(self._first)
                raise
