"""GPIO chips with their labels, by the kernel's own question; no line is requested."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from drivers.ports.reason import in_words
from drivers.wire.own_words import printable
from edge.discovery.found import GpioChip

_GET_CHIPINFO = 0x8044B401
"""GPIO_GET_CHIPINFO_IOCTL. Source: linux/gpio.h."""
_CHIPINFO = struct.Struct("32s32sI")


def gpio_chips(folder: Path = Path("/dev")) -> list[GpioChip]:
    """Return the GPIO chips of this box."""
    found = [path for path in folder.glob("gpiochip*") if not path.is_symlink()]
    return [_chip(path) for path in sorted(found, key=lambda p: (len(p.name), p.name))]


def _chip(path: Path) -> GpioChip:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            told = fcntl.ioctl(opened, _GET_CHIPINFO, b"\0" * _CHIPINFO.size)
        finally:
            os.close(opened)
    except OSError as error:
        return GpioChip(path=str(path), problem=in_words(error))
    name, label, lines = _CHIPINFO.unpack(told)
    word = (label.partition(b"\0")[0] or name.partition(b"\0")[0]).decode("utf-8", "replace")
    return GpioChip(path=str(path), label=printable(word), lines=lines)
