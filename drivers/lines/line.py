"""One wire of an I/O module: an input with level, count, quality and since-when, or an output."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Quality(StrEnum):
    """How far a reading can be trusted."""

    good = "good"
    fault = "fault"
    """The module answers, and says or shows that the wire is broken."""
    unknown = "unknown"
    """Nobody has read it yet, or the module can't be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an input reads now."""

    level: bool | None = None
    """True is a closed circuit, or what the module reads as 1; None unless the quality is good."""
    quality: Quality = Quality.unknown
    since: float = 0.0
    """Loop time, seconds: since when level and quality are so."""
    count: int = 0
    """Rising edges since this process began, those between two polls included."""
    reason: str = "not read yet"
    """Why the quality is not good; empty when it is."""


class Watch:
    """The changes of one line, for one reader, none left out."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Reading] = asyncio.Queue()

    def put(self, reading: Reading) -> None:
        self._waiting.put_nowait(reading)

    async def get(self) -> Reading:
        """Return the next change, waiting for it if need be."""
        return await self._waiting.get()

    def get_nowait(self) -> Reading | None:
        """Return the next change if there is one."""
        return None if self._waiting.empty() else self._waiting.get_nowait()


class _Watched:
    """What can be watched by any number of readers."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    @contextmanager
    def watch(self, watch: Watch | None = None) -> Iterator[Watch]:
        """Collect every change from now on until the block ends, in `watch` if there is one."""
        watch = watch or Watch()
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def _tell(self, reading: Reading) -> None:
        for watch in self._watches:
            watch.put(reading)


class InputLine(_Watched):
    """An input. Its module calls `observe`, `fault` and `lost`; devices read and watch."""

    def __init__(self, line: str, *, debounce: float = 0.0) -> None:
        super().__init__()
        self.line = line
        """`<I/O module>.<line>`"""
        self.debounce = debounce
        """The line's own debounce in seconds; a device's setting goes before it."""
        self.reading = Reading()

    def observe(
        self,
        level: bool,  # noqa: FBT001 - a level is a bool
        *,
        edges: int = 0,
        at: float | None = None,
    ) -> None:
        """Take a level read from the wire.

        `at` is the loop time in seconds at which it came to be, where the module knows; None is
        now.

        `edges` is the number of rising edges since the last call as the hardware counted them;
        0 when it does not count, then a change to True counts as one. A pulse that came and
        went between two polls (`edges` > 0 and the level False) is told as two changes: True, then
        False, so that nobody misses it.
        """
        before = self.reading
        if not edges and level is before.level:
            return
        rose = 1 if level and before.level is False else 0
        count = before.count + max(edges, rose)
        if edges and not rose and level is not before.level and not level:
            unseen = [False] if before.level else [True, False]
        elif edges and not rose:
            unseen = [not level, level]
        else:
            unseen = [level]
        for place, each in enumerate(unseen):
            still_to_rise = sum(unseen[place + 1 :])
            self._see(each, count - still_to_rise, at)

    def _see(self, level: bool, count: int, at: float | None) -> None:  # noqa: FBT001
        before = self.reading
        changed = level is not before.level or before.quality is not Quality.good
        now = asyncio.get_running_loop().time() if at is None else at
        since = max(now, before.since) if changed else before.since
        reading = Reading(level=level, quality=Quality.good, since=since, count=count, reason="")
        if changed:
            self._set(reading)
        else:
            self.reading = reading

    def fault(self, reason: str) -> None:
        """Say that the module shows the wire to be broken."""
        self._degrade(Quality.fault, reason)

    def lost(self, reason: str) -> None:
        """Say that the line can't be read."""
        self._degrade(Quality.unknown, reason)

    def _degrade(self, quality: Quality, reason: str) -> None:
        before = self.reading
        if (before.quality, before.reason) != (quality, reason):
            now = asyncio.get_running_loop().time()
            self._set(Reading(quality=quality, since=now, count=before.count, reason=reason))

    def _set(self, reading: Reading) -> None:
        self.reading = reading
        self._tell(reading)


class OutputLine(_Watched, ABC):
    """An output. Devices write it; its module reads it back."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line
        self.reading = Reading()
        """What the module reads back; `count` stays 0."""

    @abstractmethod
    async def write(self, *, on: bool) -> None:
        """Set the output; return when the module has read it back so.

        Raises:
            CommandFailed: not connected, refused, or it reads back otherwise.
        """

    def observe(self, level: bool) -> None:  # noqa: FBT001 - a level is a bool
        """Take a level read back; called by the module."""
        if level is not self.reading.level or self.reading.quality is not Quality.good:
            now = asyncio.get_running_loop().time()
            self._set(Reading(level=level, quality=Quality.good, since=now, reason=""))

    def lost(self, reason: str) -> None:
        """Say that the output can't be read back; called by the module."""
        if self.reading.quality is not Quality.unknown or self.reading.reason != reason:
            now = asyncio.get_running_loop().time()
            self._set(Reading(quality=Quality.unknown, since=now, reason=reason))

    def _set(self, reading: Reading) -> None:
        self.reading = reading
        self._tell(reading)
