"""When each gate was last proven: its last alarm, also the one before a restart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from drivers.event import Event
from drivers.signals import EasAlarm
from edge.config.model import Configured
from edge.true_time import Corrections

PEDESTAL = "eas_pedestal"
ALARM_INPUTS = ("alarm", "alarm_in", "alarm_out")
SAVED = "gates"
"""Under this name it stands in the snapshot."""


class Alarm(NamedTuple):
    """One `eas.alarm`, as it was stamped."""

    boot: str
    tick: float
    at: float
    """Unix time, as the wall clock showed it then."""

    def time(self, corrections: Corrections) -> float:
        """Return its true time, as far as it is known."""
        true = corrections.true_time(self.boot, self.tick)
        return self.at if true is None else true.timestamp()


def of(event: Event) -> Alarm | None:
    """Return the alarm that `event` is; None for any other."""
    if event.kind != EasAlarm.kind:
        return None
    return Alarm(event.boot, event.tick, event.at.timestamp())


def known(state: Mapping[str, Any] | None, since: Iterable[Event | float]) -> dict[str, Alarm]:
    """Return the last alarm of each gate, as the last snapshot and what came since tell it."""
    found = _restored((state or {}).get(SAVED))
    for step in since:
        if isinstance(step, Event) and (alarm := of(step)) is not None:
            found[step.device] = alarm
    return found


def save(alarms: Mapping[str, Alarm]) -> dict[str, list[Any]]:
    """Return them as JSON values, for the snapshot."""
    return {device: list(alarm) for device, alarm in alarms.items()}


def _restored(saved: Any) -> dict[str, Alarm]:
    found = {}
    for device, row in saved.items() if isinstance(saved, dict) else ():
        try:
            boot, tick, at = row
            alarm = Alarm(str(boot), float(tick), float(at))
        except (TypeError, ValueError, OverflowError):
            continue  # not one of ours: made by another version
        if math.isfinite(alarm.tick) and math.isfinite(alarm.at):
            found[device] = alarm
    return found


def times(
    alarms: Mapping[str, Alarm], devices: Mapping[str, Configured], corrections: Corrections
) -> dict[str, float]:
    """Return when each gate was proven, Unix time; 0 where it never was.

    A gate that is heard as text may be a deactivator: it counts from its first alarm on.
    """
    found = {}
    for device, one in devices.items():
        if (alarm := alarms.get(device)) is not None:
            found[device] = alarm.time(corrections)
        elif one.type == PEDESTAL and any(
            getattr(one.driver, name, None) is not None for name in ALARM_INPUTS
        ):
            found[device] = 0.0
    return found
