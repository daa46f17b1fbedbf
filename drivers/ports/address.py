"""Read the url of a text port: a serial device, a host to call, or an address to listen on."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from drivers.contract import SettingError

Parity = Literal["N", "E", "O", "M", "S"]
HINT = (
    "write serial:/dev/serial/by-id/…?baud=9600, tcp://host:port, "
    "tcp-listen://address:port or udp-listen://address:port"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialAddress:
    """A serial port and its line settings."""

    path: str
    baud: int = 9600
    parity: Parity = "N"
    """None, even, odd, mark, space."""
    bits: int = 8
    stop: int = 1

    def __str__(self) -> str:
        return self.path

    @property
    def settings(self) -> str:
        """Return the line settings in short: `9600 8N1`."""
        return f"{self.baud} {self.bits}{self.parity}{self.stop}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetAddress:
    """Where to connect to, or where to listen."""

    kind: Literal["tcp", "tcp-listen", "udp-listen"]
    host: str
    """A name or an address; an address only where it is listened on."""
    port: int
    """1 to 65535; 0 listens on any free one."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Address = SerialAddress | NetAddress


def parse(url: str) -> Address:
    """Return what `url` names.

    Raises:
        SettingError: it is none of the four forms.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SettingError("url", f"{url!r} is no url: {error}", HINT) from error
    if parts.scheme == "serial":
        return _serial(url, parts)
    if parts.scheme in ("tcp", "tcp-listen", "udp-listen"):
        return _net(url, parts)
    raise SettingError("url", f"{url!r} is no url of a text port", HINT)


def _serial(url: str, parts: SplitResult) -> SerialAddress:
    if parts.netloc or not parts.path.startswith("/"):
        raise SettingError("url", f"{url!r} names no serial device", HINT)
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = ("baud", "parity", "bits", "stop")
    for name in settings:
        if name not in known:
            hint = f"known: {', '.join(known)}"
            raise SettingError("url", f"unknown serial setting {name!r}", hint)
    return SerialAddress(
        path=parts.path,
        baud=_number("baud", settings.get("baud", "9600"), lowest=50, highest=4_000_000),
        parity=_parity(settings.get("parity", "N")),
        bits=_number("bits", settings.get("bits", "8"), lowest=5, highest=8),
        stop=_number("stop", settings.get("stop", "1"), lowest=1, highest=2),
    )


def _number(name: str, text: str, *, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.isdecimal() and lowest <= int(text[:9]) <= highest):
        raise SettingError("url", f"{name}={text} is not a number from {lowest} to {highest}")
    return int(text)


def _parity(text: str) -> Parity:
    for known in ("N", "E", "O", "M", "S"):
        if text.upper() == known:
            return known
    hint = "N none, E even, O odd, M mark, S space"
    raise SettingError("url", f"parity={text} is not one of N, E, O, M, S", hint)


def _net(url: str, parts: SplitResult) -> NetAddress:
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingError("url", f"{url!r}: {error}", HINT) from error
    if not host or port is None or parts.path or parts.query or parts.username is not None:
        raise SettingError("url", f"{url!r} is not {parts.scheme}://host:port", HINT)
    if parts.scheme == "tcp":
        if port == 0:
            raise SettingError("url", f"{url!r}: nobody can be called at port 0", HINT)
        return NetAddress(kind="tcp", host=host, port=port)
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        hint = "write 0.0.0.0 for every interface, or the address of one"
        raise SettingError("url", f"{host!r} is no address to listen on", hint) from error
    listening: Literal["tcp-listen", "udp-listen"] = (
        "tcp-listen" if parts.scheme == "tcp-listen" else "udp-listen"
    )
    return NetAddress(kind=listening, host=host, port=port)
