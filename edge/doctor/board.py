"""The board: its temperature, and on a Raspberry Pi whether the supply holds its voltage."""

from __future__ import annotations

from collections.abc import AsyncIterator

from edge.doctor.box import Box
from edge.doctor.finding import Check, Finding, Subject

TEMPERATURE = Check(
    "board.temperature",
    "is the board cool enough?",
    "give it air, a heat sink or a fan; away from other warm devices",
)
VOLTAGE = Check(
    "board.voltage",
    "does the power supply of a Raspberry Pi hold its voltage?",
    "use the supply that the board was made for (5.1 V; Pi 5: 5 A) and a short, thick cable",
)
WARM, HOT = 70.0, 80.0
"""Degrees Celsius; a Raspberry Pi slows down from 80 on. Source: its own documentation."""
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_FIRMWARE = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
"""The same with the address of the bus in its name, as device trees of other boards have it."""
_LOW_NOW, _SLOW_NOW, _LOW_EVER, _SLOW_EVER = 0x1, 0x4, 0x1_0000, 0x4_0000


async def _look(box: Box) -> AsyncIterator[Finding]:
    yield _temperature(box)
    if (voltage := _voltage(box)) is not None:
        yield voltage


def _temperature(box: Box) -> Finding:
    told: dict[str, float] = {}
    for zone in sorted((box.root / "sys/class/thermal").glob("thermal_zone*")):
        at = f"sys/class/thermal/{zone.name}"
        millidegrees = box.number(f"{at}/temp")
        if millidegrees is not None and -50_000 < millidegrees < 150_000:
            told[box.text(f"{at}/type") or zone.name] = millidegrees / 1000
    if not told:
        return TEMPERATURE.unknown("this board tells none in /sys", "feel it")
    name, degrees = max(told.items(), key=lambda item: item[1])
    seen = f"{degrees:.0f} °C ({name})"
    if degrees >= HOT:
        return TEMPERATURE.problem(seen)
    return TEMPERATURE.warning(seen) if degrees >= WARM else TEMPERATURE.ok(seen)


def _voltage(box: Box) -> Finding | None:
    model = box.text("proc/device-tree/model") or ""
    told = [box.text(str(at.relative_to(box.root))) for at in box.root.glob(_FIRMWARE)]
    bits = _bits(told[0] if told else None)
    alarm = _alarm(box)
    if bits is None and alarm is None:
        if "Raspberry Pi" not in model:
            return None
        return VOLTAGE.unknown(f"{model} does not tell", "vcgencmd get_throttled")
    if alarm or (bits or 0) & _LOW_NOW:
        return VOLTAGE.problem("under-voltage now" + (f" (0x{bits:x})" if bits else ""))
    if bits is None:
        return VOLTAGE.ok("no under-voltage now; what was before is not told")
    if bits & _LOW_EVER:
        return VOLTAGE.warning(f"there was under-voltage since the board was started (0x{bits:x})")
    if bits & (_SLOW_NOW | _SLOW_EVER):
        return VOLTAGE.ok(f"no under-voltage; it was slowed down for another reason (0x{bits:x})")
    return VOLTAGE.ok(f"no under-voltage since the board was started (0x{bits:x})")


def _bits(text: str | None) -> int | None:
    try:
        return None if text is None else int(text.rpartition("=")[2], 16)
    except ValueError:
        return None


def _alarm(box: Box) -> bool | None:
    for place in sorted((box.root / "sys/class/hwmon").glob("hwmon*")):
        at = f"sys/class/hwmon/{place.name}"
        if box.text(f"{at}/name") == "rpi_volt":
            alarm = box.number(f"{at}/in0_lcrit_alarm")
            return None if alarm is None else alarm != 0
    return None


SUBJECT = Subject("board", (TEMPERATURE, VOLTAGE), _look)
