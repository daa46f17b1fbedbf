"""The drain of a backlog beside a bare publisher, live events meanwhile, the first after an outage.

Run: ./dev bench drain [RECORDS]; needs mosquitto. Everything is on one machine and on loopback.
"""

import asyncio
import logging
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt

from buffer.journal import Journal
from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.record import OPERATIONS, SECURITY, TELEMETRY, Draft, Kind, Record
from buffer.uplink import Uplink
from buffer.writer import Writer
from tests.broker import Broker, mosquitto
from tests.buffer.fake_broker import Proxy

ROUNDS = 3
BARE = 20_000
"""Messages that a bare publisher sends."""
WINDOW = 20
PART = 10.0
"""Seconds that a capped drain is watched."""
LIVE_EVERY = 0.01
OUTAGE = 4.0
"""Seconds."""
OUTAGES = 5
BACKLOG, LIVE = "storewarden/bench/event/a/backlog", "storewarden/bench/event/a/live"
BODY = b'{"device": "eas_front", "signal": "eas.visitors", "at": "2026-11-20T12:00:00.000000Z"}'


def drafts(count: int, priority: int, topic: str = BACKLOG) -> list[Draft]:
    """Return `count` events of about 250 bytes."""
    return [
        Draft(
            id=secrets.token_hex(16),
            kind=Kind.EVENT,
            priority=priority,
            topic=topic,
            body=BODY.ljust(250),
        )
        for _ in range(count)
    ]


def preload(path: Path, count: int) -> None:
    """Make a journal with `count` unsent records: of ten, one is security, one operations."""
    with Journal.open(path) as journal:
        for _ in range(count // 500):
            journal.append(
                [*drafts(400, TELEMETRY), *drafts(50, OPERATIONS), *drafts(50, SECURITY)]
            )


def copied(path: Path, name: str) -> Path:
    """Return a copy of the journal, so that each round drains the same."""
    copy = path.with_name(name)
    for old in path.parent.glob(f"{path.name}*"):
        shutil.copy(old, f"{copy}{old.name.removeprefix(path.name)}")
    return copy


def render(record: Record, _replayed: bool) -> Message:
    """Return the stored bytes, with the sequence before them."""
    return Message(topic=record.topic or "", payload=b"%d " % record.sequence + record.body)


@asynccontextmanager
async def forwarding(
    path: Path, port: int, rate: float | None = None
) -> AsyncIterator[tuple[Writer, Uplink]]:
    """Run a writer and an uplink on `path`."""
    async with Writer.open(path) as writer:
        endpoint = Endpoint(url=f"mqtt://127.0.0.1:{port}", client_id="ours")
        uplink = Uplink(writer, connector(endpoint), render, window=WINDOW, drain_rate=rate)
        running = asyncio.create_task(uplink.run())
        try:
            yield writer, uplink
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def bare(broker: Broker, count: int) -> float:
    """Return messages a second of the same library, used as its page says, with the same window."""
    left = count
    client = aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5)

    async def publish() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await client.publish(BACKLOG, BODY.ljust(250), qos=1)

    client.pending_calls_threshold = 10 * WINDOW
    async with client:
        begun = time.perf_counter()
        await asyncio.gather(*(publish() for _ in range(WINDOW)))
        return count / (time.perf_counter() - begun)


async def bare_client(broker: Broker, count: int) -> float:
    """Return messages a second of our own client without journal, lanes and marks."""
    left = count
    async with connector(Endpoint(url=broker.url, client_id="bare"))() as link:
        flying: set[asyncio.Future[None]] = set()
        begun = time.perf_counter()
        while left or flying:
            while left and len(flying) < WINDOW:
                flying.add(link.publish(Message(topic=BACKLOG, payload=BODY.ljust(250))))
                left -= 1
            _, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
        return count / (time.perf_counter() - begun)


async def drained(path: Path, broker: Broker, count: int) -> float:
    """Return records a second until the last of `count` is acknowledged."""
    async with forwarding(path, broker.port) as (_, uplink):
        begun = time.perf_counter()
        while uplink.stats.published < count:
            await asyncio.sleep(0.005)
        return count / (time.perf_counter() - begun)


