"""What is fuzzed over real sockets: a daemon's control socket and pages, a broker, a module."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.fuzz_targets import Target
from buffer.client import AckClient
from buffer.endpoint import Credentials, Endpoint
from buffer.message import Unreachable
from drivers.contract import LinkLost, WireError
from drivers.lines.modbus_address import parse
from drivers.lines.modbus_link import Link
from drivers.lines.modbus_plan import Span
from edge.demo.store import configured, simulated
from tests.daemon import Daemon, running

ANSWER_WITHIN = 10.0
"""Seconds that a connection may take on a busy machine."""
MODULES = 16
CONNACK = b"\x20\x03\x00\x00\x00"
_BROKERS = (
    CONNACK,
    b"\x20\x08\x00\x00\x05\x21\x00\x14\x27\x00",
    b"\x20\x03\x00\x87\x00",
    CONNACK + b"\x40\x03\x00\x01\x10",
    CONNACK + b"\x30\x0b\x00\x03a/b\x00hello",
    CONNACK + b"\xe0\x02\x8e\x00",
    CONNACK + b"\xd0\x00\x90\x04\x00\x01\x00\x01",
)
_REQUESTS = (
    b'{"do": "status"}\n',
    b'{"do": "order", "device": "siren_front", "command": "silence", "reason": "r"}\n',
    b'{"do": "mode", "action": "show"}\n{"do": "explain", "rule": "gate_alarm"}\n',
    b'{"do": "acknowledge", "name": "x", "reason": "r"}\n{"do": "tail"}\n{"do": "rules"}\n',
    b'{"do": "apply"}\n{"do": "watch", "action": "revert", "reason": "r"}\n',
)
_PAGES = (
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /api/status?a=%ff HTTP/1.0\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


@contextmanager
def wires(folder: Path) -> Iterator[list[Target]]:
    """Lend the targets; the demo store's daemon runs until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    over = asyncio.Event()
    begun: asyncio.Future[tuple[Daemon, str]] = loop.create_future()

    async def run() -> None:
        async with (
            simulated(folder) as store,
            running(folder, configured(folder, store, None)) as daemon,
        ):
            begun.set_result((daemon, store.http))
            await over.wait()

    async def wait() -> tuple[Daemon, str]:
        return await begun

    ran = asyncio.run_coroutine_threadsafe(run(), loop)
    try:
        daemon, http = asyncio.run_coroutine_threadsafe(wait(), loop).result(60)
        host, _, port = http.partition(":")
        yield [
            Target(
                name="control socket of a daemon",
                eat=_spoken(lambda: _unix(daemon.socket), daemon),
                seeds=_REQUESTS,
                slowest=10.0,
            ),
            Target(
                name="pages of a daemon (HTTP)",
                eat=_spoken(lambda: socket.create_connection((host, int(port))), daemon),
                seeds=_PAGES,
                slowest=10.0,
            ),
            Target(name="MQTT, a broker's bytes", eat=_broker, seeds=_BROKERS, slowest=10.0),
            Target(
                name="Modbus, a module's answers",
                eat=_module,
                seeds=(b"\x01\x01\x05", b"\x81\x02", b"\x03\x04\x00\x01\x00\x02"),
                largest=300,
                slowest=10.0,
            ),
        ]
    finally:
        loop.call_soon_threadsafe(over.set)
        ran.result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _unix(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(str(path))
    return made


def _spoken(connect: Callable[[], socket.socket], daemon: Daemon) -> Callable[[bytes], None]:
    """Return what says bytes to the daemon, and looks that it lives and has met no bug."""
    seen = 0

    def eat(data: bytes) -> None:
        nonlocal seen
        with connect() as link:
            link.settimeout(0.05)
            with suppress(OSError):
                link.sendall(data)
                link.shutdown(socket.SHUT_WR)
                while link.recv(65536):
                    pass
        if daemon.process is None or daemon.process.returncode is not None:
            raise AssertionError(f"the daemon has ended: {daemon.log[-2000:]}")
        log = daemon.folder / "log"
        with log.open("rb") as lines:
            lines.seek(seen)
            new = lines.read()
        seen += len(new)
        if b"Traceback" in new or b"a bug while" in new:
            raise AssertionError(f"the daemon met a bug: {new.decode()[-3000:]}")

    return eat


def _broker(data: bytes) -> None:
    """Be a broker that says these bytes, to the uplink's own client."""
    wrong: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: wrong.append(
                f"{context['message']}: {context.get('exception')!r}"
            )
        )
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        client = AckClient(
            Endpoint(url="mqtt://h", client_id="c"), Credentials(None, None, b""), ours
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                with suppress(Unreachable):
                    await client.open(5.0)
                    await client.ended
        finally:
            await client.close()
            theirs.close()

    asyncio.run(main())
    if wrong:
        raise AssertionError("; ".join(wrong))


def _module(data: bytes) -> None:
    """Be many Modbus modules: each answers with another part of these bytes, and hangs up."""
    parts = iter([data[at:] for at in range(0, max(len(data), 1), max(len(data) // MODULES, 1))])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readexactly(12)
            part = next(parts, data)
            size = (len(part) + 1) & 0xFFFF
            writer.write(head[:4] + size.to_bytes(2, "big") + head[6:7] + part)
            writer.write(part[2:])
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            await asyncio.gather(*(_ask(port) for _ in range(MODULES)))

    asyncio.run(main())


async def _ask(port: int) -> None:
    link = Link(parse(f"tcp://127.0.0.1:{port}"), 1)
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            await link.open()
            with suppress(LinkLost, WireError):
                await link.read(Span(table="coil", first=0, count=8))
    finally:
        link.close()
