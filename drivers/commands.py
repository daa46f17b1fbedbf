"""What devices can be told: the vocabulary of commands, bounded in time and safe to repeat."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from drivers.settings import Seconds

Hold = Literal["yes", "with_for", "no"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A typed thing that a device can be told.

    `holds` says whether an order with it is a lease on the output: always, only when it
    has a `for:`, or never. `ends` are the kinds of lease that it ends on that device.
    """

    kind: ClassVar[str]
    holds: ClassVar[Hold] = "no"
    ends: ClassVar[frozenset[str]] = frozenset()

    def fields(self) -> dict[str, Any]:
        """Return the parameters by name, None left out."""
        return {
            f.name: value
            for f in dataclasses.fields(self)
            if (value := getattr(self, f.name)) is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound(Command):
    """Make noise until told otherwise."""

    kind: ClassVar[str] = "sound"
    holds: ClassVar[Hold] = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Command):
    """Be quiet: ends the orders to sound of the same or lower priority."""

    kind: ClassVar[str] = "silence"
    ends: ClassVar[frozenset[str]] = frozenset({"sound"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOn(Command):
    """Switch the output on until told otherwise."""

    kind: ClassVar[str] = "switch_on"
    holds: ClassVar[Hold] = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOff(Command):
    """Switch the output off: ends the orders to switch on of the same or lower priority."""

    kind: ClassVar[str] = "switch_off"
    ends: ClassVar[frozenset[str]] = frozenset({"switch_on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Command):
    """Let people out until told otherwise."""

    kind: ClassVar[str] = "release"
    holds: ClassVar[Hold] = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relock(Command):
    """Lock again: ends the orders to release of the same or lower priority."""

    kind: ClassVar[str] = "relock"
    ends: ClassVar[frozenset[str]] = frozenset({"release"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Goto(Command):
    """Turn to a preset, by its name on the camera."""

    kind: ClassVar[str] = "goto"
    holds: ClassVar[Hold] = "with_for"

    preset: str
    """In a rule also `event.device`: the one called like the device that completed the trigger."""
    """The preset's name on the camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordClip(Command):
    """Keep video from `before` the cause on. `for:` of the order says how long after it."""

    kind: ClassVar[str] = "record"

    before: Seconds = Seconds(10.0)
    """Seconds of video before the order, at most what the recorder's ring holds."""
    duration: Seconds = Seconds(30.0)
    """Seconds after the order; written `for:` in rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Command):
    """Send a text to people or to another system."""

    kind: ClassVar[str] = "send"

    text: str
    """What is sent."""


BY_KIND: dict[str, type[Command]] = {
    c.kind: c
    for c in (Sound, Silence, SwitchOn, SwitchOff, Release, Relock, Goto, RecordClip, Send)
}
"""Every command by its word in rules and on the command line."""


# --- what the site itself can be told ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evacuate(Command):
    """Set the evacuation latch."""

    kind: ClassVar[str] = "evacuate"

    cause: str
    """Why, in a word: `fire`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident(Command):
    """Open an incident of this kind, or add to the open one."""

    kind: ClassVar[str] = "incident"

    name: str
    """What kind of case it is, in a word of your own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMode(Command):
    """Set the site's mode for a time; `hours` in its place ends the mode that a rule has set."""

    kind: ClassVar[str] = "mode"

    name: str
    """A mode of the site, or `hours`."""
    duration: Seconds | None = None
    """Seconds; written `for:` in rules. None: as long as the mode may last."""


SITE_COMMANDS: dict[str, type[Command]] = {c.kind: c for c in (Evacuate, OpenIncident, SetMode)}
"""The commands that address the site: `{evacuate: fire}`, `{incident: gate_activation}`."""
