"""Addresses and wires that two entries want: ports that listen, serial lines, Modbus units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drivers.ports import address as ports
from drivers.ports.address import NetAddress, SerialAddress
from edge.config.devices_file import Entries, Entry
from edge.config.model import Http
from rules import convert
from rules.problems import Mark, Problems

EVERYWHERE = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - as written, nothing is opened


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """An address that listens."""

    kind: str
    """`tcp` or `udp`."""
    host: str
    port: int
    of: str

    def meets(self, other: _Taken) -> bool:
        """Return whether the system gives only one of the two its address."""
        if (self.kind, self.port) != (other.kind, other.port) or self.port == 0:
            return False
        return self.host == other.host or bool({self.host, other.host} & EVERYWHERE)


def check(entries: Entries, http: Http, problems: Problems) -> None:
    """Say each address that is taken already, and each unit that is written twice."""
    taken = [_Taken(kind="tcp", host=http.host, port=http.port, of="http: of site.yaml")]
    serial: dict[str, tuple[Entry, SerialAddress]] = {}
    units: dict[tuple[str, int], str] = {}
    for entry, at in _addresses(entries):
        mark = convert.place(entry.node, "url")
        if isinstance(at, NetAddress) and at.kind != "tcp":
            kind = at.kind.removesuffix("-listen")
            one = _Taken(kind=kind, host=at.host, port=at.port, of=repr(entry.id))
            first = next((other for other in taken if one.meets(other)), None)
            taken.append(one)
            if first is not None:
                hint = "give each a port of its own"
                problems.error(mark, f"{first.of} listens at {kind} port {at.port} already", hint)
        elif isinstance(at, SerialAddress):
            _line(entry, at, mark, serial, problems)
        _unit(entry, at, mark, units, problems)


def _addresses(entries: Entries) -> Iterator[tuple[Entry, NetAddress | SerialAddress]]:
    """Return each I/O module that could be built, with where it is."""
    for entry in entries.io.values():
        url = getattr(entry.configured.driver, "url", None) if entry.configured else None
        if entry.type == "text" and isinstance(url, str):
            yield entry, ports.parse(url)
        elif entry.type == "modbus" and isinstance(url, str):
            from drivers.lines import modbus_address  # only where there is such a module

            yield entry, modbus_address.parse(url).at


def _line(
    entry: Entry,
    at: SerialAddress,
    mark: Mark,
    serial: dict[str, tuple[Entry, SerialAddress]],
    problems: Problems,
) -> None:
    """Say a serial line that two programs would read, or that has two speeds."""
    if at.path not in serial:
        serial[at.path] = (entry, at)
        return
    first, as_first = serial[at.path]
    if "text" in (entry.type, first.type):
        hint = "a serial line has one reader"
        problems.error(mark, f"{at.path} belongs to {first.id!r} already", hint)
    elif at.settings != as_first.settings:
        hint = "modules on one line speak at one speed"
        message = f"{first.id!r} is on this line at {as_first.settings}, not {at.settings}"
        problems.error(mark, message, hint)


def _unit(
    entry: Entry,
    at: NetAddress | SerialAddress,
    mark: Mark,
    units: dict[tuple[str, int], str],
    problems: Problems,
) -> None:
    unit = getattr(entry.configured.driver, "unit", None) if entry.configured else None
    if entry.type != "modbus" or not isinstance(unit, int):
        return
    first = units.setdefault((str(at), unit), entry.id)
    if first != entry.id:
        hint = "two that write one output undo each other"
        problems.warning(mark, f"{first!r} is unit {unit} at this address already", hint)
