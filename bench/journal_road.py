"""The journal on its way: through the writer, an outage and its drain, memory, and a slow disk.

Part of ./dev bench journal. Memory and the slow disk are measured in processes of their own:
python -m bench.journal_road memory|slow FOLDER
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.drain import BARE, bare
from bench.journal_events import SIZE, drafts, written
from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.record import LIFE_SAFETY, Record
from buffer.uplink import Uplink
from buffer.writer import Writer
from drivers.priorities import Priority
from tests.broker import Broker, mosquitto

OUTAGE = 20_000
WAITING = 200_000
"""Records that the uplink owes while memory is looked at."""
SYNC = 0.03
"""Seconds that each sync of the slow disk takes longer: an SD card's worst days."""
RATE = 500
"""Events a second on the slow disk."""
SLOW_FOR = 10.0
"""Seconds of them."""


async def through_the_writer(path: Path) -> float:
    """Return events a second from `keep` to the disk, handed over as fast as it goes."""
    waiting = drafts(0, OUTAGE)
    async with Writer.open(path, max_size=SIZE) as writer:
        await writer.changed(0)
        begun = time.perf_counter()
        for draft in waiting:
            writer.keep(draft)
        await writer.flush()
        return OUTAGE / (time.perf_counter() - begun)


def render(record: Record, _replayed: bool) -> Message:
    """Return the stored bytes as the message."""
    return Message(topic=record.topic or "", payload=record.body)


async def bare_publisher(broker: Broker) -> float:
    """Return messages a second of the same client with the same window and nothing else."""
    messages = [draft.body for draft in drafts(0, OUTAGE)]
    topic = drafts(0, 1)[0].topic or ""
    async with connector(Endpoint(url=broker.url, client_id="bare"))() as link:
        flying: set[asyncio.Future[None]] = set()
        begun = time.perf_counter()
        while messages or flying:
            while messages and len(flying) < 20:
                flying.add(link.publish(Message(topic=topic, payload=messages.pop())))
            _, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
        return OUTAGE / (time.perf_counter() - begun)


@asynccontextmanager
async def forwarding(writer: Writer, broker: Broker) -> AsyncIterator[Uplink]:
    """Run an uplink to `broker` for the length of the block."""
    uplink = Uplink(writer, connector(Endpoint(url=broker.url, client_id="ours")), render)
    running = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def outage(path: Path, broker: Broker) -> tuple[float, float, float]:
    """Return bytes written per event through an outage at 1,000/s and its drain, with what the
    log still owes the file, and the drain's events a second."""
    before = written()
    async with Writer.open(path, max_size=SIZE) as writer:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for first in range(0, OUTAGE, 10):
            for draft in drafts(first, 10):
                writer.keep(draft)
            await asyncio.sleep(begun + (first + 10) / 1000 - loop.time())
        await writer.flush()
        begun = loop.time()
        async with forwarding(writer, broker) as uplink:
            while uplink.stats.published < OUTAGE:
                await asyncio.sleep(0.01)
            drain = OUTAGE / (loop.time() - begun)
        await writer.begin_lanes()
        so_far = written() - before
    return so_far / OUTAGE, (written() - before) / OUTAGE, drain


