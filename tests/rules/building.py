"""Rules, facts and events built by hand, for tests of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from drivers.commands import Command, RecordClip, Release, Sound
from drivers.event import Event
from drivers.priorities import Priority
from rules.engine import Engine
from rules.model import (
    Absence,
    Action,
    Answer,
    Count,
    Decision,
    Fact,
    Rule,
    Sequence,
    StateView,
    Trigger,
    World,
)
from rules.problems import Mark
from tests.rules.worlds import SHOP

MARK = Mark("made.yaml", 1, 1)
NUMBERS = count(1)
BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)

STATES = {
    "door.opened": {"contact": "open"},
    "door.closed": {"contact": "closed"},
    "eas.alarm": {"alarm": "active"},
    "eas.ended": {"alarm": "quiet"},
    "fire.alarm": {"alarm": "active"},
    "link.up": {"link": "up"},
    "link.down": {"link": "down"},
    "opened": {"open": "yes"},
    "closed": {"open": "no"},
    "delivery.started": {"delivery": "yes"},
    "delivery.ended": {"delivery": "no"},
}


def said(tick: float, device: str, kind: str, **fields: Any) -> Event:
    """An event; `sets=` overrides the states that usually follow from its kind."""
    sets = fields.pop("sets", STATES.get(kind, {}))
    return Event(
        id=f"{next(NUMBERS):032x}",
        device=device,
        kind=kind,
        priority=Priority.security,
        tick=tick,
        at=BEGAN + timedelta(seconds=tick),
        boot="b" * 32,
        trusted=True,
        fields=fields,
        sets=sets,
    )


@dataclass
class Says:
    """A condition: a state has a value."""

    device: str
    state: str
    value: str
    counts: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    variables: Mapping[str, str | float | bool] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"{self.device}.{self.state} == {self.value!r}"

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        return frozenset({(self.device, self.state)})

    def evaluate(self, view: StateView, event: Event | None) -> Answer:
        value = view.state(self.device, self.state)
        if value == "unknown":
            return "unknown"
        return "yes" if value == self.value else "no"


def fact(device: str, what: str, **options: Any) -> Fact:
    """`fact("door_front", "door.opened")`, `fact("door_front", "contact=open", hold=5)`.

    A group's name stands for its members in SHOP.
    """
    members = SHOP.groups.get(device)
    options.setdefault("group", device if members is not None else None)
    options.setdefault("members", members if members is not None else (device,))
    fields = options.pop("fields", {})
    if "=" in what:
        state, value = what.split("=")
        return Fact(mark=MARK, state=state, value=value, fields=fields, **options)
    return Fact(mark=MARK, signal=what, fields=fields, **options)


def sequence(*facts: Fact, within: float, by: str | None = None) -> Sequence:
    return Sequence(mark=MARK, facts=tuple((f,) for f in facts), within=within, ordered=True, by=by)


def together(*facts: Fact, within: float, by: str | None = None) -> Sequence:
    steps = tuple((f,) for f in facts)
    return Sequence(mark=MARK, facts=steps, within=within, ordered=False, by=by)


def counted(number: int, of: Fact, within: float, by: str | None = None) -> Count:
    return Count(mark=MARK, count=number, of=(of,), within=within, by=by)


def after(first: Fact, without: Fact, within: float, **options: Any) -> Absence:
    return Absence(
        mark=MARK, fact=(first,), without=(without,), within=within, waits=True, **options
    )


def before(first: Fact, without: Fact, within: float, **options: Any) -> Absence:
    return Absence(
        mark=MARK, fact=(first,), without=(without,), within=within, waits=False, **options
    )


def do(
    command: Command, *devices: str, lasts: float | None = None, near: str | None = None
) -> Action:
    return Action(mark=MARK, command=command, devices=devices, lasts=lasts, near=near)


SOUND = do(Sound(), "siren_front", lasts=10.0)
RELEASE = do(Release(), "lock_exit")
RECORD = do(RecordClip(), "cam_exit", lasts=30.0)


def rule(*when: Trigger, name: str = "r", **options: Any) -> Rule:
    options.setdefault("hash", name)
    return Rule(id=name, mark=MARK, when=when, **options)


def heard(engine: Engine, world: World = SHOP) -> Engine:
    """Return the engine with every device's link up for ever."""
    for device in world.devices:
        engine.assume(said(-100.0, device, "state.known", sets={"link": "up"}))
    return engine


def engine(*rules: Rule) -> Engine:
    return heard(Engine(rules, SHOP))


def play(engine: Engine, *events: Event, until: float | None = None) -> list[Decision]:
    """Feed in the given order, each after what falls due up to its tick; then go on."""
    found: list[Decision] = []
    reached = float("-inf")
    for event in events:
        if event.tick >= reached:
            found += engine.advance(event.tick)
            reached = event.tick
        found += engine.feed(event)
    if until is not None:
        found += engine.advance(until)
    return found


def told(decisions: list[Decision]) -> list[str]:
    """Decisions as short lines: `10 r fired`, `10 r/door_back fired`, `20 r ended siren_front`."""
    lines = []
    for d in decisions:
        who = f"{d.tick:g} {d.rule}" + (f"/{d.member}" if d.member else "")
        kind = type(d).__name__
        if kind == "Fired":
            late = " late" if getattr(d, "late", False) else ""
            step = getattr(d, "step", 0)
            lines.append(f"{who} fired{late}" + (f" step {step}" if step else ""))
        elif kind == "Ended":
            lines.append(f"{who} ended {getattr(d, 'device', '')} {getattr(d, 'because', '')}")
        elif kind == "Repeated":
            lines.append(f"{who} repeated {getattr(d, 'count', 0)}")
        else:
            lines.append(f"{who} not: {getattr(d, 'reason', '')}")
    return lines
