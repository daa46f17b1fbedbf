"""Beacons: lights, and the sounders built into them, on a relay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drivers.commands import Command, Silence, Sound, SwitchOff, SwitchOn
from drivers.lines.switched import Switched


@dataclass(slots=True, kw_only=True, eq=False)
class Beacon(Switched):
    """A beacon. `sound` and `switch_on` do the same to it, so that an evacuation can list it."""

    accepts: ClassVar[frozenset[type[Command]]] = frozenset({SwitchOn, SwitchOff, Sound, Silence})
    turns_on: ClassVar[tuple[type[Command], ...]] = (SwitchOn, Sound)
    turns_off: ClassVar[tuple[type[Command], ...]] = (SwitchOff, Silence)


DRIVER = Beacon
