"""What was found around a box, and the same as JSON and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """What answered WS-Discovery. Name, hardware and location are its own words."""

    host: str
    """What to write as `host:` in devices.yaml: where it answers from, and its port unless 80."""
    interface: str
    """Of this box, where it was heard."""
    endpoint: str = ""
    name: str = ""
    hardware: str = ""
    location: str = ""
    addresses: tuple[str, ...] = ()
    """Of its services, as it tells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A Modbus unit that answered."""

    url: str
    unit: int
    vendor: str = ""
    """By its device identification; empty where it gives none."""
    product: str = ""
    revision: str = ""
    profile: str = ""
    """Of ours, guessed by vendor and product; empty where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """A serial port with a name that stays."""

    path: str
    """`/dev/storewarden/…` or `/dev/serial/by-id/…`."""
    device: str
    """What that is now, `/dev/ttyUSB0`; may be another one after the next start."""
    vendor: str = ""
    product: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioChip:
    """A GPIO chip."""

    path: str
    label: str = ""
    lines: int = 0
    problem: str = ""
    """Why label and lines are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything that was found; `problems` is what could not be asked, in words."""

    cameras: tuple[Camera, ...] = ()
    units: tuple[Unit, ...] = ()
    serial_ports: tuple[SerialPort, ...] = ()
    gpio_chips: tuple[GpioChip, ...] = ()
    problems: tuple[str, ...] = ()


class NotFound(ValueError):
    """A text is no result of `storewarden discover --json`; the message says why."""


def as_json(found: Found) -> dict[str, Any]:
    """Return what `storewarden discover --json` prints."""
    built: dict[str, Any] = msgspec.to_builtins(found)
    return built


def from_json(text: str) -> Found:
    """Return what `as_json` was made of.

    Raises:
        NotFound: the text is something else.
    """
    try:
        return msgspec.convert(json.loads(text), Found)
    except (ValueError, RecursionError) as error:  # msgspec.ValidationError is a ValueError
        raise NotFound(f"not what `storewarden discover --json` prints: {error}") from error
