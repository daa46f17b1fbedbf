"""Many simulated stores in one process: the real uplink, told by lines on stdin, counted on stdout.

Run by bench/fleet.py only. A line on stdin is JSON: {"do": "live", "rate": 0.1}, {"do": "outage",
"share": 0.2, "records": 360}, {"do": "return"}, {"do": "forget"}, {"do": "end"}. Each second one
line on stdout tells how the stores stand, and how long live records took since the last "forget".
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from bench.fleet_memory import Memory
from buffer.message import Message, Publisher, Unreachable
from buffer.mqtt import Endpoint, connector
from buffer.record import Record
from buffer.uplink import Uplink
from buffer.writer import Writer

STEP = 0.05
"""Seconds between looks at what happens in the stores."""


def bucket(seconds: float) -> int:
    """Return the delay in milliseconds, rounded to two digits above 100."""
    ms = int(seconds * 1000)
    return ms if ms < 100 else int(float(f"{ms:.1e}"))


def render(record: Record, _replayed: bool) -> Message:
    return Message(topic=record.topic or "", payload=record.body)


class Store:
    """One store: an uplink whose line can be cut."""

    def __init__(self, site: str, settings: dict[str, Any], took: Counter[str]) -> None:
        def count(_priority: int, seconds: float) -> None:
            took[f"{'region' if self.region else 'others'} {bucket(seconds)}"] += 1

        self.region = False
        self.memory = Memory(site, count)
        self._cut = False
        will = Message(topic=f"storewarden/{site}/status", payload=b"offline", retain=True)
        endpoint = Endpoint(
            url=settings["url"],
            client_id=f"storewarden-{site}",
            will=will,
            ca=settings["ca"],
            cert=settings["cert"],
            key=settings["key"],
        )
        self._real = connector(endpoint)
        birth = Message(topic=f"storewarden/{site}/status", payload=b"online", retain=True)
        self.uplink = Uplink(
            cast(Writer, self.memory),
            self._connect,
            render,
            birth=lambda: (birth,),
            drain_rate=settings["drain_rate"],
            drain_jitter=settings["drain_jitter"],
            site=site,
        )

    def cut(self, records: int) -> None:
        """Lose the line, and commit what an outage brings."""
        self.region, self._cut = True, True
        self.uplink.renew("the line is cut")
        self.memory.happened(records)

    def mend(self) -> None:
        self._cut = False

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Publisher]:
        if self._cut:
            raise Unreachable("the line is cut")
        async with self._real() as link:
            yield link


async def live(stores: list[Store], rate: dict[str, float]) -> None:
    """Have records happen at random, `rate["live"]` a second in each store."""
    loop = asyncio.get_running_loop()
    due, last = 0.0, loop.time()
    while True:
        await asyncio.sleep(STEP)
        now = loop.time()
        due += (now - last) * rate["live"] * len(stores)
        last = now
        while due >= 1:
            due -= 1
            store = random.choice(stores)
            store.memory.happen(timed=store.uplink.stats.connected)


async def tell(stores: list[Store], took: Counter[str]) -> None:
    while True:
        await asyncio.sleep(1.0)
        said = {
            "connected": sum(store.uplink.stats.connected for store in stores),
            "left": sum(store.memory.left for store in stores),
            "region_left": sum(store.memory.left for store in stores if store.region),
            "took": took,
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


async def obey(stores: list[Store], took: Counter[str], rate: dict[str, float]) -> None:
    """Do what stdin says until it says the end."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        match told["do"]:
            case "live":
                rate["live"] = told["rate"]
            case "outage":
                for store in stores[: round(len(stores) * told["share"])]:
                    store.cut(told["records"])
            case "return":
                for store in stores:
                    store.mend()
            case "forget":
                took.clear()
            case "end":
                return


async def main(settings: dict[str, Any]) -> None:
    took: Counter[str] = Counter()
    rate = {"live": 0.0}
    first, count = settings["first"], settings["count"]
    stores = [Store(f"store_{n:04}", settings, took) for n in range(first, first + count)]
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(store.uplink.run()) for store in stores]
    tasks += [asyncio.create_task(live(stores, rate)), asyncio.create_task(tell(stores, took))]
    await obey(stores, took, rate)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(json.loads(sys.argv[1])))
