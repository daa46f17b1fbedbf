"""The rules engine: a function of its state, an event and a tick. It has no clock.

Windows are half-open: what comes exactly at a deadline is too late. Nothing in here waits,
connects, stores or fails: rules were checked when they were loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from drivers.event import SITE, Event
from drivers.priorities import Priority
from rules.deadlines import Deadline, Deadlines
from rules.event_json import Events
from rules.firing import RuleRun
from rules.model import Decision, Ended, Rule, World
from rules.rule_leases import restored_leases
from rules.states import OVERTAKEN, Change, States
from rules.tallies import Tallied
from rules.trace import Why
from rules.trigger_facts import Cell, Context, Machine
from rules.triggers import facts_of

ACKNOWLEDGED = "incident.acknowledged"
VERSION = 2
"""Of what `save` returns; another is not read."""

Touched = tuple[Machine, list[Cell]]
"""A trigger at work, and those of its cells that have to look at an event."""
NO_CELLS: list[Touched] = []


class Engine:
    """Feed it every event in the order of handling, and wake it at `next_deadline`.

    `feed` matches at the event's own tick and runs no deadlines; `advance(t)` is for when no
    event with a tick before t waits any more. Events may come slightly out of tick order. Then a
    condition sees what was so at its own tick, a deadline what was so just before the events of
    its tick, even if later events were fed already (for as long as states.OVERTAKEN remembers).
    """

    def __init__(self, rules: Iterable[Rule], world: World) -> None:
        active = _active(rules)
        self.states = States(_counts(active))
        self._deadlines = Deadlines()
        self._context = Context(self.states, self._deadlines)
        self._runs = {r.id: RuleRun(r, world, self._context) for r in active}
        self._tick = float("-inf")
        self._signals: dict[tuple[str, str], list[Touched]] = {}
        self._pairs: dict[tuple[str, str], list[Cell]] = defaultdict(list)
        self._acknowledging: dict[str, list[RuleRun]] = defaultdict(list)
        self._index()

    def _index(self) -> None:
        order = 0
        signals: dict[tuple[str, str], list[Cell]] = defaultdict(list)
        for run in self._runs.values():
            for cell in run.cells:
                order += 1
                cell.order = order
                for key in dict.fromkeys(cell.signals()):
                    signals[key].append(cell)
                for key in dict.fromkeys(cell.pairs()):
                    self._pairs[key].append(cell)
            if run.rule.escalate:
                for name in run.incidents:
                    self._acknowledging[name].append(run)
        self._signals.update((key, _by_machine(cells)) for key, cells in signals.items())

    @property
    def tick(self) -> float:
        """The latest tick that was fed or advanced to."""
        return self._tick

    @property
    def next_deadline(self) -> float | None:
        """The tick at which `advance` is next needed, or None."""
        return self._deadlines.next

    @property
    def waiting(self) -> int:
        """How many deadlines wait."""
        return len(self._deadlines)

    def waits(self) -> list[tuple[float, Event | None]]:
        """Return what waits: each deadline's tick and the event that began it, in order."""
        return [(d.tick, d.event) for d in self._deadlines]

    def at_work(self) -> list[tuple[RuleRun, list[Deadline]]]:
        """Return every rule that is at work with its deadlines, to be looked at."""
        own: dict[str, list[Deadline]] = {rule: [] for rule in self._runs}
        for deadline in self._deadlines:
            if deadline.rule in own:
                own[deadline.rule].append(deadline)
        return [(run, own[rule]) for rule, run in self._runs.items()]

    def holds(self, rule: str, member: str, device: str, command: str) -> bool:
        """Return whether a rule holds this lease."""
        run = self._runs.get(rule)
        return run is not None and run.leases.holds((member, device, command))

    def ends_it(self, rule: str, member: str, device: str, command: str) -> bool:
        """Return whether a rule holds this lease, and a time or its `until:` will end it."""
        run = self._runs.get(rule)
        return run is not None and run.leases.ends_it((member, device, command))

    def assume(self, event: Event) -> None:
        """Take what `event` sets as so already: nothing is entered, holds count from its tick."""
        self._tick = max(self._tick, event.tick)
        self.states.assume(event)

    def begin(self) -> None:
        """Start holds on what was assumed. Called once, before the first event."""
        for run in self._runs.values():
            for cell in run.cells:
                cell.begin(self._tick)

    def feed(self, event: Event) -> list[Decision]:
        """Return what `event` leads to, in rule order."""
        self._tick = max(self._tick, event.tick)
        self._context.arrivals += 1
        changes = self.states.apply(event)
        decisions: list[Decision] = []
        for machine, cells in self._touched(event, changes):
            if len(cells) == 1:
                cell = cells[0]
                seen = [(cell.role, o) for o in cell.see(event, changes)]
            else:
                seen = [(c.role, o) for c in cells for o in c.see(event, changes)]
            if seen:
                decisions += machine.report(machine.step(seen))
        if self._context.missed:
            decisions += self._context.missed
            self._context.missed.clear()
        if event.device == SITE and event.kind == ACKNOWLEDGED:
            for run in self._acknowledging.get(str(event.fields.get("name")), ()):
                run.acknowledged(event.tick)
        return decisions

    def _touched(self, event: Event, changes: list[Change]) -> list[Touched]:
        """Return the cells that have to look, by machine, in rule order."""
        touched = self._signals.get((event.device, event.kind), NO_CELLS)
        if not changes:
            return touched
        more = [c for one in changes for c in self._pairs.get((one.device, one.state), ())]
        if not more:
            return touched
        cells = {cell.order: cell for _, some in touched for cell in some}
        cells.update((cell.order, cell) for cell in more)
        return _by_machine(cells[order] for order in sorted(cells))

    def advance(self, tick: float) -> list[Decision]:
        """Return what the passing of time alone leads to, in the order of deadlines."""
        self._tick = max(self._tick, tick)
        decisions: list[Decision] = []
        while (deadline := self._deadlines.take(tick)) is not None:
            decisions += deadline.owner.due(deadline)
            if self._context.missed:
                decisions += self._context.missed
                self._context.missed.clear()
        return decisions

    # --- saved and restored ----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON values: every event once, and nothing that is over."""
        tick = self._tick if self._tick > float("-inf") else None
        due = self._deadlines.next
        since = min(self._tick, due if due is not None else self._tick) - OVERTAKEN
        events = Events()
        deadlines = [
            [
                d.tick,
                d.rule,
                d.owner.path,
                d.member,
                events.number(d.event) if d.event else None,
                dict(d.info),
                *([_why_saved(d.why, events)] if d.why else ()),
            ]
            for d in self._deadlines
        ]
        rules = {rule: run.save(events, since) for rule, run in self._runs.items()}
        return {
            "version": VERSION,
            "tick": tick,
            "arrivals": self._context.arrivals,
            "states": self.states.save(events, since=since),
            "hashes": {rule: run.rule.hash for rule, run in self._runs.items()},
            "rules": {rule: kept for rule, kept in rules.items() if kept},
            "deadlines": deadlines,
            "events": events.save(),
        }

    def restore(self, saved: Mapping[str, Any]) -> list[Decision]:
        """Go on from what `save` returned; call it on a new engine, before anything else.

        A rule whose hash changed starts fresh: its holds count from now. Returns the end of
        every lease whose rule is gone or changed. What another version saved is left alone.
        """
        if saved.get("version") != VERSION:
            return []
        self._tick = saved["tick"] if saved["tick"] is not None else self._tick
        self._context.arrivals = saved["arrivals"]
        events = Events.restore(saved["events"])
        self.states.restore(saved["states"], events)
        same = {
            rule
            for rule, kept in saved["hashes"].items()
            if rule in self._runs and kept == self._runs[rule].rule.hash
        }
        for rule, kept in saved["rules"].items():
            if rule in same:
                self._runs[rule].restore(kept, events)
        waiting = {d[1] for d in saved["deadlines"]}
        owners = {rule: self._runs[rule].owners() for rule in same & waiting}
        for tick, rule, path, member, event, info, *why in saved["deadlines"]:
            owner = owners.get(rule, {}).get(path)
            if owner is not None:
                began = events.event(event) if event is not None else None
                owner.adopt(
                    self._deadlines.add(
                        tick,
                        rule,
                        owner,
                        member,
                        began,
                        dict(info),
                        _why_restored(why[0], events) if why else None,
                    )
                )
        for rule, run in self._runs.items():
            if rule not in same:
                for cell in run.cells:
                    cell.begin(self._tick)
        return self._gone(saved["rules"], same)

    def _gone(self, rules: Mapping[str, Any], same: set[str]) -> list[Decision]:
        return [
            Ended(
                rule=rule,
                member=member,
                device=device,
                command=command,
                tick=self._tick,
                because="gone",
            )
            for rule, kept in rules.items()
            if rule not in same
            for member, device, command in restored_leases(kept)
        ]

    def swap(self, rules: Iterable[Rule], world: World, tick: float) -> list[Decision]:
        """Go on with other rules from `tick`, just as a new engine would that restores this one.

        Advance to `tick` first. A rule whose hash is the same goes on undisturbed; returns the end
        of every lease whose rule is gone or changed.
        """
        self._tick = max(self._tick, tick)
        active, old = _active(rules), self._runs
        same = {r.id for r in active if r.id in old and old[r.id].rule.hash == r.hash}
        ends = [end for i, run in old.items() if i not in same for end in run.give_up(self._tick)]
        for deadline in self._deadlines:
            if deadline.rule not in same:
                self._deadlines.cancel(deadline)
        self.states.count(_counts(active))
        self._runs = {}
        for rule in active:
            if rule.id in same:
                run = self._runs[rule.id] = old[rule.id]
                run.rule, run.world = rule, world
            else:
                self._runs[rule.id] = RuleRun(rule, world, self._context)
        for table in (self._signals, self._pairs, self._acknowledging):
            table.clear()
        self._index()
        for rule_id, run in self._runs.items():
            if rule_id not in same:
                for cell in run.cells:
                    cell.begin(self._tick)
        return ends

    def resume(self, tick: float, *, crashed: bool) -> list[Decision]:
        """Go on after a restart at `tick`; call it once, after `restore` and any replay.

        What waits goes by the rule's `after_restart`; its conditions see the states as they were
        last known before the restart. What fell due meanwhile comes out of the
        next `advance`, marked late: at its own tick, or with `late` at this one. Unless the
        process `crashed` and is back within 30 s of the same boot, leases of security and below
        are over: returns their ends.
        """
        decisions: list[Decision] = []
        for run in self._runs.values():
            if not crashed and run.rule.priority >= Priority.security:
                decisions += run.give_up(tick)
            if run.rule.after_restart == "expire":
                for trigger in run.triggers:
                    trigger.clear()
                    for cell in trigger.cells:
                        cell.begin(tick)
        overdue = [deadline for deadline in self._deadlines if deadline.tick <= tick]
        for deadline in overdue:
            deadline.info["late"] = True
        self._deadlines.postpone((d for d in overdue if self._runs[d.rule].postpones(d)), tick)
        self._tick = max(self._tick, tick)
        return decisions


