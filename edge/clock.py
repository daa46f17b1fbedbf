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
RTC_TIME = RTC / "rtc0" / "since_epoch"
RTC_MODE = Path("/etc/adjtime")
"""Its third line is LOCAL where the battery clock shows local time; see hwclock(8)."""
EARLIEST = datetime(2026, 11, 1, tzinfo=UTC)
"""No record was ever made before: an earlier wall clock is wrong."""
BACK = 300.0
"""Seconds by which the wall clock may stand behind the last record and still be believed."""
SLOW = 0.001
"""Seconds within which both times are read, or they are read again."""
SET_RIGHT = Path("/run/systemd/timesync/synchronized")
"""Touched by systemd-timesyncd each time it has set the clock right; at most 34 minutes apart."""
SET_RIGHT_FOR = 9 * 3600.0
"""Seconds after which the kernel believes no clock any more that nobody has set right."""
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
    """Return whether the kernel's clock follows a time server (adjtimex(2), STA_UNSYNC).

    A service that may not touch the clock may not ask it either: then what systemd-timesyncd
    leaves behind tells it.
    """
    timex = _Timex()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return _set_right()
    return not timex.status & _UNSYNCHRONISED


def _set_right() -> bool:
    """Return whether systemd-timesyncd has set the clock, and nobody else has since."""
    try:
        age = time.time() - SET_RIGHT.stat().st_mtime
    except OSError:
        return False
    return -1.0 <= age < SET_RIGHT_FOR


def keeps_time_without_power() -> bool:
    """Return whether the machine has a battery clock: any PC, and a board with an RTC."""
    return not DEVICE_TREE.exists() or (RTC.is_dir() and any(RTC.iterdir()))


def battery_clock() -> datetime | None:
    """Return what the battery clock shows; None: there is none, or it does not show UTC."""
    try:
        if RTC_MODE.exists() and "LOCAL" in RTC_MODE.read_text():
            return None
        return datetime.fromtimestamp(int(RTC_TIME.read_text()), UTC)
    except (OSError, ValueError, OverflowError):
        return None


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
    shown: Callable[[], datetime | None] = battery_clock
    """What the battery clock shows."""
    offset: float = field(init=False)
    continues: bool = field(init=False, default=False)
    """Whether ticks of this boot from before still tell how long ago something was."""
    believed: bool = field(init=False, default=False)
    """Whether records are stamped as trusted; set by who watches the wall clock."""

    def __post_init__(self) -> None:
        self.offset = -self.seconds()
        self.resume(self.last)

    def resume(self, last: LastRecord | None) -> None:
        """Go on from the journal's newest record; None begins at tick 0."""
        self.last = last
        if last is None:
            self.offset = -self.seconds()
        elif last.boot == self.boot:
            kept = max(last.offset, self.offset)
            self.offset = max(kept, last.tick - self.seconds())
            self.continues = self.offset - kept < SLOW
        else:
            self.offset = last.tick - self.seconds()
            self.continues = False
        self.believed = self.trusted()

    def tick(self) -> float:
        """Return engine time in seconds, whole microseconds; never goes backwards.

        It is as exact as records carry it, so that a replay finds the same order.
        """
        return round(self.offset + self.seconds(), 6)

    def read(self) -> tuple[float, datetime]:
        """Return the tick and the wall clock of one instant, also where the machine halts."""
        tick, at = self.tick(), self.now()
        for _ in range(5):
            before, tick = tick, self.tick()
            if tick - before <= SLOW:
                return before, at
            at = self.now()
        return tick, at

    def trusted(self) -> bool:
        """Return whether the wall clock may decide `daily`, hours and schedules."""
        return self.doubt() is None

    def doubt(self) -> str | None:
        """Return why the wall clock is not trusted; None: it is.

        It must not stand before the last record, and either follow a time server or belong to
        a machine that keeps time without power.
        """
        now = self.now()
        if now < EARLIEST:
            return "it stands before any record was made"
        if self.follows_server():
            return None
        if self.last is not None and (self.last.at - now).total_seconds() > BACK:
            return "it stands behind the last record, and there is no time server"
        return None if self.battery() else "no time server, and no battery clock"
