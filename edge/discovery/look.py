"""Look at everything around a box, one thing after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.discovery.found import Found
from edge.discovery.gpio_chips import gpio_chips
from edge.discovery.serial_ports import serial_ports

if TYPE_CHECKING:
    from edge.discovery.modbus_units import Asked


def of_the_box(root: Path = Path("/")) -> Found:
    """Return the serial ports and GPIO chips; sends nothing anywhere."""
    return Found(serial_ports=tuple(serial_ports(root)), gpio_chips=tuple(gpio_chips(root / "dev")))


async def look(seconds: float, modbus: Sequence[Asked] = ()) -> Found:
    """Return what is found; cameras may take so many seconds to answer, with 0 none is asked."""
    from edge.discovery.cameras import cameras
    from edge.discovery.modbus_units import units

    here = of_the_box()
    seen, silent = await cameras(seconds) if seconds else ([], [])
    there, unreached = await units(modbus) if modbus else ([], [])
    return Found(
        cameras=tuple(seen),
        units=tuple(there),
        serial_ports=here.serial_ports,
        gpio_chips=here.gpio_chips,
        problems=(*silent, *unreached),
    )
