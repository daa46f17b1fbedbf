"""The road to a broker that a proof may cut, swallow or make one-way: a TCP proxy on loopback."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

State = Literal["open", "cut", "hole", "deaf"]
"""`cut`: connections end, new ones at once. `hole`: taken, and nothing passes. `deaf`: what is sent
arrives, no answer comes back."""

LONGEST = 12.0
"""Seconds that one weather lasts at most."""


class Road:
    """`async with road(port) as way: way.port; way.become("cut")`."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._state: State = "open"
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def state(self) -> State:
        return self._state

    def become(self, state: State) -> None:
        """Change. Who was connected through a hole or a one-way road finds the link ended."""
        if state == "cut" or (state == "open" and self._state != "open"):
            for writer in self._writers:
                writer.transport.abort()
        self._state = state

    async def take(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(back)
        try:
            if self._state == "cut":
                return
            far, on = await asyncio.open_connection("127.0.0.1", self._to)
            self._writers.add(on)
            try:
                ways = (self._pump(near, on, {"hole"}), self._pump(far, back, {"hole", "deaf"}))
                pumps = [asyncio.create_task(way) for way in ways]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                on.transport.abort()
                self._writers.discard(on)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            back.transport.abort()
            self._writers.discard(back)
            self._tasks.discard(task)

    async def close(self) -> None:
        """End what is being carried."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallows: set[State]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if self._state not in swallows:
                    writer.write(data)
                    await writer.drain()


@asynccontextmanager
async def road(to: int) -> AsyncIterator[Road]:
    """Carry connections to port `to` of loopback until the block ends."""
    way = Road(to)
    server = await asyncio.start_server(way.take, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        await way.close()


async def weather(way: Road, rng: random.Random, changed: Callable[[State], None]) -> None:
    """Let the road be open and not open in turns, for ever; `changed` hears each change."""
    kinds: tuple[State, ...] = ("cut", "hole", "deaf")
    while True:
        turns: tuple[tuple[State, float], ...] = (("open", LONGEST), (rng.choice(kinds), LONGEST))
        for state, longest in turns:
            way.become(state)
            changed(state)
            await asyncio.sleep(rng.uniform(0.1, longest))
