"""Simulated fire panels: three relays that latch, and printers of three families."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from drivers.sim.wires import Speaker, Wires


class SimulatedRelays:
    """Alarm, trouble and supervisory relay. The trouble relay is on while all is well."""

    def __init__(self, wires: Wires, alarm: str, trouble: str, supervisory: str) -> None:
        self._wires = wires
        self._lines = (alarm, trouble, supervisory)
        self.cause_persists = False
        """While true, a reset is followed by a new alarm."""

    def normal(self) -> None:
        """All is well, as after power-up."""
        self._set(alarm=False, trouble=False, supervisory=False)

    def alarm(self) -> None:
        """Go into alarm and stay so until a reset."""
        self._wires.set(self._lines[0], True)  # noqa: FBT003 - a level is a bool

    def trouble(self, active: bool) -> None:  # noqa: FBT001 - a level is a bool
        """Report a fault of the fire system, or its end; the relay drops for it."""
        self._wires.set(self._lines[1], not active)

    def supervisory(self, active: bool) -> None:  # noqa: FBT001 - a level is a bool
        self._wires.set(self._lines[2], active)

    async def reset(self, *, dropped_for: float = 4.0) -> None:
        """Reset the panel; it goes into alarm again if the cause persists."""
        self._wires.set(self._lines[0], False)  # noqa: FBT003 - a level is a bool
        await asyncio.sleep(dropped_for)
        if self.cause_persists:
            self.alarm()

    def power_lost(self) -> None:
        """Lose all power: every relay drops, which only the trouble relay shows."""
        for line in self._lines:
            self._wires.set(line, False)  # noqa: FBT003 - a level is a bool

    def _set(self, *, alarm: bool, trouble: bool, supervisory: bool) -> None:
        for line, level in zip(self._lines, (alarm, not trouble, supervisory), strict=True):
            self._wires.set(line, level)


class SimulatedPrinter:
    """A printer port, family `afp2800` (prints restores), `fx64` (prints none: cleared by a new
    link only) or `nfs3030` (on a reset sends again what is still so).
    """

    def __init__(self, speaker: Speaker, family: str = "afp2800") -> None:
        self._speaker = speaker
        self._print: Callable[[str, int], Sequence[str]] = {
            "afp2800": _afp2800,
            "fx64": _fx64,
            "nfs3030": _nfs3030,
        }[family]
        self._active: dict[int, str] = {}

    def event(self, what: str, zone: int = 1) -> None:
        """Print one event: `alarm`, `restored`, `trouble`, `isolated`, `acknowledged`, `reset` …"""
        for record in self._print(what, zone):
            self._speaker.say(record)
        if what in ("alarm", "trouble"):
            self._active[zone] = what
        elif what == "restored":
            self._active.pop(zone, None)

    async def reset(self, *, gone: Sequence[int] = (), after: float = 2.0) -> None:
        """Reset the panel: what is not in `gone` is sent again after a moment."""
        self.event("reset")
        for zone in gone:
            self._active.pop(zone, None)
        await asyncio.sleep(after)
        for zone, what in list(self._active.items()):
            self.event(what, zone)

    def storm(self, lines: int = 10) -> None:
        """Print many alarms at once."""
        for zone in range(1, lines + 1):
            self.event("alarm", zone)

    async def in_pieces(self, what: str, zone: int = 1, *, pause: float = 0.05) -> None:
        """Print one event byte by byte, `pause` seconds between them."""
        for record in self._print(what, zone):
            for byte in record.encode():
                self._speaker.raw(bytes([byte]))
                await asyncio.sleep(pause)
            self._speaker.say("")

    def page_break(self) -> None:
        """Print what a printer needs between two pages: form feed, blanks, an empty line."""
        self._speaker.say("\x0c   ")
        self._speaker.say("")

    def noise(self, size: int = 40, *, seed: int = 0) -> None:
        """Send random bytes."""
        self._speaker.raw(random.Random(seed).randbytes(size))


def _afp2800(what: str, zone: int) -> Sequence[str]:
    words = {
        "alarm": "ALARM",
        "restored": "RESET ALARM",
        "self_cleared": "ALARM SELF CLEARED",
        "trouble": "FAULT",
        "isolated": "ISOL ALARM",
        "acknowledged": "ACKD ALARM",
        "reset": "RESET",
        "mains": "MAINS FAIL",
    }
    word, label = words[what], f"AZF {zone} ON MODULE 1"
    return [f":{word:<18} Z{zone:03} 1.{zone}.Z1   {label:<28}  12/08 01:23"]


def _fx64(what: str, zone: int) -> Sequence[str]:
    words = {"alarm": "ALRM", "trouble": "TRBL", "supervisory": "SUPV", "monitor": "MON"}
    word = words.get(what, "MON")
    return [f"{word} ACT | 18:00:07 01/01/2007 E:{zone:03}", f"Loop 1 Device {zone:02}"]


def _nfs3030(what: str, zone: int) -> Sequence[str]:
    words = {
        "alarm": "FIRE ALARM:",
        "restored": "CLEARED FIRE ALARM:",
        "trouble": "TROUBLE:",
        "trouble_restored": "CLEARED TROUBLE:",
        "supervisory": "SUPERVISORY:",
        "supervisory_restored": "CLEARED SUPERVISORY:",
        "acknowledged": "ACKNOWLEDGED FIRE ALARM:",
        "reset": "SYSTEM RESET",
        "normal": "SYSTEM NORMAL",
    }
    point = "" if what in ("reset", "normal") else f" SMOKE DETECTOR L1D{zone:03}"
    return [f"{words[what]}{point} 01:23:07 WED NOV 18, 2026"]
