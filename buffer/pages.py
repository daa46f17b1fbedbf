"""The rows that the pages of an SQLite file still hold, whatever became of the pages around them.

The format is that of https://www.sqlite.org/fileformat2.html (1.5, 1.6, 2.1, 4.2). Nothing here
needs the first page, the schema, the pages that lead to others, or a log that ends well: each
page is looked at for itself. A row on a free page is found too, so only rows that never change are
to be read like this.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

Value = int | float | bytes | str | None

TABLE = 13
"""A page with rows of a table, each with its number."""
INDEX = 10
"""A page with rows of a table that has no numbers."""
_INDEX_INNER = 2
_SIZES = (2048, 4096)
"""Sizes of a page that a journal of any version has."""
_LOOKED_AT = 64
"""Pages looked at for the size, where no header says it."""
_CHUNK = 256
"""Pages read at a time."""
_FRAME = 24
_LOG_HEADER = 32
_MOST_COLUMNS = 32
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FIXED = {**_INTEGERS, 0: 0, 7: 8, 8: 0, 9: 0}


class Cell(NamedTuple):
    """One row as it lies on its page."""

    number: int
    """The row's number; 0 of a table without."""
    types: tuple[int, ...]
    """The serial type of each column."""
    size: int
    """Bytes of the row."""
    header: int
    """Bytes before its columns."""
    local: bytes
    """As much of it as lies on this page."""
    next: int
    """The page that has the rest; 0 when this page has all."""


