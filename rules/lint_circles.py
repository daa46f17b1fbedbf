"""Rules that set each other off without end: what an order brings about is another's trigger."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.commands import Goto, OpenIncident, RecordClip, SetMode
from drivers.event import SITE
from rules.lint_conditions import fires
from rules.lint_ground import Ground, completing, of_fact
from rules.model import Action, Fact, Rule, World
from rules.modes import HOURS
from rules.problems import Problems

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
    """Warn of each knot of rules that goes on by itself, by one circle through it."""
    at_work = {rule.id: rule for rule in rules if rule.enabled == "yes"}
    hops = _Hops(list(at_work.values()), world).all()
    while True:
        knots = _knots(at_work, hops)
        of = {rule: number for number, knot in enumerate(knots) for rule in knot}
        kept = {rule: _kept(some, of) for rule, some in hops.items()}
        if kept == hops:
            break
        hops = kept
    order = {rule: number for number, rule in enumerate(at_work)}
    for knot in sorted(knots, key=lambda knot: min(order[rule] for rule in knot)):
        found = (_shortest(rule, hops) for rule in sorted(knot, key=order.__getitem__))
        circle = next((path for path in found if path and _endless(path)), None)
        if circle:
            _say(circle, problems)


def _kept(hops: list[Hop], knot: Mapping[str, int]) -> list[Hop]:
    """Return the hops that stay within a knot."""
    return [hop for hop in hops if hop.of.id in knot and knot[hop.of.id] == knot.get(hop.to.id, -1)]


def _knots(rules: Iterable[str], hops: Mapping[str, list[Hop]]) -> list[set[str]]:
    """Return the largest sets of rules of which each can set off each, in the end.

    Tarjan's strongly connected components, without recursion.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[set[str]] = []
    for root in rules:
        if root in index:
            continue
        work: list[tuple[str, Iterator[Hop]]] = [(root, iter(hops[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            rule, rest = work[-1]
            for hop in rest:
                to = hop.to.id
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on_stack.add(to)
                    work.append((to, iter(hops[to])))
                    break
                if to in on_stack:
                    low[rule] = min(low[rule], index[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[rule])
                if low[rule] == index[rule]:
                    knot: set[str] = set()
                    while rule not in knot:
                        knot.add(stack.pop())
                    on_stack -= knot
                    found.append(knot)
    return [k for k in found if len(k) > 1 or any(h.to.id in k for r in k for h in hops[r])]


def _shortest(first: str, hops: Mapping[str, list[Hop]]) -> tuple[Hop, ...]:
    """Return the shortest way from a rule back to itself; empty when there is none."""
    ways: dict[str, tuple[Hop, ...]] = {first: ()}
    waiting = deque([first])
    while waiting:
        at = waiting.popleft()
        for hop in hops[at]:
            if hop.to.id == first:
                return (*ways[at], hop)
            if hop.to.id not in ways:
                ways[hop.to.id] = (*ways[at], hop)
                waiting.append(hop.to.id)
    return ()


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


class _Hops:
    """Which rule's orders fire which rule."""

    def __init__(self, rules: list[Rule], world: World) -> None:
        self._rules, self._world = rules, world
        self._heard: dict[tuple[str, str], list[tuple[Rule, Fact]]] = {}
        self._answers: dict[Any, bool] = {}
        for rule in rules:
            for fact in _ends(rule):
                what = fact.signal or f"{fact.state}={fact.value}"
                for member in fact.members:
                    self._heard.setdefault((member, what), []).append((rule, fact))

    def all(self) -> dict[str, list[Hop]]:
        """Return the hops from each rule, without those that only set a state to what it is."""
        every = [(rule, list(_effects(rule, self._world))) for rule in self._rules]
        values: dict[tuple[str, str], set[str]] = {}
        for effect in (effect for _, effects in every for effect in effects if effect.state):
            values.setdefault((effect.device, effect.state), set()).add(effect.value)
        return {
            rule.id: self._from(
                rule,
                [e for e in effects if e.anew or len(values[e.device, e.state]) > 1],
            )
            for rule, effects in every
        }

    def _from(self, rule: Rule, effects: list[Effect]) -> list[Hop]:
        found: dict[str, tuple[Rule, list[Effect]]] = {}
        for effect in effects:
            names = [effect.signal] if effect.signal else []
            names += [f"{effect.state}={effect.value}"] if effect.state else []
            for name in names:
                for other, fact in self._heard.get((effect.device, name), ()):
                    some = found.setdefault(other.id, (other, []))[1]
                    if effect not in some and self._fires(effect, fact, other):
                        some.append(effect)
        return [Hop(of=rule, to=to, effects=tuple(some)) for to, some in found.values() if some]

    def _fires(self, effect: Effect, fact: Fact, rule: Rule) -> bool:
        """Return whether an effect can complete the rule's trigger by this fact."""
        known = {name: (value,) for name, value in effect.fields.items()}
        if fact.signal is None:
            known = {}
        elif any(n in known and known[n][0] not in v for n, v in fact.fields.items()):
            return False
        reads = rule.condition.reads if rule.condition is not None else frozenset()
        read = tuple((n, known[n]) for n in sorted(known) if ("event", n) in reads)
        key = (rule.id, fact.mark, effect.device, read)
        if key not in self._answers:
            alone = dataclasses.replace(
                fact, members=(effect.device,), group=None, fields={**fact.fields, **known}
            )
            given = of_fact(alone, self._world)
            self._answers[key] = fires(rule, Ground(fact=fact, given=given), self._world)
        return self._answers[key]


def _ends(rule: Rule) -> Iterator[Fact]:
    for trigger in rule.when:
        yield from completing(trigger)


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
