"""What is certain when a trigger is complete: who spoke, what was said, which states follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from drivers.event import SITE
from drivers.signals import UNKNOWN, by_kind
from rules.lint_logic import OTHER, Given
from rules.model import Absence, Count, Fact, FieldWords, Rule, Sequence, Trigger, World
from rules.words import fields_of_any

SITE_SETS: Mapping[str, tuple[str, str]] = {
    "opened": ("open", "yes"),
    "closed": ("open", "no"),
    "evacuation.started": ("evacuation", "yes"),
    "evacuation.ended": ("evacuation", "no"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One way in which a trigger can be complete."""

    fact: Fact
    """The fact that completes it."""
    given: Given


def completing(trigger: Trigger) -> tuple[Fact, ...]:
    """Return the facts of which one is the event that completes the trigger."""
    match trigger:
        case Fact():
            return (trigger,)
        case Sequence():
            steps = trigger.facts[-1:] if trigger.ordered else trigger.facts
            return tuple(fact for step in steps for fact in step)
        case Count():
            return trigger.of
        case Absence():
            return trigger.fact


def facts(trigger: Trigger) -> tuple[Fact, ...]:
    """Return every fact in a trigger."""
    match trigger:
        case Fact():
            return (trigger,)
        case Sequence():
            return tuple(fact for step in trigger.facts for fact in step)
        case Count():
            return trigger.of
        case Absence():
            return (*trigger.fact, *trigger.without)


def event_fields(rule: Rule, world: World) -> dict[str, FieldWords]:
    """Return what `event.*` may be in the rule's condition."""
    said: list[Mapping[str, FieldWords]] = []
    signals: dict[str, None] = {}
    members: dict[str, None] = {}
    for fact in (fact for trigger in rule.when for fact in completing(trigger)):
        members |= dict.fromkeys(fact.members)
        for member in fact.members:
            says = world.devices[member].says
            if fact.signal is None:
                said.append({"changed_while_down": "bool"})
                signals |= dict.fromkeys(says)
            else:
                said.append(says[fact.signal])
                signals[fact.signal] = None
    return {**fields_of_any(said), "device": tuple(members), "signal": tuple(signals)}


def grounds(rule: Rule, world: World) -> Iterator[Ground]:
    """Return every way in which the rule's trigger can be complete."""
    for trigger in rule.when:
        waits = isinstance(trigger, Absence) and trigger.waits
        for fact in completing(trigger):
            yield Ground(fact=fact, given=of_fact(fact, world, waits=waits))


def of_fact(fact: Fact, world: World, *, waits: bool = False) -> Given:
    """Return what is certain when a fact comes; `waits`: time has passed since.

    Of a group nothing is certain but that one of its members spoke: it has others elsewhere.
    """
    given = Given(devices=_speakers(fact))
    if fact.signal is not None:
        given = replace(given, signals=(fact.signal,), fields=fact.fields)
        if not waits:
            given = replace(given, said=(fact.members, fact.signal))
            given = _state(given, fact, _sets(fact), world)
    elif fact.state is not None and fact.value is not None and not (waits or _shared(fact)):
        most = 0.0 if fact.hold is None else math.inf
        given = replace(given, held=(fact.members, fact.state, fact.hold or 0.0, most))
        given = _state(given, fact, {fact.state: fact.value}, world)
    return given


def held(fact: Fact, world: World) -> Given:
    """Return what is certain while `while:` of the fact is asked."""
    given = Given(devices=_speakers(fact))
    if fact.state and fact.value and not _shared(fact):
        given = _state(given, fact, {fact.state: fact.value}, world)
    return given


def _speakers(fact: Fact) -> tuple[str, ...]:
    return (*fact.members, OTHER) if fact.group else fact.members


def _shared(fact: Fact) -> bool:
    """Return whether several devices together hold the state, so that none has to."""
    return fact.across and fact.hold is not None


@cache
def _sets_of(signal: str) -> Mapping[str, str]:
    found = by_kind().get(signal)
    return found.sets if found is not None else {}


def _sets(fact: Fact) -> Mapping[str, str]:
    """Return the states that follow from a signal."""
    signal = fact.signal or ""
    if fact.members == (SITE,):
        schedule, dot, edge = signal.rpartition(".")
        if signal in SITE_SETS:
            return dict([SITE_SETS[signal]])
        if signal == "mode.changed" and len(fact.fields.get("mode", ())) == 1:
            return {"mode": fact.fields["mode"][0]}
        known = dot and edge in ("started", "ended")
        return {schedule: "yes" if edge == "started" else "no"} if known else {}
    if signal == "door.held" and len(fact.fields.get("stage", ())) == 1:
        return {"held": fact.fields["stage"][0]}
    return _sets_of(signal)


def _state(given: Given, fact: Fact, sets: Mapping[str, str], world: World) -> Given:
    """Add the states of the device that spoke."""
    if fact.group:
        return given
    member = fact.members[0]
    has = world.devices[member].states
    known = {(member, s): (v,) for s, v in sets.items() if s in has}
    if known.get((member, "link")) == ("down",):
        known |= {(member, state): (UNKNOWN,) for state in has if state != "link"}
    return replace(given, states={**given.states, **known})


def at_this_site(given: Given, world: World) -> Given:
    """Return what is certain at this site by its hours, which others need not share."""
    if world.calendar.hours:
        return given
    return replace(given, states={**given.states, (SITE, "open"): (UNKNOWN,)})
