"""An MQTT v5 broker that misbehaves as it is told, and a proxy that does so before a real one.

Both tell the ledger of each PUBLISH as it comes in and of each PUBACK as it goes out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bench.ledger import Ledger
from tests.buffer.fake_broker import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBLISH,
    Published,
    connack,
    encode,
    puback,
)

PINGRESP, PUBACK = 13, 4
POISON = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: never to be sent again."""
REFUSALS = (0x80, 0x83, 0x87, 0x97, *sorted(POISON))
UNWILLING = (0x80, 0x86, 0x87, 0x88, 0x89, 0x97, 0x9F)
FAREWELLS = (0x80, 0x8B, 0x8D, 0x8E, 0x93, 0x97, 0x98)
STRANGE_MID = 60_000
"""No client of ours has so many messages in flight."""
LARGEST = 420
"""Bytes that a packet may have for the mood `small`."""

WELL = "well"
MOODS: dict[str, str] = {
    WELL: "acknowledges at once",
    "slow": "acknowledges 0.05 to 4 s later",
    "shuffled": "acknowledges in another order",
    "narrow": "Receive Maximum 1",
    "small": "Maximum Packet Size",
    "twice": "each PUBACK twice, later once more",
    "strange": "PUBACK of messages that never were, and none for some that are",
    "refusing": "a fifth is refused, by any reason code",
    "crumbs": "answers a byte at a time",
    "hole": "reads all and answers nothing, no ping either",
    "deaf": "reads nothing and answers nothing",
    "cutting": "hangs up in the middle of an answer",
    "farewell": "DISCONNECT with a reason, in the middle",
    "babble": "bytes that are no MQTT",
    "dumb": "accepts TCP and never answers CONNECT",
    "unwilling": "CONNACK with a failure",
    "away": "killed: connections reset, nobody listens",
}
"""What the scripted broker can be like."""
BEGINNING = frozenset({"narrow", "small", "dumb", "unwilling"})
"""Moods that show when a connection begins."""
SILENT = frozenset({"hole", "dumb"})
"""Moods after which what was not answered never will be."""


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Return kind, body and all bytes of the next packet."""
    raw = bytearray(await reader.readexactly(1))
    length = shift = 0
    while True:
        raw += await reader.readexactly(1)
        length |= (raw[-1] & 0x7F) << shift
        shift += 7
        if raw[-1] < 0x80:
            body = await reader.readexactly(length)
            return raw[0] >> 4, body, bytes(raw) + body


def published(body: bytes) -> Published:
    """Read a PUBLISH at QoS 1; its properties, which may be longer than 127 bytes, are skipped."""
    size = int.from_bytes(body[:2], "big")
    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    mid, at, skip, shift = int.from_bytes(rest[:2], "big"), 2, 0, 0
    while True:
        skip |= (rest[at] & 0x7F) << shift
        shift += 7
        at += 1
        if rest[at - 1] < 0x80:
            return Published(mid, topic, rest[at + skip :], body)


@dataclass(slots=True, eq=False)
class Link:
    """One connection of the client."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answered: int = 0
    unanswered: list[tuple[int, str | None]] = field(default_factory=list)


