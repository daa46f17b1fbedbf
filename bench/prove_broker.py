"""Prove that whatever the broker does, all that is committed arrives and nothing is marked early.

./dev prove broker [--hours 8] [--factor 60] [--real-hours 1] [--real-factor 10] [--seed 1]

A store talks for hours on a clock that runs many times as fast, with a real writer and uplink over
real sockets: first to a scripted broker that is killed, silent, slow, deaf, confused or refusing;
then to a real mosquitto behind a line that is cut, holed and slow, and that is killed and started
again. The process is begun anew each hour.

Obligations: every committed record with a topic arrives, each time with the same bytes; within one
connection each lane is in order; none is marked sent before the PUBACK of that very message with a
success code; no more come again than a window for each connection. `--plant` is the control: an
uplink that is wrong in a known way must be found out.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import compressed_time
from bench.ledger import Ledger, render
from bench.scripted_broker import (
    LARGEST,
    MOODS,
    WELL,
    RealBrokerProxy,
    ScriptedBroker,
)
from buffer.journal import Journal
from buffer.message import Connect, Message, Publisher, Refused
from buffer.mqtt import Endpoint, connector
from buffer.record import (
    LIFE_SAFETY,
    OPERATIONS,
    PERSONAL_SAFETY,
    SECURITY,
    TELEMETRY,
    Draft,
    Kind,
    Record,
)
from buffer.uplink import Uplink
from buffer.writer import Writer
from tests.broker import Broker

WINDOW = 20
RATE = 5.0
"""Records a second, on average."""
WEIGHTS = {
    LIFE_SAFETY: 1, PERSONAL_SAFETY: 2, SECURITY: 20, OPERATIONS: 60, TELEMETRY: 117
}  # fmt: skip
KEEPALIVE = 1
"""Seconds, not compressed: what looks at it has its own clock."""
PATIENCE = 1800.0
"""Compressed seconds in which all that is left must arrive once the broker is well."""
HOUR = 3600.0
LINES = ("well", "slow", "hole", "cut", "killed")
"""What the line to a real broker can be like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one run came to."""

    ledger: Ledger
    moods: Counter[str]
    lives: int


class Store:
    """Keeps records as a store does: a few a second, and now and then a hundred at once."""

    def __init__(self, writer: Writer, dice: random.Random) -> None:
        self._writer = writer
        self._dice = dice

    async def talk(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            burst = self._dice.random() < 0.01
            for _ in range(100 if burst else round(self._dice.expovariate(1 / (RATE - 1)))):
                self._writer.keep(self._draft())

    def _draft(self) -> Draft:
        size = 600 if self._dice.random() < 0.01 else self._dice.randrange(10, 150)
        return Draft(
            id=secrets.token_hex(16),
            kind=Kind.EVENT,
            priority=self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0],
            topic=None if self._dice.random() < 0.1 else f"device_{self._dice.randrange(9)}",
            body=b"x" * size,
        )


@asynccontextmanager
async def life(
    path: Path, connect: Connect, ledger: Ledger, dice: random.Random
) -> AsyncIterator[Writer]:
    """Have a process of the store until the block ends."""

    def refused(record: Record, reason: Refused) -> None:
        # Nobody but the client sees that a packet is larger than the broker takes.
        if reason.code == 0x95 and len(record.body) > LARGEST - 350:
            ledger.poisoned.add(record.id)

    async with Writer.open(path, max_wait=0.005) as writer:
        writer.follow(ledger.keep)
        uplink = Uplink(
            writer,
            connect,
            render,
            birth=lambda: [Message(topic="site/status/0", payload=b"online", retain=True)],
            window=WINDOW,
            on_refused=refused,
        )
        tasks = [
            asyncio.create_task(uplink.run()),
            asyncio.create_task(Store(writer, dice).talk()),
        ]
        try:
            yield writer
        finally:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await writer.flush()


async def look(writer: Writer, ledger: Ledger) -> None:
    """Hold the marks against what was acknowledged."""
    unsent, head = await writer.call(lambda journal: (journal.unsent(), journal.head))
    ledger.look(unsent, head)


async def play(
    path: Path,
    connect: Connect,
    ledger: Ledger,
    dice: random.Random,
    hours: float,
    phase: Callable[[], Awaitable[str]],
) -> Told:
    """Go through `hours`; `phase` is one thing that the broker does, and returns its name."""
    loop = asyncio.get_running_loop()
    end = loop.time() + hours * HOUR
    moods: Counter[str] = Counter()
    lives = 0
    while loop.time() < end:
        lives += 1
        until = min(end, loop.time() + min(HOUR, hours * HOUR / 3))
        async with life(path, connect, ledger, dice) as writer:
            while loop.time() < until:
                moods[await phase()] += 1
                await look(writer, ledger)
        show(f"{(loop.time() - end) / HOUR + hours:.1f} h, {ledger.arrivals} arrivals")
    async with asyncio.timeout(2 * PATIENCE):
        await settle(path, connect, ledger)
    ledger.ended()
    with Journal.open(path) as journal:
        if (broken := journal.verify()) is not None:
            ledger.fault("broken", f"{broken.sequence}: {broken.reason}")
        kept = {r.id for r in journal.since(0) if r.topic is not None}
    if kept != ledger.committed.keys():
        ledger.fault("broken", f"{len(kept ^ ledger.committed.keys())} records not as claimed")
    return Told(ledger=ledger, moods=moods, lives=lives)


async def settle(path: Path, connect: Connect, ledger: Ledger) -> None:
    """Let everything arrive, with processes that know nothing of earlier refusals."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while loop.time() < end:
        async with Writer.open(path) as writer:
            writer.follow(ledger.keep)
            uplink = Uplink(writer, connect, render, window=WINDOW)
            running = asyncio.create_task(uplink.run())
            for _ in range(60):
                await asyncio.sleep(1.0)
                if not ledger.waiting:
                    break
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await look(writer, ledger)
        if not ledger.waiting:
            return


