"""The thread that owns the journal: takes what waits, commits it together, tries again."""

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from buffer.gap import Gap, refused_by_disk, said
from buffer.held import Held, groups_within
from buffer.journal import Journal
from buffer.policy import CommitPolicy
from buffer.record import PRIORITIES, SECURITY, Draft, Kind, Record
from buffer.storage import NONSENSE, JournalBroken, JournalCut, JournalError, JournalFull
from buffer.traffic import Call, Progress, Stop, TurnedAway

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between attempts while the disk refuses."""
DISK = (JournalError, OSError, sqlite3.Error)
"""What a disk that fails may raise."""
DOUBTS = 6
"""How often in a row SQLite must call the file damaged: it does so when the disk fails, too."""
DOUBT_LASTS = 60.0
"""Seconds after which an earlier doubt counts no more."""
TIDY_RETRY = 60.0
"""Seconds until housework is tried again that found no room."""
MARKS_TOGETHER = 1000
"""Marks of sent records that are saved together at most."""
MARKS_WAIT = 1.0
"""Seconds a mark of a sent record waits to be saved at most: one that is lost is a repeat."""
MOST_TOGETHER = 2000
"""Records in one commit at most, so that an urgent one never waits behind a long one."""
MOST_BYTES = 256 << 10
"""Bytes of bodies in one commit at most, about."""


class Committer:
    """`run` is the thread's whole life; the inbox is the only way to it."""

    def __init__(
        self,
        inbox: "SimpleQueue[Sequence[Draft] | Record | Call | TurnedAway | Stop]",
        tell: Callable[[Progress], None],
        *,
        held: Held,
        policy: CommitPolicy,
        open_journal: Callable[[str | None], Journal],
        gap: Callable[[Gap], Draft],
    ) -> None:
        """`open_journal` is given the reason to distrust the file, if there is one."""
        self._inbox = inbox
        self._tell = tell
        self._held = held
        self._policy = policy
        self._open_journal = open_journal
        self._gap = gap
        self._journal: Journal | None = None
        self._distrust: str | None = None
        self._doubts = 0
        self._doubted = 0.0
        self._retry = 0.0
        self._tidy_due = 0.0
        self._urgent = False
        """Whether something came that does not wait for the next attempt on a full disk."""
        self._later: list[Call] = []
        self._sent: list[Record] = []
        """What was sent and the journal was not told of yet."""
        self._unsaved: list[Record] = []
        """What the journal was told of, and has not saved yet."""
        self._marks_due = 0.0
        self._settled = 0
        self._head: int | None = None
        self._turned_away: Counter[tuple[int, Kind]] = Counter()
        self._confessed: Counter[tuple[int, Kind]] = Counter()
        self._error: str | None = None
        self._stopping = False
        self._unsent: tuple[int, ...] = (0,) * len(PRIORITIES)
        self._oldest: int | None = None

    def run(self) -> None:
        """Serve the inbox until told to stop, then commit what is left and close the journal."""
        while not self._stopping:
            with self._going_on():
                if self._journal is None and time.monotonic() >= self._retry:
                    self._open()
                self._take()
                self._commit_what_is_due()
                self._tidy()
                self._serve_later()
        with self._going_on():
            if self._journal is None:
                self._open()
                self._commit_what_is_due()
        with self._going_on():
            self._confess()
        if self._journal is not None:
            self._journal.close()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Let nothing that a file may hold end the thread."""
        try:
            yield
        except (sqlite3.Error, *NONSENSE) as error:
            log.exception("the journal holds what it cannot hold")
            failure = JournalError(f"{type(error).__name__}: {error}")
            if self._journal is None:
                self._failed(failure)
            else:
                self._lost_hold(self._journal, failure)

    def _open(self) -> None:
        # Only once: what a failed attempt left behind must not push out an older aside.
        distrust, self._distrust = self._distrust, None
        try:
            journal = self._open_journal(distrust)
            missed: list[Record] = []
            if self._head is not None:
                # A commit that failed may have reached the disk nevertheless.
                missed = list(journal.since(self._head))
                self._settled += self._held.drop_known(record.id for record in missed)
        except DISK as error:
            self._doubt(error)
            self._failed(error)
            return
        if self._error is not None:
            log.warning("the journal can be written again")
        self._journal, self._error, self._head = journal, None, journal.head
        self._tidy_due = 0.0
        self._report(missed)

    def _take(self) -> None:
        """Wait for the inbox or for what is due, and take all that is there."""
        try:
            item = self._inbox.get(timeout=self._idle_for())
            while True:
                self._handle(item)
                item = self._inbox.get_nowait()
        except Empty:
            pass

    def _handle(self, item: Sequence[Draft] | Record | Call | TurnedAway | Stop) -> None:
        match item:
            case tuple():
                gone = self._held.add(item)
                self._urgent |= any(draft.priority <= SECURITY for draft in item)
                now = time.monotonic()
                for draft in item:
                    self._policy.arrived(now, draft.priority)
                if gone:
                    self._settled += gone
                    self._report(())
            case Record():
                if not self._sent and not self._unsaved:
                    self._marks_due = time.monotonic() + MARKS_WAIT
                self._sent.append(item)
            case Call():
                self._serve(item)
            case TurnedAway():
                self._turned_away.update(item.lost)
            case Stop():
                self._stopping = True

    def _serve(self, call: Call) -> None:
        if self._journal is None:
            call.failed(JournalError(self._error or "the journal is not open"))
            return
        if call.after_marks and self._journal.recovery.waits_for_unsent():
            self._later.append(call)
            return
        try:
            if call.after_marks:
                with suppress(JournalFull):  # they are known all the same
                    self._mark(self._journal)
            answer = call.do(self._journal)
        except BaseException as error:  # noqa: BLE001  it is the caller's, whatever it is
            call.failed(error)
            if isinstance(error, JournalBroken):
                self._lost_hold(self._journal, error)
        else:
            call.done(answer)

    def _serve_later(self) -> None:
        """Serve those that waited for what is taken over from a broken file."""
        waiting, self._later = self._later, []
        for call in waiting:
            self._serve(call)

    def _idle_for(self) -> float | None:
        """Seconds until something is to do, or None."""
        patience = self._patience()
        if self._journal is None or not self._nothing_is_due():
            return patience
        idle = max(0.0, self._tidy_due - time.monotonic())
        return idle if patience is None else min(patience, idle)

    def _nothing_is_due(self) -> bool:
        return not self._held or self._error is not None

    def _tidy(self) -> None:
        """Do a step of the journal's housework where nothing else is to do."""
        journal, now = self._journal, time.monotonic()
        if journal is None or now < self._tidy_due:
            return
        if not self._nothing_is_due() or not self._inbox.empty():
            return
        try:
            wait, records = journal.tidy()
        except JournalFull:
            self._tidy_due = now + TIDY_RETRY
        except DISK as error:
            self._lost_hold(journal, error)
        else:
            self._tidy_due = now + wait
            if records:
                self._head = journal.head
                self._report(records)

    def _patience(self) -> float | None:
        """Seconds until something is due, or None."""
        if self._journal is None:
            return max(0.0, self._retry - time.monotonic())
        due = [self._policy.due] if self._held and self._policy.due is not None else []
        if self._sent or self._unsaved:
            due.append(0.0 if self._marks_are_due() else self._marks_due)
        if self._error is not None and not self._urgent:
            due = [max(when, self._retry) for when in due]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _marks_are_due(self) -> bool:
        marks = len(self._sent) + len(self._unsaved)
        waited = self._stopping or time.monotonic() >= self._marks_due
        return marks >= MARKS_TOGETHER or (marks > 0 and waited)

    def _commit_what_is_due(self) -> None:
        due = self._patience()
        if self._journal is None or (due != 0.0 and not self._stopping):
            return
        try:
            while (self._held or self._marks_are_due()) and self._commit(self._journal):
                pass
        except DISK as error:
            self._lost_hold(self._journal, error)
        else:
            if not self._held:
                self._policy.committed()

    def _lost_hold(self, journal: Journal, error: Exception) -> None:
        """Close a journal that failed; it is opened again soon."""
        error = journal.fail(error)
        self._doubt(error)
        self._journal = None
        self._failed(error)

    def _doubt(self, error: Exception) -> None:
        damaged = isinstance(error, JournalBroken) and self._doubted_enough()
        damaged |= isinstance(error, JournalCut)
        self._distrust = str(error) if damaged else None

    def _doubted_enough(self) -> bool:
        """Count a moment in which the file looked damaged; returns whether it is taken as such."""
        now = time.monotonic()
        self._doubts = self._doubts + 1 if now - self._doubted < DOUBT_LASTS else 1
        self._doubted = now
        return self._doubts >= DOUBTS

    def _commit(self, journal: Journal) -> bool:
        """Commit the first of what waits; returns whether to go on with the next."""
        drafts = self._held.first(MOST_TOGETHER, min(MOST_BYTES, journal.together))
        try:
            if drafts:
                self._write(journal, drafts, max(draft.priority for draft in drafts))
                self._held.drop(len(drafts))
            else:
                self._mark(journal)
        except JournalFull as full:
            if not journal.bounded:
                raise
            self._squeeze(journal, full)
            return False
        self._well()
        return True

    def _write(self, journal: Journal, drafts: Sequence[Draft], level: int) -> None:
        """Commit `drafts`, which are still held, as what matters as much as priority `level`."""
        lost = self._held.lost + self._turned_away
        gaps = map(self._gap, refused_by_disk(lost - self._confessed))
        begun = time.perf_counter()
        save = self._marks_are_due()
        with self._marks_told():
            records = journal.append(
                [*gaps, *drafts], sent=self._sent, save_marks=save, level=level
            )
        seconds = time.perf_counter() - begun
        self._unsaved = [] if save else [*self._unsaved, *self._sent]
        self._sent = []
        self._confessed = lost
        self._settled += len(drafts)
        self._head = journal.head
        self._report(records, seconds=seconds)

    def _squeeze(self, journal: Journal, full: JournalFull) -> None:
        """Commit what still fits, what matters most first; the rest waits in memory."""
        hurried = self._urgent and time.monotonic() < self._retry and not self._stopping
        last = SECURITY if hurried else PRIORITIES[-1]
        self._urgent = False
        for level, groups in self._held.by_level(last):
            most = journal.together
            while groups:
                some = groups_within(groups, most)
                drafts = [draft for group in some for draft in group.drafts]
                try:
                    self._write(journal, drafts, level)
                except JournalFull as error:
                    if len(some) > 1:
                        most = 0
                    elif journal.fits(drafts):
                        full = error
                        break
                    else:
                        log.error("%d records are too large", len(drafts))  # noqa: TRY400
                        self._settled += self._held.lose(groups.pop(0))
                else:
                    self._held.take_out(some)
                    del groups[: len(some)]
        if self._held or self._marks_are_due():
            self._failed(full)
        else:
            self._well()
            self._report(())

    def _well(self) -> None:
        if self._error is not None:
            log.warning("the journal can be written again")
            self._error = None
            self._report(())

    def _mark(self, journal: Journal) -> None:
        with self._marks_told():
            journal.mark_sent(self._sent)
        self._sent, self._unsaved = [], []
        self._report(())

    @contextmanager
    def _marks_told(self) -> Iterator[None]:
        """What fails may take marks with it that were not saved: the journal is told again."""
        try:
            yield
        except JournalError:
            self._sent, self._unsaved = [*self._unsaved, *self._sent], []
            raise

    def _confess(self) -> None:
        """Give up what still waits at the end, and say so where the disk takes but that."""
        self._settled += self._held.lose_all()
        if not (gaps := refused_by_disk(self._held.lost + self._turned_away - self._confessed)):
            return
        log.error("stopped before the disk took all: %s are lost", said(gaps))
        records: Sequence[Record] = ()
        try:
            if self._journal is not None:
                records = self._journal.append(list(map(self._gap, gaps)), level=PRIORITIES[0])
        except DISK as error:
            self._error = str(error)
        if not records:
            log.error("the journal cannot say that: %s", self._error)
        self._report(records)

    def _failed(self, error: Exception) -> None:
        if self._error is None:
            log.error("%s; trying again, %d records wait in memory", error, len(self._held))
        self._error = str(error)
        self._retry = time.monotonic() + RETRY
        self._report(())

    def _report(self, records: Sequence[Record], *, seconds: float = 0.0) -> None:
        if self._journal is not None:
            # What was committed is told of in any case: nobody may commit it again.
            with suppress(*NONSENSE):
                self._unsent, self._oldest = self._journal.unsent_counts()
        self._tell(
            Progress(
                settled=self._settled,
                head=self._head or 0,
                records=records,
                drafts=len(records) if seconds else 0,
                seconds=seconds,
                lost=tuple(
                    sum(n for (p, _), n in self._held.lost.items() if p == priority)
                    for priority in PRIORITIES
                ),
                error=self._error,
                unsent=self._unsent,
                oldest=self._oldest,
            )
        )
