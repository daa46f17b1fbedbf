"""Files of a recorder: a clip is whole and on disk, or it is not there. For a thread: it blocks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

PIECE = 1 << 20


def clear(ring: Path, clips: Path) -> None:
    """Make the folders, and remove what an earlier process left unfinished; clips stay."""
    ring.mkdir(parents=True, exist_ok=True)
    clips.mkdir(parents=True, exist_ok=True)
    drop([*ring.glob("*.ts"), *clips.glob("*.part")])


def drop(files: Iterable[Path]) -> None:
    """Remove `files`; those that can't be removed stay."""
    for each in files:
        with suppress(OSError):
            each.unlink()


def write_clip(target: Path, sources: Sequence[Path], about: str) -> tuple[int, str]:
    """Write the bytes of `sources` to `target`, and `about` beside it as `.json`.

    Returns size and SHA-256 (hex) once both are on disk and the clip read back the same.

    Raises:
        OSError: it could not be written or read back; no clip is left.
    """
    part = target.with_suffix(".part")
    try:
        written = hashlib.sha256()
        with part.open("xb") as clip:
            for source in sources:
                with source.open("rb") as segment:
                    while piece := segment.read(PIECE):
                        written.update(piece)
                        clip.write(piece)
            size = clip.tell()
            clip.flush()
            os.fsync(clip.fileno())
        with part.open("rb") as clip:
            kept = hashlib.file_digest(clip, "sha256")
        if size == 0 or kept.digest() != written.digest():
            raise OSError(5, "it does not read back as it was written")
        with target.with_suffix(".json").open("x", encoding="utf-8") as beside:
            beside.write(about)
            beside.flush()
            os.fsync(beside.fileno())
        part.rename(target)
        _sync_folder(target.parent)
    finally:
        drop([part])
    return size, written.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
