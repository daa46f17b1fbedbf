"""A file of no use but its size: it is given up when others have filled the disk."""

import os
from contextlib import suppress
from pathlib import Path

_OPENING = 256 << 10
"""Bytes that opening a journal may need."""


class Ballast:
    """`<journal>.ballast`, made of real blocks."""

    def __init__(self, journal: Path, size: int) -> None:
        """`size` in bytes."""
        self._path = _beside(journal)
        self.size = size

    @property
    def there(self) -> bool:
        """Whether it is there in full."""
        try:
            return self._path.stat().st_size == self.size
        except OSError:
            return False

    def take(self) -> bool:
        """Make it, if the disk has room; returns whether it is there."""
        if self.there:
            return True
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(file, 0)
                os.posix_fallocate(file, 0, self.size)
            finally:
                os.close(file)
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> bool:
        """Remove it; returns whether there was one."""
        with suppress(OSError):
            self._path.unlink()
            return True
        return False


def make_way(journal: Path) -> None:
    """Give up the ballast of a journal that is to be opened on a full disk."""
    with suppress(OSError):
        disk = os.statvfs(journal.parent)
        if disk.f_bavail * disk.f_frsize < _OPENING:
            _beside(journal).unlink()


def _beside(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}.ballast")
