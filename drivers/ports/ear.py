"""What one device hears on a text port: the link, its records, and a word about unreadable ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from drivers.contract import Emit, LinkLost
from drivers.ports.port import BadBytes, Heard, PortEvent, TextPort
from drivers.signals import BadRecord, LinkUp, Signal

FIRST_LINK = 10.0
"""Seconds that a port has to come up before the device says that its link is down."""
SAID_EACH = 60.0
"""Seconds between two words about unreadable records."""
SHOWN = 80
"""Characters of an unreadable record that are shown."""


class Reader(Protocol):
    """What a device makes of records. Pure: time comes in as an argument, in loop seconds."""

    @property
    def deadline(self) -> float | None:
        """When `advance` is next needed, or None."""
        ...

    def read(self, text: str, at: float) -> Sequence[Signal] | None:
        """Return what a record means; None when it can't be understood."""
        ...

    def advance(self, now: float) -> Sequence[Signal]:
        """Return what the passing of time until `now`, included, leads to."""
        ...


class Ear:
    """Follows one port for one device."""

    def __init__(
        self,
        port: TextPort,
        *,
        silence: float | None = None,
        separator: str = "",
        clean: Callable[[str], str] = str,
    ) -> None:
        """`silence`: seconds without a record after which the link counts as lost.

        `separator`: what ends a record by the device's profile, `";"`; empty when it does not say.
        `clean`: what is done to a record before it is read, or shown as unreadable.
        """
        self._port = port
        port.separator = port.separator or separator
        self._silence = silence
        self._clean = clean
        self._said_lost = False
        self._silent = False

    async def follow(self, emit: Emit, reader: Reader) -> None:
        """Say the link and what `reader` makes of the records, until cancelled.

        Raises:
            LinkLost: the port is down, or nothing was heard for too long. While it stays so, it
                is raised once; the next call waits, so that the device is back with its port.
        """
        loop = asyncio.get_running_loop()
        with self._port.listen() as heard:
            first = await self._until_up(heard)
            self._said_lost = self._silent = False
            await emit(LinkUp())
            unreadable = Unreadable()
            last = loop.time()
            waiting = first
            while True:
                now = loop.time()
                signals: list[Signal] = [*reader.advance(now)]
                if isinstance(waiting, PortEvent) and waiting.link == "down":
                    await self._say(emit, signals)
                    self._lost(self._why(waiting.reason))
                if isinstance(waiting, BadBytes):
                    signals += unreadable.note(f"{waiting.reason} ({waiting.size} bytes)", now)
                elif waiting is not None and not isinstance(waiting, PortEvent):
                    last = now
                    text = self._clean(waiting.text)
                    meaning = reader.read(text, now)
                    if meaning is None:
                        signals += unreadable.note(_shown(text), now)
                    else:
                        signals += meaning
                signals += unreadable.advance(now)
                await self._say(emit, signals)
                if self._silence is not None and now >= last + self._silence:
                    self._silent = True
                    self._lost(f"silent for {self._silence:g} s")
                due = [reader.deadline, unreadable.deadline]
                due.append(None if self._silence is None else last + self._silence)
                waiting = await _next(heard, min((d for d in due if d is not None), default=None))

    async def _until_up(self, heard: asyncio.Queue[Heard]) -> Heard | None:
        """Wait for the link; return what was heard first if that is a record."""
        deadline = asyncio.get_running_loop().time() + FIRST_LINK
        while self._silent or not self._port.up:
            what = await _next(heard, None if self._said_lost else deadline)
            if what is not None and not isinstance(what, PortEvent):
                return what
            if not self._said_lost and not self._port.up:
                self._lost(self._why(what.reason if what is not None else ""))
        return None

    def _why(self, reason: str) -> str:
        return f"{self._port.name}: {reason or self._port.reason or 'not connected yet'}"

    def _lost(self, reason: str) -> None:
        self._said_lost = True
        raise LinkLost(reason)

    async def _say(self, emit: Emit, signals: Sequence[Signal]) -> None:
        for signal in signals:
            await emit(signal)


class Unreadable:
    """Says the first unreadable record at once, then at most one word a minute, with a count."""

    def __init__(self) -> None:
        self._count = 0
        self._reason = ""
        self._quiet_until: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `advance` is next needed, or None."""
        return self._quiet_until if self._count else None

    def note(self, reason: str, at: float) -> list[Signal]:
        """Take one; return what is said now."""
        self._count += 1
        self._reason = reason
        return self.advance(at)

    def advance(self, now: float) -> list[Signal]:
        """Return what is said by now of those that wait."""
        if not self._count or (self._quiet_until is not None and now < self._quiet_until):
            return []
        said = BadRecord(reason=self._reason, count=self._count)
        self._count, self._quiet_until = 0, now + SAID_EACH
        return [said]


def _shown(text: str) -> str:
    cut = text[:SHOWN]
    return f"cannot read {cut!r}" + ("…" if len(text) > SHOWN else "")


async def _next(heard: asyncio.Queue[Heard], deadline: float | None) -> Heard | None:
    """Return what is heard next; None at `deadline`."""
    try:
        async with asyncio.timeout_at(deadline):
            return await heard.get()
    except TimeoutError:
        return None
