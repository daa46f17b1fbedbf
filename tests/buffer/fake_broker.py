"""A broker of a few lines that answers MQTT v5 exactly as a test says, and a proxy with a tap."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CONNECT, PUBLISH, PINGREQ, DISCONNECT = 1, 3, 12, 14


def encode(kind: int, body: bytes, flags: int = 0) -> bytes:
    """Return one packet; `body` is shorter than 128 bytes."""
    return bytes([kind << 4 | flags, len(body)]) + body


def connack(properties: bytes = b"", code: int = 0) -> bytes:
    return encode(2, bytes([0, code, len(properties)]) + properties)


def puback(mid: int, code: int = 0) -> bytes:
    return encode(4, mid.to_bytes(2, "big") + bytes([code, 0]))


def disconnect(code: int, reason: str = "") -> bytes:
    """Return a DISCONNECT from the broker, with a Reason String if there is one."""
    text = reason.encode()
    properties = b"\x1f" + len(text).to_bytes(2, "big") + text if text else b""
    return encode(14, bytes([code, len(properties)]) + properties)


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return kind and body of the next packet."""
    (first,) = await reader.readexactly(1)
    length = shift = 0
    while True:
        (digit,) = await reader.readexactly(1)
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return first >> 4, await reader.readexactly(length)


@dataclass
class Published:
    """A PUBLISH as it came in."""

    mid: int
    topic: str
    payload: bytes
    raw: bytes


def parse_publish(body: bytes) -> Published:
    size = int.from_bytes(body[:2], "big")
    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    mid, skip = int.from_bytes(rest[:2], "big"), rest[2]
    return Published(mid, topic, rest[3 + skip :], body)


@dataclass
class FakeBroker:
    """Gives each PUBLISH to `answer`, which returns bytes to write or None to hang up."""

    answer: Callable[[Published], bytes | None]
    properties: bytes = b""
    code: int = 0
    port: int = 0
    connections: int = 0
    published: list[Published] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    last: asyncio.StreamWriter | None = None
    """The way back to the latest client."""
    hole: bool = False
    """Whether it reads, and answers nothing any more."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                kind, body = await read_packet(reader)
                if self.hole:
                    continue
                if kind == CONNECT:
                    self.connections += 1
                    self.last = writer
                    writer.write(connack(self.properties, self.code))
                elif kind == PUBLISH:
                    publish = parse_publish(body)
                    self.published.append(publish)
                    reply = self.answer(publish)
                    if reply is None:
                        break
                    writer.write(reply)
                elif kind == PINGREQ:
                    writer.write(encode(13, b""))
                elif kind == DISCONNECT:
                    break
                self.news.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.news.set()
            writer.close()

    async def until(self, enough: Callable[[], bool], limit: float = 20.0) -> None:
        """Wait until `enough()`."""
        async with asyncio.timeout(limit):
            while not enough():
                self.news.clear()
                await self.news.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeBroker"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            served = [t for t in others if getattr(t.get_coro(), "__name__", "") == "_serve"]
            for task in served:
                task.cancel()
            await asyncio.gather(*served, return_exceptions=True)


class Proxy:
    """Forwards TCP to a port; `hole` stops forwarding without a word, `cut` ends connections."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.forwarding = asyncio.Event()
        self.forwarding.set()
        self.accepted = 0
        self.tapped = asyncio.Event()
        self.tap: Callable[[bytes], None] = lambda data: None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def hole(self) -> None:
        """Swallow nothing and forward nothing: the link looks up and is dead."""
        self.forwarding.clear()

    def mend(self) -> None:
        self.forwarding.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
        await self.forwarding.wait()
        try:
            inner_reader, inner = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, inner}
        for source, sink, tap in ((reader, inner, True), (inner_reader, writer, False)):
            task = asyncio.create_task(self._pump(source, sink, tap))
            self._tasks.add(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, tap: bool
    ) -> None:
        try:
            while data := await source.read(65536):
                if tap:
                    self.tap(data)
                await self.forwarding.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()
            self._writers.discard(sink)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.cut()
            await asyncio.sleep(0)
