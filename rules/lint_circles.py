"""Rules that set each other off without end: what an order brings about is another's trigger."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.commands import Goto, OpenIncident, RecordClip, SetMode
from drivers.event import SITE
from rules.lint_conditions import fires
from rules.lint_ground import Ground, completing, of_fact
from rules.model import Action, Fact, Rule, World
from rules.modes import HOURS
from rules.problems import Problems

LONGEST = 5
"""Rules in a circle that is looked for."""
OUTPUTS: Mapping[str, tuple[str, str, str]] = {
    "sound": ("output", "on", "output.on"),
    "silence": ("output", "off", "output.off"),
    "switch_on": ("output", "on", "output.on"),
    "switch_off": ("output", "off", "output.off"),
    "release": ("lock", "released", "lock.released"),
    "relock": ("lock", "locked", "lock.locked"),
}
"""Command to the state and value that it brings about, and what the device then says."""
BACK = {"sound": "silence", "switch_on": "switch_off", "release": "relock"}
"""What happens at the end of a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an order brings about."""

    device: str
    signal: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    value: str = ""
    anew: bool = True
    """It happens at each order; else only where the state was another before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One rule's order fires the next one."""

    of: Rule
    to: Rule
    effects: tuple[Effect, ...]


def circles(rules: Sequence[Rule], world: World, problems: Problems) -> None:
    """Warn of each circle of rules that goes on by itself."""
    at_work = [rule for rule in rules if rule.enabled == "yes"]
    hops = {rule.id: list(_hops(rule, at_work, world)) for rule in at_work}
    for number, rule in enumerate(at_work):
        later = {other.id for other in at_work[number:]}
        for circle in _circles(rule.id, hops, later, ()):
            if _endless(circle):
                _say(circle, problems)


def _say(circle: tuple[Hop, ...], problems: Problems) -> None:
    names = " -> ".join([hop.of.id for hop in circle] + [circle[0].of.id])
    message = f"these rules set each other off without end: {names}"
    if len(circle) == 1:
        message = "this rule sets itself off without end"
    parts = []
    for hop in circle:
        effect = hop.effects[0]
        what = effect.signal or f"{effect.state}={effect.value}"
        place = f" ({hop.to.mark.file}:{hop.to.mark.line})" if len(circle) > 1 else ""
        parts.append(f"{hop.of.id} brings about {effect.device}: {what}, which fires {hop.to.id}")
        parts[-1] += place
    problems.warning(circle[0].of.mark, message, "; ".join(parts))


def _circles(
    first: str, hops: Mapping[str, list[Hop]], allowed: set[str], path: tuple[Hop, ...]
) -> Iterator[tuple[Hop, ...]]:
    """Return the ways from a rule back to itself through rules that are allowed, each once."""
    at = path[-1].to.id if path else first
    for hop in hops[at]:
        if hop.to.id == first:
            yield (*path, hop)
            continue
        new = hop.to.id in allowed and hop.to.id not in {one.of.id for one in path}
        if new and len(path) + 1 < LONGEST:
            yield from _circles(first, hops, allowed, (*path, hop))


def _endless(circle: tuple[Hop, ...]) -> bool:
    """Return whether nothing stops it: a state that is set to what it is fires nobody."""
    values: dict[tuple[str, str], set[str]] = {}
    for hop in circle:
        for effect in hop.effects:
            if effect.state:
                values.setdefault((effect.device, effect.state), set()).add(effect.value)

    def again(effect: Effect) -> bool:
        return effect.anew or len(values.get((effect.device, effect.state), ())) > 1

    return all(any(again(effect) for effect in hop.effects) for hop in circle)


def _hops(rule: Rule, rules: list[Rule], world: World) -> Iterator[Hop]:
    effects = list(_effects(rule, world))
    for other in rules:
        found = tuple(e for e in effects if any(_fires(e, f, other, world) for f in _ends(other)))
        if found:
            yield Hop(of=rule, to=other, effects=found)


def _ends(rule: Rule) -> Iterator[Fact]:
    for trigger in rule.when:
        yield from completing(trigger)


def _fires(effect: Effect, fact: Fact, rule: Rule, world: World) -> bool:
    """Return whether an effect can complete the rule's trigger by this fact."""
    if effect.device not in fact.members:
        return False
    if fact.signal is None:
        if (fact.state, fact.value) != (effect.state, effect.value):
            return False
        alone = dataclasses.replace(fact, members=(effect.device,), group=None)
    else:
        known = {name: (value,) for name, value in effect.fields.items()}
        if fact.signal != effect.signal or any(
            name in known and known[name][0] not in values for name, values in fact.fields.items()
        ):
            return False
        fields = {**fact.fields, **known}
        alone = dataclasses.replace(fact, members=(effect.device,), group=None, fields=fields)
    return fires(rule, Ground(fact=fact, given=of_fact(alone, world)), world)


def _effects(rule: Rule, world: World) -> Iterator[Effect]:
    """Return what the orders of a rule bring about, by themselves and at the end of their lease."""
    members = dict.fromkeys(m for fact in _ends(rule) for m in fact.members)
    for action in (*rule.do, *(a for step in rule.escalate for a in step.do)):
        near = (d for m in members for d in world.devices[m].near.get(action.near or "", ()))
        for device in dict.fromkeys((*action.devices, *near)):
            if device == SITE:
                yield from _of_site(action, rule)
            else:
                yield from _of_order(action, device, rule)


def _of_site(action: Action, rule: Rule) -> Iterator[Effect]:
    command = action.command
    if isinstance(command, OpenIncident):
        fields = {"name": command.name, "rule": rule.id}
        yield Effect(device=SITE, signal="incident.opened", fields=fields)
    elif isinstance(command, SetMode) and command.name != HOURS:
        fields = {"mode": command.name, "by": rule.id}
        yield Effect(device=SITE, signal="mode.changed", fields=fields)
        yield Effect(device=SITE, state="mode", value=command.name, anew=False)


def _of_order(action: Action, device: str, rule: Rule) -> Iterator[Effect]:
    command = action.command
    fields = {"command": command.kind, "rule": rule.id, "by": "rule"}
    for signal in ("order.done", "order.failed"):
        yield Effect(device=device, signal=signal, fields=fields)
    if isinstance(command, Goto):
        yield Effect(device=device, signal="camera.arrived", fields={"preset": command.preset})
    elif isinstance(command, RecordClip):
        for signal in ("recording.confirmed", "recording.missing"):
            yield Effect(device=device, signal=signal)
    if command.kind in OUTPUTS:
        yield from _output(device, command.kind, anew=False)
    if command.kind in BACK:
        yield from _output(device, BACK[command.kind], anew=True)


def _output(device: str, kind: str, *, anew: bool) -> Iterator[Effect]:
    """Return what becomes of an output. It was another before a lease that ends: so `anew`."""
    state, value, signal = OUTPUTS[kind]
    yield Effect(device=device, signal=signal, state=state, value=value, anew=anew)
