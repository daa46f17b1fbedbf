"""A firing as a story, near misses in groups: what is told of them, as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from edge.encode import utc

NEWEST_KEPT = 20
"""Near misses of one rule, member and kind that are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event that a trigger matched."""

    device: str
    signal: str
    at: datetime
    tick: float
    id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """How a trigger was complete, or nearly, and what the condition said."""

    trigger: int = 0
    facts: tuple[Fact, ...] = ()
    held: float | None = None
    wanted: float | None = None
    condition: str = ""
    answer: str = ""
    read: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Told:
    """One order of a firing and what became of it. Times are seconds after the firing."""

    device: str
    command: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lasts: float | None = None
    result: str = "given"
    """`done`, `failed`, `refused`, `unmoved`, `shadow`, or `given`: nothing more is known."""
    reason: str = ""
    after: float | None = None
    failures: list[str] = field(default_factory=list)
    """What it failed for before it was done."""
    ended: float | None = None
    because: str = ""
    """What ended its lease: `for`, `until`, `limit`, `gone`; `renewed` by the next firing."""


@dataclass(slots=True, kw_only=True)
class Firing:
    """One firing as a story."""

    rule: str
    member: str
    at: datetime
    tick: float
    id: str = ""
    step: int = 0
    after: float = 0.0
    """Of a step of the escalation: seconds after its firing."""
    late: bool = False
    shadow: bool = False
    traced: bool = True
    """False: the journal has that it fired, and not why."""
    why: Because = field(default_factory=Because)
    orders: list[Told] = field(default_factory=list)
    repeats: int = 0
    """How often it would have fired again before it might."""
    escalated: list[Firing] = field(default_factory=list)
    config: str = ""
    sequence: int = 0

    def names(self, device: str) -> bool:
        """Return whether `device` has a part in it."""
        facts = any(f.device == device for f in self.why.facts)
        return self.member == device or facts or any(o.device == device for o in self.orders)


@dataclass(slots=True, kw_only=True)
class Missed:
    """Near misses of one rule, member and kind that are one record: the nearest of them."""

    rule: str
    member: str
    miss: str
    reason: str
    at: datetime
    tick: float
    progress: float = 1.0
    count: int = 1
    first: datetime
    last: datetime
    why: Because = field(default_factory=Because)
    sequence: int = 0

    def names(self, device: str) -> bool:
        """Return whether `device` has a part in it."""
        return self.member == device or any(f.device == device for f in self.why.facts)


@dataclass(slots=True, kw_only=True)
class Group:
    """All near misses of one rule, member and kind: told in one line, or a few."""

    nearest: Missed
    count: int = 0
    first: datetime
    last: datetime
    latest: list[Missed] = field(default_factory=list)
    """The newest records, newest first."""

    def add(self, missed: Missed) -> None:
        self.count += missed.count
        self.first, self.last = min(self.first, missed.first), max(self.last, missed.last)
        if missed.progress > self.nearest.progress:
            self.nearest = missed
        if len(self.latest) < NEWEST_KEPT:
            self.latest.append(missed)


def put(groups: dict[tuple[str, str, str], Group], missed: Missed) -> None:
    """Put a near miss into its group."""
    key = (missed.rule, missed.member, missed.miss)
    if key not in groups:
        groups[key] = Group(nearest=missed, first=missed.first, last=missed.last)
    groups[key].add(missed)


def because(data: Mapping[str, Any]) -> Because:
    """Return what `Why.as_json` said."""
    facts = tuple(
        Fact(
            id=f["id"],
            device=f["device"],
            signal=f["signal"],
            at=datetime.fromisoformat(f["at"]),
            tick=f["tick"],
            fields=f.get("fields", {}),
        )
        for f in data.get("facts", ())
    )
    return Because(
        trigger=data.get("trigger", 0),
        facts=facts,
        held=data.get("held"),
        wanted=data.get("wanted"),
        condition=data.get("if", ""),
        answer=data.get("answer", ""),
        read=data.get("read", {}),
    )


def as_json(told: Firing | Missed | Group) -> dict[str, Any]:
    """Return JSON values, what is empty left out; times in UTC, RFC 3339."""
    found: dict[str, Any] = _plain(asdict(told))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, Mapping):
        kept = {k: _plain(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, "", [], {}) and v is not False}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value
