"""A Sparkplug host at a real mosquitto: births, data, rebirth, what it missed, and the goodbye."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt

from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.writer import Writer
from drivers.event import Event
from drivers.priorities import Priority
from edge.encode import Encoder
from edge.sparkplug import payload
from edge.sparkplug.node import Node
from edge.sparkplug.payload import REBIRTH, Metric, encode
from edge.sparkplug.voice import Talk, Voice
from tests.broker import Broker, Received

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OWN = "spBv1.0/retail/{}/store_0421"


def opened(writer: Writer, number: int) -> None:
    event = Event(
        id=f"{number:032x}",
        device="door_front",
        kind="door.opened",
        priority=Priority.operations,
        tick=float(number),
        at=AT,
        boot="b" * 32,
        trusted=True,
        fields={"number": number},
        sets={"contact": "open"},
    )
    writer.keep(Encoder("storewarden", "store_0421", "c").event(event))


@asynccontextmanager
async def telling(
    writer: Writer, broker: Broker, note: Path, corrected: datetime | None = None
) -> AsyncIterator[None]:
    def connect(will: Message) -> Talk:
        return connector(Endpoint(url=broker.url, client_id="sparkplug", will=will))

    def states(device: str) -> dict[str, tuple[str, float]]:
        return {"link": ("up", 0.0)} if device == "door_front" else {}

    node = Node("retail", "store_0421", "1", ("door_front",), states, lambda: AT)
    voice = Voice(node, writer, connect, note, true_time=lambda _boot, _tick: corrected, wait=0.05)
    running = asyncio.create_task(voice.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def kinds(received: Received) -> list[str]:
    return [str(message.topic).split("/")[2] for message in received.messages]


def said(received: Received) -> list[tuple[str, bool]]:
    """Return the event of each DDATA, and whether it came late."""
    found = []
    for message in received.messages:
        if "/DDATA/" in str(message.topic) and isinstance(message.payload, bytes):
            metrics = payload._payload().FromString(message.payload).metrics
            found += [(m.string_value, m.is_historical) for m in metrics if m.name == "event"]
    return found


def numbers(received: Received) -> list[tuple[int, bool]]:
    return [(int(text.split('"number": ')[1].split("}")[0]), late) for text, late in said(received)]


async def until_numbers(received: Received, wanted: list[tuple[int, bool]]) -> None:
    await received.until(lambda _: numbers(received) == wanted)


def test_a_host_is_told_at_once_again_when_it_asks_and_late_what_it_missed(tmp_path: Path) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            await writer.changed(0)
            async with broker.listen("spBv1.0/#") as received:
                async with telling(writer, broker, tmp_path / "note"):
                    await received.count(2)
                    opened(writer, 1)
                    await until_numbers(received, [(1, False)])
                    assert kinds(received) == ["NBIRTH", "DBIRTH", "DDATA"]

                    async with aiomqtt.Client("127.0.0.1", broker.port) as host:
                        ask = encode([Metric(name=REBIRTH, value=True, at=1)], at=1)
                        await host.publish(OWN.format("NCMD"), ask, qos=1)
                    await received.until(lambda _: kinds(received).count("NBIRTH") == 2)
                    await received.until(lambda _: kinds(received)[-1] == "DBIRTH")

                await received.until(lambda _: kinds(received)[-1] == "NDEATH")
                births = [m for m in received.messages if "NBIRTH" in str(m.topic)]
                assert {(m.qos, m.retain) for m in births} == {(0, False)}

            opened(writer, 2)
            opened(writer, 3)
            await writer.flush()
            async with (
                broker.listen("spBv1.0/#") as received,
                telling(writer, broker, tmp_path / "note"),
            ):
                await received.count(2)
                # What was said just before the link ended is in doubt, and said again.
                await until_numbers(received, [(1, True), (2, True), (3, True)])
                opened(writer, 4)
                await until_numbers(received, [(1, True), (2, True), (3, True), (4, False)])

    with Broker(tmp_path) as broker:
        asyncio.run(main())


def test_a_killed_broker_brings_births_with_the_next_number(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Writer.open(tmp_path / "journal.db") as writer,
            telling(writer, broker, tmp_path / "note"),
        ):
            first = await born()
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            assert await born() == first + 1

    async def born() -> int:
        """Ask for a birth, which may have been before anybody listened; return its number."""
        ask = encode([Metric(name=REBIRTH, value=True, at=1)], at=1)
        async with (
            broker.listen("spBv1.0/#") as received,
            aiomqtt.Client("127.0.0.1", broker.port) as host,
        ):
            while "NBIRTH" not in kinds(received):
                await host.publish(OWN.format("NCMD"), ask, qos=1)
                with suppress(TimeoutError):
                    await received.until(lambda _: "NBIRTH" in kinds(received), 1.0)
        raw = next(m.payload for m in received.messages if "/NBIRTH/" in str(m.topic))
        assert isinstance(raw, bytes)
        metrics = payload._payload().FromString(raw).metrics
        return int(next(m.long_value for m in metrics if m.name == "bdSeq"))

    with Broker(tmp_path) as broker:
        asyncio.run(main())


def test_a_time_that_was_wrong_is_told_as_it_was(tmp_path: Path) -> None:
    later = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)

    async def main() -> None:
        async with (
            Writer.open(tmp_path / "journal.db") as writer,
            broker.listen("spBv1.0/#") as received,
            telling(writer, broker, tmp_path / "note", later),
        ):
            await received.count(2)
            opened(writer, 1)
            await until_numbers(received, [(1, False)])
            raw = received.messages[-1].payload
            assert isinstance(raw, bytes)
            metrics = payload._payload().FromString(raw).metrics
            assert {m.timestamp for m in metrics} == {1795179600000}

    with Broker(tmp_path) as broker:
        asyncio.run(main())
