"""The journal beside bare SQLite: events a second, the latency of one commit, bytes written.

Run: ./dev bench journal [FOLDER]; the folder decides which disk is measured.
The uplink's part needs mosquitto and is left out without it.
"""

import asyncio
import json
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from buffer.journal import Journal
from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.record import SECURITY, TELEMETRY, Draft, Kind, Record
from buffer.uplink import Uplink
from buffer.writer import Writer
from tests.broker import Broker, mosquitto

TOPIC = "storewarden/store_0421/event/eas_front/eas.visitors"
EVENTS = 20_000
TOGETHER = 100
LONE = 1_000
ROUNDS = 3


def body(number: int) -> bytes:
    """Return about 250 bytes, such as an event is stored in."""
    return json.dumps(
        {
            "device": "eas_front",
            "signal": "eas.visitors",
            "at": "2026-11-20T12:00:00.000000Z",
            "tick": number / 1000,
            "boot": "5f0c7a3e-1f6b-4a58-9f0e-0c6f0d8f7a11",
            "clock": "trusted",
            "data": {"aisle": 1, "in": number, "out": number - 3, "interval": "60s"},
        }
    ).encode()


def drafts(first: int, count: int, priority: int = TELEMETRY) -> list[Draft]:
    """Return `count` events."""
    return [
        Draft(
            id=secrets.token_hex(16),
            kind=Kind.EVENT,
            priority=priority,
            topic=TOPIC,
            body=body(number),
        )
        for number in range(first, first + count)
    ]


def written() -> int:
    """Return the bytes this process has sent towards a disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def bare(path: Path) -> sqlite3.Connection:
    """Return a database that keeps the same facts without chain, lanes or marks."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE r (s INTEGER PRIMARY KEY, id TEXT, p INTEGER, topic TEXT, body BLOB)")
    return db


def bare_keep(db: sqlite3.Connection, batch: list[Draft]) -> None:
    """Commit `batch`."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "INSERT INTO r (id, p, topic, body) VALUES (?, ?, ?, ?)",
        [(d.id, d.priority, d.topic, d.body) for d in batch],
    )
    db.execute("COMMIT")


def group(keep: Callable[[list[Draft]], object]) -> tuple[float, float]:
    """Return events a second and bytes written per event, `TOGETHER` a commit."""
    batches = [drafts(first, TOGETHER) for first in range(0, EVENTS, TOGETHER)]
    before, begun = written(), time.perf_counter()
    for batch in batches:
        keep(batch)
    return EVENTS / (time.perf_counter() - begun), (written() - before) / EVENTS


def lone(keep: Callable[[list[Draft]], object]) -> list[float]:
    """Return the milliseconds of commits of one record each."""
    took = []
    for draft in drafts(0, LONE, SECURITY):
        begun = time.perf_counter()
        keep([draft])
        took.append((time.perf_counter() - begun) * 1000)
    return took


async def through_the_writer(path: Path) -> float:
    """Return events a second from `keep` to the disk, all at once."""
    async with Writer.open(path) as writer:
        await writer.changed(0)
        waiting = drafts(0, EVENTS)
        begun = time.perf_counter()
        for draft in waiting:
            writer.keep(draft)
        await writer.flush()
        return EVENTS / (time.perf_counter() - begun)


def render(record: Record, _replayed: bool) -> Message:
    """Return the stored bytes as the message."""
    return Message(topic=record.topic or "", payload=record.body)


async def bare_publisher(broker: Broker) -> float:
    """Return messages a second of the same client with the same window and nothing else."""
    left = EVENTS
    async with connector(Endpoint(url=broker.url, client_id="bare"))() as link:
        flying: set[asyncio.Future[None]] = set()
        begun = time.perf_counter()
        while left or flying:
            while left and len(flying) < 20:
                flying.add(link.publish(Message(topic=TOPIC, payload=body(left))))
                left -= 1
            _, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
        return EVENTS / (time.perf_counter() - begun)


async def outage(path: Path, broker: Broker) -> tuple[float, float]:
    """Return bytes written per event through an outage at 1,000/s and its drain, and the drain."""
    before = written()
    async with Writer.open(path) as writer:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for first in range(0, EVENTS, 10):
            for draft in drafts(first, 10):
                writer.keep(draft)
            await asyncio.sleep(begun + (first + 10) / 1000 - loop.time())
        await writer.flush()
        uplink = Uplink(writer, connector(Endpoint(url=broker.url, client_id="ours")), render)
        begun = loop.time()
        running = asyncio.create_task(uplink.run())
        while uplink.stats.published < EVENTS:
            await asyncio.sleep(0.01)
        took = loop.time() - begun
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await writer.begin_lanes()
        return (written() - before) / EVENTS, EVENTS / took


def main() -> None:
    """Print one line a figure: ours, bare, and their ratio."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    rates: list[tuple[float, float]] = []
    sizes: list[tuple[float, float]] = []
    latencies: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir=where) as name:
        folder = Path(name)
        for turn in range(ROUNDS):
            with (
                Journal.open(folder / f"ours-{turn}.db") as ours,
                closing(bare(folder / f"bare-{turn}.db")) as db,
            ):
                floor_keep = partial(bare_keep, db)
                rate, size = group(ours.append)
                bare_rate, bare_size = group(floor_keep)
                rates.append((rate, bare_rate))
                sizes.append((size, bare_size))
                mine, bare_lone = lone(ours.append), lone(floor_keep)
                latencies.append((statistics.median(mine), statistics.median(bare_lone)))
        for what, unit, pairs in (
            ("group commit, 100 records", "events/s", rates),
            ("bytes written, 100 records a commit", "B/event", sizes),
            ("commit of one record, p50", "ms", latencies),
        ):
            ours_is = statistics.median(a for a, _ in pairs)
            bare_is = statistics.median(b for _, b in pairs)
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{what}: {ours_is:.2f} {unit}, bare {bare_is:.2f}, ratio {ratio:.2f}")
        kept = asyncio.run(through_the_writer(folder / "writer.db"))
        print(f"keep to disk, through the writer: {kept:.0f} events/s")
        if mosquitto() is None:
            return
        with Broker(folder, options=["max_queued_messages 1"]) as broker:
            floor = asyncio.run(bare_publisher(broker))
            size, drain = asyncio.run(outage(folder / "outage.db", broker))
        print(f"outage of {EVENTS} at 1,000/s and its drain: {size:.0f} B/event")
        print(f"drain: {drain:.0f} events/s, bare publisher {floor:.0f}, ratio {drain / floor:.2f}")


if __name__ == "__main__":
    main()
