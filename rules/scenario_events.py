"""The events of a played test: what its timeline says, stamped on a virtual clock."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args, get_origin

from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import UNKNOWN, Signal, by_kind
from rules.model import DeviceWords, World
from rules.modes import ABOVE, MODES

QUIET = ("closed", "quiet", "normal", "off", "locked", "no", "ok", "up")
"""The values in which devices start."""


@dataclass(slots=True)
class Stamp:
    """Makes events at virtual ticks; tick 0 is `began`, UTC."""

    began: datetime
    made: int = 0

    def at(self, tick: float) -> datetime:
        return self.began + timedelta(seconds=tick)

    def event(
        self,
        tick: float,
        device: str,
        kind: str,
        fields: Mapping[str, Any] | None = None,
        sets: Mapping[str, str] | None = None,
        priority: Priority = Priority.operations,
    ) -> Event:
        self.made += 1
        return Event(
            id=f"{self.made:032x}",
            device=device,
            kind=kind,
            priority=priority,
            tick=tick,
            at=self.at(tick),
            boot="0" * 32,
            trusted=True,
            fields=dict(fields or {}),
            sets=dict(sets or {}),
        )

    def signal(self, tick: float, device: str, kind: str, fields: Mapping[str, Any]) -> Event:
        """Return what `device` says, with the states that follow and defaults for the rest."""
        if device == SITE:
            return self.event(tick, SITE, kind, fields, site_sets(kind, fields))
        found = by_kind().get(kind)
        if found is None:
            return self.event(tick, device, kind, fields)
        said = _build(found, fields)
        told = said.fields() | ({"test": True} if fields.get("test") is True else {})
        return self.event(tick, device, kind, told, said.states(), found.priority)


def site_sets(kind: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the site's states that follow from what it says."""
    fixed = {"opened": {"open": "yes"}, "closed": {"open": "no"}}
    if kind in fixed:
        return fixed[kind]
    if kind == "mode.changed":
        return {"mode": str(fields.get("mode", ""))}
    if kind == "evacuation.started":
        return {"evacuation": "yes", "drill": "yes" if fields.get("drill") is True else "no"}
    if kind == "evacuation.ended":
        return {"evacuation": "no", "drill": "no"}
    schedule, _, edge = kind.rpartition(".")
    return {schedule: "yes" if edge == "started" else "no"} if edge in ("started", "ended") else {}


def _build(signal: type[Signal], given: Mapping[str, Any]) -> Signal:
    """Return the signal with the given fields; what a test leaves out and has no default is 0."""
    hints = typing.get_type_hints(signal)
    values: dict[str, Any] = {}
    for f in dataclasses.fields(signal):
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if f.name in given:
            values[f.name] = given[f.name]
        elif needed:
            values[f.name] = _empty(hints[f.name])
    return signal(**values)


def _empty(hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    return {int: 0, float: 0.0, bool: False, str: ""}.get(hint, {})


def known(words: DeviceWords, given: Mapping[str, str]) -> dict[str, str]:
    """Return the states in which a device starts: quiet, unless the test says otherwise."""
    found = {}
    for state, values in words.states.items():
        quiet = next((v for v in QUIET if v in values), None)
        if quiet is not None:
            found[state] = quiet
    return {**found, **given}


def start(
    world: World, states: Mapping[str, Mapping[str, str]], at: datetime
) -> dict[str, dict[str, str]]:
    """Return device to the states it starts with; the site's follow from its calendar."""
    found = {}
    for device, words in world.devices.items():
        given = {k: str(v) for k, v in states.get(device, {}).items()}
        found[device] = known(words, given)
        if device == SITE:
            found[device] |= _of_site(world, given, at)
    return found


def _of_site(world: World, given: Mapping[str, str], at: datetime) -> dict[str, str]:
    """Return the site's states: its mode follows from whether it is open, or the reverse."""
    found = {"open": UNKNOWN, **world.calendar.states(at), **given}
    if "mode" not in given:
        return {**found, "mode": MODES.get(found["open"], UNKNOWN)}
    return {**found, "open": ABOVE.get(found["mode"], found["open"]), **given}
