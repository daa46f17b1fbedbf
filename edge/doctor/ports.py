"""Serial ports and GPIO chips that the configuration names; none is opened."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from drivers.ports.address import SerialAddress
from edge.config.model import Configuration
from edge.discovery.gpio_chips import gpio_chips
from edge.discovery.serial_ports import twins
from edge.doctor import people
from edge.doctor.box import Box
from edge.doctor.finding import Check, Finding, Subject
from edge.units import devices, named

SERIAL = Check(
    "ports.serial",
    "is each serial port there, and may the daemon open it?",
    "plug it in; storewarden discover --no-cameras lists what there is",
)
NAMES = Check(
    "ports.names",
    "are serial ports named so that they keep their names?",
    "name it by /dev/serial/by-id/…: storewarden discover --no-cameras",
)
GPIO = Check(
    "ports.gpio",
    "is each GPIO chip there, and may the daemon open it?",
    "usermod --append --groups gpio storewarden, then systemctl restart storewarden",
)
DROP_IN = Check(
    "ports.drop_in",
    "does the unit let the daemon at these devices?",
    "storewarden drop-in devices --config {folder} --write {into}, then systemctl daemon-reload; "
    "systemctl restart storewarden",
)
_LASTING = ("/dev/serial/by-id/", "/dev/serial/by-path/", "/dev/storewarden/")
UNIT = "etc/systemd/system/storewarden.service"


async def _look(box: Box) -> AsyncIterator[Finding]:
    if box.configuration is None:
        return
    paths = dict(_serial(box.configuration))
    for path, device in paths.items():
        yield _openable(box, SERIAL, Path(path), device, "dialout")
        if not path.startswith(_LASTING):
            yield NAMES.warning(f"{device}: {path} may be another port after the next start")
        elif "/by-path/" not in path and (others := twins(path, box.root)):
            yield NAMES.problem(
                f"{device}: {path} may be {' or '.join(others)} after the next start: "
                "those adapters have the same serial number",
                "name each by its socket, /dev/serial/by-path/…, and leave it there",
            )
    chips = list(_chips(box, box.configuration))
    for device, chip, at in chips:
        if at is None:
            yield GPIO.problem(
                f"{device}: there is no GPIO chip {chip}", "storewarden discover --no-cameras"
            )
        else:
            yield _openable(box, GPIO, at, device, "gpio")
    if (box.root / UNIT).is_file():
        yield _allowed(box, box.configuration)


def _serial(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Yield each serial port that is configured, with its device."""
    for name, at in named.addresses(configuration):
        if isinstance(at, SerialAddress):
            yield at.path, name


def _chips(box: Box, configuration: Configuration) -> Iterator[tuple[str, str, Path | None]]:
    """Yield each GPIO chip that is configured: device, as it is named, and where it is."""
    known = gpio_chips(box.root / "dev")
    for name, one in configuration.io.items():
        chip = getattr(one.driver, "chip", None)
        if one.type != "gpio" or not isinstance(chip, str) or one.driver.via != "gpiod":  # type: ignore[attr-defined]
            continue
        if chip.startswith("/"):
            path = box.root / chip.lstrip("/")
            yield name, chip, path if path.exists() else None
        else:
            found = [c.path for c in known if chip in (c.label, Path(c.path).name)]
            yield name, chip, Path(found[0]) if found else None


def _openable(box: Box, check: Check, path: Path, device: str, group: str) -> Finding:
    at = box.root / str(path).lstrip("/") if check is SERIAL else path
    try:
        mode = at.stat().st_mode
    except PermissionError:
        return check.unknown(f"{device}: {path} can't be looked at")
    except OSError:
        return check.problem(f"{device}: {path} is not there", SERIAL.remedy)
    if not stat.S_ISCHR(mode) and str(box.root) == "/":
        return check.problem(f"{device}: {path} is no port", SERIAL.remedy)
    who = people.service(box)
    if not (who or people.myself()).may(at, 6):
        return check.problem(
            f"{device}: {path} has mode {stat.S_IMODE(mode):04o}, the daemon may not open it",
            f"usermod --append --groups {group} storewarden, then systemctl restart storewarden",
        )
    return check.ok(f"{device}: {path}" + ("" if who else ", openable by this user"))


def _allowed(box: Box, configuration: Configuration) -> Finding:
    folder = box.root / f"{UNIT}.d"
    wanted = devices.text(configuration)
    told = box.text(f"{UNIT}.d/{devices.NAME}")
    words = {"folder": box.folder, "into": folder}
    if told is None:
        return DROP_IN.problem(f"{folder / devices.NAME} is not there", **words)
    if told != wanted.strip("\0\n "):
        return DROP_IN.problem(f"{folder / devices.NAME} is of another configuration", **words)
    return DROP_IN.ok(f"{wanted.count('DeviceAllow=/') + wanted.count('DeviceAllow=char-')} rules")


SUBJECT = Subject("ports", (SERIAL, NAMES, GPIO, DROP_IN), _look)
