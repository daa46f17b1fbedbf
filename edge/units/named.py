"""What a configuration names outside the process: serial ports, hosts, addresses to listen at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from drivers.ports import address as ports
from drivers.ports.address import NetAddress, SerialAddress
from edge.config.model import Configuration
from edge.config.secret_files import SecretFiles
from rules import yaml_source as ys
from rules.problems import Problems


class AnySecret(SecretFiles):
    """Stands for secrets that are not there yet: no device and no address is one."""

    def value(self, name: str) -> str | None:
        return name

    def path(self, name: str) -> Path | None:
        return Path(name)

    def check(self, nodes: Iterable[ys.Node], problems: Problems) -> None:
        return


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
