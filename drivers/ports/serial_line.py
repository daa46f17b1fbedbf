"""A serial port that can only be read: its descriptor is opened without the right to write."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from drivers.ports.address import SerialAddress

SIZES = {5: termios.CS5, 6: termios.CS6, 7: termios.CS7, 8: termios.CS8}
CMSPAR = 0o10000000000
"""Mark or space parity, from Linux' termbits.h; Python's termios leaves it out."""
PARITIES = {
    "N": 0,
    "E": termios.PARENB,
    "O": termios.PARENB | termios.PARODD,
    "M": termios.PARENB | termios.PARODD | CMSPAR,
    "S": termios.PARENB | CMSPAR,
}


class SerialLine:
    """An open serial port."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self, most: int) -> bytes:
        """Return the next bytes, at most so many, waiting for them.

        Raises:
            OSError: the port was unplugged.
        """
        loop = asyncio.get_running_loop()
        while True:
            ready = loop.create_future()
            loop.add_reader(self._descriptor, _wake, ready)
            try:
                await ready
            finally:
                loop.remove_reader(self._descriptor)
            with suppress(BlockingIOError):
                if data := os.read(self._descriptor, most):
                    return data
                raise OSError(errno.EIO, "unplugged, or taken by another program")


@asynccontextmanager
async def open_line(address: SerialAddress) -> AsyncIterator[SerialLine]:
    """Open and configure the port until the block ends. Nobody else may hold it.

    Raises:
        OSError: there is no such port, it may not be read, or another program has it.
    """
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, _open, address)
    try:
        descriptor = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    try:
        yield SerialLine(descriptor)
    finally:
        os.close(descriptor)


def _open(address: SerialAddress) -> int:
    descriptor = os.open(address.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        _lock(descriptor)
        _configure(descriptor, address)
    except termios.error as error:
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"cannot be set to {address.settings}: {error}") from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _configure(descriptor: int, address: SerialAddress) -> None:
    """Set speed and frame, raw and without flow control (termios(3)).

    Raises:
        OSError: this system has no such speed.
        termios.error: the port can't be set so.
    """
    speed = getattr(termios, f"B{address.baud}", None)
    if speed is None:
        raise OSError(errno.EINVAL, f"cannot be set to {address.settings}: no such speed")
    control = [*termios.tcgetattr(descriptor)[6]]
    control[termios.VMIN], control[termios.VTIME] = 1, 0
    frame = SIZES[address.bits] | PARITIES[address.parity] | termios.CLOCAL | termios.CREAD
    if address.stop == 2:
        frame |= termios.CSTOPB
    termios.tcsetattr(descriptor, termios.TCSANOW, [0, 0, frame, 0, speed, speed, control])


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EBUSY, "another program has it") from error


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _close_late(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())
