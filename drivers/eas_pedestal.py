"""EAS pedestals: dry contacts that pulse, or the text of a gateway behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from drivers.contract import Driver, Emit, House, SettingError
from drivers.lines.conditioned import Change
from drivers.lines.contacts import Contacts
from drivers.ports.ear import Ear
from drivers.settings import InputSetting, PortName, Seconds
from drivers.signals import (
    Direction,
    EasAlarm,
    EasCounterBlocked,
    EasDeactivated,
    EasEnded,
    EasJammer,
    EasMetal,
    EasTamper,
    EasVisitors,
    InputStuck,
    InputUnstuck,
    Signal,
    StateKnown,
)
from drivers.wire.pulses import Merger, Repeats
from drivers.wire.text_profile import (
    PatternTable,
    TextPattern,
    TextProfile,
    build,
    load_profile,
    spoken,
)

VISITORS_EACH = 60.0
"""Seconds over which people are counted before it is said."""
IGNORE = "ignore"
ALARMS: Mapping[str, Direction] = {
    "alarm_out": "out",
    "alarm_in": "in",
    "alarm": "unknown",
}
"""The alarm inputs and their direction. The specific ones first: they win within one poll."""
COUNTERS = ("people_in", "people_out")
OTHERS: Mapping[str, type[EasMetal | EasJammer | EasTamper | EasCounterBlocked]] = {
    "tamper": EasTamper,
    "jammer": EasJammer,
    "metal": EasMetal,
    "counter_blocked": EasCounterBlocked,
}
SAID_BY_TEXT = spoken([EasAlarm, EasDeactivated, EasVisitors, *OTHERS.values()])
MOST_AISLES = 99


@dataclass(slots=True, kw_only=True, eq=False)
class EasPedestal(Driver):
    """The gates of one aisle, by contacts; or of several aisles, by the text of their gateway."""

    alarm: InputSetting | None = None
    """Alarm contact without a direction; active when on."""
    alarm_in: InputSetting | None = None
    """Alarm of a tag on its way in."""
    alarm_out: InputSetting | None = None
    """Alarm of a tag on its way out."""
    metal: InputSetting | None = None
    jammer: InputSetting | None = None
    tamper: InputSetting | None = None
    counter_blocked: InputSetting | None = None
    people_in: InputSetting | None = None
    """One pulse a person."""
    people_out: InputSetting | None = None
    port: PortName | None = None
    """The text port of a gateway, in place of contacts."""
    profile: str | None = None
    """How the gateway's records read: a name in `drivers/profiles/eas`."""
    patterns: tuple[TextPattern, ...] = ()
    """The installer's own: tried before the profile's."""
    aisle: int = 1
    """Numbered from 1; a text record may name another."""
    merge: Seconds = Seconds(8.0)
    """Pulses with less quiet between them are one alarm."""
    stuck_after: Seconds = Seconds(60.0)
    """A contact that is active for so long is stuck: a fault, and no alarm any more."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset(
        {
            EasAlarm,
            EasEnded,
            EasMetal,
            EasJammer,
            EasTamper,
            EasCounterBlocked,
            EasDeactivated,
            EasVisitors,
            InputStuck,
            InputUnstuck,
        }
    )
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "alarm": ("active", "quiet"),
        "input": ("ok", "stuck"),
    }

    _contacts: Contacts = field(init=False, repr=False, default_factory=Contacts)
    _ear: Ear | None = field(init=False, repr=False, default=None)
    _table: PatternTable | None = field(init=False, repr=False, default=None)
    _separator: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        if self.aisle < 1:
            raise SettingError("aisle", "aisles are numbered from 1")
        if self.merge <= 0:
            raise SettingError("merge", "merge is more than 0 s", "5s to 10s is usual")
        if self.stuck_after <= self.merge:
            raise SettingError("stuck_after", f"stuck_after is longer than merge, {self.merge:g} s")
        if self.port is None:
            if self.profile is not None or self.patterns:
                named = "patterns" if self.profile is None else "profile"
                raise SettingError(named, f"{named} is for a text port", "name it: port: gateway")
            if not self.lines():
                raise SettingError("alarm", "a pedestal needs an input or a port")
            return
        if self.lines():
            name = next(iter(self.lines()))
            hint = "make two devices of it"
            raise SettingError(name, "a pedestal has either inputs or a port", hint)
        profile = load_profile("eas", self.profile) if self.profile else TextProfile()
        shipped, self._separator = profile.patterns, str(profile.settings.get("separator", ""))
        if not (self.patterns or shipped):
            problem = "a port needs a profile"
            if self.profile:
                problem = f"{self.profile} has no records of its own"
            hint = "write those you see: patterns: [{pattern: 'ALARM', signal: eas.alarm}]"
            raise SettingError("profile" if self.profile else "port", problem, hint)
        self._table = PatternTable(
            [*self.patterns, *shipped],
            signals=SAID_BY_TEXT,
            words=frozenset({EasEnded.kind, IGNORE}),
            groups=frozenset({"aisle"}),
        )

    def attach(self, house: House) -> None:
        if self.port is not None:
            self._ear = Ear(house.port(self.port), separator=self._separator)
        for name, setting in self._inputs().items():
            self._contacts.add(house, name, setting)

    async def run(self, emit: Emit) -> None:
        logic = _Pedestal(self, self._table)
        if self._ear is not None:
            await self._ear.follow(emit, logic)
        else:
            await self._contacts.follow(emit, logic)

    def signal_for(self, state: str, value: str) -> Signal | None:
        if (state, value) == ("alarm", "active"):
            return EasAlarm(aisle=self.aisle)
        return None

    def lines(self) -> Mapping[str, str]:
        return {name: setting.line for name, setting in self._inputs().items()}

    def _inputs(self) -> Mapping[str, InputSetting]:
        found = {name: getattr(self, name) for name in (*ALARMS, *OTHERS, *COUNTERS)}
        return {name: setting for name, setting in found.items() if setting is not None}


class _Pedestal:
    """What a pedestal's inputs and records mean. Pure; times are loop seconds."""

    def __init__(self, settings: EasPedestal, table: PatternTable | None) -> None:
        self._settings = settings
        self._table = table
        self._mergers: dict[int, Merger] = {}
        self._repeats = Repeats(settings.merge)
        self._counts: dict[str, int] = {}
        self._people = dict.fromkeys(COUNTERS, 0)
        self._people_at: float | None = None

    @property
    def deadline(self) -> float | None:
        due = [each.deadline for each in self._mergers.values()]
        return min((d for d in (*due, self._people_at) if d is not None), default=None)

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        self._counts[name] = change.count
        if name not in ALARMS:
            return {}
        merger = self._merger(self._settings.aisle)
        merger.found(name, change.since, active=bool(change.active))
        if merger.alarm:
            return {"alarm": "active", "input": "stuck" if merger.stuck else "ok"}
        wired = {each for each in ALARMS if each in self._settings.lines()}
        return {"alarm": "quiet", "input": "ok"} if wired <= self._counts.keys() else {}

    def lost(self, name: str) -> tuple[str, ...]:
        self._counts.pop(name, None)
        if name not in ALARMS:
            return ()
        self._merger(self._settings.aisle).lost(name)
        return ("alarm", "input")

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        rises = change.count - self._counts[name]
        self._counts[name] = change.count
        active, at, aisle = bool(change.active), change.since, self._settings.aisle
        if name in ALARMS:
            direction = ALARMS[name]
            merger = self._merger(aisle)
            return self._still(
                merger.pulse(name, at, active=active, rises=rises, direction=direction)
            )
        if name in COUNTERS:
            return self._count(name, rises, at)
        if self._repeats.first(name, at) and rises:
            return [OTHERS[name](aisle=aisle)]
        return []

    def read(self, text: str, at: float) -> Sequence[Signal] | None:
        meaning = self._table.read(text) if self._table else None
        if meaning is None:
            return None
        if meaning.word == IGNORE:
            return []
        values = {"aisle": str(self._settings.aisle), **meaning.values}
        if not (values["aisle"].isdecimal() and 1 <= int(values["aisle"]) <= MOST_AISLES):
            return None
        if meaning.word == EasEnded.kind:
            return self._still(self._merger(int(values["aisle"])).end(at))
        signal = build(SAID_BY_TEXT[meaning.word], values)
        if isinstance(signal, EasAlarm):
            merger = self._merger(signal.aisle)
            return merger.pulse("text", at, active=False, rises=1, direction=signal.direction)
        return None if signal is None else [signal]

    def advance(self, now: float) -> Sequence[Signal]:
        signals: list[Signal] = []
        for merger in self._mergers.values():
            signals += self._still(merger.advance(now))
        if self._people_at is not None and now >= self._people_at:
            came, went = (self._people[name] for name in COUNTERS)
            signals.append(EasVisitors(aisle=self._settings.aisle, entered=came, left=went))
            self._people = dict.fromkeys(COUNTERS, 0)
            self._people_at = None
        return signals

    def _merger(self, aisle: int) -> Merger:
        if aisle not in self._mergers:
            self._mergers[aisle] = Merger(
                aisle=aisle, merge=self._settings.merge, stuck_after=self._settings.stuck_after
            )
        return self._mergers[aisle]

    def _still(self, signals: Sequence[Signal]) -> Sequence[Signal]:
        """Return `signals`, and what is still so elsewhere on the device after they end it here."""
        mergers, kinds = self._mergers.values(), {type(each) for each in signals}
        still: dict[str, str] = {}
        if EasEnded in kinds and any(each.alarm for each in mergers):
            still["alarm"] = "active"
        if InputUnstuck in kinds and any(each.stuck for each in mergers):
            still["input"] = "stuck"
        return [*signals, StateKnown(values=still)] if still else signals

    def _count(self, name: str, people: int, at: float) -> Sequence[Signal]:
        self._people[name] += people
        if people and self._people_at is None:
            self._people_at = at + VISITORS_EACH
        return []


DRIVER = EasPedestal
