"""What a backtest found: two rule sets over the same history, per rule, per day and per device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Change = Literal["lost", "gained"]
ACTS = ("evacuate", "mode")
"""Site commands that are counted like orders."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """What one rule set did."""

    alarms: int = 0
    """Firings; steps of `escalate` are none."""
    shadow: int = 0
    """How many of them are of rules in shadow: nothing would have been done."""
    siren_seconds: float = 0.0
    """For how long any `sound` lease was live, each output for itself."""
    clips: int = 0
    """Orders to record; longer recordings by repeats within a cooldown are none."""
    incidents: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    """Every other order by its command."""

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, seconds to the millisecond."""
        return {
            "alarms": self.alarms,
            "shadow": self.shadow,
            "siren_seconds": round(self.siren_seconds, 3),
            "clips": self.clips,
            "incidents": self.incidents,
            "orders": dict(sorted(self.orders.items())),
        }


@dataclass(slots=True, kw_only=True)
class Line:
    """One rule, day or device, before and after."""

    before: Figures = field(default_factory=Figures)
    after: Figures = field(default_factory=Figures)
    lost: int = 0
    gained: int = 0

    @property
    def differs(self) -> bool:
        """Whether the two rule sets did anything different here."""
        return bool(self.lost or self.gained) or self.before.as_json() != self.after.as_json()

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "lost": self.lost,
            "gained": self.gained,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A firing that only one of the rule sets has."""

    change: Change
    rule: str
    member: str
    device: str
    """Who said the completing event."""
    signal: str
    cause: str
    """Id of the completing event."""
    at: datetime
    """Wall time of the firing, UTC."""
    shadow: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "change": self.change,
            "rule": self.rule,
            "member": self.member,
            "device": self.device,
            "signal": self.signal,
            "cause": self.cause,
            "at": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "shadow": self.shadow,
        }


@dataclass(slots=True, kw_only=True)
class Played:
    """What was played, and what it can't tell."""

    events: int = 0
    """Events of the history within the time asked for, as far as they were read."""
    heard: int = 0
    """Those that any rule of either set can hear; only these were played."""
    first: datetime | None = None
    last: datetime | None = None
    restarts: int = 0
    unreadable: int = 0
    """Records that are not events of this product."""
    strangers: Counter[str] = field(default_factory=Counter)
    """Device that the configuration does not have to the number of its events."""
    gaps: int = 0
    """Records in the history that say that others are missing."""
    journal_begins: datetime | None = None
    """Set when the history begins after the time asked for."""
    evicted: int = 0
    """Records within the history that had to go because of the size of the journal."""
    restored: bool = False
    """Whether states and waiting rules at the beginning are those of a snapshot."""

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        times = {"first": self.first, "last": self.last, "journal_begins": self.journal_begins}
        return {
            "events": self.events,
            "heard": self.heard,
            **{name: None if at is None else at.isoformat() for name, at in times.items()},
            "restarts": self.restarts,
            "unreadable": self.unreadable,
            "strangers": dict(self.strangers),
            "gaps": self.gaps,
            "evicted": self.evicted,
            "restored": self.restored,
        }


@dataclass(slots=True, kw_only=True)
class Report:
    """The difference. `before` are the rules as they run, `after` the new ones."""

    total: Line = field(default_factory=Line)
    rules: dict[str, Line] = field(default_factory=dict)
    days: dict[str, Line] = field(default_factory=dict)
    """By local date, `2026-11-20`."""
    devices: dict[str, Line] = field(default_factory=dict)
    """Alarms and incidents under the device that completed them, the rest under their own."""
    examples: list[Alarm] = field(default_factory=list)
    """The first of each rule that were lost or gained, in order of time."""
    changed: Mapping[str, str] = field(default_factory=dict)
    """Rule to `new`, `gone`, `changed`, `shadow` (it decides, and does nothing, after)."""
    played: Played = field(default_factory=Played)
    zone: str = "UTC"

    @property
    def alarms_before(self) -> int:
        """Firings of the rules as they run."""
        return self.total.before.alarms

    @property
    def alarms_after(self) -> int:
        """Firings of the new rules, those in shadow among them where they were asked for."""
        return self.total.after.alarms

    @property
    def siren_seconds_before(self) -> float:
        return self.total.before.siren_seconds

    @property
    def siren_seconds_after(self) -> float:
        return self.total.after.siren_seconds

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "total": self.total.as_json(),
            "rules": {name: line.as_json() for name, line in sorted(self.rules.items())},
            "days": {name: line.as_json() for name, line in sorted(self.days.items())},
            "devices": {name: line.as_json() for name, line in sorted(self.devices.items())},
            "changed": dict(self.changed),
            "examples": [one.as_json() for one in self.examples],
            "zone": self.zone,
            "played": self.played.as_json(),
        }
