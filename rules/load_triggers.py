"""Read `when` and `until`: facts, lists of them, and what combines them within a window."""

from __future__ import annotations

from typing import Literal, cast

from rules import yaml_source as ys
from rules.load_daily import daily
from rules.load_facts import TRIGGERS, fact, nobody
from rules.load_scope import Scope
from rules.model import Absence, Count, Fact, Sequence, Trigger
from rules.problems import did_you_mean


def triggers(node: ys.Node, scope: Scope) -> tuple[Trigger, ...]:
    """Return what is listed in `node`, without what is wrong (said as problems)."""
    items = scope.items(node)
    if isinstance(node, ys.Sequence) and not items:
        scope.problems.error(node.mark, "a trigger is wanted, not an empty list")
    others = not all(nobody(item, scope) for item in items)
    found = [_trigger(item, scope, others=others) for item in items]
    return tuple(trigger for trigger in found if trigger is not None)


def _trigger(node: ys.Node, scope: Scope, *, others: bool) -> Trigger | None:
    found = scope.mapping(node, "write {<device or group>: <signal or state>}")
    if found is None:
        return None
    kinds = [key for key in TRIGGERS if key in found.keys]
    if not kinds or _field(found, kinds[0], scope):
        return fact(found, scope, others=others)
    match kinds[0]:
        case "daily":
            return daily(found, scope)
        case "sequence" | "together":
            return _sequence(found, scope, kinds[0])
        case "count":
            return _count(found, scope)
        case _:
            return _absence(found, scope, kinds[0])


def _field(node: ys.Mapping, kind: str, scope: Scope) -> bool:
    """Return whether a word of the grammar is the field of a fact here: `before` of a mode."""
    word = isinstance(node.items.get(kind), ys.Scalar)
    return word and kind == "before" and any(scope.members(k) is not None for k in node.keys)


def _facts(node: ys.Node, scope: Scope) -> tuple[Fact, ...]:
    """Return one fact or a list of alternatives."""
    found: list[Fact] = []
    items = scope.items(node)
    others = not all(nobody(item, scope) for item in items)
    if not items:
        scope.problems.error(node.mark, "a fact is wanted, not an empty list")
    for item in items:
        inner = item if isinstance(item, ys.Mapping) else None
        kind = next((key for key in TRIGGERS if inner and key in inner.keys), None)
        if inner and kind and _field(inner, kind, scope):
            kind = None
        if inner and kind == "daily":
            moment = daily(inner, scope)
            found += [moment] if moment else []
        elif inner and kind:
            hint = "a device or group, and what it says"
            scope.problems.error(inner.keys[kind], f"a fact is wanted here, not {kind!r}", hint)
        elif (one := fact(item, scope, others=others)) is not None:
            found.append(one)
    return tuple(found)


def _sequence(node: ys.Mapping, scope: Scope, kind: str) -> Sequence | None:
    scope.known_keys(node, (kind, "within", "by"))
    if scope.missing(node, kind, "within"):
        return None
    steps = node.items[kind]
    items = steps.items if isinstance(steps, ys.Sequence) else ()
    if len(items) < 2:
        scope.problems.error(steps.mark, f"{kind}: takes a list of two facts or more")
        return None
    facts = tuple(_facts(item, scope) for item in items)
    within = scope.window(node.items["within"])
    by = _by(node, scope, facts)
    if within is None or not all(facts):
        return None
    ordered = kind == "sequence"
    return Sequence(mark=node.mark, facts=facts, within=within, ordered=ordered, by=by)


def _count(node: ys.Mapping, scope: Scope) -> Count | None:
    scope.known_keys(node, ("count", "of", "within", "by"))
    if scope.missing(node, "count", "of", "within"):
        return None
    count = scope.convert(node.items["count"], int)
    if count is not None and count < 2:
        hint = "once is the fact itself"
        scope.problems.error(node.items["count"].mark, "count: is 2 or more", hint)
    of = _facts(node.items["of"], scope)
    within = scope.window(node.items["within"])
    by = _by(node, scope, (of,))
    if count is None or within is None or not of:
        return None
    return Count(mark=node.mark, count=count, of=of, within=within, by=by)


def _absence(node: ys.Mapping, scope: Scope, kind: str) -> Absence | None:
    scope.known_keys(node, (kind, "without", "within", "by", "blind"))
    if scope.missing(node, kind, "without", "within"):
        return None
    first = _facts(node.items[kind], scope)
    without = _facts(node.items["without"], scope)
    within = scope.window(node.items["within"])
    by = _by(node, scope, (first, without))
    blind = "skip"
    if "blind" in node.items:
        blind = scope.convert(node.items["blind"], Literal["skip", "fire"]) or "skip"
    if within is None or not first or not without:
        return None
    return Absence(
        mark=node.mark,
        fact=first,
        without=without,
        within=within,
        waits=kind == "after",
        by=by,
        blind=cast("Literal['skip', 'fire']", blind),
    )


def _by(node: ys.Mapping, scope: Scope, steps: tuple[tuple[Fact, ...], ...]) -> str | None:
    """Return what must be the same in all steps."""
    if "by" not in node.items:
        return None
    by = scope.word(node.items["by"])
    if by is None or not all(steps):
        return None
    mark = node.items["by"].mark
    if by == "device":
        shared = set.intersection(*({m for f in step for m in f.members} for step in steps))
        if not shared:
            scope.problems.error(mark, "by: device never matches: no device is in all the facts")
        return by
    for one in (f for step in steps for f in step):
        fields = scope.world.devices[one.members[0]].says[one.signal] if one.signal else {}
        if by not in fields:
            shown = one.signal or f"the state {one.state}={one.value}"
            hint = did_you_mean(by, ["device", *fields]) or "by: device, or a field of all facts"
            scope.problems.error(mark, f"{shown} has no field {by!r}", hint)
            return None
    return by
