"""How many bytes the journal may take on disk, with everything beside it, and what is left of them.

SQLite writes each commit into a log and brings that into the file when nobody reads from it. So the
size given is shared out: the file may have so many pages, the log so many, and a ballast is kept to
be given up when others have filled the disk. The log's room is allocated when the file is opened:
a full disk takes no record's place in it. A reader that holds the log, of another program, lets it
grow; then it may take what the file has not taken, and after that nothing is written until the
reader lets go.
"""

import ctypes
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from buffer.ballast import Ballast
from buffer.storage import JournalFull

LOG_BYTES = 4 << 20
"""Bytes of the log at which it is brought into the file, where the size allows as much."""
_TURN = 1 << 20
"""Bytes that one transaction writes at most, about, where the size allows as much."""
_FRAME = 24
"""Bytes of a page's header in the log."""
_INDEX_PAGES, _INDEX_BYTES = 4062, 32 << 10
"""The log's index, the file `-shm`, grows by so many bytes for each so many pages of the log."""
_BLOCK = 4096
_TIGHT_SLACK = 8
"""Pages of the slack that are kept free while others fill the disk."""
_SHARES = (1.0, 0.95, 0.9, 0.7, 0.5)
"""How much of the room that a held log may grow into is for each priority and those above it."""
_KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE of fallocate(2)."""


class Room:
    """Of one open file. Used between transactions, from the thread that opened it."""

    def __init__(self, db: sqlite3.Connection, path: Path, max_size: int) -> None:
        """`max_size` in bytes, at least 1 MB; what is above it already shrinks by and by."""
        self._db = db
        self._path = path
        self._max_size = max_size
        self.page = self._count("page_size")
        log = max(32, min(LOG_BYTES, max_size // 16) // self.page)
        self.turn = max(64, min(_TURN, max_size // 32) // self.page)
        """Pages that one transaction may write."""
        self.ballast = Ballast(path, (log + 16) * self.page)
        self._log = self._log_bytes(log + 2 * self.turn)
        self._beside = 4 * _BLOCK + self.ballast.size + max_size // 256
        """The note of the highest sequence, the ballast, and what the file system adds."""
        self.pages = (max_size - self._log - self._beside) // self.page
        """The most pages that the file may have."""
        self.slack = 32 + self.pages // 256
        """Pages of them that records leave to hashes, marks and the like: who evicts writes too."""
        self.tight = False
        """Whether the disk has less than the file may grow by."""
        self._used = 0
        """Bytes that the log holds at most, since it was begun anew."""
        db.execute("PRAGMA secure_delete = OFF")  # the pages of what goes need not be written
        db.execute(f"PRAGMA wal_autocheckpoint = {log}")
        db.execute(f"PRAGMA journal_size_limit = {self._log}")
        self.limit_file()
        self._used = self._size("-wal")
        self.secure()

    def limit_file(self) -> None:
        """Let SQLite refuse to make the file larger than it may be, or than it is."""
        self._db.execute(f"PRAGMA max_page_count = {self.pages}")

    def secure(self) -> None:
        """Allocate the log's room and the ballast, as far as the disk has them."""
        with suppress(OSError):
            log = os.open(f"{self._path}-wal", os.O_WRONLY | os.O_CLOEXEC)
            try:
                _allocate(log, self._log)
            finally:
                os.close(log)
        if self._left_on_disk() > 2 * self.ballast.size:
            self.ballast.take()

    @property
    def together(self) -> int:
        """Bytes of bodies that one commit may take without a thought."""
        return self.turn * self.page * 3 // 5

    @property
    def secured(self) -> bool:
        """Whether the ballast is there to be given up."""
        return self.ballast.there

    def relieve(self) -> bool:
        """Give up the ballast where others have filled the disk, and begin the log anew.

        Returns whether that made room.
        """
        used, gave = self._used, self.ballast.give_up()
        return (self._begin_log_anew() and used > 0) or gave

    def over(self) -> int:
        """Return by how many pages the file is larger than it may be; 0 when it is not."""
        return max(0, self._count("page_count") - self.pages)

    def free(self) -> int:
        """Return how many pages records can have now: free ones, and those the file may grow by.

        Below 0 where hashes and marks have taken of the slack.
        """
        pages, unused = self._count("page_count"), self._count("freelist_count")
        growth = max(0, self.pages - pages)
        self.tight = growth * self.page > (left := self._left_on_disk())
        if self.tight:
            return left // self.page + unused - min(self.slack, _TIGHT_SLACK)
        return growth + unused - self.slack

    def unused(self) -> tuple[int, int]:
        """Return how many pages of the file are free, and how many it has."""
        return self._count("freelist_count"), self._count("page_count")

    def admit(self, frames: int, level: int) -> None:
        """See to it that the log can take `frames` more pages, for records of priority `level`.

        Raises:
            JournalFull: a reader holds the log, and there is no room for it to grow.
        """
        need = self._log_bytes(frames)
        held = self._used
        if held + need > self._log:
            held = min(self._size("-wal"), held)
        if held + need > self._log:
            held = 0 if self._begin_log_anew() else held
            if held + need > self._log:
                self._grow_log(held, need, frames, level)
        self._used = held + need

    def _grow_log(self, held: int, need: int, frames: int, level: int) -> None:
        pages = self._count("page_count")
        pages = max(pages, min(pages + frames, self.pages))
        spare = self._max_size - self._beside - pages * self.page - self._log
        if held + need - self._log > spare * _SHARES[level]:
            reason = (
                "a reader of another program holds the log, which must not grow"
                if held
                else "so much at once does not fit"
            )
            raise JournalFull(f"{reason}: {self._max_size} bytes are all that the journal may take")

    def _begin_log_anew(self) -> bool:
        """Bring the log into the file; returns whether it could be begun anew."""
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            (busy, _log, _done) = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.OperationalError:
            busy = 1
        finally:
            self._db.execute("PRAGMA busy_timeout = 5000")
        if not busy:
            self._used = 0
        return not busy

    def _left_on_disk(self) -> int:
        """Return the bytes that the file may grow by before the disk has no room for the log."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return self._max_size
        return max(0, disk.f_bavail * disk.f_frsize - self.ballast.size)

    def _log_bytes(self, frames: int) -> int:
        chunks = frames // _INDEX_PAGES + 1
        return frames * (self.page + _FRAME) + chunks * _INDEX_BYTES

    def _size(self, suffix: str) -> int:
        try:
            return Path(f"{self._path}{suffix}").stat().st_size
        except OSError:
            return 0

    def _count(self, pragma: str) -> int:
        (count,) = self._db.execute(f"PRAGMA {pragma}").fetchone()
        return int(count)


def _allocate(file: int, size: int) -> None:
    """Have the disk keep `size` bytes for a file without making it longer.

    Raises:
        OSError: it has no room, or the file system cannot do it.
    """
    fallocate: Callable[..., int] = ctypes.CDLL(None, use_errno=True).fallocate
    if fallocate(file, _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size)):
        raise OSError(ctypes.get_errno(), "fallocate")
