"""Text ports: a serial line, a host that is called, or senders that call us. Listens only.

There is no way to send through a port: fire panels are read, never told (a serial port is even
opened without the right to write).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from drivers.contract import Driver, Emit, LinkLost, SettingError
from drivers.ports import serial_line
from drivers.ports.address import NetAddress, SerialAddress, parse
from drivers.ports.escpos import EscPos
from drivers.ports.framing import Encoding, Framer, Framing, separator_bytes
from drivers.ports.pace import Pace
from drivers.ports.peers import Peers
from drivers.ports.port import Heard, PortEvent, TextPort
from drivers.ports.reason import in_words
from drivers.settings import Seconds
from drivers.signals import LinkDown, LinkUp

CHUNK = 4096
"""Bytes read at a time: what one sender may make the others wait for."""
MOST_SENDERS = 8
"""Connections at once on a port that listens; the oldest makes room for a new one."""
MOST_DATAGRAMS = 256
"""Datagrams kept until they are read; what comes on top is dropped, as networks do."""
CONNECT_WITHIN = 5.0
"""Seconds."""

log = logging.getLogger(__name__)

Read = Callable[[int], Awaitable[bytes]]


@dataclass(slots=True, kw_only=True, eq=False)
class Text(Driver):
    """A stream of text records for the devices behind it. It never sends."""

    url: str
    """`serial:/dev/…?baud=9600&parity=N&bits=8&stop=1`, `tcp://host:port` (we call),
    `tcp-listen://address:port` or `udp-listen://address:port` (we are called)."""
    separator: str | None = None
    r"""What ends a record: `"|"`, `";"`, `"\r\n"`, `"\x03"`. Default: what the profile of the
    device on it says, else CR, LF or both; none with an `idle_gap`. A datagram ends its record in
    any case."""
    idle_gap: Seconds | None = None
    """A pause this long ends a record."""
    encoding: Encoding = "latin-1"
    strip: Literal["escpos"] | None = None
    """`escpos`: the bytes are meant for a receipt printer, and its commands are taken out before
    records are cut."""
    max_record: int = 4096
    """Bytes, 16 to 65536. What is longer is reported and skipped up to the next separator."""
    silence: Seconds | None = None
    """Without a byte for so long the link is lost; it is then up from the first byte on, not from
    the connection on. None: silence is normal. For a port that listens it is the only way to
    notice that a sender is gone."""
    peers: tuple[str, ...] = ()
    """Addresses or networks that may call a port that listens; empty lets all in."""

    port: TextPort = field(init=False, repr=False)
    bound: int | None = field(init=False, default=None)
    """Where a port that listens listens now: the port's number."""
    _address: SerialAddress | NetAddress = field(init=False, repr=False)
    _framing: Framing = field(init=False, repr=False)
    _peers: Peers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.port = TextPort(self.url)
        self._address = parse(self.url)
        self._peers = Peers(self.peers, port=self.url)
        if self.peers and not self._listens():
            raise SettingError("peers", "only a port that listens can choose who calls")
        if not 16 <= self.max_record <= 65536:
            raise SettingError("max_record", f"{self.max_record} is not from 16 to 65536 bytes")
        for name, value in (("idle_gap", self.idle_gap), ("silence", self.silence)):
            if value is not None and value <= 0:
                raise SettingError(name, "a time above zero is wanted")
        self._framing = Framing(
            separator=self._separator(),
            by_gap=self.idle_gap is not None,
            encoding=self.encoding,
            max_record=self.max_record,
        )

    def _separator(self) -> bytes | None:
        try:
            return separator_bytes(self.separator, self.encoding) if self.separator else None
        except ValueError as error:
            raise SettingError("separator", str(error)) from error

    def _frames(self) -> Framing:
        """Return how records are told apart, the profile of a device on the port counted in."""
        framing, wanted = self._framing, self.port.separator
        if framing.separator is not None or framing.by_gap or not wanted:
            return framing
        return replace(framing, separator=separator_bytes(wanted, self.encoding))

    def _stripper(self) -> Callable[[bytes], bytes]:
        """Return what takes out what is no text, for one connection or datagram."""
        return EscPos().feed if self.strip == "escpos" else bytes

    def _listens(self) -> bool:
        return isinstance(self._address, NetAddress) and self._address.kind != "tcp"

    async def run(self, emit: Emit) -> None:
        link = _Link(self.port, emit, self.silence)
        reason = "stopped"
        try:
            try:
                watch = link.listen if self._listens() else link.watch
                await watch(self._hear(link))
            except OSError as error:
                ours = isinstance(self._address, SerialAddress) and error.strerror
                raise LinkLost(f"{self._address}: {ours or in_words(error)}") from error
        except LinkLost as error:
            reason = str(error)
            raise
        finally:
            self.bound = None
            link.down(reason)

    async def _hear(self, link: _Link) -> None:
        address = self._address
        if isinstance(address, SerialAddress):
            async with serial_line.open_line(address) as line:
                await link.opened()
                await self._read(line.read, link)
        elif address.kind == "tcp":
            await self._call(address, link)
        elif address.kind == "tcp-listen":
            await self._answer(address, link)
        else:
            await self._receive(address, link)

    async def _call(self, address: NetAddress, link: _Link) -> None:
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, limit=CHUNK
                )
        except TimeoutError as error:
            waited = f"no answer within {CONNECT_WITHIN:g} s"
            raise LinkLost(f"cannot connect to {address}: {waited}") from error
        except OSError as error:
            raise LinkLost(f"cannot connect to {address}: {in_words(error)}") from error
        try:
            _keep_alive(writer)
            await link.opened()
            await self._read(reader.read, link)
            raise LinkLost(f"{address} closed the connection")
        finally:
            writer.transport.abort()

    async def _answer(self, address: NetAddress, link: _Link) -> None:
        senders: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("peername")
            try:
                if peer is not None and self._peers.admits(peer[0]):
                    _keep_alive(writer)
                    await self._read(reader.read, link, peer=peer[0])
            except OSError:
                pass  # this sender is gone; the port goes on listening
            finally:
                writer.transport.abort()

        def over(sender: asyncio.Task[None]) -> None:
            senders.pop(sender, None)
            error = None if sender.cancelled() else sender.exception()
            if error is not None and not broken.done():
                broken.set_exception(error)

        def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if broken.done():
                writer.transport.abort()
                return
            if len(senders) >= MOST_SENDERS:
                oldest = next(iter(senders))
                senders.pop(oldest).transport.abort()
                oldest.cancel()
            sender = asyncio.create_task(hear(reader, writer))
            senders[sender] = writer
            sender.add_done_callback(over)

        server = await asyncio.start_server(called, address.host, address.port, limit=CHUNK)
        try:
            self.bound = server.sockets[0].getsockname()[1]
            await link.opened()
            await broken
        finally:
            server.close()
            broken.cancel()
            for sender, writer in senders.items():
                writer.transport.abort()
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    async def _receive(self, address: NetAddress, link: _Link) -> None:
        waiting = _Datagrams(self._peers)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: waiting, local_addr=(address.host, address.port)
        )
        with closing(transport):
            self.bound = transport.get_extra_info("sockname")[1]
            await link.opened()
            pace = Pace()
            while True:
                data, peer = await waiting.get()
                framer = Framer(self._frames(), peer=peer)
                await link.heard([*framer.feed(self._stripper()(data)), *framer.gap()])
                await pace.took(len(data))

    async def _read(self, read: Read, link: _Link, *, peer: str = "") -> None:
        """Tell the port what `read` returns until it returns nothing."""
        framer, strip, pace = Framer(self._frames(), peer=peer), self._stripper(), Pace()
        try:
            while True:
                try:
                    async with asyncio.timeout(self.idle_gap if framer.pending else None):
                        data = await read(CHUNK)
                except TimeoutError:
                    link.tell(framer.gap())
                    continue
                if not data:
                    return
                await link.heard(framer.feed(strip(data)))
                await pace.took(len(data))
        finally:
            link.tell(framer.end())


