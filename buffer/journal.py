"""The journal: every record once, in order, on disk before it counts, chained by hash.

Durability: `append` returns after the commit was synced (WAL, synchronous=FULL), so what it
returned survives kill -9 and a power cut, as far as the disk honours fsync. Order: sequence numbers
are given in the order of the drafts, without gaps. Marks of what the broker has are outside the
chain; one that is lost only makes the uplink send a record again, with the same id.

A Journal is used from the thread that opened it.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from buffer import chain, noted, storage
from buffer.appending import Appending
from buffer.ballast import make_way
from buffer.chain import Break
from buffer.checkpoints import Anchor, Checkpoints, Signer
from buffer.folding import Folding
from buffer.gap import Gap, plain_gap
from buffer.housework import Housework
from buffer.marks import Spans
from buffer.opening import Opening, Salvaged, plain_opening, plain_salvaged, plain_topic
from buffer.quota import Quota
from buffer.record import Draft, Kind, Record
from buffer.recovery import Recovery
from buffer.retention import HOUR, Retention
from buffer.stat import Stat
from buffer.storage import JournalBroken, JournalError, JournalTooNew


class Journal(Appending):
    """One open file. `with Journal.open(path) as journal:` closes it."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, read_only: bool) -> None:
        super().__init__(path, db, read_only=read_only)
        self._housework: Housework | None = None

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

        A damaged file, one that lost its end, one of a newer version, or one distrusted for the
        reason given is set aside first; `salvage` takes over what it still has, and `salvaged`
        makes the record of that, `topic_of` the topic of a record that the file tells none of any
        more. `max_size` is the most bytes the file and all beside it may take; `keep` is how old a
        record may get, in seconds of `tick`, which is None while it is not known; without
        `max_size` it has no effect. `opening` makes the first record of a new file, `gap` the
        record of what left unsent because of the size. `signer` signs heads and folded runs; what
        is there is signed as found when this signer never did.

        Raises:
            JournalTooNew, JournalBroken: it is, and `read_only` forbids to set it aside.
            JournalError: it cannot be opened now.
        """
        if read_only:
            return cls._load(path, read_only=True)
        make_way(path)
        reason = distrust or storage.obstacle(path) or storage.shortened(path)
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
            with storage.sound(f"open {path}"), storage.translated(f"open {path}"):
                quota = Quota(journal._db, journal._marks, max_size, path=path, folding=folding)
                retention = Retention(journal._db, journal._marks, quota.removal, keep, tick)
                journal._quota, journal._housework = (
                    quota,
                    Housework(
                        journal._db, quota, retention, journal._keep_gaps, journal._transaction
                    ),
                )
        with suppress(JournalError):
            if recovery.hopeless is not None:
                journal.append([gap(recovery.hopeless)])
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
            with storage.sound(f"open {path}"), storage.translated(f"open {path}"):
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

    def salvage(self) -> bool:
        """Take over a little more of a broken file; returns whether there may be more.

        Raises:
            JournalError: not now; try again.
        """
        with storage.sound("take over records"), storage.translated("take over records"):
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
        """Return the head, signed where there is a key; now and then it is kept in the file.

        It is noted beside the file too, so that a file that loses its end is found out.
        """
        if not self._read_only:
            self._note_head()
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
        """Return the bytes that the file and all that belongs to it take."""
        total = 0
        for suffix in ("", "-wal", "-shm", ".ballast", ".reserved"):
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
            self._note_head()
        self._recovery.close()
        self._db.close()

    def fail(self, error: Exception) -> Exception:
        """Close after `error`; returns what it really was: closing hides that a file was cut."""
        if isinstance(error, JournalBroken):
            try:
                self._recovery.check_place(0.0)
            except JournalError as seen:
                error = seen
        self.close()
        return error

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
            self._recovery.write(self._id, used, told)
        self.append([opening(told)])
        storage.prune(self.path, None, needed=told.file)

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
        with storage.sound("tidy up"), storage.translated("tidy up"):
            wait = self._housework.step(self._head)
        own, self._own = self._own, []
        return wait, own

    def _newest(self, starts: Mapping[int, bytes]) -> tuple[int, bytes] | None:
        """Return number and link of the last record, though its body may have had to go since.

        `starts` is what each chain starts from, by the number of its first record.
        """
        found: list[tuple[int, bytes]] = [
            row
            for query in (
                "SELECT sequence, link FROM records ORDER BY sequence DESC LIMIT 1",
                "SELECT last, link FROM folded ORDER BY first DESC LIMIT 1",
            )
            if (row := self._db.execute(query).fetchone()) is not None
        ]
        head, link = max(found, default=(0, b""))
        after = "SELECT sequence, priority, hash FROM evicted WHERE sequence > ? ORDER BY sequence"
        for sequence, priority, body_hash in self._db.execute(after, (head,)):
            link = chain.link(starts.get(sequence, link), sequence, priority, body_hash)
            head = sequence
        return (head, link) if head else None

    def _refresh(self) -> bool:
        """Read the state of the journal from the file; returns whether there is one."""
        chains = self._db.execute("SELECT id, first FROM journal ORDER BY first").fetchall()
        last = self._newest({first: chain.genesis(own) for own, first in chains if own})
        if not chains or last is None:
            return False
        self._id, self._first = chains[-1][0], chains[0][1]
        self._head, self._link = last
        self._read_topics()
        self._marks.load(self._first)
        self.refused.load()
        self._recovery.count()
        self._reserved = noted.reserved(self.path)
        return True
