"""Which rules a backtest needs to play once only: alike on both sides, and out of others' reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers.commands import Evacuate, OpenIncident, SetMode
from drivers.event import SITE
from rules.backtest_interest import Interest
from rules.backtest_play import Side
from rules.model import Action, Rule, World

_MODES = ("mode.changed", "mode.refused", "opened", "closed", "hours.opened", "hours.closed")
_OUTCOMES = ("order.done", "output.on", "output.off", "lock.released", "lock.locked")
_LEVELS = ("output", "lock")


@dataclass(slots=True)
class Reach:
    """What rules can bring about that other rules can hear, and what they order."""

    signals: set[tuple[str, str]] = field(default_factory=set)
    states: set[tuple[str, str]] = field(default_factory=set)
    quelled: set[str] = field(default_factory=set)
    """Devices that a command of theirs ends the leases of: the order of rules counts there."""
    ordered: set[str] = field(default_factory=set)
    modes: bool = False
    evacuates: bool = False

    @classmethod
    def of(cls, rules: Iterable[Rule], world: World) -> Reach:
        found = cls()
        for rule in rules:
            for action in (*rule.do, *(a for step in rule.escalate for a in step.do)):
                found._action(action, world)
        return found

    def _action(self, action: Action, world: World) -> None:
        command = action.command
        if isinstance(command, OpenIncident):
            self.signals.add((SITE, "incident.opened"))
        elif isinstance(command, SetMode):
            self.modes = True
            self.signals |= {(SITE, kind) for kind in _MODES}
            self.states |= {(SITE, "mode"), (SITE, "open")}
        elif isinstance(command, Evacuate):
            self.evacuates = True
        else:
            devices = set(action.devices)
            for words in world.devices.values() if action.near is not None else ():
                devices |= set(words.near.get(action.near or "", ()))
            self.ordered |= devices
            self.quelled |= devices if command.ends else set()
            self.signals |= {(device, kind) for device in devices for kind in _OUTCOMES}
            self.states |= {(device, state) for device in devices for state in _LEVELS}


def shared(before: Side, after: Side) -> frozenset[str]:
    """Return the rules to play once, for both sides.

    They are the same on both sides. None of the other rules can bring about anything that they
    hear, nor meets them where the order of rules counts.
    """
    if before.world != after.world or before.limits != after.limits:
        return frozenset()
    old, new = _active(before), _active(after)
    world = before.world
    alike = {name: r for name, r in old.items() if name in new and _same(r, new[name])}
    apart = [r for rules in (old, new) for name, r in rules.items() if name not in alike]
    hearing = {name: Interest.of([r], world) for name, r in alike.items()}
    reaching = {name: Reach.of([r], world) for name, r in alike.items()}
    while True:
        reach = Reach.of(apart, world)
        if reach.evacuates:
            return frozenset()
        caught = [
            name
            for name in alike
            if _touches(reach, reaching[name]) or _heard(reach, hearing[name])
        ]
        if not caught:
            return frozenset(alike)
        apart += [alike.pop(name) for name in caught]


def _active(side: Side) -> dict[str, Rule]:
    return {r.id: r for r in side.rules if r.enabled != "no" and not r.inactive}


def _same(one: Rule, other: Rule) -> bool:
    return bool(one.hash) and (one.hash, one.enabled) == (other.hash, other.enabled)


def _touches(others: Reach, own: Reach) -> bool:
    """Return whether it counts which of them comes first on one event."""
    if others.modes and own.modes:
        return True
    return bool(others.quelled & own.ordered or own.quelled & others.ordered)


def _heard(reach: Reach, heard: Interest) -> bool:
    return (
        bool(reach.signals & heard.signals)
        or any(kind in heard.kinds for _device, kind in reach.signals)
        or bool(reach.states & heard.states)
    )
