"""`storewarden discover`: cameras, Modbus units, serial ports and GPIO chips; changes nothing."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, WrongUsage

if TYPE_CHECKING:
    from edge.discovery.found import Found
    from edge.discovery.modbus_units import Asked

EXAMPLE = "storewarden discover --modbus 10.0.4.20 --units 1-4"


def add(commands: Any) -> None:
    discover = words.command(
        commands,
        "discover",
        "find cameras, Modbus units on named hosts, serial ports and GPIO chips; changes nothing",
        act,
        EXAMPLE,
    )
    discover.add_argument(
        "--for",
        dest="seconds",
        type=words.seconds,
        default=3.0,
        metavar="DURATION",
        help="how long cameras may take to answer (default: 3s)",
    )
    discover.add_argument(
        "--modbus",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="ask this host, or a url as in devices.yaml; no other host is asked",
    )
    discover.add_argument(
        "--units", default="1", metavar="1-8", help="the Modbus units to ask (default: 1)"
    )
    discover.add_argument(
        "--no-cameras", action="store_true", help="send no probe for cameras to the network"
    )
    words.json_option(discover)


def act(chosen: argparse.Namespace) -> int:
    from drivers.contract import SettingError
    from edge.discovery.found import as_json
    from edge.discovery.look import look
    from edge.discovery.modbus_units import asked, unit_range

    try:
        modbus = asked(chosen.modbus, unit_range(chosen.units))
    except SettingError as error:
        raise WrongUsage(f"{error}" + (f"; {error.hint}" if error.hint else "")) from None
    seconds = 0.0 if chosen.no_cameras else min(chosen.seconds, 60.0)
    for line in _plan(seconds, modbus):
        words.show(line)
    found = asyncio.run(look(seconds, modbus))
    for problem in found.problems:
        words.show(problem)
    if chosen.json:
        words.print_json(as_json(found))
    else:
        print(_shown(found))
    return DONE


def _plan(seconds: float, modbus: list[Asked]) -> list[str]:
    """Return what is about to be sent, in words."""
    from edge.discovery.modbus_units import QUESTIONS

    plan = []
    if seconds:
        plan.append(f"cameras: a probe by multicast on every interface, answers for {seconds:g} s")
    for each in modbus:
        units = ", ".join(map(str, each.units))
        plan.append(f"modbus: {each.url}, unit {units}: at most {QUESTIONS} reads each, no write")
    return plan


def _shown(found: Found) -> str:
    parts = [
        _part(
            "Cameras",
            ("host", "name", "hardware", "location", "interface"),
            [(c.host, c.name, c.hardware, c.location, c.interface) for c in found.cameras],
        ),
        _part(
            "Modbus units",
            ("url", "unit", "vendor", "product", "profile"),
            [(u.url, str(u.unit), u.vendor, u.product, u.profile) for u in found.units],
        ),
        _part(
            "Serial ports",
            ("path", "now", "vendor", "product", "serial"),
            [(s.path, s.device, s.vendor, s.product, s.serial) for s in found.serial_ports],
        ),
        _part(
            "GPIO chips",
            ("chip", "label", "lines"),
            [(g.path, g.label or g.problem, str(g.lines or "")) for g in found.gpio_chips],
        ),
    ]
    return "\n\n".join(parts)


def _part(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return f"{title}: none found"
    lines = words.table([heads, *[tuple(cell or "-" for cell in row) for row in rows]])
    return f"{title}:\n" + "\n".join(f"  {line}" for line in lines.splitlines())