def resident() -> float:
    """Return the MB of memory that this process has in use."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def memory(folder: Path) -> dict[str, float]:
    """Return MB: idle, with `WAITING` records unsent, and at most while they are drained."""
    with Broker(folder, options=["max_queued_messages 1"]) as broker:
        async with Writer.open(folder / "journal.db", max_size=SIZE) as writer:
            async with forwarding(writer, broker) as uplink:
                for draft in drafts(0, 100):
                    writer.keep(draft)
                while uplink.stats.published < 100:
                    await asyncio.sleep(0.01)
                idle = resident()
            broker.kill()
            waiting = idle
            async with forwarding(writer, broker) as uplink:
                for first in range(0, WAITING, 500):
                    writer.keep(*drafts(first, 500))
                    await writer.flush()
                    waiting = max(waiting, resident())
                draining = resident()
                broker.start()
                while uplink.stats.published < WAITING:
                    await asyncio.sleep(0.05)
                    draining = max(draining, resident())
    return {"idle": idle, "waiting": waiting, "draining": draining}


async def slow(folder: Path) -> dict[str, float]:
    """Return milliseconds from `keep` to the disk, and the most records that waited in memory."""
    kept: dict[str, float] = {}
    took: dict[int, list[float]] = {p: [] for p in Priority}
    commits: list[float] = []
    most = 0

    def follow(records: Sequence[Record]) -> None:
        now = time.perf_counter()
        for record in records:
            if record.id in kept:
                took[record.priority].append((now - kept.pop(record.id)) * 1000)

    async with Writer.open(
        folder / "journal.db",
        max_size=SIZE,
        observe_commit=lambda seconds, _records: commits.append(seconds * 1000),
    ) as writer:
        await writer.changed(0)
        writer.follow(follow)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(int(RATE * SLOW_FOR)):
            urgent = number % 183 == 182
            (draft,) = drafts(number, 1, Priority.life_safety if urgent else Priority.telemetry)
            kept[draft.id] = time.perf_counter()
            writer.keep(draft)
            most = max(most, writer.stats.pending)
            await asyncio.sleep(begun + (number + 1) / RATE - loop.time())
        await writer.flush()
    every = took[Priority.telemetry]
    return {
        "commit p50": statistics.median(commits),
        "commit max": max(commits),
        "life_safety p50": statistics.median(took[LIFE_SAFETY]),
        "life_safety max": max(took[LIFE_SAFETY]),
        "telemetry p50": statistics.median(every),
        "telemetry max": max(every),
        "waiting at most": most,
    }


def apart(what: str, folder: Path, *before: str) -> dict[str, float]:
    """Return what a process of its own measured, run by the program `before`, if any."""
    folder.mkdir()
    done = subprocess.run(
        [*before, sys.executable, "-m", "bench.journal_road", what, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(folder: Path) -> None:
    """Print one line a figure."""
    rate = asyncio.run(through_the_writer(folder / "writer.db"))
    print(f"through the writer to the disk: {rate:,.0f} events/s")
    if (strace := shutil.which("strace")) is not None:
        delay = f"fdatasync,fsync:delay_exit={SYNC * 1e6:.0f}"
        quiet = (strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null")
        only = ("-e", "trace=fdatasync,fsync", "-e", f"inject={delay}")
        found = apart("slow", folder / "slow", *quiet, *only)
        told = ", ".join(f"{what} {value:,.0f}" for what, value in found.items())
        print(f"{RATE} events/s on a disk whose syncs take {SYNC * 1000:.0f} ms more (ms): {told}")
    if mosquitto() is None:
        return
    with Broker(folder, options=["max_queued_messages 1"]) as broker:
        floor = asyncio.run(bare_publisher(broker))
        library = asyncio.run(bare(broker, BARE))
        size, settled, drain = asyncio.run(outage(folder / "outage.db", broker))
    print(f"outage of {OUTAGE:,} at 1,000/s and its drain: {size:.0f} B/event, log owed", end="")
    print(f" included {settled:.0f}")
    print(
        f"drain: {drain:,.0f} events/s; the library's bare publisher {library:,.0f}, ratio"
        f" {drain / library:.2f}; our client's {floor:,.0f}, ratio {drain / floor:.2f}"
    )
    found = apart("memory", folder / "memory")
    print(
        f"memory, {WAITING:,} waiting: idle {found['idle']:.1f} MB,"
        f" waiting {found['waiting'] / found['idle']:.2f}, draining"
        f" {found['draining'] / found['idle']:.2f} times that"
    )


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    chosen = {"memory": memory, "slow": slow}[sys.argv[1]]
    print(json.dumps(asyncio.run(chosen(Path(sys.argv[2])))))
