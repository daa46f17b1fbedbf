"""Where storewarden.yaml is: on a stick, mounted read-only for as long as needed, or in /boot."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from drivers.wire.own_words import printable
from edge.provisioning.wanted import FILE

LABEL = "STOREWARDEN"
RESULT = "storewarden-result.txt"
BOOT = ("boot/firmware", "boot")
KINDS = "vfat,exfat,ext4,ext3,ext2"
OPTIONS = "nosuid,nodev,noexec"
_AGAIN = 0.25
"""Seconds between two looks for a stick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder with a storewarden.yaml."""

    folder: Path
    shown: str
    """What people know it by."""
    stick: bool = False
    """Whether it is mounted, read-only."""
    problem: str = ""
    """Why nothing of it can be used."""
    mounted: bool = True
    """Whether there is a folder to write into."""

    @property
    def place(self) -> str:
        """Return what it is known by at a later boot."""
        return "stick" if self.stick else str(self.folder)

    def write_back(self, result: str, without_password: str | None) -> list[str]:
        """Write what became of it beside the file, and take a password out of a file in /boot.

        Return what could not be done, in words, and what a person should do.
        """
        said = []
        if without_password is not None and self.stick:
            said.append(f"{self.shown}: the broker's password is still in {FILE}: remove it there")
        try:
            with self._writable():
                if without_password is not None and not self.stick:
                    _write(self.folder / FILE, without_password)
                    said.append(f"  the broker's password was taken out of {FILE}")
                _write(self.folder / RESULT, result)
        except OSError as error:
            said.append(f"{self.shown}: nothing could be written there: {error.strerror or error}")
        return said

    @contextmanager
    def _writable(self) -> Iterator[None]:
        if not self.stick:
            yield
            return
        _mount("-o", f"remount,rw,{OPTIONS}", str(self.folder))
        try:
            yield
        finally:
            with suppress(OSError):
                _mount("-o", f"remount,ro,{OPTIONS}", str(self.folder))


@contextmanager
def sources(root: Path, *, wait: float, at: Path) -> Iterator[list[Source]]:
    """Lend the places that have a storewarden.yaml, a stick before the others.

    A stick is a partition with the label STOREWARDEN; it is mounted at `at` until the block ends,
    and waited for so many seconds where no other place has a file. Nothing on it is run.
    """
    found: list[Source] = []
    mounted = False
    places = [root / part for part in BOOT if _has(root / part)]
    device = _stick(root, 0.0 if places else wait)
    try:
        if device is not None:
            at.mkdir(parents=True, exist_ok=True)
            problem = ""
            try:
                _mount("-t", KINDS, "-o", f"ro,{OPTIONS}", str(device), str(at))
                mounted = True
                problem = "" if _has(at) else _missing(at)
            except OSError as error:
                problem = error.strerror or "it can't be mounted"
            shown = f"the stick {device}"
            found.append(
                Source(folder=at, shown=shown, stick=True, problem=problem, mounted=mounted)
            )
        found += [Source(folder=place, shown=str(place)) for place in places]
        yield found
    finally:
        if mounted:
            _run("umount", str(at))


def _has(folder: Path) -> bool:
    return (folder / FILE).is_file() and not (folder / FILE).is_symlink()


def _missing(folder: Path) -> str:
    """Return what to say of a stick without the file, with a name that may be meant for it."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    alike = next((name for name in names if name.lower().startswith("storewarden.y")), "")
    hint = f"; {printable(alike)} is, and should have that name" if alike else ""
    return f"there is no {FILE} on it{hint}"


def _stick(root: Path, wait: float) -> Path | None:
    """Return the device of the stick; None where there is none after so many seconds."""
    ends = time.monotonic() + wait
    while True:
        for label in (LABEL, LABEL.lower()):
            link = root / "dev/disk/by-label" / label
            if link.exists():
                return link
        if time.monotonic() >= ends:
            return None
        time.sleep(_AGAIN)


def _mount(*arguments: str) -> None:
    done = _run("mount", *arguments)
    if done.returncode != 0:
        raise OSError(0, done.stderr.strip().partition("\n")[0] or "it can't be mounted")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603


def _write(file: Path, text: str) -> None:
    """Write a file anew on a file system that may know no modes and no links."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(opened, "wb") as written:
        written.write(text.encode())
        written.flush()
        os.fsync(written.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
