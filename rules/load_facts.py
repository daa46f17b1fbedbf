"""Read one fact: a device or group, and the signal it says or the state it enters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.event import SITE
from drivers.signals import UNKNOWN
from rules import yaml_source as ys
from rules.expressions import Compiled, compile_condition
from rules.load_scope import Scope, refuse_raw, spell
from rules.model import DeviceWords, Fact, FieldWords
from rules.problems import did_you_mean

MODIFIERS = ("for", "while", "across")
_ONE = "a fact is of one device; write [{…}, {…}] for any of them, together: for all"
TRIGGERS = ("sequence", "together", "count", "after", "before", "daily")


def fact(node: ys.Node, scope: Scope, *, others: bool = False) -> Fact | None:
    """Return the fact in `node`, or None after saying what is wrong with it.

    With `others` it is one of several that will do; a group that is empty here is then no mistake.
    """
    found = scope.mapping(node, "write {<device or group>: <signal or state>}")
    if found is None:
        return None
    subject = _subject(found, scope)
    if subject is None:
        return None
    value = found.items.get(subject)
    said = None if value is None else scope.word(value)
    if value is None or said is None or refuse_raw(scope, value.mark, said):
        return None
    members = scope.members(subject) or ()
    group = subject if subject in scope.world.groups else None
    across = _across(found, scope, group)
    if not members:
        hint = f"add requires: [{subject}] and the rule is inactive where it is empty"
        if not others:
            scope.problems.warning(found.keys[subject], f"the group {subject} is empty here", hint)
        return None
    devices = [scope.world.devices[m] for m in members]
    if any(said in device.says for device in devices):
        return _signal(found, scope, subject, said, devices, group=group, across=across)
    return _state(found, scope, subject, said, devices, group=group, across=across)


def nobody(node: ys.Node, scope: Scope) -> bool:
    """Return whether a fact is of a group that is empty here."""
    keys = node.keys if isinstance(node, ys.Mapping) else ()
    return any(scope.members(key) == () for key in keys)


def _subject(node: ys.Mapping, scope: Scope) -> str | None:
    """Return the key that names a device or group."""
    for key in node.keys:
        if scope.members(key) is not None:
            return key
    others = [key for key in node.keys if key not in MODIFIERS]
    if not others:
        hint = "write {<device or group>: <signal or state>}"
        scope.problems.error(node.mark, "a fact names no device", hint)
        return None
    known = [*scope.names(), *TRIGGERS]
    hint = did_you_mean(others[0], known) or f"known: {spell(scope.names())}"
    if f"{others[0]}.started" in scope.world.devices[SITE].says:
        hint = f"write {{site: {others[0]}.started}}, or {others[0]}.ended"
    elif scope.members(others[0].partition(":")[0]) is not None:
        hint = "a space follows the colon"
    scope.problems.error(node.keys[others[0]], f"unknown device or group {others[0]!r}", hint)
    return None


def _across(node: ys.Mapping, scope: Scope, group: str | None) -> bool:
    if "across" not in node.items:
        return False
    word = scope.word(node.items["across"])
    if word is not None and word != "group":
        hint = "leave it out: a group counts for each member"
        scope.problems.error(node.items["across"].mark, "across: can only be group", hint)
    elif word is not None and group is None:
        scope.problems.error(node.keys["across"], "across: group needs a group in the fact")
    return word == "group"


def _signal(
    node: ys.Mapping,
    scope: Scope,
    subject: str,
    signal: str,
    devices: list[DeviceWords],
    *,
    group: str | None,
    across: bool,
) -> Fact | None:
    mark = node.items[subject].mark
    can = [scope.said_by(mark, device, signal) for device in devices]
    if not all(can):
        return None
    for key in ("for", "while"):
        if key in node.keys:
            states = [f"{s}={v}" for s, values in devices[0].states.items() for v in values]
            hint = f"only a state lasts: {spell(states)}"
            scope.problems.error(node.keys[key], f"{key}: can't go with the signal {signal}", hint)
    wanted: dict[str, tuple[Any, ...]] = {}
    for key, item in node.items.items():
        if key != subject and key not in MODIFIERS:
            values = _values(node, scope, key, item, signal, devices)
            if values is not None:
                wanted[key] = values
    return Fact(
        mark=node.mark,
        members=tuple(device.id for device in devices),
        group=group,
        signal=signal,
        fields=wanted,
        across=across,
    )


def _values(
    node: ys.Mapping,
    scope: Scope,
    key: str,
    item: ys.Node,
    signal: str,
    devices: list[DeviceWords],
) -> tuple[Any, ...] | None:
    fields = devices[0].says[signal]
    if key not in fields:
        hint = did_you_mean(key, [*fields, *MODIFIERS]) or f"it has: {spell(fields)}"
        if scope.members(key) is not None:
            hint = _ONE
        scope.problems.error(node.keys[key], f"{signal} has no field {key!r}", hint)
        return None
    items = scope.items(item)
    if not items:
        scope.problems.error(item.mark, "no value is accepted here")
        return None
    values = [field_value(scope, each, fields, key) for each in items]
    return None if None in values else tuple(values)


_JSON: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


def field_value(
    scope: Scope, node: ys.Node, fields: Mapping[str, FieldWords], key: str
) -> Any | None:
    """Return a value of the field `key`, or None after saying that it can't have it."""
    words = fields[key]
    if words == "object":
        scope.problems.error(node.mark, f"the field {key!r} can't be compared")
        return None
    if not isinstance(words, tuple):
        return scope.convert(node, _JSON[words])
    word = scope.word(node)
    if word is not None and word not in words:
        scope.no_value(node.mark, word, key, words)
        return None
    return word


