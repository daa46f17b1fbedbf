"""Read one entry of a test's `timeline`: who says what, or what befalls the shop, and when."""

from __future__ import annotations

from typing import Any

from drivers.settings import Seconds
from rules import yaml_source as ys
from rules.load_actions import known_mode, mode_lasts
from rules.load_facts import field_value
from rules.load_scope import Scope, refuse_raw, spell
from rules.modes import HOURS
from rules.problems import did_you_mean

LINKS = ("down", "up", "fail")
WORDS = ("acknowledge", "mode")
DOINGS = (*LINKS, "restart", *WORDS)


def happening(node: ys.Node, scope: Scope) -> dict[str, Any] | None:
    """Return the entry with `at` and `restart` in seconds and typed fields.

    None after saying what is wrong with it.
    """
    found = scope.mapping(node, "write {at: 0s, <device>: <signal>}")
    if found is None or scope.missing(found, "at"):
        return None
    at: float | None = scope.convert(found.items["at"], Seconds)
    rest = [key for key in found.keys if key != "at"]
    doing = next((key for key in rest if key in DOINGS), None)
    device = next((key for key in rest if key in scope.world.devices), None)
    if doing is not None and device is None:
        entry = _doing(found, doing, scope)
    elif device is not None:
        entry = _said(found, device, scope)
    else:
        _nobody(found, rest, scope)
        return None
    return None if at is None or entry is None else {"at": at, **entry}


def _nobody(node: ys.Mapping, rest: list[str], scope: Scope) -> None:
    if not rest:
        scope.problems.error(
            node.mark, "nothing happens here", "write {at: 0s, <device>: <signal>}"
        )
    elif rest[0] in scope.world.groups:
        hint = f"name one of {spell(scope.world.groups[rest[0]])}"
        scope.problems.error(node.keys[rest[0]], f"{rest[0]} is a group; one device speaks", hint)
    else:
        known = [*scope.world.devices, *DOINGS]
        hint = did_you_mean(rest[0], known) or f"known: {spell(scope.world.devices)}"
        scope.problems.error(node.keys[rest[0]], f"unknown device {rest[0]!r}", hint)


def _doing(node: ys.Mapping, doing: str, scope: Scope) -> dict[str, Any] | None:
    beside = ("for",) if doing == "mode" else ()
    scope.known_keys(node, ("at", doing, *beside))
    if doing not in node.items:
        return None
    item = node.items[doing]
    if doing == "mode":
        return _mode(node, scope)
    if doing == "restart":
        seconds = scope.convert(item, Seconds)
        return None if seconds is None else {doing: seconds}
    word = scope.word(item)
    if word is not None and doing in LINKS and word not in scope.world.devices:
        scope.unknown(item.mark, "device", word, scope.world.devices)
        return None
    return None if word is None else {doing: word}


def _mode(node: ys.Mapping, scope: Scope) -> dict[str, Any] | None:
    """Return the mode that a person sets; `hours` ends it."""
    item = node.items["mode"]
    if not known_mode(item, scope, HOURS):
        return None
    mode = scope.word(item)
    if mode is None or "for" not in node.items:
        return {"mode": mode}
    seconds = mode_lasts(node, mode, scope)
    return None if seconds is None else {"mode": mode, "for": seconds}


def _said(node: ys.Mapping, device: str, scope: Scope) -> dict[str, Any] | None:
    words = scope.world.devices[device]
    signal = scope.word(node.items[device]) if device in node.items else None
    if signal is None:
        return None
    mark = node.items[device].mark
    if refuse_raw(scope, mark, signal) or not scope.said_by(mark, words, signal):
        return None
    fields = words.says[signal]
    entry: dict[str, Any] = {device: signal}
    for key, item in node.items.items():
        if key in ("at", device):
            continue
        if key not in fields:
            hint = did_you_mean(key, fields) or f"it has: {spell(fields)}"
            scope.problems.error(node.keys[key], f"{signal} has no field {key!r}", hint)
            continue
        value = field_value(scope, item, fields, key)
        if value is not None:
            entry[key] = value
    return entry
