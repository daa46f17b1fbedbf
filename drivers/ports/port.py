"""What a text port offers to the devices behind it: records in, bytes out where allowed."""

from __future__ import annotations

import asyncio
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
    """Bytes that are no record: too long without a separator, or not in the encoding."""

    reason: str
    size: int


Heard = TextRecord | PortEvent | BadBytes


class TextPort:
    """A text stream by name. Its I/O module calls `tell`; devices listen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.up = False
        self._ears: list[asyncio.Queue[Heard]] = []

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Heard]]:
        """Collect what is heard from now on until the block ends."""
        ear: asyncio.Queue[Heard] = asyncio.Queue()
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
            ear.put_nowait(heard)