def _state(
    node: ys.Mapping,
    scope: Scope,
    subject: str,
    said: str,
    devices: list[DeviceWords],
    *,
    group: str | None,
    across: bool,
) -> Fact | None:
    found = {_which(node, scope, subject, said, device) for device in devices}
    if len(found) > 1 and None not in found:
        hint = "write a fact for each"
        scope.problems.error(
            node.items[subject].mark, f"{said!r} is of different states in {subject}", hint
        )
        return None
    pair = found.pop()
    for key in node.keys:
        if key != subject and key not in MODIFIERS:
            hint = f"beside a state: {', '.join(MODIFIERS)}"
            if scope.members(key) is not None:
                hint = _ONE
            scope.problems.error(node.keys[key], f"{key!r} can't go with the state {said}", hint)
    hold = scope.window(node.items["for"]) if "for" in node.items else None
    members = tuple(device.id for device in devices)
    holding = _while(node, scope, members) if "while" in node.items else None
    if pair is None:
        return None
    return Fact(
        mark=node.mark,
        members=members,
        group=group,
        state=pair[0],
        value=pair[1],
        hold=hold,
        holding=holding,
        across=across,
    )


def _which(
    node: ys.Mapping, scope: Scope, subject: str, said: str, device: DeviceWords
) -> tuple[str, str] | None:
    """Return (state, value) of what was written, or None after saying that there is none."""
    mark = node.items[subject].mark
    if said.rpartition("=")[2] == UNKNOWN:
        hint = "use link.down, or input.fault"
        scope.problems.error(mark, "nothing enters unknown", hint)
        return None
    if "=" in said:
        return _written_out(scope, said, device, node)
    states = [state for state, values in device.states.items() if said in values]
    if said in device.states and states and states != [said]:
        ways = f"{said}={device.states[said][0]} or {states[0]}={said}"
        scope.problems.error(
            mark, f"{said!r} is a state, and a value of {states[0]}", f"write {ways}"
        )
        return None
    if len(states) > 1:
        ways = " or ".join(f"{state}={said}" for state in states)
        scope.problems.error(mark, f"{said!r} is a value of several states", f"write {ways}")
        return None
    if states:
        return states[0], said
    can = {*device.says, *(v for values in device.states.values() for v in values)}
    if said in device.states:
        hint = f"write {said}={(*device.states[said], '…')[0]}"
    else:
        values = {f"{s}={v}" for s, some in device.states.items() for v in some}
        known = f"it says: {spell(device.says)}" if "." in said else f"it is: {spell(values)}"
        hint = did_you_mean(said, can) or known
    message = f"{device.id} never says {said!r}, and no state of it has that value"
    scope.problems.error(mark, message, hint)
    return None


def _written_out(
    scope: Scope, said: str, device: DeviceWords, node: ys.Mapping
) -> tuple[str, str] | None:
    state, _, value = said.partition("=")
    mark = next(i.mark for k, i in node.items.items() if scope.members(k) is not None)
    if state not in device.states:
        hint = did_you_mean(state, device.states) or f"it has: {spell(device.states)}"
        scope.problems.error(mark, f"{device.id} has no state {state!r}", hint)
        return None
    values = device.states[state]
    if values and value not in values:
        scope.no_value(mark, value, f"{device.id}.{state}", values)
        return None
    return state, value


def _while(node: ys.Mapping, scope: Scope, members: tuple[str, ...]) -> Compiled | None:
    if "for" not in node.keys:
        hint = "add for:, or ask in if: what must be so at that moment"
        scope.problems.error(node.keys["while"], "while: means nothing without for:", hint)
    found = scope.resolved(node.items["while"])
    if found is None:
        return None
    return compile_condition(
        found,
        scope.world,
        event_fields={"device": members},
        problems=scope.problems,
        event_only=scope.life_safety,
        steady=True,
        context=scope.context,
    )
