"""What a text port offers to the devices behind it: records in, bytes out where allowed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecord:
    """One record as it was framed."""

    text: str
    """Decoded, without its separator; never longer than the port's limit."""
    peer: str = ""
    """Who sent it, where a port hears several; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortEvent:
    """The link of a port came up or went down."""

    link: Literal["up", "down"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadBytes:
    """Bytes that are no record: too long, cut off, dropped unread, or not in the encoding.

    A record with a byte that is not in the encoding is told too, with U+FFFD in that place.
    """

    reason: str
    size: int
    """Bytes."""


Heard = TextRecord | PortEvent | BadBytes

LONGEST_WAIT = 1000
"""What a device may leave unread before records are dropped. The oldest are kept, as the first
alarm of a storm is the one that counts."""


class Ear(asyncio.Queue[Heard]):
    """What one device has not read yet: bounded, and honest about what it dropped."""

    def _init(self, maxsize: int) -> None:
        self._queue: deque[Heard] = deque()
        self._dropped = 0
        self._dropped_size = 0

    def hear(self, heard: Heard) -> None:
        """Keep `heard`, or count it as dropped; a link that came or went is always kept."""
        if self.qsize() < LONGEST_WAIT:
            self.put_nowait(heard)
        elif not isinstance(heard, PortEvent):
            self._dropped += 1
            self._dropped_size += len(heard.text) if isinstance(heard, TextRecord) else heard.size
        elif isinstance(self._queue[-1], PortEvent):
            self._queue[-1] = heard
        else:
            self.put_nowait(heard)

    def _get(self) -> Heard:
        first = self._queue.popleft()
        if self._dropped:
            reason = f"{self._dropped} records dropped, as they were not read in time"
            self._queue.append(BadBytes(reason=reason, size=self._dropped_size))
            self._dropped = self._dropped_size = 0
        return first


class TextPort:
    """A text stream by name. Its I/O module calls `tell`; devices listen."""

    def __init__(self, name: str) -> None:
        self.name = name
        """Its I/O module's id, once the host has lent it."""
        self.up = False
        self.separator = ""
        """What ends a record by the profile of a device on it, as written in a configuration.
        A port with settings of its own for that goes by those."""
        self.reason = ""
        """Why it was down last, as its module knows."""
        self._ears: list[Ear] = []

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Heard]]:
        """Collect what is heard from now on until the block ends.

        Who leaves more than `LONGEST_WAIT` unread loses records, and hears a `BadBytes` about it.
        """
        ear = Ear()
        self._ears.append(ear)
        try:
            yield ear
        finally:
            self._ears.remove(ear)

    def tell(self, heard: Heard) -> None:
        """Hand `heard` to every device that listens; called by the module."""
        if isinstance(heard, PortEvent):
            self.up = heard.link == "up"
        for ear in self._ears:
            ear.hear(heard)
