"""Contacts: anything that is active or quiet and has no device type of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from drivers.contract import Driver, Emit, House
from drivers.lines.conditioned import Change
from drivers.lines.contacts import Contacts
from drivers.settings import InputSetting
from drivers.signals import ContactActive, ContactQuiet, Signal

CONTACT = "contact"


@dataclass(slots=True, kw_only=True, eq=False)
class Contact(Driver):
    """One input with a name."""

    contact: InputSetting
    """Active when on."""
    kind: Literal["generic", "occupancy", "motion", "tamper", "power", "temperature"] = "generic"
    """What it stands for; for people, it changes nothing."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({ContactActive, ContactQuiet})
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {CONTACT: ("active", "quiet")}

    _contacts: Contacts = field(init=False, repr=False, default_factory=Contacts)

    def attach(self, house: House) -> None:
        self._contacts.add(house, CONTACT, self.contact)

    async def run(self, emit: Emit) -> None:
        await self._contacts.follow(emit, _Contact())

    def signal_for(self, state: str, value: str) -> Signal | None:
        said = {"active": ContactActive(), "quiet": ContactQuiet()}
        return said.get(value) if state == CONTACT else None

    def lines(self) -> Mapping[str, str]:
        return {CONTACT: self.contact.line}


class _Contact:
    """What the input means."""

    deadline = None

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        return {CONTACT: "active" if change.active else "quiet"}

    def lost(self, name: str) -> tuple[str, ...]:
        return (CONTACT,)

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        return [ContactActive() if change.active else ContactQuiet()]

    def advance(self, now: float) -> Sequence[Signal]:
        return []


DRIVER = Contact