def _by_machine(cells: Iterable[Cell]) -> list[Touched]:
    """Put the cells of one machine together; they are next to each other."""
    return [(machine, list(some)) for machine, some in groupby(cells, lambda c: c.machine)]


def known_to(saved: Mapping[str, Any], rules: Iterable[Rule]) -> list[Rule] | None:
    """Return the rules but for those that `saved` does not know as they are.

    None: another version saved it.
    """
    if saved.get("version") != VERSION:
        return None
    rules, kept = tuple(rules), saved["hashes"]
    strange = {rule.id for rule in _active(rules) if kept.get(rule.id) != rule.hash}
    return [rule for rule in rules if rule.id not in strange]


def _active(rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.enabled != "no" and not rule.inactive]


def _counts(rules: Iterable[Rule]) -> dict[Tallied, float]:
    """Return the signals that any condition counts, with the longest window."""
    found: dict[Tallied, float] = {}
    for rule in rules:
        whiles = [f.holding for t in (*rule.when, *rule.until) for f, _ in facts_of(t)]
        for condition in (rule.condition, *whiles):
            for key, window in (condition.counts if condition else {}).items():
                found[key] = max(window, found.get(key, 0.0))
    return found


def _why_saved(why: Why, events: Events) -> list[Any]:
    facts = events.numbers(why.facts)
    return [why.trigger, facts, why.held, why.wanted, why.condition, why.answer, dict(why.read)]


def _why_restored(saved: list[Any], events: Events) -> Why:
    trigger, facts, held, wanted, condition, answer, read = saved
    return Why(
        trigger=trigger,
        facts=events.events(facts),
        held=held,
        wanted=wanted,
        condition=condition,
        answer=answer,
        read=read,
    )