class _Link:
    """Whether a port hears, told to the port and to the host."""

    def __init__(self, port: TextPort, emit: Emit, silence: float | None) -> None:
        self._port = port
        self._emit = emit
        self._silence = silence
        self._watchdog: asyncio.Timeout | None = None
        self._bytes = asyncio.Event()
        self._is_up = False

    async def watch(self, hearing: Awaitable[None]) -> None:
        """Wait for `hearing`.

        Raises:
            LinkLost: not a byte came for too long.
        """
        try:
            async with asyncio.timeout(self._silence) as self._watchdog:
                await hearing
        except TimeoutError as error:
            if self._watchdog is None or not self._watchdog.expired():
                raise
            raise LinkLost(f"silent for {self._silence:g} s") from error

    async def listen(self, hearing: Awaitable[None]) -> None:
        """Wait for `hearing`, and say a silence without ending it.

        Who calls after a silence must find somebody listening.
        """
        watching = asyncio.create_task(self._say_silences())
        try:
            await hearing
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _say_silences(self) -> None:
        while self._silence is not None:
            self._bytes.clear()
            try:
                async with asyncio.timeout(self._silence):
                    await self._bytes.wait()
            except TimeoutError:
                reason = f"silent for {self._silence:g} s"
                log.warning("%s: %s", self._port.name, reason)
                self.down(reason)
                self._is_up = False
                await self._emit(LinkDown(reason=reason))
                await self._bytes.wait()

    async def opened(self) -> None:
        """Say that the link is up, unless a byte must prove it."""
        if self._silence is None:
            await self._up()

    async def heard(self, all_heard: Iterable[Heard]) -> None:
        """Take what came, be it whole records or not: the sender is there."""
        if self._silence is not None:
            self._bytes.set()
            if self._watchdog is not None:
                self._watchdog.reschedule(asyncio.get_running_loop().time() + self._silence)
            await self._up()
        self.tell(all_heard)

    async def _up(self) -> None:
        if not self._is_up:
            self._is_up = True
            self._port.tell(PortEvent(link="up"))
            await self._emit(LinkUp())

    def tell(self, all_heard: Iterable[Heard]) -> None:
        for heard in all_heard:
            self._port.tell(heard)

    def down(self, reason: str) -> None:
        self._port.reason = reason
        if self._is_up:
            self._port.tell(PortEvent(link="down", reason=reason))


class _Datagrams(asyncio.DatagramProtocol):
    """Datagrams and their senders' addresses, until they are read."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._waiting: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(MOST_DATAGRAMS)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self._peers.admits(addr[0]) and not self._waiting.full():
            self._waiting.put_nowait((data, addr[0]))

    async def get(self) -> tuple[bytes, str]:
        return await self._waiting.get()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the kernel notice within half a minute that the other end has lost its power."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


DRIVER = Text
