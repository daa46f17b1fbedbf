"""A serial port that can only be read: its descriptor is opened without the right to write."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from drivers.ports.address import SerialAddress


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
    import serialx  # costs 0.1 s, and only sites with a serial port need it

    descriptor = os.open(address.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        _lock(descriptor)
        port = cast("Any", serialx.Serial)(  # its declared type leaves `fileno` out
            address.path,
            baudrate=address.baud,
            parity=address.parity,
            byte_size=address.bits,
            stopbits=address.stop,
            exclusive=False,  # `_lock` has done it
            fileno=descriptor,
        )
        port.reconfigure_port()
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, (termios.error, serialx.SerialException)):
            raise OSError(errno.EINVAL, f"cannot be set to {address.settings}: {error}") from error
        raise
    return descriptor


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
