"""Cut a stream of bytes into text records: by separator, by idle gap, or both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from drivers.ports.port import BadBytes, Heard, TextRecord

Encoding = Literal["ascii", "latin-1", "cp437", "cp850", "cp858", "utf-8"]

PADDING = b"\r\n\f\0"
"""Taken off both ends of a record: line ends, page breaks and what printers are padded with."""

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "0": "\0", "\\": "\\"}


def separator_bytes(written: str, encoding: Encoding) -> bytes:
    r"""Return the bytes of a separator as it is written in a configuration.

    Knows the escapes `\r \n \t \f \0 \\ \xNN`; `\xNN` is that very byte in every encoding.

    Raises:
        ValueError: it is empty, has another escape, or can't be written in `encoding`.
    """
    found = b""
    at = 0
    for escape in _ESCAPE.finditer(written):
        found += written[at : escape.start()].encode(encoding)
        byte, letter = escape.groups()
        if byte is None and letter not in _ESCAPES:
            raise ValueError(f"{escape[0]!r} is no escape of a separator")
        found += bytes([int(byte, 16)]) if byte is not None else _ESCAPES[letter].encode()
        at = escape.end()
    found += written[at:].encode(encoding)
    if not found:
        raise ValueError("a separator has at least one character")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How records are told apart."""

    separator: bytes | None = None
    """None: each of CR and LF ends a record, and so CRLF does; if `by_gap`, nothing but a gap."""
    by_gap: bool = False
    """A pause ends a record too: the reader calls `gap`."""
    encoding: Encoding = "latin-1"
    max_record: int = 4096
    """Bytes, separator not counted; what is longer is no record."""


class Framer:
    """Feed it bytes as they come and it returns what they hold. Knows no clock and no socket.

    Empty records are left out. A byte that is not in the encoding is reported, and its record is
    told all the same, with U+FFFD in its place: one spoiled byte must not hide a fire alarm.
    """

    def __init__(self, framing: Framing, *, peer: str = "") -> None:
        self._framing = framing
        self._peer = peer
        self._rest = b""
        self._skipping = False
        separator = framing.separator
        if separator is not None:
            self._end: re.Pattern[bytes] | None = re.compile(re.escape(separator))
        else:
            self._end = None if framing.by_gap else re.compile(rb"[\r\n]")
        self._longest_end = len(separator) if separator else 1

    @property
    def pending(self) -> bool:
        """Whether a record has begun and not ended, or is being skipped."""
        return bool(self._rest) or self._skipping

    def feed(self, data: bytes) -> list[Heard]:
        """Take the next bytes; return the records that they complete, and what is no record."""
        heard: list[Heard] = []
        rest, at = self._rest + data, 0
        while True:
            end = self._end.search(rest, at) if self._end else None
            if end is not None and end.start() - at <= self._framing.max_record:
                heard += self._record(rest[at : end.start()])
                at = end.end()
            elif len(rest) - at >= self._framing.max_record + self._longest_end:
                heard.append(self._too_long(self._framing.max_record))
                self._skipping = True
                at += self._framing.max_record
            else:
                self._rest = rest[at:]
                return heard

    def gap(self) -> list[Heard]:
        """Say that nothing came for so long that the record has ended."""
        rest, self._rest = self._rest, b""
        return self._record(rest)

    def end(self) -> list[Heard]:
        """Say that the stream has ended: half a record is no record, unless gaps end records."""
        if self._framing.by_gap:
            return self.gap()
        rest, self._rest, skipping, self._skipping = self._rest, b"", self._skipping, False
        if not rest.strip(PADDING):
            return []
        reason = self._too_long(0).reason if skipping else "cut off by the end of the connection"
        return [BadBytes(reason=reason, size=len(rest))]

    def _record(self, raw: bytes) -> list[Heard]:
        if self._skipping or len(raw) > self._framing.max_record:
            self._skipping = False
            return [self._too_long(len(raw))] if raw else []
        raw = raw.strip(PADDING)
        if not raw:
            return []
        encoding = self._framing.encoding
        try:
            return [TextRecord(text=raw.decode(encoding), peer=self._peer)]
        except UnicodeDecodeError as error:
            reason = f"byte 0x{raw[error.start]:02x} is not {encoding}"
            text = raw.decode(encoding, "replace")
            return [
                BadBytes(reason=reason, size=len(raw)),
                TextRecord(text=text, peer=self._peer),
            ]

    def _too_long(self, size: int) -> BadBytes:
        longest = self._framing.max_record
        ends = "separator" if self._end else "pause"
        return BadBytes(reason=f"longer than {longest} bytes without a {ends}", size=size)
