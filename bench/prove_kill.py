"""Prove that kill -9 loses no committed record: the whole daemon, a real broker, many kills.

./dev prove kill [--kills 100] [--seed 1]

Every record that the journal file holds after a kill is an obligation: if it has a topic it must
arrive upstream, with the same id, in order within its lane (priority, live or replayed).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt

from bench.reaction import noise
from buffer.journal import Journal
from edge.demo.store import Store, configured, simulated
from tests.broker import Broker
from tests.daemon import Daemon


@dataclass(slots=True)
class Oracle:
    """What was committed, and what has arrived."""

    owed: dict[str, int] = field(default_factory=dict)
    """Id to sequence of every committed record with a topic."""
    arrived: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _last: dict[tuple[str, bool], int] = field(default_factory=dict)

    def committed(self, journal: Path) -> None:
        """Take what the file of a killed daemon holds."""
        with Journal.open(journal, read_only=True) as opened:
            for record in opened.since(0):
                if record.topic is not None:
                    before = self.owed.setdefault(record.id, record.sequence)
                    if before != record.sequence:
                        self.wrong.append(f"{record.id}: sequence {before}, then {record.sequence}")
            if (broken := opened.verify()) is not None:
                self.wrong.append(f"chain broken at {broken.sequence}: {broken.reason}")

    def received(self, payload: bytes) -> None:
        """Take one message from upstream."""
        event = json.loads(payload)
        own, sequence = event["id"], int(event["sequence"])
        self.arrived[own] += 1
        if self.arrived[own] > 1:
            return
        lane = (event["priority"], event["replayed"])
        if sequence < self._last.get(lane, 0):
            self.wrong.append(f"{own}: {sequence} after {self._last[lane]} in {lane}")
        self._last[lane] = max(sequence, self._last.get(lane, 0))

    @property
    def missing(self) -> list[str]:
        return [own for own in self.owed if own not in self.arrived]


async def listen(broker: Broker, oracle: Oracle) -> None:
    """Take everything that arrives, over a session that the broker keeps for us."""
    while True:
        try:
            async with aiomqtt.Client(
                "127.0.0.1", broker.port, identifier="oracle", clean_session=False
            ) as client:
                await client.subscribe("storewarden/+/event/#", qos=1)
                async for message in client.messages:
                    if isinstance(message.payload, bytes):
                        oracle.received(message.payload)
        except aiomqtt.MqttError:
            await asyncio.sleep(0.1)


async def disturb(store: Store) -> None:
    while True:
        await store.module.pulse("di0", 0.05)
        await asyncio.sleep(random.uniform(0.05, 0.3))


async def prove(kills: int, seed: int) -> bool:
    random.seed(seed)
    oracle = Oracle()
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Broker(folder, options=["max_queued_messages 0"]))
        store = await stack.enter_async_context(simulated(folder))
        daemon = Daemon(folder, configured(folder, store, broker.url))
        listening = asyncio.create_task(listen(broker, oracle))
        background = [
            asyncio.create_task(noise(store, 100)),
            asyncio.create_task(disturb(store)),
            listening,
        ]
        try:
            for number in range(kills):
                await daemon.start()
                await asyncio.sleep(random.uniform(0.0, 1.5))
                await daemon.kill()
                oracle.committed(daemon.state / "journal.db")
                if sys.stderr.isatty():
                    print(f"\r{number + 1} of {kills} kills, {len(oracle.owed)} owed", end="",
                          file=sys.stderr)  # fmt: skip
            await daemon.start()
            await daemon.until(lambda status: status["uplink"]["backlog"] < 20)
            await daemon.stop()
            oracle.committed(daemon.state / "journal.db")
            await daemon.start()
            for _ in range(300):
                if not oracle.missing:
                    break
                await asyncio.sleep(0.1)
            await daemon.stop()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
    repeated = sum(n - 1 for n in oracle.arrived.values())
    print(f"\n{kills} kills (seed {seed}) in {time.monotonic() - began:.0f} s:")
    print(f"  committed with a topic  {len(oracle.owed)}")
    print(f"  lost                    {len(oracle.missing)}")
    print(f"  repeated, same id       {repeated}")
    print(f"  out of order, broken    {len(oracle.wrong)}")
    for line in oracle.wrong[:5]:
        print(f"    {line}")
    return not oracle.missing and not oracle.wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    return 0 if asyncio.run(prove(chosen.kills, chosen.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