@dataclass(eq=False)
class ScriptedBroker:
    """`await be(mood)`; a mood that a connection began with in its CONNACK stays with it."""

    ledger: Ledger
    dice: random.Random
    port: int = 0
    mood: str = WELL
    _server: asyncio.Server | None = None
    _links: set[Link] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def be(self, mood: str) -> None:
        """Change the mood; some need new connections, so those there are get reset."""
        before, self.mood = self.mood, mood
        if mood == "away":
            await self._close()
        elif before == "away":
            await self._listen()
        elif {mood, before} & BEGINNING or before in SILENT:
            self._reset()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedBroker]:
        await self._listen()
        try:
            yield self
        finally:
            await self._close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()
        await asyncio.sleep(0)

    def _reset(self) -> None:
        for link in tuple(self._links):
            link.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self.ledger.connected(), reader, writer)
        self._links.add(link)
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            while await self._turn(link):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._links.discard(link)
            writer.close()

    async def _turn(self, link: Link) -> bool:
        """Serve one packet; returns whether the link goes on."""
        kind, body, _ = await packet(link.reader)
        while self.mood == "deaf":
            await asyncio.sleep(0.5)
        if kind == PUBLISH:
            return self._take(link, published(body))
        if kind == CONNECT and self.mood != "dumb":
            return self._greet(link)
        if kind == PINGREQ and self.mood not in ("hole", "dumb"):
            link.writer.write(encode(PINGRESP, b""))
        return kind != DISCONNECT

    def _greet(self, link: Link) -> bool:
        properties = {
            "narrow": b"\x21\x00\x01",
            "small": b"\x27" + LARGEST.to_bytes(4, "big"),
        }.get(self.mood, b"")
        unwilling = self.mood == "unwilling"
        link.writer.write(connack(properties, self.dice.choice(UNWILLING) if unwilling else 0))
        return not unwilling

    def _take(self, link: Link, publish: Published) -> bool:
        own = self.ledger.published(link.number, publish.topic, publish.payload)
        link.answered += 1
        mid = publish.mid
        loop = asyncio.get_running_loop()
        match self.mood:
            case "hole" | "dumb":
                pass
            case "slow":
                loop.call_later(self.dice.uniform(0.05, 4), self._answer, link, mid, own)
            case "shuffled":
                link.unanswered.append((mid, own))
                if len(link.unanswered) >= 7 or self.dice.random() < 0.1:
                    self._answer_all(link)
                else:
                    loop.call_later(0.5, self._answer_all, link)
            case "twice":
                self._answer(link, mid, own)
                link.writer.write(puback(mid))
            case "strange":
                link.writer.write(puback(STRANGE_MID + self.dice.randrange(5000)))
                if self.dice.random() < 0.98:
                    self._answer(link, mid, own)
            case "refusing" if own is not None and self.dice.random() < 0.2:
                self._answer(link, mid, own, self.dice.choice(REFUSALS))
            case "crumbs":
                self._tell(link, own, 0)
                for byte in puback(mid):
                    link.writer.write(bytes([byte]))
            case "cutting" if self.dice.random() < 0.05:
                link.writer.write(puback(mid)[: self.dice.randrange(1, 4)])
                return False
            case "farewell" if self.dice.random() < 0.05:
                code = self.dice.choice(FAREWELLS)
                link.writer.write(encode(DISCONNECT, bytes([code, 0])))
                return False
            case "babble" if self.dice.random() < 0.05:
                link.writer.write(self.dice.randbytes(30))
            case _:
                self._answer(link, mid, own)
        return True

    def _answer_all(self, link: Link) -> None:
        waiting, link.unanswered = link.unanswered, []
        self.dice.shuffle(waiting)
        for mid, own in waiting:
            self._answer(link, mid, own)

    def _answer(self, link: Link, mid: int, own: str | None, code: int = 0) -> None:
        if link.writer.is_closing() or self.mood in ("hole", "deaf"):
            return
        self._tell(link, own, code)
        link.writer.write(puback(mid, code))

    def _tell(self, link: Link, own: str | None, code: int) -> None:
        if own is not None:
            self.ledger.answered(link.number, own, code=code, final=code in POISON)


class RealBrokerProxy:
    """Stands before a real broker; `hole`, `mend`, `cut` and `delay` are what the line does."""

    def __init__(self, target: Callable[[], int], ledger: Ledger) -> None:
        self._target = target
        self._ledger = ledger
        self.port = 0
        self.delay = 0.0
        """Seconds that each packet takes longer, either way."""
        self.open = asyncio.Event()
        self.open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def hole(self) -> None:
        """Forward nothing either way, without a word."""
        self.open.clear()

    def mend(self) -> None:
        """Forward again, what waits as well."""
        self.open.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[RealBrokerProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note(asyncio.current_task())
        self._writers.add(writer)
        await self.open.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target())
        except OSError:
            writer.close()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        number = self._ledger.connected()
        flying: dict[int, str] = {}
        for source, sink, towards in ((reader, back, True), (there, writer, False)):
            self._note(asyncio.create_task(self._pump(source, sink, number, flying, towards)))

    def _note(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        number: int,
        flying: dict[int, str],
        towards: bool,
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body, raw = await packet(source)
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.open.wait()
                if towards and kind == PUBLISH:
                    publish = published(body)
                    own = self._ledger.published(number, publish.topic, publish.payload)
                    if own is not None:
                        flying[publish.mid] = own
                elif not towards and kind == PUBACK:
                    mid = int.from_bytes(body[:2], "big")
                    code = body[2] if len(body) > 2 else 0
                    if (known := flying.pop(mid, None)) is not None:
                        self._ledger.answered(number, known, code=code, final=code in POISON)
                sink.write(raw)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)
