"""What a rule waits for at this moment, for people who ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from drivers.event import Event
from rules import reasons
from rules.deadlines import Deadline
from rules.firing import RuleRun
from rules.model import Absence, Count
from rules.near_misses import NearMisses
from rules.repeats import Repeats
from rules.rule_leases import RuleLeases
from rules.trigger_absence import AbsenceMachine
from rules.trigger_facts import HoldCell
from rules.trigger_windows import Entry, Key, WindowMachine

What = Literal["hold", "absence", "sequence", "count", "escalation", "lease", "cooldown", "quiet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that a rule waits for."""

    rule: str
    what: What
    member: str
    until: float
    """Tick at which it comes true, or is over."""
    text: str
    """`door_front contact=open holds`, `sequence 2 of 3 within 30 s`."""
    event: Event | None = None
    """What began it."""


def waits(run: RuleRun, deadlines: Iterable[Deadline], tick: float) -> list[Wait]:
    """Return what the rule waits for at `tick`; `deadlines` are its own."""
    found = [w for d in deadlines if (w := _of_deadline(run, d)) is not None]
    found += _of_repeats(run, tick)
    for trigger in run.triggers:
        if trigger.path.startswith("when.") and isinstance(trigger.machine, WindowMachine):
            found += _of_window(run.rule.id, trigger.machine, tick)
    return sorted(found, key=lambda wait: wait.until)


def _of_deadline(run: RuleRun, deadline: Deadline) -> Wait | None:
    owner, info = deadline.owner, deadline.info
    what: What
    if isinstance(owner, HoldCell):
        what, text = "hold", f"{reasons.fact(owner.fact)} holds"
    elif isinstance(owner, AbsenceMachine):
        what, text = "absence", f"no {_without(owner.trigger)} yet"
    elif isinstance(owner, RuleLeases):
        what, text = "lease", f"{info['device']} has its {info['command']}"
    elif isinstance(owner, RuleRun):
        what, text = "escalation", f"step {info['step']} of its escalation, unless acknowledged"
    elif isinstance(owner, NearMisses | Repeats):
        return None  # told by what is kept of them
    else:
        return None
    ends = owner.path.startswith("until.")
    return Wait(
        rule=run.rule.id,
        what=what,
        member=deadline.member,
        until=deadline.tick,
        text=f"until: {text}" if ends else text,
        event=deadline.event,
    )


def _without(trigger: Absence) -> str:
    return reasons.facts(trigger.without)


def _of_repeats(run: RuleRun, tick: float) -> Iterator[Wait]:
    for kind, member, device, _began, end in run.repeats.save(tick):
        if end <= tick:
            continue
        text = f"quiet while {device} keeps on" if kind == "quiet" else "cooldown"
        who = device if kind == "quiet" else member
        yield Wait(rule=run.rule.id, what=kind, member=who, until=end, text=text)


def _of_window(rule: str, machine: WindowMachine, tick: float) -> Iterator[Wait]:
    """Yield how far each window is that has begun and is not over."""
    trigger = machine.trigger
    wanted = trigger.count if isinstance(trigger, Count) else len(trigger.facts)
    for key in list(machine.kept.by_key):
        oldest = tick - machine.within
        some = _begun(machine, key, oldest)
        if not 0 < len(some) < wanted:
            continue
        first = min(some, key=lambda entry: entry.order)
        within = f"within {machine.within:.6g} s"
        word: What = "count" if isinstance(trigger, Count) else "sequence"
        name = "together" if word == "sequence" and not machine.ordered else word
        yield Wait(
            rule=rule,
            what=word,
            member=machine.member(key),
            until=first.order[0] + machine.within,
            text=f"{name} {len(some)} of {wanted} {within}",
            event=first.occurrence.event,
        )


def _begun(machine: WindowMachine, key: Key, oldest: float) -> list[Entry]:
    """Return what is there already of the window that has come furthest."""
    kept, roles = machine.kept, range(len(machine.steps))
    if isinstance(machine.trigger, Count):
        return [entry for entry in kept.entries(key, 0) if entry.order[0] > oldest]
    if not machine.ordered:
        found = (entries[-1:] for entries in (kept.entries(key, role) for role in roles))
        return [entry for some in found for entry in some if entry.order[0] > oldest]
    for role in reversed(roles):
        for entry in reversed(kept.entries(key, role)):
            chain = machine.chain(key, entry, role)
            if chain is not None and chain[0].order[0] > oldest:
                return chain
    return []
