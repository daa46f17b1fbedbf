"""What a device sees of an input: active or not, debounced, counted and with its quality."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from drivers.lines.line import InputLine, Quality, Reading, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a device sees of an input, and since when."""

    active: bool | None
    """None unless the quality is good."""
    quality: Quality
    since: float
    """Loop time, seconds: since when it is so."""
    count: int
    """Times the input became active.

    Without a debounce it follows every edge, those between two polls included, where the module
    counts in hardware. With a debounce it grows by one for each activation told, as a hardware
    counter counts the bounces too. Hardware counts rising edges: for an input that is active
    when off, the falls follow from the rises and the level.
    """
    reason: str = ""
    """Why the quality is not good; empty when it is."""


class Debounce:
    """Decide, without a clock, which readings are told: feed it each, wake it at `deadline`.

    The first edge is told at once and opens a window; edges within the window are not told; at
    its end the level is read again, and a difference is told, which opens the next window. So two
    edges told are never closer than the debounce. What comes exactly at the end of a window is
    after it. A change of quality is told at once; it ends a window and opens none.
    """

    def __init__(self, reading: Reading, *, active: Literal["on", "off"], debounce: float) -> None:
        self._active_level = active == "on"
        self._seconds = debounce
        self._falls_ahead = 0
        self._latest = reading
        self.deadline: float | None = None
        """Loop time at which `advance` is next needed, or None."""
        self.shown = Change(active=None, quality=Quality.unknown, since=0.0, count=0)
        """What was told last."""
        self.resume(reading)

    def resume(self, reading: Reading) -> None:
        """Go on from `reading` after a time in which none was fed: it is shown, not told."""
        self.deadline = None
        self._latest = reading
        self._tell(reading.since)

    def see(self, reading: Reading) -> list[Change]:
        """Take the next reading and return what is told, in order."""
        told = self.advance(reading.since)
        self._latest = reading
        if reading.quality is not Quality.good or self.shown.quality is not Quality.good:
            self.deadline = None
            told.append(self._tell(reading.since))
        elif self.deadline is None and self._differs():
            told.append(self._edge(reading.since))
        return told

    def advance(self, now: float) -> list[Change]:
        """Return what the passing of time alone leads to."""
        if self.deadline is None or now < self.deadline:
            return []
        end, self.deadline = self.deadline, None
        return [self._edge(end), *self.advance(now)] if self._differs() else []

    def _differs(self) -> bool:
        return self._active() is not self.shown.active

    def _active(self) -> bool | None:
        level = self._latest.level
        return None if level is None else level is self._active_level

    def _edge(self, since: float) -> Change:
        if self._seconds:
            self.deadline = since + self._seconds
        return self._tell(since)

    def _tell(self, since: float) -> Change:
        self.shown = Change(
            active=self._active(),
            quality=self._latest.quality,
            since=since,
            count=self._count(),
            reason=self._latest.reason,
        )
        return self.shown

    def _count(self) -> int:
        before = self.shown
        if self._seconds:
            return before.count + (before.active is False and self._active() is True)
        if self._active_level:
            return self._latest.count
        if self._latest.level is None:
            return before.count
        falls = self._latest.count - self._latest.level + self._falls_ahead
        self._falls_ahead += max(0, before.count - falls)
        return max(falls, before.count)


class Changes:
    """The changes of one conditioned input, for one reader, none left out."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Change] = asyncio.Queue()

    def put(self, change: Change) -> None:
        self._waiting.put_nowait(change)

    async def get(self) -> Change:
        """Return the next change, waiting for it if need be."""
        return await self._waiting.get()

    def get_nowait(self) -> Change | None:
        """Return the next change if there is one."""
        return None if self._waiting.empty() else self._waiting.get_nowait()


class ConditionedInput:
    """An input line as one device sees it."""

    def __init__(
        self, line: InputLine, *, active: Literal["on", "off"], debounce: float | None = None
    ) -> None:
        """Take `line`; `debounce` in seconds, None takes the line's own."""
        self.line = line
        seconds = line.debounce if debounce is None else debounce
        self._debounce = Debounce(line.reading, active=active, debounce=seconds)
        self._readers: list[Changes] = []
        self._feeding = ExitStack()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def now(self) -> Change:
        """What was told last, or what the line reads while nobody watches."""
        if not self._readers:
            self._debounce.resume(self.line.reading)
        return self._debounce.shown

    @contextmanager
    def watch(self, changes: Changes | None = None) -> Iterator[Changes]:
        """Collect every change from what `now` shows here on, until the block ends.

        In `changes` if there is one. Needs a running event loop.
        """
        changes = changes or Changes()
        if not self._readers:
            self._debounce.resume(self.line.reading)
            self._feeding.enter_context(self.line.watch(_Feed(self)))
        self._readers.append(changes)
        try:
            yield changes
        finally:
            self._readers.remove(changes)
            if not self._readers:
                self._feeding.close()
                self._stop_timer()

    def _see(self, reading: Reading) -> None:
        self._tell(self._debounce.see(reading))

    def _window_ended(self) -> None:
        self._tell(self._debounce.advance(asyncio.get_running_loop().time()))

    def _tell(self, told: list[Change]) -> None:
        self._stop_timer()
        if self._debounce.deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._debounce.deadline, self._window_ended)
        for change in told:
            for reader in self._readers:
                reader.put(change)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Feed(Watch):
    """Hands each reading on at once instead of keeping it."""

    def __init__(self, to: ConditionedInput) -> None:
        super().__init__()
        self._to = to

    def put(self, reading: Reading) -> None:
        self._to._see(reading)
