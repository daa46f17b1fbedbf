"""Reach the broker over TCP and TLS, within half a second of its return from a black hole."""

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
from collections.abc import Callable

from buffer.message import Unreachable
from buffer.reasons import NOT_AUTHORIZED

SPACING = 0.5
"""Seconds between attempts: a SYN that a hole has swallowed is not waited for."""
SHORT = 1.0
"""Seconds that an attempt may take: until TCP would send its SYN again."""
LONG = 5.0
"""Seconds that the first of a round may take, for a slow line, and so the whole round."""
LOOKUP_WAIT = 1.0
"""Seconds that a name server may take when an address of the broker is known from before."""
LOOKUP_LIMIT = 10.0
"""Seconds that it may take when none is."""

Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
"""Family, and where."""


class Dialer:
    """Reaches one host, and remembers its addresses for when the name server is gone too."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._known: list[Address] = []
        self._lookup: asyncio.Task[list[Address]] | None = None

    async def dial(self) -> socket.socket:
        """Return a connected socket that does not block.

        Attempts overlap: the first to come through is taken.

        Raises:
            OSError: all addresses refuse, or none answers within a round (TimeoutError).
        """
        addresses = await self._addresses()
        loop = asyncio.get_running_loop()
        ends, lasts, refused = loop.time() + LONG, LONG, 0
        attempts: set[asyncio.Task[socket.socket]] = set()
        done: set[asyncio.Task[socket.socket]] = set()
        won: asyncio.Task[socket.socket] | None = None
        try:
            for address in itertools.cycle(addresses):
                attempts.add(loop.create_task(_attempt(address, lasts)))
                lasts = SHORT
                done, attempts = await asyncio.wait(
                    attempts, timeout=SPACING, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        won = task
                        return task.result()
                    refused += not isinstance(error, TimeoutError)
                    if refused >= len(addresses):
                        raise error
                if loop.time() >= ends:
                    break
            raise TimeoutError(f"no answer within {LONG:.0f} s")
        finally:
            # Not awaited here: who is cancelled meanwhile would lose the one that was found.
            for task in attempts | done:
                task.cancel()
                if task is not won:
                    task.add_done_callback(_let_go)

    async def _addresses(self) -> list[Address]:
        for family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                socket.inet_pton(family, self._host)
                return [(family, (self._host, self._port))]
        # One that hangs is asked for its answer again: threads to wait in are few.
        if self._lookup is None:
            self._lookup = asyncio.create_task(_look_up(self._host, self._port))
        wait = LOOKUP_WAIT if self._known else LOOKUP_LIMIT
        done, _ = await asyncio.wait({self._lookup}, timeout=wait)
        if done:
            lookup, self._lookup = self._lookup, None
            if (error := lookup.exception()) is None:
                self._known = lookup.result()
            elif not self._known:
                raise error
        elif not self._known:
            raise TimeoutError("the name server does not answer")
        return self._known


def _let_go(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _look_up(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]


async def _attempt(address: Address, lasts: float) -> socket.socket:
    link = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        link.settimeout(0)
        # Small messages would wait 40 ms for each other.
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(lasts):
            await asyncio.get_running_loop().sock_connect(link, address[1])
    except TimeoutError:
        link.close()
        raise
    except OSError as error:
        link.close()
        raise OSError(error.errno, os.strerror(error.errno or 0)) from error
    except BaseException:
        link.close()
        raise
    return link


async def secured(link: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Return `link` with TLS on it; closes it when that fails. Its arithmetic is off the loop.

    Raises:
        OSError: the handshake failed, or the other side is not who it should be.
    """
    try:
        tls = context.wrap_socket(link, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        link.close()
        raise
    loop = asyncio.get_running_loop()
    try:
        tls.settimeout(0)
        while True:
            try:
                await _whole(loop.run_in_executor(None, tls.do_handshake))
            except ssl.SSLWantReadError:
                await _ready(tls, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(tls, loop.add_writer, loop.remove_writer)
            else:
                return tls
    except BaseException:
        tls.close()
        raise


async def _whole(step: asyncio.Future[None]) -> None:
    """Wait for `step`, also when cancelled: the socket must not be closed under its hands."""
    try:
        await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.wait({step})
        step.exception()
        raise


async def _ready(
    link: socket.socket,
    add: Callable[..., object],
    remove: Callable[[int], object],
) -> None:
    ready = asyncio.get_running_loop().create_future()
    descriptor = link.fileno()
    add(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(descriptor)


def unsecured(where: str, error: ssl.SSLError) -> Unreachable:
    """Say which side does not accept the other's certificate, if that is it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"{where}: certificate verify failed: {error.verify_message}"
        return Unreachable(text, code=NOT_AUTHORIZED)
    if "ALERT" in (error.reason or ""):
        words = str(error.reason).replace("_", " ").lower()
        return Unreachable(
            f"{where}: the broker refuses our certificate: {words}", code=NOT_AUTHORIZED
        )
    return Unreachable(f"{where}: {error}", hung_up=True)
