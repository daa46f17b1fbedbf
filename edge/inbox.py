"""The one inbox: what is more urgent is handled first, the rest in the order it came."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter

from drivers.event import Event

ROOM = 500
"""Events of one device that may wait; more make that device wait, and nobody else."""


class Inbox:
    """A priority queue of events with one reader."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Event]] = []
        self._ticks: list[float] = []
        self._taken: Counter[float] = Counter()
        self._number = 0
        self._waiting: Counter[str] = Counter()
        self._filled = asyncio.Event()
        self._room: dict[str, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, event: Event) -> None:
        """Take `event` and return at once."""
        self._number += 1
        heapq.heappush(self._heap, (event.priority, self._number, event))
        heapq.heappush(self._ticks, event.tick)
        self._waiting[event.device] += 1
        self._filled.set()

    async def room(self, device: str) -> None:
        """Wait until fewer than ROOM events of `device` wait."""
        while self._waiting[device] >= ROOM:
            await self._room.setdefault(device, asyncio.Event()).wait()

    async def wait(self) -> None:
        """Wait until an event is there."""
        await self._filled.wait()

    def take(self) -> Event:
        """Return the most urgent event. IndexError when none waits."""
        event = heapq.heappop(self._heap)[2]
        self._taken[event.tick] += 1
        self._waiting[event.device] -= 1
        if not self._heap:
            self._filled.clear()
        if (freed := self._room.pop(event.device, None)) is not None:
            freed.set()
        return event

    def waiting(self) -> list[Event]:
        """Return what waits, the most urgent first; it stays."""
        return [event for _, _, event in sorted(self._heap, key=lambda one: one[:2])]

    def oldest_tick(self) -> float | None:
        """Return the earliest tick of all that waits, or None."""
        while self._ticks and self._taken[self._ticks[0]]:
            tick = heapq.heappop(self._ticks)
            self._taken[tick] -= 1
            if not self._taken[tick]:
                del self._taken[tick]
        return self._ticks[0] if self._ticks else None
