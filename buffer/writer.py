"""One thread that owns the journal, so that nobody else ever waits for the disk."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar, cast

from buffer.ages import Ages
from buffer.checkpoints import Signer
from buffer.committer import Committer
from buffer.gap import Gap, plain_gap
from buffer.held import Held
from buffer.journal import Journal
from buffer.marks import Spans
from buffer.opening import Opening, Salvaged, plain_opening, plain_salvaged, plain_topic
from buffer.policy import CommitPolicy
from buffer.record import PRIORITIES, TELEMETRY, Draft, Kind, Record
from buffer.traffic import Call, Progress, Stop, TurnedAway

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How the writer stands."""

    pending: int
    """Records kept and not yet committed."""
    lost: tuple[int, ...]
    """Records that were given up because the disk refused for too long, by priority."""
    head: int
    """The last sequence committed; 0 before the journal is open."""
    error: str | None
    """What the disk said last, while it refuses; None while all is well."""
    unsent: tuple[int, ...]
    """Records that the broker does not have, by priority."""
    oldest_unsent: float
    """Seconds since the oldest of them was committed, or since the start if that was before."""


class Writer:
    """`async with Writer.open(path) as writer: writer.keep(draft)`. Used from the loop's thread."""

    def __init__(
        self,
        path: Path,
        *,
        policy: CommitPolicy,
        limit: int,
        open_journal: Callable[[str | None], Journal],
        gap: Callable[[Gap], Draft],
        observe_commit: Callable[[float, int], None],
        signer: Signer | None,
    ) -> None:
        """Use `Writer.open`."""
        self._path = path
        self._signer = signer
        self._limit = limit
        self._observe = observe_commit
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[Sequence[Draft] | Record | Call | TurnedAway | Stop] = (
            SimpleQueue()
        )
        self._kept = 0
        self._settled = 0
        self._refused = [0] * len(PRIORITIES)
        self._untold: Counter[tuple[int, Kind]] = Counter()
        self._lost: tuple[int, ...] = (0,) * len(PRIORITIES)
        self._head = 0
        self._error: str | None = None
        self._unsent: tuple[int, ...] = (0,) * len(PRIORITIES)
        self._oldest: int | None = None
        self._ages = Ages()
        self._news = asyncio.Event()
        self._followers: list[Callable[[Sequence[Record]], None]] = []
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._committer = Committer(
            self._inbox,
            lambda progress: self._on_loop(lambda: self._heard(progress)),
            held=Held(limit),
            policy=policy,
            open_journal=open_journal,
            gap=gap,
        )
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        max_wait: float = 0.1,
        limit: int = 20_000,
        max_size: int | None = None,
        keep: float | None = None,
        tick: Callable[[], float | None] = lambda: None,
        opening: Callable[[Opening], Draft] = plain_opening,
        gap: Callable[[Gap], Draft] = plain_gap,
        salvaged: Callable[[Salvaged], Draft] = plain_salvaged,
        topic_of: Callable[[Kind, bytes], str | None] = plain_topic,
        observe_commit: Callable[[float, int], None] = lambda _seconds, _records: None,
        signer: Signer | None = None,
    ) -> AsyncIterator[Self]:
        """Run the writer of `path` for the length of the block; leaving it commits what was kept.

        Never fails for the disk's sake: while the journal cannot be opened or written, up to
        `limit` records are kept in memory, the highest priorities longest, and it is tried again
        twice a second. `max_wait` in seconds is how long operations and telemetry may wait for
        each other. `max_size` is the most bytes the journal may take, `keep` how old a record
        may get, in seconds of `tick`, which is asked on another thread and None while it is not
        known. `opening` and `gap` make the
        records that the journal writes of itself, `signer` signs its heads.
        `observe_commit(seconds, records)` is called on the loop after each commit of records.
        """
        writer = cls(
            path,
            policy=CommitPolicy(max_wait),
            limit=limit,
            open_journal=lambda distrust: Journal.open(
                path,
                distrust=distrust,
                max_size=max_size,
                keep=keep,
                tick=tick,
                opening=opening,
                gap=gap,
                salvaged=salvaged,
                topic_of=topic_of,
                signer=signer,
            ),
            gap=gap,
            observe_commit=observe_commit,
            signer=signer,
        )
        writer._thread.start()
        try:
            yield writer
        finally:
            writer._inbox.put(Stop())
            await asyncio.shield(writer._ended)
            writer._thread.join()

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._path

    @property
    def public_key(self) -> str | None:
        """The key that heads of the journal are signed with, 64 hexadecimal digits, if any."""
        return None if self._signer is None else self._signer.public

    @property
    def head(self) -> int:
        """The last sequence known to be committed."""
        return self._head

    @property
    def stats(self) -> Stats:
        """How the writer stands, as the loop knows it."""
        return Stats(
            pending=self._kept - self._settled,
            lost=tuple(map(sum, zip(self._lost, self._refused, strict=True))),
            head=self._head,
            error=self._error,
            unsent=self._unsent,
            oldest_unsent=0.0
            if self._oldest is None
            else self._ages.age(self._oldest, self._loop.time()),
        )

    def keep(self, *drafts: Draft) -> None:
        """Take drafts and return at once. They are on disk a moment later, unless `lost` grows.

        Drafts of one call are committed in one transaction: all of them survive, or none.
        """
        waiting = self._kept - self._settled
        # A disk that hangs in a sync takes nothing out of the inbox, so it is bounded here too:
        # whatever matters more finds room that nothing which matters less may take.
        taken = []
        for draft in drafts:
            if waiting >= self._limit * (2 + (TELEMETRY - draft.priority) / 2):
                self._refused[draft.priority] += 1
                self._untold[draft.priority, draft.kind] += 1
            else:
                taken.append(draft)
        if taken:
            self._kept += len(taken)
            self._inbox.put(tuple(taken))

    def mark_sent(self, record: Record) -> None:
        """Note that the broker has `record`. Saved with the next commit, or a quarter second on."""
        self._inbox.put(record)

    def follow(self, follower: Callable[[Sequence[Record]], None]) -> Callable[[], None]:
        """Have `follower` called on the loop with the records of each commit, in order.

        Returns what ends it.
        """
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    async def flush(self) -> None:
        """Wait until everything kept so far is committed, or counted as lost."""
        kept = self._kept
        while self._settled < kept:
            self._news.clear()
            await self._news.wait()

    async def changed(self, after: int) -> int:
        """Wait until a sequence above `after` is committed; returns the last one committed."""
        while self._head <= after:
            self._news.clear()
            await self._news.wait()
        return self._head

    async def begin_lanes(self) -> tuple[Spans, int]:
        """Return what the broker does not have by now, and the last sequence committed.

        Raises:
            JournalError: the journal is not open.
        """

        def begin(journal: Journal) -> tuple[Spans, int]:
            journal.seal()
            return journal.unsent(), journal.head

        return await self._ask(begin, after_marks=True)

    async def call(self, do: Callable[[Journal], T]) -> T:
        """Return `do(journal)`, run on the writer's thread: commits wait for it, so keep it short.

        Raises:
            JournalError: the journal is not open, or `do` raised it.
        """
        return await self._ask(do, after_marks=False)

    async def read(self, do: Callable[[Journal], T]) -> T:
        """Return `do(journal)`, given a read-only journal on a thread of its own.

        It sees what is committed by now. Commits don't wait for it, however long it takes.

        Raises:
            JournalError: the journal cannot be read, or `do` raised it.
        """
        return await asyncio.to_thread(_read, self._path, do)

    async def _ask(self, do: Callable[[Journal], T], *, after_marks: bool) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()

        def done(value: object) -> None:
            self._on_loop(lambda: None if answer.done() else answer.set_result(cast(T, value)))

        def failed(error: BaseException) -> None:
            self._on_loop(lambda: None if answer.done() else answer.set_exception(error))

        self._inbox.put(Call(do, done, failed, after_marks))
        return await answer

    def _heard(self, progress: Progress) -> None:
        self._settled, self._head = progress.settled, progress.head
        self._lost, self._error = progress.lost, progress.error
        self._unsent, self._oldest = progress.unsent, progress.oldest
        self._ages.committed(progress.head, self._loop.time())
        self._ages.sent(progress.head + 1 if progress.oldest is None else progress.oldest)
        if progress.drafts:
            self._observe(progress.seconds, progress.drafts)
        if progress.records:
            for follower in tuple(self._followers):
                follower(progress.records)
        if self._untold:
            self._inbox.put(TurnedAway(self._untold))
            self._untold = Counter()
        self._news.set()

    def _run(self) -> None:
        try:
            self._committer.run()
        finally:
            self._on_loop(lambda: self._ended.set_result(None))

    def _on_loop(self, do: Callable[[], None]) -> None:
        # Only a loop that was closed without leaving the block cannot hear it any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(do)


def _read(path: Path, do: Callable[[Journal], T]) -> T:
    with Journal.open(path, read_only=True) as journal:
        return do(journal)
