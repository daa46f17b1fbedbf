"""Switches: anything on a relay that is only on or off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drivers.commands import Command, SwitchOff, SwitchOn
from drivers.lines.switched import Switched


@dataclass(slots=True, kw_only=True, eq=False)
class Switch(Switched):
    """A light, a fan, the alarm input of a recorder."""

    accepts: ClassVar[frozenset[type[Command]]] = frozenset({SwitchOn, SwitchOff})
    turns_on: ClassVar[tuple[type[Command], ...]] = (SwitchOn,)
    turns_off: ClassVar[tuple[type[Command], ...]] = (SwitchOff,)


DRIVER = Switch
