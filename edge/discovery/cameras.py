"""ONVIF cameras by WS-Discovery: a probe on every interface, and who answers within a time."""

from __future__ import annotations

import asyncio
import socket
import struct
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from drivers.contract import WireError
from drivers.ports.reason import in_words
from drivers.wire import ws_discovery as wire
from edge.discovery.found import Camera

REPEAT = 0.2
"""Seconds until each probe is sent once more: a datagram may get lost."""
MOST_CAMERAS = 500
MOST_DATAGRAMS = 20_000
"""What comes after so many is not read: somebody floods the network."""


async def cameras(seconds: float) -> tuple[list[Camera], list[str]]:
    """Return who answered within `seconds`, sorted by host, and what could not be asked.

    Two datagrams for each type of device go out of each interface, twice; nothing else is sent.
    """
    with searching(names()) as search:
        search.ask()
        await asyncio.sleep(min(REPEAT, seconds / 2))
        search.ask()
        await asyncio.sleep(max(seconds - REPEAT, seconds / 2))
    return search.cameras(), search.problems


class Search:
    """Sockets that ask and listen on some interfaces; made by `searching`."""

    def __init__(self, port: int) -> None:
        self.problems: list[str] = []
        self._port = port
        self._found: dict[str, Camera] = {}
        self._messages = {wanted: uuid.uuid4().urn for wanted in wire.TYPES}
        self._sockets: dict[str, socket.socket] = {}
        self._read = 0

    def open(self, interface: str) -> None:
        """Listen on an interface from now on."""
        try:
            self._sockets[interface] = _on(interface)
        except OSError as error:
            self.problems.append(f"cameras: {interface}: {in_words(error)}")
        else:
            by = self._sockets[interface]
            asyncio.get_running_loop().add_reader(by, self._ready, interface, by)

    def ask(self) -> None:
        """Send a probe for each type of device out of every interface."""
        for interface, by in self._sockets.items():
            try:
                for wanted, message in self._messages.items():
                    by.sendto(wire.probe(message, wanted), (wire.GROUP, self._port))
            except OSError as error:
                problem = f"cameras: {interface}: {in_words(error)}"
                self.problems += [problem] if problem not in self.problems else []

    def cameras(self) -> list[Camera]:
        """Return who has answered, sorted by host."""
        return sorted(self._found.values(), key=lambda camera: _order(camera.host))

    def close(self) -> None:
        for by in self._sockets.values():
            asyncio.get_running_loop().remove_reader(by)
            by.close()

    def _ready(self, interface: str, by: socket.socket) -> None:
        self._read += 1
        if self._read > MOST_DATAGRAMS or len(self._found) >= MOST_CAMERAS:
            asyncio.get_running_loop().remove_reader(by)
            return
        try:
            data, sender = by.recvfrom(wire.LONGEST)
            told = wire.matches(data, frozenset(self._messages.values()))
        except (OSError, WireError):
            return
        for match in told:
            if match.camera or not match.types:
                camera = _camera(match, sender[0], interface)
                self._found.setdefault(match.endpoint or camera.host, camera)


@contextmanager
def searching(interfaces: Sequence[str], *, port: int = wire.PORT) -> Iterator[Search]:
    """Lend a search over these interfaces; `port` is where cameras listen."""
    search = Search(port)
    try:
        for interface in interfaces:
            search.open(interface)
        yield search
    finally:
        search.close()


def names() -> list[str]:
    """Return the interfaces of this box that have an IPv4 address."""
    return [name for _, name in socket.if_nameindex() if _address(name)]


def _address(interface: str) -> str:
    import fcntl

    wanted = struct.pack("256s", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            told = fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, wanted)
        except OSError:
            return ""
    return socket.inet_ntoa(told[20:24])


_SIOCGIFADDR = 0x8915
"""Source: netdevice(7)."""


def _on(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.settimeout(0.0)
        made.bind((_address(interface), 0))
        index = struct.pack("4s4si", b"\0" * 4, b"\0" * 4, socket.if_nametoindex(interface))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, index)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    except OSError:
        made.close()
        raise
    return made


def _camera(match: wire.Match, sender: str, interface: str) -> Camera:
    """Return the camera at the address that it answered from: behind NAT it tells another."""
    port = None
    for address in sorted(match.addresses, key=lambda a: urlsplit(a).hostname != sender):
        port = urlsplit(address).port if urlsplit(address).scheme == "http" else None
        break
    return Camera(
        host=sender if port in (None, 80) else f"{sender}:{port}",
        interface=interface,
        endpoint=match.endpoint,
        name=match.name,
        hardware=match.hardware,
        location=match.location,
        addresses=match.addresses,
    )


def _order(host: str) -> tuple[bytes, str]:
    return socket.inet_aton(host.partition(":")[0]), host
