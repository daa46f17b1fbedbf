"""Play a test of the rules on a virtual clock and say in words what differs from `expect`.

The devices start known and quiet, for ever so; what holds for a time counts from 0 s. Each entry
of the timeline comes after what falls due at its instant. After the last entry time goes on until
everything is over that the timeline has begun. `fail` makes a device fail every order from then
on (`order.failed` follows each), and so does `down`; `up` ends both, and finds the device as it
was. What the timeline says while a `restart` lasts is found when it is over, marked
`changed_while_down`, where it changed a state. What needs somebody there (`mode`, `acknowledge`,
another `restart`) can't be meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from drivers.event import SITE, Event
from rules.calendar import instant
from rules.model import RuleSet, TestCase, World
from rules.modes import HOURS
from rules.scenario_compare import compare
from rules.scenario_stage import Endless, Stage

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC).replace(tzinfo=None)
"""When a test plays that does not say: a Monday, site local."""
DOINGS = ("down", "up", "fail", "restart", "acknowledge", "mode")
"""What befalls the store, in the place of a device."""
LINKS = ("down", "up", "fail")
"""What befalls a device, whether anybody is there or not."""


def play(case: TestCase, rules: RuleSet, world: World) -> list[str]:
    """Return every difference between `expect` and what the rules did; empty: it passed."""
    if case.skipped:
        return []
    by_id = {rule.id: rule for rule in rules.rules} | dict(case.variant)
    chosen = [by_id[rule] for rule in case.rules if rule in by_id]
    began = _instant(case.given.get("now", NOON), world)
    moments = tuple({m.key: m for m in (*rules.moments, *case.moments)}.values())
    stage = Stage(chosen, moments, world, began, case.given.get("states", {}))
    try:
        unheard = _tell(stage, case)
    except Endless:
        return ["the rules trigger each other without end"]
    problems = [*unheard, *compare(case.expect, stage.did, stage.not_fired)]
    expected = {entry.get("rule") for entry in case.expect} if problems else set()
    quiet = (r for r in chosen if r.enabled != "yes" and r.id in expected)
    return [*problems, *(f"{r.id} does nothing: it is enabled: {r.enabled}" for r in quiet)]


def _instant(now: Any, world: World) -> datetime:
    local = now if isinstance(now, datetime) else datetime.fromisoformat(str(now))
    at = instant(local.date(), local.hour * 60 + local.minute, ZoneInfo(world.calendar.zone))
    return at.replace(second=local.second)


def _tell(stage: Stage, case: TestCase) -> list[str]:
    """Play the timeline; return what in it could not happen."""
    back = 0.0
    missed: list[Event] = []
    later: list[Mapping[str, Any]] = []
    unheard: list[str] = []
    for entry in sorted(case.timeline, key=lambda e: float(e["at"])):
        at = float(entry["at"])
        if at < back:
            doing = _signal(entry)[0]
            if doing in LINKS:
                later.append(entry)
            elif doing in DOINGS:
                unheard.append(f"at {at:g}s {doing} is of no use: the box is down until {back:g}s")
            else:
                missed += _heard(stage, entry, at)
            continue
        _come_back(stage, missed, later, back)
        stage.until(at)
        if _signal(entry)[0] == "restart":
            back = at + float(entry["restart"])
            stage.restart(at, float(entry["restart"]))
        else:
            _enter(stage, entry, at)
    _come_back(stage, missed, later, back)
    last = max((float(e["at"]) for e in case.expect if "at" in e), default=0.0)
    stage.until(max(last, back))
    stage.run_out()
    return unheard


def _come_back(
    stage: Stage, missed: list[Event], later: list[Mapping[str, Any]], back: float
) -> None:
    """Find what became of the devices while a restart lasted."""
    for entry in later:
        _enter(stage, entry, back)
    later.clear()
    _catch_up(stage, missed, back)


def _signal(entry: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return who says what, with which fields: the first key beside `at` is the device, or what
    befalls the store.
    """
    rest = {key: value for key, value in entry.items() if key != "at"}
    device = next(iter(rest))
    return device, str(rest.pop(device)), rest


def _enter(stage: Stage, entry: Mapping[str, Any], at: float) -> None:
    who, what, fields = _signal(entry)
    if who == "down":
        stage.down(at, what)
    elif who == "up":
        stage.up(at, what)
    elif who == "fail":
        stage.fail(what)
    elif who == "acknowledge":
        stage.say(stage.stamp.signal(at, SITE, "incident.acknowledged", {"name": what}))
    elif who == "mode" or (who == SITE and what == "mode.changed"):
        mode = what if who == "mode" else str(fields.get("mode", HOURS))
        stage.mode(at, mode, fields.get("for"), str(fields.get("by", "test")))
    elif who == SITE and what in ("opened", "closed") and "by" in fields:
        stage.mode(at, {"opened": "open"}.get(what, what), None, str(fields["by"]))
    elif who == SITE and what in ("evacuation.started", "evacuation.ended"):
        stage.evacuation(at, what, fields)
    else:
        stage.say(stage.stamp.signal(at, who, what, fields))


def _heard(stage: Stage, entry: Mapping[str, Any], at: float) -> list[Event]:
    """Return what an entry says while nobody listens."""
    who, what, fields = _signal(entry)
    return [stage.stamp.signal(at, who, what, fields)]


def _catch_up(stage: Stage, missed: list[Event], back: float) -> None:
    """Say what is found changed, the last that was said of each state."""
    last = {(e.device, state): e for e in missed for state in e.sets}
    missed.clear()
    for event in dict.fromkeys(e.id for e in last.values()):
        found = next(e for e in last.values() if e.id == event)
        sets = {s: v for s, v in found.sets.items() if stage.known(found.device, s) != v}
        if sets:
            fields = {**found.fields, "changed_while_down": True}
            stage.say(stage.stamp.event(back, found.device, found.kind, fields, sets))
