"""Find device types and I/O module types by name, without importing those nobody uses."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import drivers
from drivers.contract import Driver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

ENTRY_POINTS = "storewarden.devices"
"""The entry point group of third-party device types: name to driver class."""

IO_TYPES = {
    "modbus": "drivers.lines.modbus",
    "gpio": "drivers.lines.gpio",
    "text": "drivers.ports.text",
}
"""I/O module types and where their `DRIVER` is."""

NOT_A_DEVICE = frozenset(
    {"catalog", "commands", "contract", "event", "priorities", "settings", "signals"}
)
"""Modules directly in `drivers` that define no device type."""


class UnknownType(LookupError):
    """There is no such type."""


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points  # costs memory that few sites need

    return entry_points(group=ENTRY_POINTS)


def names() -> list[str]:
    """Return the name of every device type, third-party ones included, sorted."""
    return sorted({*_ours(), *(point.name for point in _entry_points())})


def has(name: str) -> bool:
    """Return whether there is a device type `name`; asks other packages only when none is ours."""
    return name in _ours() or any(point.name == name for point in _entry_points())


def load(name: str) -> type[Driver]:
    """Return the driver class of the device type `name`.

    Raises:
        UnknownType: no module of that name and no entry point.
    """
    if name in _ours():
        return _driver(f"drivers.{name}")
    for point in _entry_points():
        if point.name != name:
            continue
        driver = point.load()
        if isinstance(driver, type) and issubclass(driver, Driver):
            return driver
        raise UnknownType(f"{point.value} is not a Driver")
    raise UnknownType(f"unknown device type {name!r}")


def load_io(name: str) -> type[Driver]:
    """Return the driver class of the I/O module type `name`.

    Raises:
        UnknownType: there is none.
    """
    if name not in IO_TYPES:
        raise UnknownType(f"unknown I/O module type {name!r}")
    return _driver(IO_TYPES[name])


def type_name(driver: type[Driver]) -> str:
    """Return the word for `driver` in devices.yaml, as its module is called."""
    for point in _entry_points():
        if point.value == f"{driver.__module__}:{driver.__qualname__}":
            return point.name
    return driver.__module__.rpartition(".")[2]


def _ours() -> list[str]:
    found = pkgutil.iter_modules(drivers.__path__)
    return [m.name for m in found if not m.ispkg and m.name not in NOT_A_DEVICE]


def _driver(module: str) -> type[Driver]:
    driver: type[Driver] = importlib.import_module(module).DRIVER
    return driver
