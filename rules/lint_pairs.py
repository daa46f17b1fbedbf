"""Two rules on one thing: those that fight over an output, and those that only repeat another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drivers.commands import Command, Goto, SetMode
from rules.lint_conditions import accepted
from rules.lint_ground import event_fields, of_fact
from rules.lint_logic import Given, Logic
from rules.model import Action, Fact, Rule, World
from rules.problems import Mark, Problems
from rules.words import fields_of_any


def pairs(rules: Iterable[Rule], world: World, problems: Problems) -> None:
    """Warn of rules that order opposite things at one moment, and of rules that add nothing."""
    at_work = [rule for rule in rules if rule.enabled == "yes"]
    for rule in at_work:
        _with_itself(rule, problems)
    gist = {rule.id: Gist.of(rule) for rule in at_work}
    told: set[tuple[str, str]] = set()
    needless: set[str] = set()
    for one, other in _met(at_work):
        pair = (one.id, other.id)
        if needless.intersection(pair):
            continue  # what it does another does, and is told of that one
        if one.id == other.id or pair in told or one.priority is not other.priority:
            continue
        told.add(pair)
        first, second = gist[one.id], gist[other.id]
        may_fight = first.undoes & second.kinds or second.undoes & first.kinds
        if may_fight and _fight(one, other, world, problems):
            continue
        if first.do <= second.do or second.do <= first.do:
            needless |= _repeat(one, other, world, problems)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What is quickly compared of a rule."""

    do: frozenset[Any]
    """The shapes of its steps."""
    kinds: frozenset[str]
    """The commands that it gives."""
    undoes: frozenset[str]
    """The commands that can't be carried out together with its own."""

    @classmethod
    def of(cls, rule: Rule) -> Gist:
        kinds = {action.command.kind for action in rule.do}
        alike = kinds & {Goto.kind, SetMode.kind}
        ends = {kind for action in rule.do for kind in action.command.ends}
        return cls(
            do=frozenset(shape(action) for action in rule.do),
            kinds=frozenset(kinds),
            undoes=frozenset(ends | alike),
        )


