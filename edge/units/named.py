"""What a configuration names outside the process: serial ports, hosts, addresses to listen at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from drivers.ports import address as ports
from drivers.ports.address import NetAddress, SerialAddress
from edge.config.model import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A host that is called."""

    host: str
    """An address or a name."""
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A port that listens beyond loopback, to whoever calls."""

    at: str
    of: str


def addresses(configuration: Configuration) -> Iterator[tuple[str, NetAddress | SerialAddress]]:
    """Return each I/O module that has an address, with it."""
    for module, configured in configuration.io.items():
        url = getattr(configured.driver, "url", None)
        if not isinstance(url, str):
            continue
        if type(configured.driver).__module__ == "drivers.lines.modbus":
            from drivers.lines import modbus_address  # only where there is such a module

            yield module, modbus_address.parse(url).at
        else:
            yield module, ports.parse(url)


def peers(configuration: Configuration) -> Iterator[Peer]:
    """Return every host that the daemon calls."""
    for module, at in addresses(configuration):
        if isinstance(at, NetAddress) and at.kind == "tcp":
            yield Peer(host=at.host, of=module)
    for device, configured in configuration.devices.items():
        driver = configured.driver
        named = [getattr(driver, word, None) for word in ("host", "url", "stream")]
        for host in dict.fromkeys(_host(text) for text in named if isinstance(text, str)):
            if host:
                yield Peer(host=host, of=device)
    mqtt = configuration.site.mqtt
    if mqtt is not None:
        yield Peer(host=_host(mqtt.url), of="mqtt")


def doors(configuration: Configuration) -> Iterator[Door]:
    """Return every address beyond loopback that the daemon listens at."""
    for module, at in addresses(configuration):
        if isinstance(at, NetAddress) and at.kind != "tcp" and not _loopback(at.host):
            yield Door(at=f"{at.kind}://{at}", of=module)
    http = configuration.site.http
    if not _loopback(http.host):
        yield Door(at=f"{http.host}:{http.port}", of="http")


def _loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _host(text: str) -> str:
    """Return the host of a url, of `host:8080` or `host`; empty for a word like `off`."""
    if text in ("auto", "off"):
        return ""
    return urlsplit(text if "//" in text else f"//{text}").hostname or ""
