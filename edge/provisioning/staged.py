"""A whole configuration folder made beside the old one, and put in its place at once."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from edge.config.last_good import sync
from edge.provisioning.writing import owned

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Source: renameat2(2)."""
CONFIGURATION = ("site.yaml", "devices.yaml", "devices.d", "rules", "rules.local")


def staging(folder: Path) -> Path:
    """Return where the new folder is made: beside the old one, on its file system."""
    return folder.with_name(f".{folder.name}.new")


def stage(folder: Path, files: Mapping[str, bytes], *, whole: bool) -> Path:
    """Make the folder as it shall be, synced; return where. What was there of an earlier try goes.

    What is in `folder` is taken over; with `whole` nothing of its configuration is, but its
    secrets, certificates and everything else.

    Raises:
        OSError: it can't be read or written.
    """
    new = staging(folder)
    shutil.rmtree(new, ignore_errors=True)
    before = os.umask(0o077)  # nobody looks into it while it is made
    try:
        if folder.exists():
            _take_over(folder, new, CONFIGURATION if whole else ())
        else:
            new.mkdir(parents=True)
            owned(new)
        for name, content in files.items():
            _write(new, name, content)
    finally:
        os.umask(before)
    for at, _folders, names in os.walk(new):
        for name in (*names, "."):
            if not (Path(at) / name).is_symlink():
                sync(Path(at) / name)
    return new


def _take_over(folder: Path, new: Path, left_out: tuple[str, ...]) -> None:
    def ignored(at: str, names: list[str]) -> set[str]:
        return {name for name in names if at == str(folder) and name in left_out}

    shutil.copytree(folder, new, symlinks=True, ignore=ignored, copy_function=_copy)
    for at, _folders, _names in os.walk(new):
        _as_before(folder / Path(at).relative_to(new), Path(at))


def _write(new: Path, name: str, content: bytes) -> None:
    path = new / name
    for made in reversed([p for p in path.parents if new in p.parents]):
        if not made.is_dir():
            made.mkdir()
            owned(made)
    path.unlink(missing_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(opened, "wb") as file:
        file.write(content)
    owned(path)


def put_in_place(new: Path, folder: Path) -> None:
    """Let the staged folder be the configuration; the old one goes.

    Whoever looks, also after a power cut, finds the old one or the new one, whole.

    Raises:
        OSError: it can't be done; the old one is there.
    """
    if not folder.exists():
        new.rename(folder)
        sync(folder.parent)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    one, other = os.fsencode(new), os.fsencode(folder)
    if libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        if number not in (errno.ENOSYS, errno.EINVAL):
            raise OSError(number, os.strerror(number), str(folder))
        aside = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        new.rename(folder)
        new = aside
    sync(folder.parent)
    shutil.rmtree(new, ignore_errors=True)


def discard(folder: Path) -> None:
    """Take away what was staged."""
    shutil.rmtree(staging(folder), ignore_errors=True)


def recover(folder: Path) -> None:
    """Put back the old folder where a power cut came between two renames."""
    aside = folder.with_name(f".{folder.name}.old")
    if not folder.exists() and aside.is_dir():
        aside.rename(folder)
        sync(folder.parent)


def _copy(source: str, to: str) -> None:
    shutil.copyfile(source, to, follow_symlinks=False)
    _as_before(Path(source), Path(to))


def _as_before(source: Path, to: Path) -> None:
    """Give a copy the owner and mode of its original."""
    found = source.lstat()
    if os.geteuid() == 0:
        os.chown(to, found.st_uid, found.st_gid, follow_symlinks=False)
    if not to.is_symlink():
        to.chmod(found.st_mode & 0o7777)
