"""A disk that forgets what was not flushed when its power is cut: nbdkit, nbdfuse, loop, ext4.

Needs root and Debian's nbdkit, libnbd-bin, fuse3 and mount. nbdkit's cache filter holds writes in
memory until a flush; SIGKILL loses them, as a power cut loses what a disk has in its cache.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("nbdkit", "nbdfuse", "fusermount3", "losetup", "mkfs.ext4")
PACKAGES = "nbdkit libnbd-bin fuse3"


def missing() -> list[str]:
    """Return what keeps such a disk from being made here: programs, rights, devices."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    needed = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if os.geteuid() != 0:
        needed.append("root")
    return needed + [name for name in ("/dev/fuse", "/dev/loop-control") if not Path(name).exists()]


class VolatileDisk:
    """An ext4 file system at `mount`; `cut` discards what was not flushed, `on` brings it back."""

    def __init__(self, folder: Path, *, megabytes: int, options: str) -> None:
        self._folder = folder
        self._options = options
        self.mount = folder / "mount"
        self._fuse = folder / "fuse"
        self._image = folder / "disk.img"
        self._loop = ""
        self._carrier: subprocess.Popen[bytes] | None = None
        for path in (self.mount, self._fuse):
            path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(megabytes * 1024 * 1024)
        _run("mkfs.ext4", "-q", str(self._image))

    def on(self) -> None:
        """Power on: the file system replays its own journal."""
        socket, pid = self._folder / "socket", self._folder / "pid"
        for path in (socket, pid):
            path.unlink(missing_ok=True)
        _run(
            *("nbdkit", "-P", str(pid), "-U", str(socket), "--filter=cache", "file"),
            *(str(self._image), "cache=writeback"),
        )
        self._carrier = subprocess.Popen(
            ["nbdfuse", str(self._fuse / "disk"), "--unix", str(socket)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _until((self._fuse / "disk").exists)
        self._loop = _run("losetup", "-f", "--show", str(self._fuse / "disk")).strip()
        _run("mount", "-o", self._options, self._loop, str(self.mount))

    def cut(self) -> None:
        """Cut the power. Who has files open there gets errors; end them before `on`."""
        pid = self._folder / "pid"
        os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink()

    def gone(self) -> None:
        """Take away what is left of a disk without power."""
        self._let_go()

    def off(self) -> None:
        """Unmount cleanly and end what carried it."""
        self._let_go()
        pid = self._folder / "pid"
        if pid.exists():
            _try("kill", pid.read_text().strip())

    def _let_go(self) -> None:
        if not _try("umount", str(self.mount)):
            _try("umount", "-l", str(self.mount))
        if self._loop:
            _try("losetup", "-d", self._loop)
            self._loop = ""
        if not _try("fusermount3", "-u", str(self._fuse)):
            _try("umount", "-l", str(self._fuse))
        if self._carrier is not None:
            try:
                self._carrier.wait(5)
            except subprocess.TimeoutExpired:
                self._carrier.kill()
                self._carrier.wait()
            self._carrier = None


@contextmanager
def volatile_disk(
    folder: Path, *, megabytes: int = 64, options: str = "defaults"
) -> Iterator[VolatileDisk]:
    """Have such a disk, powered on and mounted with `options`, until the block ends."""
    disk = VolatileDisk(folder, megabytes=megabytes, options=options)
    try:
        disk.on()
        yield disk
    finally:
        disk.off()


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def _try(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _until(done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
        time.sleep(0.05)
    raise TimeoutError("the disk did not come up")
