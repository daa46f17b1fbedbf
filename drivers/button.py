"""Buttons: panic, medical, call point, acknowledge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from drivers.contract import Driver, Emit, House
from drivers.lines.conditioned import Change
from drivers.lines.contacts import Contacts
from drivers.priorities import Priority
from drivers.settings import InputSetting
from drivers.signals import ButtonPressed, ButtonReleased, Signal

CONTACT = "contact"
PRIORITIES = {
    "panic": Priority.personal_safety,
    "medical": Priority.personal_safety,
    "call_point": Priority.life_safety,
    "acknowledge": Priority.operations,
}


@dataclass(slots=True, kw_only=True, eq=False)
class Button(Driver):
    """One button. What it means follows from its kind."""

    contact: InputSetting
    """Pressed when on."""
    kind: Literal["panic", "medical", "call_point", "acknowledge"]
    """Panic and medical are personal safety, a call point is life safety."""
    unsupervised: Literal["accepted"] | None = None
    """Written by who knows that a cut wire looks like a quiet button."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({ButtonPressed, ButtonReleased})
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {CONTACT: ("active", "quiet")}

    _contacts: Contacts = field(init=False, repr=False, default_factory=Contacts)

    def attach(self, house: House) -> None:
        self._contacts.add(house, CONTACT, self.contact)

    async def run(self, emit: Emit) -> None:
        await self._contacts.follow(emit, _Button())

    def priority_of(self, signal: Signal) -> Priority:
        if isinstance(signal, (ButtonPressed, ButtonReleased)):
            return PRIORITIES[self.kind]
        return signal.priority

    def signal_for(self, state: str, value: str) -> Signal | None:
        said = {"active": ButtonPressed(), "quiet": ButtonReleased()}
        return said.get(value) if state == CONTACT else None

    def alarms_without_history(self) -> frozenset[tuple[str, str]]:
        return frozenset() if self.kind == "acknowledge" else frozenset({(CONTACT, "active")})

    def lines(self) -> Mapping[str, str]:
        return {CONTACT: self.contact.line}


class _Button:
    """What the input means."""

    deadline = None

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        return {CONTACT: "active" if change.active else "quiet"}

    def lost(self, name: str) -> tuple[str, ...]:
        return (CONTACT,)

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        return [ButtonPressed() if change.active else ButtonReleased()]

    def advance(self, now: float) -> Sequence[Signal]:
        return []


DRIVER = Button
