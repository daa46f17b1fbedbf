"""The two times: the tick for rules, the wall clock for people, and how far it is trusted."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
DEVICE_TREE = Path("/proc/device-tree/model")
RTC = Path("/sys/class/rtc")
EARLIEST = datetime(2026, 11, 1, tzinfo=UTC)
"""No record was ever made before: an earlier wall clock is wrong."""
BACK = 300.0
"""Seconds by which the wall clock may stand behind the last record and still be believed."""
_UNSYNCHRONISED = 0x40
"""STA_UNSYNC of adjtimex(2)."""


class _Timex(ctypes.Structure):
    """The head of struct timex, and room for the rest. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def boottime() -> float:
    """Return seconds since boot, time asleep included (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the kernel's random id of this boot."""
    return BOOT_ID.read_text().strip().replace("-", "")


def wall() -> datetime:
    return datetime.now(UTC)


def synchronised() -> bool:
    """Return whether the kernel's clock follows a time server (adjtimex(2), STA_UNSYNC)."""
    timex = _Timex()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return False
    return not timex.status & _UNSYNCHRONISED


def keeps_time_without_power() -> bool:
    """Return whether the machine has a battery clock: any PC, and a board with an RTC."""
    return not DEVICE_TREE.exists() or (RTC.is_dir() and any(RTC.iterdir()))


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRecord:
    """What the journal's newest record says of time."""

    tick: float
    at: datetime
    boot: str
    offset: float
    """Tick minus CLOCK_BOOTTIME then."""


@dataclass(slots=True, kw_only=True)
class Clock:
    """Tick is `offset` + CLOCK_BOOTTIME: it counts on while the process is down, not the power.

    Within one boot id the offset is kept; on a new one it is chosen so that the tick goes on
    from the last committed one.
    """

    last: LastRecord | None = None
    seconds: Callable[[], float] = boottime
    now: Callable[[], datetime] = wall
    boot: str = field(default_factory=boot_id)
    follows_server: Callable[[], bool] = synchronised
    battery: Callable[[], bool] = keeps_time_without_power
    offset: float = field(init=False)

    def __post_init__(self) -> None:
        self.resume(self.last)

    def resume(self, last: LastRecord | None) -> None:
        """Go on from the journal's newest record; None begins at tick 0."""
        self.last = last
        if last is None:
            self.offset = -self.seconds()
        elif last.boot == self.boot:
            self.offset = max(last.offset, last.tick - self.seconds())
        else:
            self.offset = last.tick - self.seconds()

    def tick(self) -> float:
        """Return engine time in seconds, whole microseconds; never goes backwards.

        It is as exact as records carry it, so that a replay finds the same order.
        """
        return round(self.offset + self.seconds(), 6)

    def trusted(self) -> bool:
        """Return whether the wall clock may decide `daily`, hours and schedules.

        It must not stand before the last record, and either follow a time server or belong to
        a machine that keeps time without power.
        """
        now = self.now()
        if now < EARLIEST:
            return False
        if self.last is not None and (self.last.at - now).total_seconds() > BACK:
            return self.follows_server()
        return self.follows_server() or self.battery()