def _met(rules: list[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Return the pairs of rules, in file order, that one event may fire both."""
    by_event: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        for key in {key for fact in _facts(rule) for key in _keys(fact)}:
            for earlier in by_event.setdefault(key, []):
                yield earlier, rule
            by_event[key].append(rule)


def _facts(rule: Rule) -> list[Fact]:
    return [trigger for trigger in rule.when if isinstance(trigger, Fact)]


def _keys(fact: Fact) -> Iterator[tuple[str, str]]:
    what = fact.signal or f"{fact.state}={fact.value}"
    return ((member, what) for member in fact.members)


# --- opposite orders -----------------------------------------------------------------------


def opposite(one: Command, other: Command) -> bool:
    """Return whether two commands to one device can't both be carried out."""
    if isinstance(one, Goto) and isinstance(other, Goto):
        return one.preset != other.preset
    if isinstance(one, SetMode) and isinstance(other, SetMode):
        return one.name != other.name
    return bool(one.kind in other.ends or other.kind in one.ends)


def _devices(action: Action, member: str, world: World) -> tuple[str, ...]:
    if action.near is None:
        return action.devices
    return world.devices[member].near.get(action.near, ())


def _with_itself(rule: Rule, problems: Problems) -> None:
    for index, trigger in enumerate(rule.when):
        if shape(trigger) in {shape(before) for before in rule.when[:index]}:
            problems.warning(trigger.mark, "this trigger stands in when: twice", "remove one")
    for index, action in enumerate(rule.do):
        for before in rule.do[:index]:
            shared = set(before.devices) & set(action.devices)
            if shared and opposite(before.command, action.command):
                what = f"{action.command.kind} {min(shared)}"
                message = f"{what} undoes {before.command.kind} of the same rule at once"
                problems.warning(action.mark, message, "nothing lies between two steps of do:")


def _fight(one: Rule, other: Rule, world: World, problems: Problems) -> bool:
    """Return whether two rules order opposite things at one moment, after saying so."""
    for first, second in ((a, b) for a in one.do for b in other.do):
        if not opposite(first.command, second.command):
            continue
        for member, given in _moments(one, other, world):
            shared = set(_devices(first, member, world)) & set(_devices(second, member, world))
            if shared and _both(one, other, given, world):
                what = f"{second.command.kind} {min(shared)}".replace(" site", "")
                against = f"{first.command.kind} of {one.id}"
                message = f"{what} meets {against} at the same moment and priority"
                hint = f"the later order wins; the other stands in {_place(first.mark)}"
                problems.warning(second.mark, message, hint)
                return True
    return False


def _moments(one: Rule, other: Rule, world: World) -> Iterator[tuple[str, Given]]:
    """Return each member and what is given when one event fires both rules."""
    for first in _facts(one):
        for second in _facts(other):
            if (first.signal, first.state, first.value, first.hold) != (
                second.signal,
                second.state,
                second.value,
                second.hold,
            ) or _held_otherwise(first, second):
                continue
            fields = _meet(first.fields, second.fields)
            for member in set(first.members) & set(second.members) if fields is not None else ():
                alone = dataclasses.replace(
                    first, members=(member,), group=None, fields=fields or {}
                )
                yield member, of_fact(alone, world)


def _held_otherwise(first: Fact, second: Fact) -> bool:
    """Return whether `while:` makes the two begin at different times."""
    return bool(shape(first.holding) != shape(second.holding))


def _meet(
    one: Mapping[str, tuple[Any, ...]], other: Mapping[str, tuple[Any, ...]]
) -> dict[str, tuple[Any, ...]] | None:
    """Return the fields that suit both; None when no event does."""
    met = {**one, **other}
    for name in one.keys() & other.keys():
        met[name] = tuple(value for value in one[name] if value in other[name])
    return met if all(met.values()) else None


def _both(one: Rule, other: Rule, given: Given, world: World) -> bool:
    """Return whether both conditions can be so at once; unsure counts as no."""
    found = _answers(one, other, given, world)
    return found is not None and any(a in accepted(one) and b in accepted(other) for a, b in found)


def _answers(one: Rule, other: Rule, given: Given, world: World) -> set[tuple[Any, ...]] | None:
    event = fields_of_any([event_fields(one, world), event_fields(other, world)])
    logic = Logic(world, event)
    parts = tuple(
        logic.read(c.source, c.variables) if (c := rule.condition) else logic.read(None)
        for rule in (one, other)
    )
    return logic.answers(parts, given)


# --- rules that add nothing ----------------------------------------------------------------


def _repeat(one: Rule, other: Rule, world: World, problems: Problems) -> set[str]:
    """Warn where whatever fires one rule fires the other too, which does the same and more.

    Returns the rule that is not needed.
    """
    for rule, by in ((other, one), (one, other)):
        if _covered(rule, by, world):
            same = _covered(by, rule, world)
            what = "does the same as" if same else "adds nothing to"
            hint = f"whatever fires it fires {by.id} in {_place(by.mark)} too"
            problems.warning(rule.mark, f"{rule.id} {what} {by.id}", hint)
            return {rule.id}
    return set()


def _covered(rule: Rule, by: Rule, world: World) -> bool:
    calm = by.cooldown == 0 and by.quiet is None
    alike = (by.cooldown, by.quiet) == (rule.cooldown, rule.quiet) and _same_when(rule, by)
    if not (calm or alike) or len(_facts(rule)) != len(rule.when):
        return False
    ends = {shape(trigger) for trigger in rule.until} == {shape(t) for t in by.until}
    more = rule.escalate and shape(rule.escalate) != shape(by.escalate)
    if not ends or more or not {shape(a) for a in rule.do} <= {shape(a) for a in by.do}:
        return False
    return all(_within(fact, rule, by, world) for fact in _facts(rule))


def _same_when(one: Rule, other: Rule) -> bool:
    return {shape(trigger) for trigger in one.when} == {shape(trigger) for trigger in other.when}


def _within(fact: Fact, rule: Rule, by: Rule, world: World) -> bool:
    """Return whether each event of the fact that fires `rule` fires `by` as well."""
    for wider in _facts(by):
        if not _takes(wider, fact):
            continue
        found = _answers(rule, by, of_fact(fact, world), world)
        if found is not None and all(b in accepted(by) for a, b in found if a in accepted(rule)):
            return True
    return False


def _takes(wider: Fact, fact: Fact) -> bool:
    """Return whether one fact is met by all that meets the other."""
    if (wider.signal, wider.state, wider.value, wider.hold, wider.across) != (
        fact.signal,
        fact.state,
        fact.value,
        fact.hold,
        fact.across,
    ) or _held_otherwise(wider, fact):
        return False
    if not set(fact.members) <= set(wider.members) or (fact.group is None) != (wider.group is None):
        return False
    return all(
        name in fact.fields and set(fact.fields[name]) <= set(values)
        for name, values in wider.fields.items()
    )


def shape(value: Any) -> Any:
    """Return a value without the places where it stands, to compare."""
    if isinstance(value, Mark):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = ((f.name, shape(getattr(value, f.name))) for f in dataclasses.fields(value))
        return (type(value).__name__, *parts)
    if isinstance(value, Mapping):
        return tuple(sorted((key, shape(item)) for key, item in value.items()))
    if isinstance(value, tuple | list):
        return tuple(shape(item) for item in value)
    return getattr(value, "source", value)


def _place(mark: Mark) -> str:
    return f"{mark.file}:{mark.line}"
