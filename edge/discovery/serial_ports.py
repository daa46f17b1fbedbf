"""Serial ports by names that stay: udev's links, and who made the adapter by sysfs."""

from __future__ import annotations

from pathlib import Path

from drivers.wire.own_words import printable
from edge.discovery.found import SerialPort

FOLDERS = ("dev/storewarden", "dev/serial/by-id", "dev/serial/by-path")
"""Our own names first; of a port with several names the first counts."""


def serial_ports(root: Path = Path("/")) -> list[SerialPort]:
    """Return the serial ports of this box that have a name that stays; none is opened."""
    found: dict[str, SerialPort] = {}
    for part in FOLDERS:
        folder = root / part
        for link in sorted(folder.iterdir()) if folder.is_dir() else []:
            device = link.resolve()
            if device.name.startswith("tty") and device.name not in found:
                found[device.name] = _port(f"/{part}/{link.name}", device.name, root)
    return sorted(found.values(), key=lambda port: port.path)


def _port(path: str, device: str, root: Path) -> SerialPort:
    told = _told_by_usb(root / "sys/class/tty" / device / "device")
    return SerialPort(
        path=printable(path),
        device=f"/dev/{device}",
        vendor=told.get("manufacturer") or told.get("idVendor", ""),
        product=told.get("product") or told.get("idProduct", ""),
        serial=told.get("serial", ""),
    )


def twins(path: str, root: Path = Path("/")) -> list[str]:
    """Return the ports of other adapters that have the same serial number as that of this port.

    A name that is made of the number is then the one's or the other's, as they come.
    """
    own = (root / path.lstrip("/")).resolve().name
    usb = {
        port.name: at
        for port in sorted((root / "sys/class/tty").glob("tty[UA]*"))
        if (at := _usb(port / "device")) is not None
    }
    if own not in usb or not (number := _word(usb[own] / "serial")):
        return []
    others = [name for name, at in usb.items() if at != usb[own]]
    return [f"/dev/{name}" for name in others if _word(usb[name] / "serial") == number]


def _told_by_usb(place: Path) -> dict[str, str]:
    """Return the words of the USB device that a tty belongs to; none where it is no USB's."""
    if (at := _usb(place)) is None:
        return {}
    names = ("manufacturer", "idVendor", "product", "idProduct", "serial")
    return {name: _word(at / name) for name in names if (at / name).is_file()}


def _usb(place: Path) -> Path | None:
    """Return the folder of the USB device that a tty belongs to."""
    try:
        at = place.resolve(strict=True)
    except OSError:
        return None
    folders = (at, *list(at.parents)[:4])
    return next((folder for folder in folders if (folder / "idVendor").is_file()), None)


def _word(file: Path) -> str:
    try:
        return printable(file.read_bytes()[:1000].decode("utf-8", "replace"))
    except OSError:
        return ""
