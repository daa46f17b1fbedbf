"""A simulated sender of text: an EAS gateway, a fire panel's printer, a till.

It speaks over real TCP, UDP or a pty, and can misbehave: noise, records cut anywhere, silence,
half a record and then nothing.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import tty
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

Kind = Literal["tcp", "tcp-client", "udp", "pty"]


class SimulatedSender(ABC):
    """What a test or a demo may make the sender do."""

    def __init__(self, separator: bytes, encoding: str) -> None:
        self.url = ""
        """What to write in devices.yaml to hear it; empty when it is the sender that calls."""
        self.connected = asyncio.Event()
        """Set while somebody can hear it (a pty: from the start)."""
        self.silent = False
        """While it is set, whatever it is made to say is swallowed."""
        self.refuse = False
        """While it is set, who calls it over TCP is hung up on at once."""
        self.path = Path()
        """The serial device of a pty."""
        self.received = bytearray()
        """What was sent to it. A text port never sends."""
        self._separator = separator
        self._encoding = encoding

    def say(self, record: str) -> None:
        """Send one record with its separator."""
        self.raw(record.encode(self._encoding) + self._separator)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not self.silent:
            self._send(data)

    async def say_in_pieces(self, record: str, cuts: Iterable[int], *, pause: float = 0.01) -> None:
        """Send one record cut at these places, with a pause in seconds between the pieces."""
        data, start = record.encode(self._encoding) + self._separator, 0
        for cut in sorted(cuts):
            self.raw(data[start:cut])
            start = cut
            await asyncio.sleep(pause)
        self.raw(data[start:])

    def noise(self, size: int, *, seed: int = 0) -> None:
        """Send random bytes, the same for the same seed."""
        self.raw(random.Random(seed).randbytes(size))

    async def half(self, record: str) -> None:
        """Send the first half of a record, see it gone, and hang up."""
        data = record.encode(self._encoding)
        self.raw(data[: len(data) // 2])
        await self.sent()
        self.hang_up()

    async def sent(self) -> None:
        """Wait until what was said has left, however slow the reader is."""

    @abstractmethod
    def _send(self, data: bytes) -> None: ...

    @abstractmethod
    def hang_up(self) -> None:
        """End the connection, as an unplugged cable or a restarting gateway does."""

    def unplug(self) -> None:
        """End the connection, and take no other until `come_back`."""
        self.hang_up()

    async def come_back(self) -> None:
        """Undo `hang_up` and `unplug`: plug the cable in at a new device, listen or call again.

        Raises:
            OSError: nobody listens.
        """


class _Tcp(SimulatedSender):
    """The sender is a TCP server, as EAS gateways are, or calls a port that listens."""

    def __init__(self, separator: bytes, encoding: str, to: tuple[str, int] | None = None) -> None:
        super().__init__(separator, encoding)
        self._to = to
        self._writer: asyncio.StreamWriter | None = None
        """The newest connection: the one that hears."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    async def listen(self, port: int) -> None:
        """Take calls on `port` of loopback, 0 picks a free one."""
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self._port}"

    def unplug(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()
        for writer in self._writers:
            writer.close()

    async def come_back(self) -> None:
        if self._to is None and self._server is None:
            await self.listen(self._port)
        elif self._to is not None:
            call = asyncio.create_task(self.serve(*await asyncio.open_connection(*self._to)))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            await self.connected.wait()

    async def over(self) -> None:
        """Hang up and leave nothing behind."""
        self.hang_up()
        await asyncio.gather(*self._calls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        self._writer = writer
        self._writers.add(writer)
        self.connected.set()
        try:
            with suppress(OSError):
                while data := await reader.read(4096):
                    self.received += data
        finally:
            if self._writer is writer:
                self.hang_up()
            writer.close()
            self._writers.discard(writer)

    def _send(self, data: bytes) -> None:
        assert self._writer is not None, "wait for `connected` first"
        self._writer.write(data)

    async def sent(self) -> None:
        assert self._writer is not None, "wait for `connected` first"
        low, high = self._writer.transport.get_write_buffer_limits()
        self._writer.transport.set_write_buffer_limits(0)
        await self._writer.drain()
        self._writer.transport.set_write_buffer_limits(high, low)

    def hang_up(self) -> None:
        self.connected.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _Udp(SimulatedSender):
    def __init__(self, separator: bytes, encoding: str, transport: asyncio.DatagramTransport):
        super().__init__(separator, encoding)
        self._transport = transport
        self.connected.set()

    def _send(self, data: bytes) -> None:
        self._transport.sendto(data)

    def hang_up(self) -> None:
        """Do nothing: there is no connection."""


class _Pty(SimulatedSender):
    """The sender's end of a serial cable."""

    def __init__(self, separator: bytes, encoding: str, link: Path | None) -> None:
        super().__init__(separator, encoding)
        self._link = link
        self._waiting = bytearray()
        self._empty = asyncio.Event()
        self._ends: tuple[int, int] | None = None
        self._plug_in()

    async def come_back(self) -> None:
        self.hang_up()
        self._plug_in()

    def _plug_in(self) -> None:
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self._ends = ours, theirs
        self.path = Path(os.ttyname(theirs))
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
            self.path = self._link
        self.url = f"serial:{self.path}?baud=9600"
        self._empty.set()
        self.connected.set()
        asyncio.get_running_loop().add_reader(ours, self._receive, ours)

    def _send(self, data: bytes) -> None:
        assert self._ends is not None, "the cable is not plugged in"
        self._waiting += data
        self._empty.clear()
        asyncio.get_running_loop().add_writer(self._ends[0], self._write, self._ends[0])

    def _write(self, ours: int) -> None:
        with suppress(BlockingIOError):
            del self._waiting[: os.write(ours, self._waiting[:1024])]
        if not self._waiting:
            asyncio.get_running_loop().remove_writer(ours)
            self._empty.set()

    def _receive(self, ours: int) -> None:
        with suppress(BlockingIOError):
            self.received += os.read(ours, 4096)

    async def sent(self) -> None:
        await self._empty.wait()

    def hang_up(self) -> None:
        self.connected.clear()
        self._waiting.clear()
        self._empty.set()
        if self._ends is not None:
            ends, self._ends = self._ends, None
            asyncio.get_running_loop().remove_reader(ends[0])
            asyncio.get_running_loop().remove_writer(ends[0])
            for end in ends:
                os.close(end)
        if self._link is not None:
            self._link.unlink(missing_ok=True)


@asynccontextmanager
async def simulate(
    kind: Kind = "tcp",
    *,
    port: int = 0,
    to: tuple[str, int] | None = None,
    link: Path | None = None,
    separator: bytes = b"\r\n",
    encoding: str = "latin-1",
) -> AsyncIterator[SimulatedSender]:
    """Have a sender until the block ends.

    `tcp`: it listens on `port` of loopback, 0 picks a free one. `tcp-client` and `udp`: it calls
    the address `to`. `pty`: a serial cable; `link` is made to point to its device.

    Raises:
        OSError: nobody listens at `to`, or `port` is taken.
    """
    async with AsyncExitStack() as stack:
        sim: SimulatedSender
        if kind == "pty":
            sim = _Pty(separator, encoding, link)
        elif kind == "tcp":
            sim = _Tcp(separator, encoding)
            await sim.listen(port)
            stack.callback(sim.unplug)
        elif kind == "tcp-client":
            assert to is not None, "say whom to call"
            sim = _Tcp(separator, encoding, to)
            stack.push_async_callback(sim.over)
            await sim.come_back()
        else:
            assert to is not None, "say whom to call"
            family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=to, family=family
            )
            stack.callback(transport.close)
            sim = _Udp(separator, encoding, transport)
        stack.callback(sim.hang_up)
        yield sim
