"""The note beside the file: which sequence numbers may be in use, and which record was committed.

It holds when the file is lost, or loses its end: a log that was cut or removed leaves a file that
looks whole, and only the note knows that there was more. The first line, synced, is the number that
none is above. The second, written once a minute without a sync, names a committed record, its link
and a sum over both; a damaged one counts for nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

MOST = 1 << 39
"""Numbers above are no sequence."""
_LINE = re.compile(rb"([0-9]{1,12}) ([0-9a-f]{64}) ([0-9a-f]{8})\n")
_BOUND = re.compile(rb"([0-9]{1,12})\n")


class Head(NamedTuple):
    """A record that was committed."""

    sequence: int
    link: bytes


def reserved(path: Path) -> int:
    """Return a sequence number that no record of `path` is above, as far as was noted; else 0."""
    found = _BOUND.match(_read(path))
    bound = int(found[1]) if found else 0
    known = head(path)
    # A disk that was full may have kept the first line from growing.
    least = 0 if known is None else known.sequence + 1
    return max(bound, least) if bound < MOST else least


def head(path: Path) -> Head | None:
    """Return the record of `path` that was noted last as committed, if any."""
    found = _LINE.match(_read(path).partition(b"\n")[2])
    if found is None or int(found[3], 16) != zlib.crc32(found[1] + b" " + found[2]):
        return None
    sequence = int(found[1])
    return Head(sequence, bytes.fromhex(found[2].decode())) if 0 < sequence < MOST else None


def reserve(path: Path, bound: int, known: Head | None) -> None:
    """Note that numbers up to `bound` may be in use, and the record that was committed last.

    A disk that refuses the note refuses records too; that is said there.
    """
    note = _note(path)
    fresh = note.with_name(f"{note.name}.new")
    with contextlib.suppress(OSError):
        with fresh.open("wb") as file:
            file.write(_text(bound, known))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(note)


def keep_head(path: Path, bound: int, known: Head) -> None:
    """Note which record was committed last, in place and without a sync: one block is written."""
    text = _text(bound, known)
    try:
        fd = os.open(_note(path), os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        reserve(path, bound, known)
    except OSError:
        return
    else:
        with contextlib.suppress(OSError):
            os.pwrite(fd, text, 0)
        os.close(fd)


def _text(bound: int, known: Head | None) -> bytes:
    first = b"%012d\n" % bound
    if known is None:
        return first
    said = b"%012d %s" % (known.sequence, known.link.hex().encode())
    return first + said + b" %08x\n" % zlib.crc32(said)


def _read(path: Path) -> bytes:
    try:
        with _note(path).open("rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.reserved")
