"""Read one entry of a test's `expect`: an order, the end of a lease, or a rule that stays quiet."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from drivers.commands import BY_KIND, SITE_COMMANDS
from drivers.settings import Seconds
from rules import yaml_source as ys
from rules.convert import words
from rules.load_actions import COMMANDS, known_mode
from rules.load_scope import Scope, spell
from rules.model import Rule
from rules.modes import HOURS
from rules.problems import did_you_mean


def expectation(node: ys.Node, scope: Scope, rules: Mapping[str, Rule]) -> dict[str, Any] | None:
    """Return the entry with durations in seconds and typed parameters.

    None after saying what is wrong with it.
    """
    found = scope.mapping(node, "write {at: 0s, rule: <rule>, <command>: <device>}")
    if found is None:
        return None
    if "not_fired" in found.keys:
        return _not_fired(found, scope, rules)
    if scope.missing(found, "at"):
        return None
    entry: dict[str, Any] = {"at": scope.convert(found.items["at"], Seconds)}
    if "rule" in found.items:
        entry["rule"] = _rule(found.items["rule"], scope, rules)
    rest = [key for key in found.keys if key not in ("at", "rule")]
    what = [key for key in rest if key in COMMANDS or key == "ends"]
    if len(what) != 1:
        _not_one(found, rest, what, scope)
        return None
    if what[0] == "ends":
        scope.known_keys(found, ("at", "rule", "ends"))
        entry["ends"] = _device(found, "ends", scope)
    else:
        entry |= _order(found, what[0], scope)
    return None if None in entry.values() else entry


def _not_one(node: ys.Mapping, rest: list[str], what: list[str], scope: Scope) -> None:
    if what:
        scope.problems.error(node.keys[what[1]], "two commands in one entry", "write one for each")
    elif rest:
        scope.unknown(node.keys[rest[0]], "command", rest[0], (*COMMANDS, "ends", "not_fired"))
    else:
        scope.problems.error(node.mark, "nothing is expected here", f"known: {spell(COMMANDS)}")


def _not_fired(node: ys.Mapping, scope: Scope, rules: Mapping[str, Rule]) -> dict[str, Any] | None:
    scope.known_keys(node, ("at", "not_fired"))
    if "not_fired" not in node.items:
        return None
    found = scope.mapping(node.items["not_fired"], "write {rule: <rule>, because: <reason>}")
    if found is None:
        return None
    scope.known_keys(found, ("rule", "because"))
    if scope.missing(found, "rule"):
        return None
    inner: dict[str, Any] = {"rule": _rule(found.items["rule"], scope, rules)}
    if "because" in found.items:
        inner["because"] = scope.word(found.items["because"])
    entry: dict[str, Any] = {"not_fired": inner}
    if "at" in node.items:
        entry["at"] = scope.convert(node.items["at"], Seconds)
    return None if None in (*inner.values(), *entry.values()) else entry


def _rule(node: ys.Node, scope: Scope, rules: Mapping[str, Rule]) -> str | None:
    name = scope.word(node)
    if name is not None and name not in rules:
        scope.unknown(node.mark, "rule", name, rules)
        return None
    return name


def _device(node: ys.Mapping, key: str, scope: Scope) -> str | None:
    name = scope.word(node.items[key]) if key in node.items else None
    if name is None or name in scope.world.devices:
        return name
    mark = node.items[key].mark
    if name in scope.world.groups:
        hint = f"name one of {spell(scope.world.groups[name])}, an entry for each"
        scope.problems.error(mark, f"{name} is a group; an order has one device", hint)
    else:
        scope.unknown(mark, "device", name, scope.world.devices)
    return None


def _order(node: ys.Mapping, word: str, scope: Scope) -> dict[str, Any]:
    if word in SITE_COMMANDS:
        lasting = ("for",) if "duration" in words(SITE_COMMANDS[word]) else ()
        scope.known_keys(node, ("at", "rule", word, *lasting))
        entry: dict[str, Any] = {word: scope.word(node.items[word]) if word in node.items else None}
        if word == "mode" and word in node.items and not known_mode(node.items[word], scope, HOURS):
            return {word: None}
        if "for" in node.items and lasting:
            entry["for"] = scope.convert(node.items["for"], Seconds)
        return entry
    kind = BY_KIND[word]
    entry = {word: _device(node, word, scope)}
    device = entry[word]
    if device is not None and word not in scope.world.devices[device].accepts:
        able = [d.id for d in scope.world.devices.values() if word in d.accepts]
        mark = node.items[word].mark
        scope.problems.error(mark, f"{device} does not accept {word}", f"{word}: {spell(able)}")
    parameters, types = words(kind), typing.get_type_hints(kind)
    known = [name for name in parameters if name != "duration"]
    if kind.holds != "no" or "duration" in parameters:
        known.append("for")
    for key, item in node.items.items():
        if key in ("at", "rule", word):
            continue
        if key not in known:
            hint = did_you_mean(key, known) or f"known: {spell(known)}"
            scope.problems.error(node.keys[key], f"unknown parameter {key!r}", hint)
        elif key == "for":
            entry["for"] = scope.convert(item, Seconds)
        else:
            entry[key] = scope.convert(item, types[parameters[key].name])
    return entry
