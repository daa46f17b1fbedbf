"""kill -9 at any moment: what was said to be committed is there, once, in order."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import aiomqtt
import pytest

from buffer.journal import Journal
from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.record import Record
from buffer.uplink import Uplink
from buffer.writer import Writer
from tests.broker import Broker

WRITER = """
import asyncio, secrets, sys
from pathlib import Path
from buffer.record import Draft, Kind
from buffer.writer import Writer

async def main():
    async with Writer.open(Path(sys.argv[1]), max_wait=0.005) as writer:
        def committed(records):
            for record in records:
                if record.topic:
                    sys.stdout.write(f"{record.sequence} {record.body.decode()}\\n")
                if int(record.body) % 3 == 0:
                    writer.mark_sent(record)
            sys.stdout.flush()
        await writer.changed(0)
        writer.follow(committed)
        number = 0
        while True:
            for _ in range(number % 40 + 1):
                writer.keep(Draft(id=secrets.token_hex(16), kind=Kind.EVENT,
                                  priority=number % 5, topic="t", body=b"%d" % number))
                number += 1
            await asyncio.sleep(0.0005)

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(6))
def test_nothing_committed_is_lost_to_kill_9(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "j.db"
    accepted: list[str] = []
    for _ in range(2):
        enough = random.Random(seed).randint(1, 3000)
        accepted += [line.split()[1] for line in run_until(path, enough)]
        accepted.append("killed")
    with Journal.open(path) as journal:
        kept = [record.body.decode() for record in journal.since(1)]
        assert journal.verify() is None
        records = {r.sequence: r for r in journal.since(1)}
        unsent = [
            record.sequence
            for priority, spans in journal.unsent().items()
            for span in spans
            for record in journal.published(priority, span.first, span.last, span.count)
        ]
        assert len(unsent) == len(set(unsent)) == sum(journal.stat().unsent)
    never_sent = {s for s, r in records.items() if int(r.body) % 3}
    assert never_sent <= set(unsent)
    second = kept.index("0", 1)
    for lives, said in (
        (kept[:second], accepted[: accepted.index("killed")]),
        (kept[second:], accepted[accepted.index("killed") + 1 : -1]),
    ):
        assert lives == [str(n) for n in range(len(lives))]
        assert lives[: len(said)] == said


SITE = """
import asyncio, secrets, sys
from pathlib import Path
from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.record import Draft, Kind
from buffer.uplink import Uplink
from buffer.writer import Writer

async def main():
    async with Writer.open(Path(sys.argv[1]), max_wait=0.005) as writer:
        def committed(records):
            for record in records:
                sys.stdout.write(f"x {record.id}\\n")
            sys.stdout.flush()
        await writer.changed(0)
        writer.follow(committed)
        connect = connector(Endpoint(url=sys.argv[2], client_id="site"))
        render = lambda record, replayed: Message(topic="t", payload=record.id.encode())
        running = asyncio.create_task(Uplink(writer, connect, render).run())
        while True:
            writer.keep(Draft(id=secrets.token_hex(16), kind=Kind.EVENT,
                              priority=2, topic="t", body=b"{}"))
            await asyncio.sleep(0.0003)

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(2))
def test_every_committed_event_is_at_the_broker_in_the_end_through_kills(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "j.db"

    async def main(broker: Broker) -> None:
        committed: list[str] = []
        async with broker.listen("t") as received:
            for life in range(3):
                enough = random.Random(seed * 10 + life).randint(1, 1500)
                lines = await asyncio.to_thread(run_until, path, enough, SITE, broker.url)
                committed += [line.split()[1] for line in lines]
            async with Writer.open(path) as writer:
                endpoint = Endpoint(url=broker.url, client_id="site")
                uplink = Uplink(writer, connector(endpoint), by_id)
                running = asyncio.create_task(uplink.run())
                async with asyncio.timeout(60):
                    while any((await writer.begin_lanes())[0]):
                        await asyncio.sleep(0.02)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await received.until(lambda got: set(committed) <= {ids(m) for m in got})
            arrived = list(dict.fromkeys(p.decode() for p in received.payloads()))
        assert set(committed) <= set(arrived)
        assert len(received.messages) - len(arrived) <= 3 * 250

    with Broker(tmp_path) as broker:
        asyncio.run(main(broker))


def by_id(record: Record, replayed: bool) -> Message:
    return Message(topic="t", payload=record.id.encode())


def ids(message: aiomqtt.Message) -> str:
    return bytes(message.payload).decode()


def run_until(path: Path, enough: int, program: str = WRITER, *arguments: str) -> list[str]:
    """Run the program, kill it after `enough` lines, and return the whole lines it wrote."""
    command = [sys.executable, "-c", program, str(path), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        limit = threading.Timer(60, writer.kill)
        limit.start()
        lines = [writer.stdout.readline() for _ in range(enough)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        limit.cancel()
        limit.join()
    return [line for line in lines if line.endswith("\n")]
