"""A folder as a .tar.gz that has the same bytes wherever and whenever it is made."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
from pathlib import Path


def pack(folder: Path, target: Path) -> None:
    """Write `folder` to `target`: names sorted, owner root, no times, modes 0755 and 0644 alone."""
    entries = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in (folder, *entries):
            name = Path(folder.name, path.relative_to(folder)).as_posix()
            tar.add(path, arcname=name, recursive=False, filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a `.tar.gz` of our own making; Debian 12's Python has no filter to do it with.

    Raises:
        CalledProcessError: it is no such archive, or the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = ("tar", "-xzf", str(archive), "-C", str(folder), "--no-same-owner")
    subprocess.run(words, check=True)
