"""A writer and an uplink as the tests of forwarding have them, and what a receiver makes of it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from buffer.message import Message, Refused
from buffer.mqtt import Endpoint, connector
from buffer.record import SECURITY, Draft, Kind, Record
from buffer.uplink import Uplink
from buffer.writer import Writer

LIMIT = 30.0
"""Real seconds that anything may take on a loaded machine."""


def draft(body: str, priority: int = SECURITY, topic: str | None = "site/event") -> Draft:
    return Draft(
        id=secrets.token_hex(16),
        kind=Kind.EVENT,
        priority=priority,
        topic=topic,
        body=body.encode(),
    )


def render(record: Record, replayed: bool) -> Message:
    assert record.topic is not None
    facts = {
        "id": record.id,
        "body": record.body.decode(),
        "sequence": record.sequence,
        "priority": record.priority,
        "replayed": replayed,
    }
    return Message(topic=record.topic, payload=json.dumps(facts).encode())


async def until(enough: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait until `enough()`."""
    async with asyncio.timeout(limit):
        while not enough():
            await asyncio.sleep(0.005)


class Site:
    """A writer and an uplink on one port."""

    def __init__(
        self, writer: Writer, port: int, *, keepalive: int = 10, **options: object
    ) -> None:
        self.writer = writer
        self.reasons: list[str] = []
        """Why the link was down, in turn."""
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.down.set()
        self.refused: list[tuple[str, int]] = []
        will = Message(topic="site/status", payload=b"offline", retain=True)
        endpoint = Endpoint(
            url=f"mqtt://127.0.0.1:{port}", client_id="site", will=will, keepalive=keepalive
        )
        self.uplink = Uplink(
            writer,
            connector(endpoint),
            render,
            birth=lambda: [Message(topic="site/status", payload=b"online", retain=True)],
            farewell=lambda: [Message(topic="site/status", payload=b"stopped", retain=True)],
            on_refused=self._refused,
            on_link=self._link,
            **options,  # type: ignore[arg-type]
        )

    def keep(self, *drafts: Draft) -> None:
        for d in drafts:
            self.writer.keep(d)

    async def sent(self) -> None:
        """Wait until nothing is unsent."""
        await self.writer.flush()
        async with asyncio.timeout(LIMIT):
            while any((await self.writer.begin_lanes())[0]):
                await asyncio.sleep(0.02)

    def _refused(self, record: Record, reason: Refused) -> None:
        self.refused.append((record.body.decode(), reason.code))

    def _link(self, reason: str | None) -> None:
        self.reasons += () if reason is None else (reason,)
        (self.up if reason is None else self.down).set()
        (self.down if reason is None else self.up).clear()


@asynccontextmanager
async def site(path: Path, port: int, **options: object) -> AsyncIterator[Site]:
    async with Writer.open(path, max_wait=0.02) as writer:
        made = Site(writer, port, **options)  # type: ignore[arg-type]
        running = asyncio.create_task(made.uplink.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def facts(payloads: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(p) for p in payloads]


def bodies(payloads: list[bytes]) -> list[object]:
    return [f["body"] for f in facts(payloads)]


def numbered(start: int, stop: int, priority: int = SECURITY) -> list[Draft]:
    return [draft(str(n), priority) for n in range(start, stop)]


def texts(start: int, stop: int) -> list[str]:
    return [str(n) for n in range(start, stop)]
