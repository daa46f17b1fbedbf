"""What systemd is told, over a real datagram socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from edge.notify import Notify


def received(sock: socket.socket) -> list[str]:
    sock.setblocking(False)
    found = []
    try:
        while True:
            found.append(sock.recv(4096).decode())
    except BlockingIOError:
        return found


def test_ready_stopping_and_the_watchdog_are_one_datagram_each(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        notify = Notify({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "10000000"})
        assert notify.watchdog_seconds == 10.0
        notify.ready()
        notify.alive()
        notify.stopping()
        assert received(sock) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
        notify.reloading()
        (told,) = received(sock)
        assert told.startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_an_abstract_socket_is_reached_too() -> None:
    name = f"storewarden-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        Notify({"NOTIFY_SOCKET": "@" + name}).ready()
        assert received(sock) == ["READY=1"]


def test_without_systemd_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    Notify({}).ready()
    Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_a_watchdog_for_another_process_is_not_fed() -> None:
    assert Notify({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}).watchdog_seconds == 0.0
    assert Notify({"WATCHDOG_USEC": "soon"}).watchdog_seconds == 0.0


def test_a_full_socket_makes_nobody_wait(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        notify = Notify({"NOTIFY_SOCKET": path})
        for _ in range(5000):
            notify.ready()
