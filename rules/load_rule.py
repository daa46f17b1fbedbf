"""Read one rule: its trigger, condition, steps, and what its priority forbids."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from drivers.commands import OpenIncident
from drivers.priorities import Priority
from drivers.settings import Seconds
from rules import yaml_source as ys
from rules.expressions import Compiled, compile_condition
from rules.load_actions import actions, endless, holds, say_endless
from rules.load_scope import Scope
from rules.load_triggers import triggers
from rules.load_vars import used
from rules.model import (
    Absence,
    Action,
    Count,
    Escalation,
    Fact,
    FieldWords,
    Quiet,
    Rule,
    Sequence,
    Trigger,
)
from rules.problems import did_you_mean, nearest_or_all
from rules.words import fields_of_any

KEYS = (
    "description",
    "priority",
    "requires",
    "enabled",
    "replaces",
    "when",
    "if",
    "if_unknown",
    "do",
    "until",
    "cooldown",
    "quiet",
    "escalate",
    "after_restart",
)
SAFETY = (Priority.life_safety, Priority.personal_safety)
STORM_TIMES, STORM_LEAST = 20, 60.0
"""`quiet:` without `at_most:` is so many times its `for:`, and at least so many seconds."""


def rule(name: str, node: ys.Mapping, scope: Scope) -> Rule | None:
    """Return the rule `name`, or None when its mapping has no use at all.

    A rule with problems is returned too: whoever loads must refuse the whole set then.
    """
    _known_keys(node, scope)
    priority = _priority(node, scope)
    scope = dataclasses.replace(scope, life_safety=priority is Priority.life_safety)
    plain = Rule(
        id=name,
        mark=node.mark,
        description=_description(node, scope),
        priority=priority,
        enabled=_choice(node, scope, "enabled", Literal["yes", "no", "shadow"], "yes"),
        inactive=inactive(node, scope),
        hash=_hash(node, scope),
    )
    if plain.inactive:
        return plain
    if scope.missing(node, "when", "do"):
        return None
    when = triggers(node.items["when"], scope)
    completing = [fact for trigger in when for fact in _completing(trigger)]
    members = tuple(dict.fromkeys(m for fact in completing for m in fact.members))
    do = actions(node.items["do"], scope, members)
    until = triggers(node.items["until"], scope) if "until" in node.items else ()
    if "until" in node.items and do and not any(endless(action) for action in do):
        hint = "sound, switch_on and release are ended by until: when they have no for:"
        if any(holds(action) for action in do):
            hint = "for: ends them; leave one of the two out"
        scope.problems.error(node.keys["until"], "until: ends nothing", hint)
    if "escalate" in node.items and do and not any(isinstance(a.command, OpenIncident) for a in do):
        hint = "add {incident: NAME} to do:, for people to acknowledge"
        scope.problems.warning(node.keys["escalate"], "nothing can stop this escalation", hint)
    escalate = _escalate(node, scope, members)
    if "until" not in node.keys:
        for action in (*do, *(a for step in escalate for a in step.do)):
            say_endless(action, scope, members)
    default = "fire" if priority in SAFETY else "skip"
    return dataclasses.replace(
        plain,
        when=when,
        condition=_condition(node, scope, completing) if completing else None,
        if_unknown=_choice(node, scope, "if_unknown", Literal["fire", "skip"], default),
        do=do,
        until=until,
        cooldown=_cooldown(node, scope, priority),
        quiet=_quiet(node, scope, priority),
        escalate=escalate,
        after_restart=_choice(
            node, scope, "after_restart", Literal["resume", "late", "expire"], "resume"
        ),
    )


def _known_keys(node: ys.Mapping, scope: Scope) -> None:
    for key, mark in node.keys.items():
        if key == "with":
            hint = "write template: beside it, the template that the rule is made of"
            scope.problems.error(mark, "with: goes with template:", hint)
        elif key not in KEYS:
            hint = did_you_mean(key, (*KEYS, "template")) or nearest_or_all(key, KEYS)
            scope.problems.error(mark, f"unknown key {key!r}", hint)


def _priority(node: ys.Mapping, scope: Scope) -> Priority:
    if "priority" not in node.items:
        return Priority.security
    word = scope.word(node.items["priority"])
    names = [p.name for p in Priority]
    if word is not None and word not in names:
        scope.unknown(node.items["priority"].mark, "priority", word, names)
    return Priority[word] if word in names else Priority.security


def _description(node: ys.Mapping, scope: Scope) -> str:
    return (scope.word(node.items["description"]) or "") if "description" in node.items else ""


def _choice(node: ys.Mapping, scope: Scope, key: str, wanted: Any, default: str) -> Any:
    if key not in node.items:
        return default
    return scope.convert(node.items[key], wanted) or default


def inactive(node: ys.Mapping, scope: Scope) -> str:
    """Return why the rule is inactive here, or an empty string."""
    if "requires" not in node.items:
        return ""
    items = scope.items(node.items["requires"])
    if not items:
        scope.problems.error(node.items["requires"].mark, "requires: names nothing")
    for item in items:
        name = scope.word(item)
        members = None if name is None else scope.members(name)
        if name is not None and not members:
            why = "there is none here" if members is None else "it is empty here"
            return f"requires {name}, and {why}"
    return ""


def _condition(node: ys.Mapping, scope: Scope, completing: list[Fact]) -> Compiled | None:
    if "if" not in node.items:
        return None
    found = scope.resolved(node.items["if"])
    if found is None:
        return None
    return compile_condition(
        found,
        scope.world,
        event_fields=_event_fields(completing, scope),
        problems=scope.problems,
        event_only=scope.life_safety,
        context=scope.context,
    )


def _event_fields(completing: list[Fact], scope: Scope) -> Mapping[str, FieldWords]:
    """Return what `event.*` may be: the fields of every signal that can complete the trigger."""
    said: list[Mapping[str, FieldWords]] = []
    signals: dict[str, None] = {}
    for fact in completing:
        for member in fact.members:
            device = scope.world.devices[member]
            if fact.signal is None:
                said.append({"changed_while_down": "bool"})
                signals |= dict.fromkeys(device.says)
            elif fact.signal in device.says:
                said.append(device.says[fact.signal])
                signals[fact.signal] = None
    members = dict.fromkeys(m for fact in completing for m in fact.members)
    return {**fields_of_any(said), "device": tuple(members), "signal": tuple(signals)}


def _completing(trigger: Trigger) -> Iterable[Fact]:
    """Return the facts of which one is the event that completes the trigger."""
    match trigger:
        case Fact():
            return (trigger,)
        case Sequence():
            steps = trigger.facts[-1:] if trigger.ordered else trigger.facts
            return [fact for step in steps for fact in step]
        case Count():
            return trigger.of
        case Absence():
            return trigger.fact


def _cooldown(node: ys.Mapping, scope: Scope, priority: Priority) -> float:
    if "cooldown" not in node.items:
        return 0.0
    if priority in SAFETY:
        hint = "each alarm counts; leave it out"
        scope.problems.error(node.keys["cooldown"], f"a {priority.name} rule has no cooldown", hint)
    seconds: float | None = scope.convert(node.items["cooldown"], Seconds)
    return seconds or 0.0


def _quiet(node: ys.Mapping, scope: Scope, priority: Priority) -> Quiet | None:
    """Return what `quiet: 30s` or `quiet: {for: 30s, at_most: 10m}` says."""
    if "quiet" not in node.items:
        return None
    if priority in SAFETY:
        hint = "each alarm counts; leave it out"
        scope.problems.error(node.keys["quiet"], f"a {priority.name} rule has no quiet", hint)
    written = scope.resolved(node.items["quiet"])
    if written is None:
        return None
    parts = written
    if not isinstance(written, ys.Mapping):
        parts = ys.Mapping(mark=written.mark, items={"for": written}, keys={"for": written.mark})
    assert isinstance(parts, ys.Mapping)  # noqa: S101 - made just above
    scope.known_keys(parts, ("for", "at_most"))
    if scope.missing(parts, "for"):
        return None
    gap = scope.window(parts.items["for"])
    if gap is None:
        return None
    at_most = max(STORM_TIMES * gap, STORM_LEAST)
    if "at_most" in parts.items:
        at_most = scope.window(parts.items["at_most"]) or at_most
        if at_most < gap:
            hint = "it fires again after at_most:, however long the storm"
            mark = parts.items["at_most"].mark
            scope.problems.error(mark, "at_most: is no shorter than for:", hint)
    return Quiet(gap=gap, at_most=at_most)


def _escalate(node: ys.Mapping, scope: Scope, members: tuple[str, ...]) -> tuple[Escalation, ...]:
    found: list[Escalation] = []
    for item in scope.items(node.items["escalate"]) if "escalate" in node.items else ():
        step = scope.mapping(item, "write {after: 60s, do: […]}")
        if step is None:
            continue
        scope.known_keys(step, ("after", "do"))
        if scope.missing(step, "after", "do"):
            continue
        after = scope.window(step.items["after"])
        do: tuple[Action, ...] = actions(step.items["do"], scope, members)
        if after is not None and do:
            if found and after <= found[-1].after:
                message = "a step of escalate: comes after the one before it"
                scope.problems.error(step.items["after"].mark, message)
            found.append(Escalation(after=after, do=do))
    return tuple(found)


def _hash(node: ys.Mapping, scope: Scope) -> str:
    """Return the hash of what is written, variables put in; places don't count."""
    text = "\n".join(_written(node, scope))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _written(node: ys.Node, scope: Scope) -> Iterator[str]:
    if isinstance(node, ys.Scalar):
        yield f"!var {node.text}" if node.tag == "!var" else f"{node.tag} {node.text!r}"
        for name in used(node):
            given = scope.context.variables.get(name)
            if isinstance(given, ys.Scalar) and given.tag != "!var":
                yield given.text
    elif isinstance(node, ys.Sequence):
        yield "["
        for item in node.items:
            yield from _written(item, scope)
        yield "]"
    elif isinstance(node, ys.Mapping):
        yield "{"
        for key, item in node.items.items():
            yield f"{key!r}:"
            yield from _written(item, scope)
        yield "}"
