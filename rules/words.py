"""What rules may say about devices and the site, read from the signal and command classes."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

from drivers.commands import SITE_COMMANDS, Command
from drivers.contract import Driver
from drivers.event import SITE
from drivers.signals import SAID_BY_ALL, SAID_OF_ORDERS, UNKNOWN, Signal
from rules.model import DeviceWords, FieldWords
from rules.modes import BUILT_IN

LINK = ("up", "down")
YES_NO = ("yes", "no")

SITE_SIGNALS: Mapping[str, Mapping[str, FieldWords]] = {
    "opened": {"late": "bool", "by": "str"},
    "closed": {"late": "bool", "by": "str"},
    "hours.opened": {"late": "bool"},
    "hours.closed": {"late": "bool"},
    "daily": {"moment": "str", "late": "bool"},
    "evacuation.started": {"cause": "str", "drill": "bool"},
    "evacuation.ended": {
        "cause": "str",
        "drill": "bool",
        "reason": "str",
        "by": "str",
        "despite": "str",
    },
    "mode.changed": {
        "mode": "str",
        "before": "str",
        "by": "str",
        "reason": "str",
        "until": "str",
    },
    "mode.refused": {"mode": "str", "by": "str", "reason": "str"},
    "mode.requested": {
        "action": ("set", "end"),
        "mode": "str",
        "for": "float",
        "by": "str",
        "reason": "str",
    },
    "incident.opened": {"name": "str", "rule": "str", "cause": "str", "firing": "str"},
    "incident.acknowledged": {"name": "str", "by": "str", "reason": "str"},
    "person.ordered": {
        "target": "str",
        "command": "str",
        "parameters": "object",
        "priority": "str",
        "for": "float",
        "by": "str",
        "reason": "str",
    },
    "rule.fired": {
        "rule": "str",
        "member": "str",
        "cause": "str",
        "firing": "str",
        "late": "bool",
        "shadow": "bool",
        "step": "int",
    },
    "rule.ended": {
        "rule": "str",
        "member": "str",
        "target": "str",
        "command": "str",
        "because": ("for", "until", "limit", "gone"),
    },
    "rule.blind": {"rule": "str", "member": "str", "reason": "str"},
    "rule.stopped": {"rule": "str", "reason": "str"},
    "rule.repeated": {
        "rule": "str",
        "member": "str",
        "count": "int",
        "because": ("cooldown", "quiet"),
    },
    "evacuation.requested": {
        "action": ("start", "drill", "end"),
        "by": "str",
        "reason": "str",
        "despite": "object",
    },
    "journal.started": {
        "journal": "str",
        "file": "str",
        "sequence": "int",
        "link": "str",
        "reason": "str",
        "public_key": "str",
    },
    "journal.salvaged": {
        "file": "str",
        "records": "int",
        "unsent": "int",
        "lost": "int",
        "gaps": "object",
        "last": "int",
    },
    "key.made": {"public_key": "str", "reason": "str"},
    "key.exposed": {"public_key": "str", "reason": "str"},
    "key.unusable": {"reason": "str"},
    "buffer.gap": {
        "reason": "str",
        "priority": "int",
        "count": "int",
        "first": "int",
        "last": "int",
        "kinds": "object",
    },
    "uplink.connected": {},
    "uplink.disconnected": {"reason": "str"},
    "uplink.refused": {
        "topic": "str",
        "sequence": "str",
        "reason": "str",
        "code": "int",
        "set_aside": "bool",
    },
    "certificate.expiring": {
        "certificate": ("own", "broker", "ca"),
        "expires": "str",
        "days": "int",
    },
    "certificate.expired": {
        "certificate": ("own", "broker", "ca"),
        "expires": "str",
        "days": "int",
    },
    "state.known": {"values": "object"},
    "clock.trusted": {},
    "clock.untrusted": {"reason": "str"},
    "clock.stepped": {"seconds": "float", "before": "str", "after": "str"},
    "clock.corrected": {"since": "float", "seconds": "float", "reason": "str"},
    "config.refused": {"reason": "str"},
    "config.reloaded": {"config": "str"},
    "config.applied": {
        "config": "str",
        "before": "str",
        "watch": "float",
        "by": "str",
        "reason": "str",
    },
    "config.confirmed": {"config": "str", "by": "str", "reason": "str"},
    "config.reverted": {"config": "str", "to": "str", "by": "str", "reason": "str"},
    "daemon.started": {"config": "str"},
    "daemon.restarted": {"reason": "str", "status": "str", "ended": "str"},
    "upgrade.done": {"from": "str", "to": "str", "by": "str", "reason": "str"},
    "upgrade.returned": {"from": "str", "to": "str", "by": "str", "reason": "str"},
}
"""What is written as said by the site, beside `<schedule>.started` and `<schedule>.ended`."""

JOURNAL_ONLY = frozenset(
    {
        "rule.fired",
        "rule.ended",
        "rule.blind",
        "rule.repeated",
        "hours.opened",
        "hours.closed",
    }
)
"""Those that are journaled and forwarded, and said to no rule: a rule on them would never fire."""


def fields_of(signal: type[Signal]) -> dict[str, FieldWords]:
    """Return the fields of a signal class: the words of a Literal, else the JSON type."""
    hints = typing.get_type_hints(signal)
    return {f.name: _field(hints[f.name]) for f in dataclasses.fields(signal)}


def _field(hint: Any) -> FieldWords:
    if get_origin(hint) in (typing.Union, types.UnionType):
        given = [option for option in get_args(hint) if option is not type(None)]
        return _field(given[0]) if len(given) == 1 else "object"
    if get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint)):
        return tuple(get_args(hint))
    names: dict[Any, FieldWords] = {str: "str", int: "int", float: "float", bool: "bool"}
    return names.get(hint, "object")


def fields_of_any(
    signals: Iterable[Mapping[str, FieldWords]],
) -> dict[str, FieldWords]:
    """Return the fields that one of several signals may have; a clash of types is `object`."""
    merged: dict[str, FieldWords] = {}
    for fields in signals:
        for name, words in fields.items():
            merged[name] = _either(merged[name], words) if name in merged else words
    return merged


def _either(one: FieldWords, other: FieldWords) -> FieldWords:
    if one == other:
        return one
    if isinstance(one, tuple) and isinstance(other, tuple):
        return tuple(dict.fromkeys(one + other))
    kinds = {"str" if isinstance(words, tuple) else words for words in (one, other)}
    if kinds == {"str"}:
        return "str"
    return "float" if kinds == {"int", "float"} else "object"


def device_words(
    device: str,
    kind: str,
    *,
    name: str = "",
    says: Iterable[type[Signal]] = (),
    states: Mapping[str, tuple[str, ...]] | None = None,
    accepts: Iterable[type[Command]] = (),
    near: Mapping[str, tuple[str, ...]] | None = None,
    limits: Mapping[str, float] | None = None,
    poll: float | None = None,
) -> DeviceWords:
    """Return the words of one device, with what any device says and the state `link` added."""
    commands = {c.kind: c for c in sorted(accepts, key=lambda c: c.kind)}
    said = {*says, *SAID_BY_ALL, *(SAID_OF_ORDERS if commands else ())}
    return DeviceWords(
        id=device,
        type=kind,
        name=name or device,
        says={s.kind: {**fields_of(s), "test": "bool"} for s in sorted(said, key=lambda s: s.kind)},
        states={
            **{
                state: tuple(value for value in values if value != UNKNOWN)
                for state, values in (states or {}).items()
            },
            "link": LINK,
        },
        accepts=commands,
        near=dict(near or {}),
        limits=dict(limits or {}),
        poll=poll,
    )


def words_of_driver(
    driver: Driver,
    device: str,
    kind: str,
    *,
    name: str = "",
    near: Mapping[str, tuple[str, ...]] | None = None,
    poll: float | None = None,
) -> DeviceWords:
    """Return the words of a configured device; its limits are asked of `Driver.longest`."""
    limits = {c.kind: driver.longest(_plain(c)) for c in driver.accepts if c.holds != "no"}
    return device_words(
        device,
        kind,
        name=name,
        says=driver.says,
        states=driver.has_states,
        accepts=driver.accepts,
        near=near,
        limits={command: limit for command, limit in limits.items() if limit is not None},
        poll=poll,
    )


def _plain(command: type[Command]) -> Command:
    """Return a command with empty words for what has no default, to ask for its limit."""
    missing = dataclasses.MISSING
    needed = [
        f
        for f in dataclasses.fields(command)
        if f.default is missing and f.default_factory is missing
    ]
    return command(**{f.name: "" for f in needed})


def site_words(
    schedules: Collection[str] = (), modes: Collection[str] = tuple(BUILT_IN)
) -> DeviceWords:
    """Return the words of the device `site`; each schedule adds two signals and a state."""
    said = {kind: fields for kind, fields in SITE_SIGNALS.items() if kind not in JOURNAL_ONLY}
    for kind in ("mode.changed", "mode.refused", "mode.requested"):
        said[kind] = {**said[kind], "mode": (*modes, UNKNOWN)}
    said["mode.changed"] = {**said["mode.changed"], "before": (*modes, UNKNOWN)}
    for schedule in schedules:
        said[f"{schedule}.started"] = {"late": "bool"}
        said[f"{schedule}.ended"] = {"late": "bool"}
    yes_no = ("open", "evacuation", "drill", *schedules)
    return DeviceWords(
        id=SITE,
        type=SITE,
        name=SITE,
        says=said,
        states={**dict.fromkeys(yes_no, YES_NO), "mode": tuple(modes)},
        accepts=SITE_COMMANDS,
    )
