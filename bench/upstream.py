"""A real mosquitto behind a road that a proof may break, and an oracle that listens there."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from bench.oracle import Oracle
from bench.road import Road, State, road, weather
from tests.broker import Broker

PATIENCE = 90.0
"""Seconds without any progress after which something counts as stuck, on however busy a machine."""


@dataclass(slots=True, kw_only=True)
class Upstream:
    """A broker, the road to it and who listens there."""

    road: Road
    states: Counter[State]
    """How often the road became so."""
    weather: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.road.port}"

    def calm(self) -> None:
        """Open the road for good."""
        self.weather.cancel()
        self.road.become("open")


@asynccontextmanager
async def upstream(
    folder: Path, oracle: Oracle, rng: random.Random, topic: str, take: Callable[[str, bytes], None]
) -> AsyncIterator[Upstream]:
    """Have a mosquitto behind a road with weather; `take` gets topic and payload of messages."""
    states: Counter[State] = Counter()

    def changed(state: State) -> None:
        states[state] += 1
        oracle.interrupted()

    async with AsyncExitStack() as stack:
        broker = stack.enter_context(Broker(folder))
        way = await stack.enter_async_context(road(broker.port))
        client = await stack.enter_async_context(
            aiomqtt.Client(
                "127.0.0.1",
                broker.port,
                protocol=aiomqtt.ProtocolVersion.V5,
                max_queued_incoming_messages=0,
            )
        )
        await client.subscribe(topic, qos=1)

        async def listen() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                take(str(message.topic), message.payload)

        tasks = [
            asyncio.create_task(listen()),
            asyncio.create_task(weather(way, rng, changed)),
        ]
        made = Upstream(road=way, states=states, weather=tasks[1])
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def all_arrived(oracle: Oracle) -> None:
    """Wait until everything owed has arrived, or until nothing of it comes any more."""
    loop = asyncio.get_running_loop()
    least, since = len(oracle.missing), loop.time()
    while (missing := len(oracle.missing)) and loop.time() < since + PATIENCE:
        if missing < least:
            least, since = missing, loop.time()
        await asyncio.sleep(0.2)