def endpoint(port: int) -> Endpoint:
    will = Message(topic="site/status/0", payload=b"offline", retain=True)
    url = f"mqtt://127.0.0.1:{port}"
    return Endpoint(url=url, client_id="site", will=will, keepalive=KEEPALIVE)


async def scripted(
    hours: float, seed: int, plant: str | None, moods: Sequence[str], pace: float = 1.0
) -> Told:
    """Play `hours` against the scripted broker; `pace` shortens its moods."""
    dice = random.Random(seed)
    ledger = Ledger(window=WINDOW)
    with tempfile.TemporaryDirectory(prefix="broker-") as folder:
        async with ScriptedBroker(ledger, random.Random(seed + 1)).serving() as broker:

            async def phase() -> str:
                mood = dice.choice(moods)
                await broker.be(mood)
                await asyncio.sleep(2 + dice.expovariate(1 / 30) * pace)
                await broker.be(WELL)
                await asyncio.sleep(dice.expovariate(1 / 15) * pace)
                return mood

            connect = planted(connector(endpoint(broker.port)), plant)
            return await play(Path(folder) / "j.db", connect, ledger, dice, hours, phase)


async def real(hours: float, seed: int, plant: str | None) -> Told:
    """Play `hours` against mosquitto."""
    dice = random.Random(seed)
    ledger = Ledger(window=WINDOW)
    with tempfile.TemporaryDirectory(prefix="broker-") as folder, Broker(Path(folder)) as broker:
        async with RealBrokerProxy(lambda: broker.port, ledger).serving() as line:

            async def phase() -> str:
                mood = dice.choice(LINES)
                length = 2 + dice.expovariate(1 / 30)
                match mood:
                    case "slow":
                        line.delay = dice.uniform(0.01, 0.5)
                    case "hole":
                        line.hole()
                    case "cut":
                        for _ in range(dice.randrange(1, 5)):
                            line.cut()
                            await asyncio.sleep(length / 5)
                    case "killed":
                        await asyncio.to_thread(broker.kill)
                await asyncio.sleep(length)
                if mood == "killed":
                    await asyncio.to_thread(broker.start)
                if mood == "hole" and dice.random() < 0.5:
                    line.cut()
                line.delay = 0.0
                line.mend()
                await asyncio.sleep(dice.expovariate(1 / 15))
                return mood

            connect = planted(connector(endpoint(line.port)), plant)
            return await play(Path(folder) / "j.db", connect, ledger, dice, hours, phase)


