"""Fire panels, read only: their relays, or the text of their printer port.

Nothing here or below it sends a byte to a panel. The certified fire system stands by itself; this
listens beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from drivers.contract import Driver, Emit, House, SettingError
from drivers.lines.conditioned import Change
from drivers.lines.contacts import Contacts
from drivers.ports.ear import Ear
from drivers.priorities import Priority
from drivers.settings import InputSetting, PortName, Seconds
from drivers.signals import (
    FireAlarm,
    FireNotice,
    FireRestored,
    FireSupervisory,
    FireSupervisoryRestored,
    FireTrouble,
    FireTroubleRestored,
    Signal,
)
from drivers.wire.fire_text import ACTIVE, OVER, Panel, table
from drivers.wire.text_profile import PatternTable, TextPattern, load_profile

RESEND_WINDOW = 30.0


@dataclass(slots=True, kw_only=True, eq=False)
class FirePanel(Driver):
    """One panel, by relays or by text. It accepts no command."""

    alarm: InputSetting | None = None
    """The alarm relay; active when on."""
    trouble: InputSetting | None = None
    """The trouble relay; active when off: it drops when the panel loses its power."""
    supervisory: InputSetting | None = None
    """The supervisory relay; active when on."""
    port: PortName | None = None
    """The text port on the panel's printer output, in place of relays."""
    profile: str | None = None
    """How the panel's records read: a name in `drivers/profiles/fire`."""
    patterns: tuple[TextPattern, ...] = ()
    """The installer's own: tried before the profile's."""
    resend_window: Seconds | None = None
    """After a reset, what was not sent again within it is normal; None takes the profile's."""
    silence: Seconds | None = None
    """Without a record for so long the link counts as lost; for panels that print regularly."""
    unsupervised: Literal["accepted"] | None = None
    """Written by who knows that a cut wire looks normal on a relay that is active when on."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset(
        {
            FireAlarm,
            FireRestored,
            FireTrouble,
            FireTroubleRestored,
            FireSupervisory,
            FireSupervisoryRestored,
            FireNotice,
        }
    )
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = dict.fromkeys(
        ACTIVE, ("active", "normal")
    )

    _contacts: Contacts = field(init=False, repr=False, default_factory=Contacts)
    _ear: Ear | None = field(init=False, repr=False, default=None)
    _table: PatternTable | None = field(init=False, repr=False, default=None)
    _settings: Mapping[str, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("silence", "resend_window"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingError(name, f"{name} is more than 0 s")
        if self.port is None:
            for name in ("profile", "patterns", "silence", "resend_window"):
                if getattr(self, name):
                    raise SettingError(name, f"{name} is for a text port", "name it: port: printer")
            if not self.lines():
                raise SettingError("alarm", "a fire panel needs a relay or a port")
            return
        if self.lines():
            hint = "make two devices of it"
            raise SettingError(
                next(iter(self.lines())), "a fire panel has either relays or a port", hint
            )
        profile = load_profile("fire", self.profile) if self.profile else None
        patterns = [*self.patterns, *(profile.patterns if profile else ())]
        if not any(each.signal == FireAlarm.kind for each in patterns):
            hint = "profile: notifier_afp2800, or patterns: [{pattern: …, signal: fire.alarm}]"
            raise SettingError("port", "no record of this panel would be a fire alarm", hint)
        self._settings = profile.settings if profile else {}
        self._table = table(patterns)

    def attach(self, house: House) -> None:
        if self.port is not None:
            separator = str(self._settings.get("separator", ""))
            self._ear = Ear(house.port(self.port), silence=self.silence, separator=separator)
        self._contacts.add(house, "alarm", self.alarm)
        self._contacts.add(house, "trouble", self.trouble, active="off")
        self._contacts.add(house, "supervisory", self.supervisory)

    async def run(self, emit: Emit) -> None:
        if self._ear is None or self._table is None:
            await self._contacts.follow(emit, _Relays())
            return
        window = self.resend_window or self._settings.get("resend_window", RESEND_WINDOW)
        label_follows = bool(self._settings.get("label_follows", False))
        panel = Panel(self._table, resend_window=float(window), label_follows=label_follows)
        await self._ear.follow(emit, panel)

    def priority_of(self, signal: Signal) -> Priority:
        """Return life safety: whatever a fire panel says, its lost link included."""
        return Priority.life_safety

    def signal_for(self, state: str, value: str) -> Signal | None:
        if state not in ACTIVE:
            return None
        said = {"active": ACTIVE[state], "normal": OVER[state]}
        return said[value]() if value in said else None

    def alarms_without_history(self) -> frozenset[tuple[str, str]]:
        return frozenset({("alarm", "active")})

    def lines(self) -> Mapping[str, str]:
        named = {name: getattr(self, name) for name in ACTIVE}
        return {name: setting.line for name, setting in named.items() if setting is not None}


class _Relays:
    """What the relays mean."""

    deadline = None

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        return {name: "active" if change.active else "normal"}

    def lost(self, name: str) -> tuple[str, ...]:
        return (name,)

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        return [ACTIVE[name]() if change.active else OVER[name]()]

    def advance(self, now: float) -> Sequence[Signal]:
        return []


DRIVER = FirePanel
