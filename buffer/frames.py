"""What the log beside a journal's file holds, without SQLite (sqlite.org/fileformat2.html, 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEADER = 32
_FRAME = 24
_IMAGE = 100
"""Bytes of a page that are of interest: the header of a file."""


class Frame(NamedTuple):
    """A page that was written to the log."""

    page: int
    image: bytes
    """Its first bytes."""


def of(path: Path) -> Iterator[Frame]:
    """Yield the frames of the log of `path` since it last began anew; none where it is unreadable.

    Only their salts are looked at, not their sums.
    """
    with contextlib.suppress(OSError), Path(f"{path}-wal").open("rb") as log:
        header = log.read(HEADER)
        size, salts = int.from_bytes(header[8:12], "big"), header[16:24]
        if not 512 <= size <= 65536:
            return
        at = HEADER
        while True:
            head = log.read(_FRAME + _IMAGE)
            if len(head) < _FRAME + _IMAGE or head[8:16] != salts:
                return
            yield Frame(int.from_bytes(head[:4], "big"), head[_FRAME:])
            at += _FRAME + size
            log.seek(at)


def complete(path: Path, size: int, pages: int, page: int) -> bool:
    """Return whether the first `size` bytes of a file and its log hold all its `pages`.

    `page` is the size of each in bytes.
    """
    missing = set(range(size // page + 1, pages + 1))
    if missing:
        missing.difference_update(frame.page for frame in of(path))
    return not missing
