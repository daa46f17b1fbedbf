"""What the journal does when nothing waits: purge by age, give space back, renew the ballast.

Each step is short, for the next commit may wait for it.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from buffer.gap import Gap
from buffer.quota import Quota
from buffer.record import LIFE_SAFETY
from buffer.retention import HOUR, Retention
from buffer.storage import JournalFull

log = logging.getLogger(__name__)

FREE_SHARE = 0.05
"""The share of the file that stays free when space is given back: it will be needed again."""
_FREE_PAGES = 256
_LOOK = 60.0
"""Seconds between looks whether the disk has room for the ballast again."""
_SAY = 10.0
"""Seconds between words about a file that is made smaller."""

Keep = Callable[[Callable[[], Sequence[Gap]]], None]
"""Do something in a transaction, with the records of the gaps that it leaves."""


class Housework:
    """Of one open file."""

    def __init__(
        self,
        db: sqlite3.Connection,
        quota: Quota,
        retention: Retention,
        keep: Keep,
        transaction: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._db = db
        self._quota = quota
        self._retention = retention
        self._keep = keep
        self._transaction = transaction
        (mode,) = db.execute("PRAGMA auto_vacuum").fetchone()
        self._shrinks = mode == 2
        """Whether the file can be made smaller; one that an early version made cannot."""
        self._said = 0.0
        self._smaller = False

    def step(self, head: int) -> float:
        """Do one short step; returns in how many seconds the next is wanted, 0.0 for at once.

        Raises:
            JournalError: the disk refuses.
        """
        room = self._quota.room
        wait = HOUR
        if not room.secured:
            room.secure()
            wait = HOUR if room.secured else _LOOK
        if self._shrinks and room.over():
            return self._shrink(head)
        if self._smaller:
            self._smaller = False
            room.limit_file()
            log.warning("the journal is as small as it may be")
        due = self._retention.due()
        if due <= 0.0:
            self._keep(lambda: self._age(head))
            return 0.0
        wait = min(wait, due)
        unused, pages = room.unused()
        most = int(pages * FREE_SHARE) + _FREE_PAGES + room.slack
        if self._shrinks and unused > most + room.turn // 4:
            self._give_back(unused - most)
            return 0.0
        return wait

    def _age(self, head: int) -> Sequence[Gap]:
        self._retention.note(head)
        self._quota.fold()
        return self._retention.purge()

    def _shrink(self, head: int) -> float:
        """Bring a file that is larger than it may be a step nearer to its size."""
        room = self._quota.room
        unused, pages = room.unused()
        over = room.over()
        if not self._smaller or time.monotonic() - self._said > _SAY:
            self._smaller, self._said = True, time.monotonic()
            log.warning("the journal is larger than it may be by %d bytes", over * room.page)
        if pages - unused > room.pages - 2 * room.slack:
            try:
                self._keep(lambda: self._quota.evict((), LIFE_SAFETY, head))
            except JournalFull:
                return _LOOK
        else:
            self._give_back(over)
        return 0.0

    def _give_back(self, pages: int) -> None:
        most = min(pages, self._quota.room.turn // 4)
        with self._transaction("give space back"):
            self._db.execute(f"PRAGMA incremental_vacuum({most})").fetchall()
