"""Small files and links that a power cut leaves as they were or as they were to be."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Replace `path` by a file with `data`, synced with its name.

    Raises:
        OSError: it can't be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add a line to the end of `path`, synced; what a cut left of a line before it is ended.

    Raises:
        OSError: it can't be written.
    """
    with path.open("ab+") as file:
        if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            file.write(b"\n")
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file that may be missing, synced.

    Raises:
        OSError: it can't be removed.
    """
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def point(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target`, in place of what it was, at once.

    Raises:
        OSError: it can't be made.
    """
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
    sync_folder(link.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
