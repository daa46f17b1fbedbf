"""Tell systemd how we are: one datagram to $NOTIFY_SOCKET, never blocking."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notify:
    """sd_notify(3) in a few lines; without $NOTIFY_SOCKET every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "0")
        usable = own and microseconds.isdigit()
        self.watchdog_seconds = int(microseconds) / 1e6 if usable else 0.0
        """How often systemd wants to hear from us; 0 when it does not."""

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        monotonic = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog. Called by the pipeline after a turn, by nobody else."""
        if self.watchdog_seconds:
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            try:
                sock.sendto(state.encode(), self._address)
            except OSError:
                return  # systemd is busy or gone; the next word will do
