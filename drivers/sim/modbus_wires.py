"""The simulated module's end of a wire: a TCP connection or a serial cable."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path


class Cable(ABC):
    """One wire to one reader of the module."""

    @abstractmethod
    async def read(self) -> bytes:
        """Return what came, waiting for it; nothing once the wire is closed."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send `data` at once."""

    @abstractmethod
    def hang_up(self) -> None:
        """End the connection; a serial cable has none and stays."""


class Tcp(Cable):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self) -> bytes:
        try:
            return await self._reader.read(4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def hang_up(self) -> None:
        self._writer.transport.abort()


class Pty(Cable):
    def __init__(self, link: Path | None) -> None:
        self._link = link
        self._came = asyncio.StreamReader()
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path = Path(os.ttyname(self._theirs))
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.path)
            self.path = link
        asyncio.get_running_loop().add_reader(self._ours, self._receive)

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            self._came.feed_data(os.read(self._ours, 4096))

    async def read(self) -> bytes:
        return await self._came.read(4096)

    def write(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self._ours, data)

    def hang_up(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Unplug the cable for good."""
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        os.close(self._theirs)
        self._came.feed_eof()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