class Planted:
    """A publisher that is wrong in a known way."""

    def __init__(self, link: Publisher, plant: str) -> None:
        self._link = link
        self._plant = plant
        self._number = 0
        self._held: tuple[Message, asyncio.Future[None]] | None = None
        self.receive_maximum = link.receive_maximum
        self.ended = link.ended

    def publish(self, message: Message) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        self._number += 1
        if self._plant == "forgets" and self._number % 20 == 0:
            return _done(loop)
        if self._plant == "swaps" and self._number % 20 == 0:
            self._held = message, loop.create_future()
            return self._held[1]
        answer = self._link.publish(message)
        if self._held is not None:
            late, self._held = self._held, None
            self._link.publish(late[0]).add_done_callback(lambda _: _release(late[1]))
        if self._plant == "eager":
            return _done(loop)
        if self._plant == "glad":
            glad: asyncio.Future[None] = loop.create_future()
            answer.add_done_callback(lambda _: glad.set_result(None))
            return glad
        return answer


PLANTS = {
    "eager": "marks a record when it is handed to the network",
    "glad": "takes every end of a message for success",
    "forgets": "does not send each twentieth and says it did",
    "swaps": "sends each twentieth after the next",
}


def planted(connect: Connect, plant: str | None) -> Connect:
    if plant is None:
        return connect

    @asynccontextmanager
    async def wrong() -> AsyncIterator[Publisher]:
        async with connect() as link:
            yield Planted(link, plant)

    return wrong


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _done(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    future: asyncio.Future[None] = loop.create_future()
    future.set_result(None)
    return future


def show(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{progress}   ", end="", file=sys.stderr)


def report(what: str, told: Told) -> bool:
    ledger = told.ledger
    print(f"{what}: {sum(told.moods.values())} phases, {told.lives} processes")
    print("  " + ", ".join(f"{mood} {n}" for mood, n in sorted(told.moods.items())))
    rows = {
        "committed with a topic": len(ledger.committed),
        "connections": ledger.connections,
        "PUBLISH seen": ledger.arrivals,
        "PUBACK of success": len(ledger.delivered),
        "refused by code": ledger.refusals,
        "set aside as refused for good": len(ledger.poisoned - ledger.delivered.keys()),
        "came again, same bytes": ledger.repeats,
        "  allowed": ledger.allowed,
        "looks at the marks": ledger.looks,
        "faults": sum(ledger.faults.values()),
    }
    for name, value in rows.items():
        print(f"  {name:<30} {value:>9}")
    for words in ledger.told:
        print(f"    {words}")
    return not ledger.faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--factor", type=float, default=60.0)
    parser.add_argument("--real-hours", type=float, default=1.0)
    parser.add_argument("--real-factor", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mood", action="append", choices=list(MOODS), help="only these")
    parser.add_argument("--plant", choices=list(PLANTS))
    chosen = parser.parse_args()
    hours, seed, plant = chosen.hours, chosen.seed, chosen.plant
    stories = {
        "scripted broker": (
            hours, chosen.factor, partial(scripted, hours, seed, plant, chosen.mood or [*MOODS])
        ),
        "mosquitto": (
            chosen.real_hours, chosen.real_factor, partial(real, chosen.real_hours, seed, plant)
        ),
    }  # fmt: skip
    good = True
    for what, (length, factor, story) in stories.items():
        if length:
            title = f"{what}, {length:g} h {factor:g} times as fast (seed {seed})"
            good = report(title, compressed_time.run(story(), factor)) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
