"""A simulated store that never rests: events of all five priorities, some hundred a second."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from edge.demo.store import Store

NOISE = 400
"""Records a second from the EAS gateway, most of them telemetry."""


def roomy(config: Path) -> Path:
    """Let the store's journal be so large that nothing has to leave; returns the folder."""
    site = config / "site.yaml"
    small = site.read_text()
    roomy = small.replace("max_size: 64MB", "max_size: 2GB")
    assert roomy != small
    site.write_text(roomy)
    return config


@asynccontextmanager
async def busy(store: Store, rng: random.Random) -> AsyncIterator[asyncio.Task[None]]:
    """Let visitors, doors, alarms, panic and troubles come until the block ends.

    Yields the task that makes them come: cancelling it ends them before.
    """

    async def come() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_spoken(store, rng))
            group.create_task(_pulses(store, rng, "di0", 4.0))
            group.create_task(_pulses(store, rng, "di6", 0.3))
            group.create_task(_doors(store, rng))
            group.create_task(_troubles(store, rng))

    coming = asyncio.create_task(come())
    try:
        yield coming
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming


async def _spoken(store: Store, rng: random.Random) -> None:
    loop = asyncio.get_running_loop()
    said = ("VISITORS IN 1 OUT 0", "DEACTIVATED 2", "METAL 1", "ALARM 1 OUT", "ALARM END 1")
    while True:
        await store.gateway.connected.wait()
        due = loop.time()
        while store.gateway.connected.is_set():
            store.gateway.say(rng.choices(said, (70, 20, 2, 4, 4))[0])
            due += 1 / NOISE
            await asyncio.sleep(max(due - loop.time(), 0))


async def _pulses(store: Store, rng: random.Random, line: str, longest: float) -> None:
    while True:
        await store.module.pulse(line, 0.05)
        await asyncio.sleep(rng.uniform(0.02, longest))


async def _doors(store: Store, rng: random.Random) -> None:
    while True:
        for closed in (False, True):
            store.module.set(rng.choice(("di1", "di2")), closed)
            await asyncio.sleep(rng.uniform(0.03, 0.15))


async def _troubles(store: Store, rng: random.Random) -> None:
    while True:
        for normal in (False, True):
            store.module.set("di5", normal)
            await asyncio.sleep(rng.uniform(0.1, 0.4))