async def live(path: Path, broker: Broker, rate: float | None, limit: float) -> list[float]:
    """Return the seconds from `keep` to the receiver of live events during a drain."""
    took: list[float] = []
    kept: dict[str, float] = {}
    async with (
        broker.listen(LIVE) as heard,
        forwarding(path, broker.port, rate) as (writer, uplink),
    ):
        while uplink.stats.published < 100:
            await asyncio.sleep(0.005)
        seen, ends = 0, time.perf_counter() + limit
        while uplink.stats.backlog > WINDOW and time.perf_counter() < ends:
            draft = drafts(1, OPERATIONS, LIVE)[0]
            word = f"{len(kept)} "
            kept[word] = time.perf_counter()
            writer.keep(Draft(**{f: getattr(draft, f) for f in ("id", "kind", "priority", "topic")},
                              body=word.encode()))  # fmt: skip
            await asyncio.sleep(LIVE_EVERY)
            for message in heard.messages[seen:]:
                took.append(time.perf_counter() - kept[_word(message)])
            seen = len(heard.messages)
        await heard.count(len(kept))
        took += [time.perf_counter() - kept[_word(message)] for message in heard.messages[seen:]]
    return took


def _word(message: aiomqtt.Message) -> str:
    assert isinstance(message.payload, bytes)
    return message.payload.decode().split(" ", 1)[1]


async def first(path: Path, broker: Broker, *, hole: bool) -> float:
    """Return the seconds from the broker's return to its first PUBACK of a record."""
    async with Proxy(broker.port).serving() as proxy:
        port = proxy.port if hole else broker.port
        if hole:
            proxy.hole()
        else:
            await asyncio.to_thread(broker.kill)
        async with forwarding(path, port) as (writer, uplink):
            writer.keep(*drafts(1, SECURITY))
            await asyncio.sleep(OUTAGE + secrets.randbelow(1000) / 1000)
            begun = time.perf_counter()
            if hole:
                proxy.mend()
            else:
                await asyncio.to_thread(broker.start)
            while not uplink.stats.published:
                await asyncio.sleep(0.001)
            return time.perf_counter() - begun


def _shown(values: list[float]) -> str:
    ordered = sorted(values)
    points = (ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1])
    return "p50 {:.1f}, p99 {:.1f}, max {:.1f} ms".format(*(point * 1000 for point in points))


def main() -> None:
    """Print one line a figure."""
    if mosquitto() is None:
        sys.exit("mosquitto is needed")
    logging.getLogger("buffer").setLevel(logging.ERROR)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = {size: folder / f"{size}.db" for size in (0, 1000, count)}
        for size, path in sizes.items():
            preload(path, size)
        with Broker(folder, options=["max_queued_messages 0"]) as broker:
            rates: list[tuple[float, float, float]] = []
            for turn in range(ROUNDS):
                ours = asyncio.run(drained(copied(sizes[count], f"d{turn}.db"), broker, count))
                plain = asyncio.run(bare(broker, BARE))
                rates.append((ours, plain, asyncio.run(bare_client(broker, BARE))))
            mine, plain, own = (statistics.median(column) for column in zip(*rates, strict=True))
            print(f"drain of {count}: {mine:.0f} records/s")
            ratio = statistics.median(a / b for a, b, _ in rates)
            print(f"  bare publisher with the same library: {plain:.0f}/s, ratio {ratio:.2f}")
            ratio = statistics.median(a / b for a, _, b in rates)
            print(f"  our client without a journal: {own:.0f}/s, ratio {ratio:.2f}")
            for rate in (None, 2000.0, 200.0):
                path = copied(sizes[count], f"l{rate}.db")
                found = asyncio.run(live(path, broker, rate, PART))
                what = "no cap" if rate is None else f"{rate:.0f}/s"
                print(f"live during the drain, {what}: {_shown(found)} of {len(found)}")
            for hole in (False, True):
                for size, path in sizes.items():
                    took = [
                        asyncio.run(first(copied(path, f"f{size}{hole}{n}.db"), broker, hole=hole))
                        for n in range(OUTAGES)
                    ]
                    what = "a black hole" if hole else "a killed broker"
                    print(
                        f"first event after {what}, backlog {size}: "
                        f"median {statistics.median(took):.2f}, max {max(took):.2f} s"
                    )


if __name__ == "__main__":
    main()
