"""Sirens and other noise on a relay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drivers.commands import Command, Silence, Sound
from drivers.lines.switched import Switched
from drivers.settings import Seconds


@dataclass(slots=True, kw_only=True, eq=False)
class Siren(Switched):
    """A siren. No order sounds it without an end: `max_on` is 2 m when not given."""

    max_on: Seconds | None = Seconds(120.0)
    """Longest time that one order sounds it."""

    accepts: ClassVar[frozenset[type[Command]]] = frozenset({Sound, Silence})
    turns_on: ClassVar[tuple[type[Command], ...]] = (Sound,)
    turns_off: ClassVar[tuple[type[Command], ...]] = (Silence,)


DRIVER = Siren
