"""Where log lines go: to people on a terminal, with fields to journald, else plain to stderr."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping
from typing import TextIO

JOURNALD = "/run/systemd/journal/socket"
_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_COLOUR = {logging.ERROR: "31", logging.WARNING: "33", logging.CRITICAL: "1;31"}


class Journald(logging.Handler):
    """The native protocol of systemd-journald: one datagram of fields a record."""

    def __init__(self, path: str = JOURNALD) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(_PRIORITY.get(record.levelno, 7)),
            "SYSLOG_IDENTIFIER": "storewarden",
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
        }
        if (device := getattr(record, "device", None)) is not None:
            fields["STOREWARDEN_DEVICE"] = str(device)
        try:
            self._socket.sendto(encoded(fields), self._path)
        except OSError:
            sys.stderr.write(fields["MESSAGE"] + "\n")

    def close(self) -> None:
        self._socket.close()
        super().close()


def encoded(fields: Mapping[str, str]) -> bytes:
    """Return `fields` as journald reads them; a value with a line break gets its length first.

    Source: systemd.io/JOURNAL_NATIVE_PROTOCOL.
    """
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            length = len(data).to_bytes(8, "little")
            parts.append(name.encode() + b"\n" + length + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


class _People(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"{self.formatTime(record, '%H:%M:%S')} {super().format(record)}"
        colour = _COLOUR.get(record.levelno)
        return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def to_journald(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether `stream` ends at journald: $JOURNAL_STREAM names its device and inode.

    Source: systemd.exec(5).
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def begin(
    *, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ, verbose: bool
) -> None:
    """Send log records where this process's stderr goes."""
    stream = stream or sys.stderr
    handler: logging.Handler
    if to_journald(stream, environment):
        handler = Journald()
    else:
        handler = logging.StreamHandler(stream)
        plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
        handler.setFormatter(_People("%(message)s") if stream.isatty() else plain)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True
    )
    for noisy in ("pymodbus", "asyncio", "aiomqtt", "mqtt", "zeep", "httpx", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
