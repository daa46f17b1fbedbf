"""Doors: opened, closed, held open, and forced where a request to exit is wired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from drivers.contract import Driver, Emit, House, SettingError
from drivers.lines.conditioned import Change
from drivers.lines.contacts import Contacts
from drivers.settings import InputSetting, Seconds
from drivers.signals import (
    DoorClosed,
    DoorForced,
    DoorHeld,
    DoorOpened,
    DoorRequestToExit,
    DoorRequestToExitEnded,
    Signal,
)

CONTACT = "contact"
REQUEST = "request_to_exit"


@dataclass(slots=True, kw_only=True, eq=False)
class Door(Driver):
    """A door with a contact; closed while its contact is active, so that a cut wire reads as open.

    A door with a request to exit says `door.forced` when it opens and nobody inside asked. A door
    without one never says so: people leave through it.
    """

    contact: InputSetting
    """Closed while it is on; `active: off` for a contact that is off while the door is closed."""
    request_to_exit: InputSetting | None = None
    """A button, bar or motion sensor inside; active when on."""
    request_for: Seconds = Seconds(5.0)
    """After a request to exit the door may be opened for so long."""
    held_after: Seconds = Seconds(30.0)
    """An open door is held after so long."""
    held_warning: Seconds | None = None
    """The warning before it; two thirds of held_after when not given."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset(
        {DoorOpened, DoorClosed, DoorForced, DoorHeld, DoorRequestToExit, DoorRequestToExitEnded}
    )
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {
        CONTACT: ("open", "closed"),
        "forced": ("yes", "no"),
        "held": ("no", "warning", "held"),
        REQUEST: ("active", "quiet"),
    }

    _contacts: Contacts = field(init=False, repr=False, default_factory=Contacts)

    def __post_init__(self) -> None:
        if self.held_after <= 0:
            raise SettingError("held_after", "held_after is more than 0 s")
        if self.request_for < 0:
            raise SettingError("request_for", "request_for is 0 s or more")
        if self.held_warning is not None and not 0 < self.held_warning < self.held_after:
            wanted = (
                f"held_warning is more than 0 s and less than held_after, {self.held_after:g} s"
            )
            raise SettingError("held_warning", wanted)

    def attach(self, house: House) -> None:
        self._contacts.add(house, REQUEST, self.request_to_exit)
        self._contacts.add(house, CONTACT, self.contact)

    async def run(self, emit: Emit) -> None:
        await self._contacts.follow(emit, _Door(self))

    def signal_for(self, state: str, value: str) -> Signal | None:
        said: dict[tuple[str, str], Signal] = {
            (CONTACT, "open"): DoorOpened(),
            (CONTACT, "closed"): DoorClosed(),
            (REQUEST, "active"): DoorRequestToExit(),
            (REQUEST, "quiet"): DoorRequestToExitEnded(),
        }
        return said.get((state, value))

    def lines(self) -> Mapping[str, str]:
        named = {CONTACT: self.contact, REQUEST: self.request_to_exit}
        return {name: setting.line for name, setting in named.items() if setting is not None}


class _Door:
    """What the two inputs mean. Pure; times are loop seconds."""

    def __init__(self, settings: Door) -> None:
        held = settings.held_after
        warning = held * 2 / 3 if settings.held_warning is None else settings.held_warning
        self._stages: Sequence[tuple[Literal["warning", "held"], float]]
        self._stages = (("warning", warning), ("held", held))
        self._request_for = settings.request_for
        self._opened: float | None = None
        self._seen_opening = False
        self._stage = 0
        self._requested: bool | None = None
        self._request_ended = float("-inf")

    @property
    def deadline(self) -> float | None:
        if self._opened is None or self._stage == len(self._stages):
            return None
        return self._opened + self._stages[self._stage][1]

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        if name == REQUEST:
            self._requested = bool(change.active)
            return {REQUEST: "active" if change.active else "quiet"}
        self._closed()
        if change.active:
            return {CONTACT: "closed", "forced": "no", "held": "no"}
        self._opened, self._seen_opening = change.since, False
        return {CONTACT: "open", "held": "no"}

    def lost(self, name: str) -> tuple[str, ...]:
        if name == REQUEST:
            self._requested = None
            return (REQUEST,)
        self._closed()
        return (CONTACT, "forced", "held")

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        if name == REQUEST:
            if self._requested and not change.active:
                self._request_ended = change.since
            self._requested = bool(change.active)
            return [DoorRequestToExit() if change.active else DoorRequestToExitEnded()]
        if change.active:
            seen = self._opened is not None and self._seen_opening
            open_for = round(change.since - (self._opened or 0.0), 3) if seen else None
            self._closed()
            return [DoorClosed(open_for=open_for)]
        self._opened, self._seen_opening, self._stage = change.since, True, 0
        return [DoorOpened(), DoorForced()] if self._forced(change.since) else [DoorOpened()]

    def advance(self, now: float) -> Sequence[Signal]:
        said: list[Signal] = []
        while (due := self.deadline) is not None and due <= now:
            stage, open_for = self._stages[self._stage]
            self._stage += 1
            said.append(DoorHeld(stage=stage, open_for=open_for))
        return said

    def _closed(self) -> None:
        self._opened, self._stage = None, 0

    def _forced(self, now: float) -> bool:
        """Return whether nobody asked; False while that can't be known."""
        return self._requested is False and now >= self._request_ended + self._request_for


DRIVER = Door