class Pages:
    """The images of pages in a file and its log, numbered from 0; the log's come last."""

    def __init__(self, path: Path) -> None:
        """Open `path` for reading; it or its log may be missing.

        Raises:
            OSError: it is there and cannot be opened.
        """
        self._main = _opened(path)
        try:
            self._log = _opened(Path(f"{path}-wal"))
        except OSError:
            self.close()
            raise
        self.size = self._page_size()
        self.in_main = -(-_length(self._main) // self.size)
        frame = _FRAME + self.size
        self._frames = max(0, _length(self._log) - _LOG_HEADER) // frame
        self._newest: dict[int, int] = {}
        for index in range(self._frames):
            head = _read(self._log, _LOG_HEADER + index * frame, 4)
            if len(head) == 4:
                self._newest[int.from_bytes(head, "big")] = self.in_main + index

    def __len__(self) -> int:
        return self.in_main + self._frames

    def close(self) -> None:
        """Close the files."""
        for fd in (self._main, getattr(self, "_log", None)):
            if fd is not None:
                os.close(fd)
        self._main = self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def image(self, index: int) -> bytes:
        """Return one image; empty or short where it cannot be read."""
        if index < self.in_main:
            return _read(self._main, index * self.size, self.size)
        at = _LOG_HEADER + (index - self.in_main) * (_FRAME + self.size) + _FRAME
        return _read(self._log, at, self.size)

    def images(self, first: int, count: int) -> Iterator[tuple[int, bytes]]:
        """Yield `count` images from `first` on, each with its number."""
        last = min(first + count, len(self))
        for start in range(first, min(last, self.in_main), _CHUNK):
            end = min(start + _CHUNK, last, self.in_main)
            block = _read(self._main, start * self.size, (end - start) * self.size)
            whole = len(block) == (end - start) * self.size
            for index in range(start, end):
                at = (index - start) * self.size
                yield index, block[at : at + self.size] if whole else self.image(index)
        for index in range(max(first, self.in_main), last):
            yield index, self.image(index)

    def payload(self, cell: Cell) -> bytes | None:
        """Return the whole row of `cell`, or None when its other pages do not have the rest."""
        parts, left, number, seen = [cell.local], cell.size - len(cell.local), cell.next, 0
        while left > 0:
            page = self._page(number) if number else b""
            seen += 1
            if len(page) < self.size or seen > cell.size // (self.size - 4) + 1:
                return None
            number = int.from_bytes(page[:4], "big")
            parts.append(page[4 : 4 + left])
            left -= len(parts[-1])
        return b"".join(parts)

    def _page(self, number: int) -> bytes:
        return self.image(self._newest.get(number, number - 1))

    def _page_size(self) -> int:
        head = _read(self._main, 0, 18)
        said = int.from_bytes(head[16:18], "big") if head[:15] == b"SQLite format 3" else 0
        for size in (said, int.from_bytes(_read(self._log, 8, 4), "big")):
            if size in _SIZES:
                return size
        block = _read(self._main, 0, _SIZES[-1] * _LOOKED_AT)
        return max(_SIZES, key=lambda size: (_rows_at(block, size), -size))


def kind_of(page: bytes, *, first: bool) -> int:
    """Return TABLE or INDEX when `page` may have rows, else 0; the first page has a header."""
    kind = page[100 if first else 0] if len(page) > 100 else 0
    return {TABLE: TABLE, INDEX: INDEX, _INDEX_INNER: INDEX}.get(kind, 0)


def places(page: bytes, *, first: bool) -> list[int]:
    """Return where on `page` rows may begin, in their order."""
    at = 100 if first else 0
    count = int.from_bytes(page[at + 3 : at + 5], "big")
    begin = at + (12 if page[at] == _INDEX_INNER else 8)
    end = begin + 2 * count
    if end > len(page):
        return []
    return list(struct.unpack(f">{count}H", page[begin:end]))


def cell(page: bytes, at: int, *, first: bool) -> Cell | None:
    """Return the row at `at` of `page`, or None when there is none that makes sense."""
    kind = page[100 if first else 0]
    try:
        if kind == _INDEX_INNER:
            at += 4
        size, at = _varint(page, at)
        number = 0
        if kind == TABLE:
            number, at = _varint(page, at)
        local = _local(size, len(page), table=kind == TABLE)
        if not 0 < size < 1 << 31 or at + local > len(page):
            return None
        following = 0
        if local < size:
            following = int.from_bytes(page[at + local : at + local + 4], "big")
        payload = page[at : at + local]
        header, here = _varint(payload, 0)
        types: list[int] = []
        whole = header
        while here < header and len(types) <= _MOST_COLUMNS:
            one = payload[here]
            here += 1
            if one >= 0x80:
                one, here = _varint(payload, here - 1)
            types.append(one)
            whole += (one - 12) >> 1 if one >= 12 else _FIXED[one]
        if here != header or whole != size:
            return None
    except (IndexError, KeyError):
        return None
    return Cell(number, tuple(types), size, header, payload, following)


def values(types: tuple[int, ...], header: int, payload: bytes) -> list[Value] | None:
    """Return the columns of a whole row, or None when one of them is no text."""
    found: list[Value] = []
    at = header
    for kind in types:
        width = (kind - 12) >> 1 if kind >= 12 else _FIXED[kind]
        raw = payload[at : at + width]
        at += width
        if kind >= 12 and not kind & 1:
            found.append(raw)
        elif kind in _INTEGERS:
            found.append(int.from_bytes(raw, "big", signed=True))
        elif kind in {8, 9}:
            found.append(kind - 8)
        elif kind == 0:
            found.append(None)
        elif kind == 7:
            found.append(struct.unpack(">d", raw)[0])
        else:
            try:
                found.append(raw.decode())
            except UnicodeDecodeError:
                return None
    return found


def _rows_at(block: bytes, size: int) -> int:
    """Return how many bytes of `block` are pages with rows if they have this size.

    A page is filled from its end, so one of half the size has no row in the second half of it.
    """
    found = 0
    for start in range(size, len(block) - size + 1, size):
        page = block[start : start + size]
        at = places(page, first=False) if kind_of(page, first=False) == TABLE else []
        found += max(at, default=0) > size // 2 and cell(page, at[0], first=False) is not None
    return found * size


def _local(size: int, page: int, *, table: bool) -> int:
    """Return how many bytes of a row of `size` lie on the page itself."""
    most = page - 35 if table else (page - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (page - 12) * 32 // 255 - 23
    some = least + (size - least) % (page - 4)
    return some if some <= most else least


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value = 0
    for n in range(8):
        byte = data[at + n]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    value = value << 8 | data[at + 8]
    return (value - (1 << 64) if value >> 63 else value), at + 9


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _length(fd: int | None) -> int:
    return 0 if fd is None else os.fstat(fd).st_size


def _read(fd: int | None, at: int, size: int) -> bytes:
    """Return what can be read there; a disk that fails has nothing."""
    if fd is None:
        return b""
    try:
        return os.pread(fd, size, at)
    except OSError:
        return b""
