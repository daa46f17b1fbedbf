"""Take the commands of a receipt printer out of its bytes, so that the text is left.

ESC/POS is the language of most receipt printers: text, with commands between that begin with ESC,
GS, FS or DLE and have parameters of any value, line ends included. Their lengths are as the npos
parser (npmjs.com/package/npos) and escpos-python (github.com/archsh/escpos-python) list them. What
is no known command loses its first two bytes only.
"""

from __future__ import annotations

import re

LONGEST_DATA = 1 << 18
"""Bytes of one image; what claims to be longer is no image, and only its head is taken out."""
_LONGEST_FONT = 8192
_LONGEST_BARCODE = 256
_MOST_TABS = 32

_LEAD = re.compile(rb"[\x10\x1b-\x1d]")

# Parameters in bytes, for the commands that always have as many.
_FIXED: dict[bytes, int] = {
    **{b"\x1b" + bytes([c]): 0 for c in b"@2LS<imv\x0c"},
    **{b"\x1b" + bytes([c]): 1 for c in b" !%-3=?EGJKMRTUVadertu{"},
    **{b"\x1b" + bytes([c]): 2 for c in b"$\\cBf"},
    b"\x1bp": 3,
    b"\x1bW": 8,
    **{b"\x1d" + bytes([c]): 0 for c in b":c"},
    **{b"\x1d" + bytes([c]): 1 for c in b"!/BEHITabfhrw"},
    **{b"\x1d" + bytes([c]): 2 for c in b"$LPW\\"},
    **{b"\x1d" + bytes([c]): 3 for c in b"^z"},
    b"\x1dg": 4,
    **{b"\x1c" + bytes([c]): 0 for c in b"&."},
    **{b"\x1c" + bytes([c]): 1 for c in b"!-CW"},
    **{b"\x1c" + bytes([c]): 2 for c in b"?Sp"},
    b"\x1c2": 74,
    **{b"\x10" + bytes([c]): 1 for c in b"\x04\x05"},
    b"\x10\x14": 3,
}
_IN_PLACE: dict[bytes, bytes] = {
    **dict.fromkeys((b"\x1bd", b"\x1bJ", b"\x1be", b"\x1b@", b"\x1b\x0c", b"\x1dV"), b"\n"),
    **dict.fromkeys((b"\x1b$", b"\x1b\\"), b" "),
}
"""What stands where a command was: paper fed ends a line, a moved head leaves a blank."""


class EscPos:
    """Feed it bytes as they come and it returns the text in them. Knows no clock and no socket."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that are text, however commands are cut."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        rest, at, text = self._rest + data[skipped:], 0, bytearray()
        self._rest = b""
        while found := _LEAD.search(rest, at):
            text += rest[at : found.start()]
            at = found.start()
            size = _size(rest, at)
            if size is None:
                self._rest = rest[at:]
                return bytes(text)
            text += _IN_PLACE.get(rest[at : at + 2], b"")
            at += size
            if at > len(rest):
                self._skip = at - len(rest)
                return bytes(text)
        return bytes(text) + rest[at:]


def _size(data: bytes, at: int) -> int | None:
    """Return the bytes of the command at `at`; None while too few are there to know."""
    command = data[at : at + 2]
    if len(command) < 2:
        return None
    if command in _FIXED:
        return 2 + _FIXED[command]
    if command[1:] == b"(" and command[:1] != b"\x10":
        return _counted(data, at, head=5, count=(3, 4))
    if command == b"\x1dk":
        return _barcode(data, at)
    if command == b"\x1bD":
        return _until_nul(data, at, head=2, longest=_MOST_TABS)
    if command == b"\x1b&":
        return _font(data, at)
    if command in _IMAGES:
        return _image(data, at, *_IMAGES[command])
    if command == b"\x1dV":
        return _by_third(data, at, more={65: 4, 66: 4, 97: 4, 98: 4, 103: 4, 104: 4}, other=3)
    if command == b"\x1dC":
        return _by_third(data, at, more={ord("0"): 5, ord("1"): 9, ord("2"): 5}, other=3)
    if command == b"\x1d8":
        return _counted(data, at, head=7, count=(3, 4, 5, 6))
    return 2 if 0x20 <= command[1] < 0x7F and command[:1] != b"\x10" else 1


_IMAGES: dict[bytes, tuple[int, int]] = {
    b"\x1b*": (5, 1),
    b"\x1dv": (8, 1),
    b"\x1dQ": (8, 1),
    b"\x1d*": (4, 8),
}
"""Bytes of the head, and of the image for each of its points or cells."""


def _image(data: bytes, at: int, head: int, each: int) -> int | None:
    if len(data) < at + head:
        return None
    told = data[at + 2 : at + head]
    if head == 5:
        each = 3 if told[0] in (32, 33) else 1
        size = (told[1] + 256 * told[2]) * each
    elif head == 8:
        size = (told[2] + 256 * told[3]) * (told[4] + 256 * told[5]) * each
    else:
        size = told[0] * told[1] * each
    return head + (size if size <= LONGEST_DATA else 0)


def _counted(data: bytes, at: int, *, head: int, count: tuple[int, ...]) -> int | None:
    """Return the size of a command whose head tells how much follows, low byte first."""
    if len(data) < at + head:
        return None
    size = sum(data[at + place] << (8 * power) for power, place in enumerate(count))
    return head + (size if size <= LONGEST_DATA else 0)


def _by_third(data: bytes, at: int, *, more: dict[int, int], other: int) -> int | None:
    return None if len(data) < at + 3 else more.get(data[at + 2], other)


def _barcode(data: bytes, at: int) -> int | None:
    if len(data) < at + 4:
        return None
    if data[at + 2] <= 6:
        return _until_nul(data, at, head=3, longest=_LONGEST_BARCODE)
    return 4 + data[at + 3]


def _until_nul(data: bytes, at: int, *, head: int, longest: int) -> int | None:
    end = data.find(b"\0", at + head, at + head + longest + 1)
    if end >= 0:
        return end + 1 - at
    return head if len(data) > at + head + longest else None


def _font(data: bytes, at: int) -> int | None:
    """Return the size of `ESC & y c1 c2` and its characters, each `x` and `x` times `y` bytes."""
    if len(data) < at + 5:
        return None
    height, first, last = data[at + 2 : at + 5]
    size = 5
    for _ in range(first, last + 1):
        if size > _LONGEST_FONT:
            return 5
        if len(data) <= at + size:
            return None
        size += 1 + data[at + size] * height
    return size
