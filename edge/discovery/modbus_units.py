"""Modbus units on hosts that a person has named: reads only, one at a time, a bounded number."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from drivers.contract import LinkLost, SettingError
from drivers.lines.modbus_address import ModbusAddress, parse
from drivers.lines.modbus_bus import Bus, bus_for
from drivers.wire.own_words import printable
from edge.discovery.found import Unit

MOST_UNITS = 64
"""In all that may be asked by one command."""
QUESTIONS = 3
"""Requests to a unit, at most."""
PAUSE = 0.05
"""Seconds between two requests: others may be using the module."""
HIGHEST_UNIT = 247
_NOBODY = frozenset({10, 11})
"""Exceptions by which a gateway says that no unit answers there."""
_VENDOR, _PRODUCT, _REVISION, _NAME, _MODEL = 0, 1, 2, 4, 5
"""Objects of a device identification. Source: MODBUS Application Protocol V1.1b3, 6.21."""
_PROFILES: Mapping[str, tuple[str, ...]] = {
    "moxa_e1214": ("moxa", "e1214"),
    "adam_6050": ("advantech", "6050"),
    "waveshare_relay_8ch": ("waveshare", "relay", "8"),
    "waveshare_io_8ch": ("waveshare", "io", "8"),
}
"""Words that the identification of a module of this profile holds, all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Units of one host or serial line."""

    address: ModbusAddress
    url: str
    units: tuple[int, ...]


def asked(hosts: Sequence[str], units: Sequence[int]) -> list[Asked]:
    """Return what a person has named: `HOST`, `HOST:PORT`, or a url as in devices.yaml.

    Raises:
        SettingError: something else, or more than MOST_UNITS in all.
    """
    found = []
    for host in hosts:
        url = host if "://" in host or host.startswith("rtu:") else f"tcp://{host}"
        if url.startswith("tcp://") and not _has_port(url):
            url += ":502"
        found.append(Asked(address=parse(url), url=url, units=tuple(units)))
    if len(hosts) * len(units) > MOST_UNITS:
        raise SettingError(
            "units", f"{len(hosts) * len(units)} units are more than {MOST_UNITS} in all"
        )
    return found


def unit_range(text: str) -> tuple[int, ...]:
    """Return the units of `1-8`, `3` or `1,3,5-7`.

    Raises:
        SettingError: it is none, or a unit is not 1 to 247.
    """
    units: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdecimal() and len(end) <= 3 for end in ends):
            raise SettingError("units", f"{text!r} names no units", "write 1-8, or 1,3")
        low, high = int(ends[0]), int(ends[1])
        if not 1 <= low <= high <= HIGHEST_UNIT:
            raise SettingError("units", f"{part!r}: units are 1 to {HIGHEST_UNIT}, lowest first")
        units.update(dict.fromkeys(range(low, high + 1)))
    return tuple(units)


async def units(wanted: Sequence[Asked]) -> tuple[list[Unit], list[str]]:
    """Return the units that answer, and the hosts that can't be reached, in words."""
    found: list[Unit] = []
    problems: list[str] = []
    for each in wanted:
        try:
            bus = bus_for(each.address)
        except LinkLost as lost:
            problems.append(f"modbus: {lost}")
            continue
        try:
            for number in each.units:
                unit = await _ask(bus, each.url, number)
                found += [unit] if unit is not None else []
        except LinkLost as lost:
            problems.append(f"modbus: {lost}")
        finally:
            bus.close()
    return found, problems


async def _ask(bus: Bus, url: str, unit: int) -> Unit | None:
    """Return the unit if it answers anything: who it is, else one input, else one register."""
    client = bus.client
    questions: tuple[Callable[[], Awaitable[ModbusPDU]], ...] = (
        lambda: client.read_device_information(read_code=1, object_id=0, device_id=unit),
        lambda: client.read_discrete_inputs(0, count=1, device_id=unit),
        lambda: client.read_holding_registers(0, count=1, device_id=unit),
    )
    for question in questions[:QUESTIONS]:
        await bus.open()  # some modules hang up on what they do not know
        try:
            answer = await bus.exchange(question)
        except (ModbusException, struct.error, IndexError, ValueError):
            await asyncio.sleep(PAUSE)
            continue
        await asyncio.sleep(PAUSE)
        if answer.isError() and answer.exception_code in _NOBODY:
            return None
        return Unit(url=url, unit=unit, **_told(answer))
    return None


def _told(answer: ModbusPDU) -> dict[str, str]:
    objects: Any = getattr(answer, "information", None)
    if answer.isError() or not isinstance(objects, dict):
        return {}

    def word(number: int) -> str:
        value = objects.get(number, b"")
        return printable(value.decode("utf-8", "replace")) if isinstance(value, bytes) else ""

    vendor = word(_VENDOR)
    product = word(_MODEL) or word(_NAME) or word(_PRODUCT)
    known = f"{vendor} {product} {word(_PRODUCT)}".lower()
    profile = next((p for p, words in _PROFILES.items() if all(w in known for w in words)), "")
    return {
        "vendor": vendor,
        "product": product,
        "revision": word(_REVISION),
        "profile": profile,
    }


def _has_port(url: str) -> bool:
    rest = url.removeprefix("tcp://").rpartition("]")[2]
    return ":" in rest
