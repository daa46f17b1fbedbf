"""`20-devices.conf`: the service may open the device files that devices.yaml names, no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from drivers.ports.address import SerialAddress
from edge.config.model import Configuration
from edge.units.named import addresses

NAME = "20-devices.conf"
_USB = re.compile(r"/dev/(?:serial/by-(?:id|path)/|storewarden/serial-)")
"""Names of USB adapters that do not say which kind of tty they are."""
_TTY = re.compile(r"/dev/(ttyUSB|ttyACM)\d+")
_MODULES = {"char-ttyUSB": "usbserial", "char-ttyACM": "cdc_acm"}
"""Kernel modules that make a class known, which systemd needs before an adapter is plugged in."""
_GPIOMEM = "/dev/gpiomem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """One line `DeviceAllow=`, and who needs it."""

    device: str
    """A path, or a class of /proc/devices: `char-ttyUSB`."""
    of: str


def text(configuration: Configuration) -> str:
    """Return the drop-in."""
    found: dict[str, list[str]] = {}
    for one in _needed(configuration):
        users = found.setdefault(one.device, [])
        if one.of not in users:
            users.append(one.of)
    lines = ["# Made by: storewarden drop-in devices. Which device files the service may open."]
    modules = sorted(f"modprobe@{_MODULES[d]}.service" for d in found if d in _MODULES)
    if modules:
        lines += [
            "[Unit]",
            "# They make the class known before the first adapter is plugged in.",
            f"Wants={' '.join(modules)}",
            f"After={' '.join(modules)}",
            "",
        ]
    lines += ["[Service]", "DevicePolicy=closed", "DeviceAllow="]
    for device, users in sorted(found.items()):
        lines += [f"# {', '.join(users)}", f"DeviceAllow={device} rw"]
    return "\n".join(lines) + "\n"


def _needed(configuration: Configuration) -> Iterator[Allowed]:
    for module, at in addresses(configuration):
        if isinstance(at, SerialAddress):
            yield from (Allowed(device=device, of=module) for device in _serial(at.path))
    for module, configured in configuration.io.items():
        chip = getattr(configured.driver, "chip", None)
        if not isinstance(chip, str):
            continue
        if getattr(configured.driver, "via", "gpiod") == "gpiozero":
            yield Allowed(device="char-gpiochip", of=module)
            yield Allowed(device=_GPIOMEM, of=module)
        else:  # a label is found by asking every chip for its own
            yield Allowed(device=chip if chip.startswith("/") else "char-gpiochip", of=module)


def _serial(path: str) -> tuple[str, ...]:
    """Return what must be allowed for a serial port, also after it was plugged in again.

    systemd looks paths up when the service starts. A USB adapter may come later, or come back
    under another number, so the whole class is allowed.
    """
    if not path.startswith("/dev/") or path.startswith("/dev/pts/"):
        return ()  # a simulator
    if (tty := _TTY.fullmatch(path)) is not None:
        return (f"char-{tty[1]}",)
    if path.startswith("/dev/serial/by-path/"):
        return ("char-ttyUSB", "char-ttyACM", path)  # a port of the board has such a name too
    if _USB.match(path):
        return ("char-ttyUSB", "char-ttyACM")
    return (path,)
