"""Triggers at work: from a trigger as loaded to the machine that notices it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rules.deadlines import Owner
from rules.event_json import Events
from rules.model import Absence, Count, Decision, Fact, Sequence, Trigger
from rules.trigger_absence import FACT, WITHOUT, AbsenceMachine
from rules.trigger_facts import Cell, Completion, Context, HoldCell, Machine, Occurrence
from rules.trigger_windows import Report, WindowMachine


class FactMachine:
    """A single fact: complete whenever it comes true."""

    __slots__ = ("report", "wanted")

    def __init__(self, fact: Fact, report: Report) -> None:
        self.report, self.wanted = report, fact.hold

    def step(self, seen: list[tuple[int, Occurrence]]) -> list[Completion]:
        return [
            Completion(
                o.tick,
                o.number,
                o.event,
                o.member,
                o.late,
                facts=(o.event,),
                held=o.held,
                wanted=self.wanted if o.held is not None else None,
            )
            for _, o in seen
        ]

    def clear(self) -> None:
        """Forget what waits: nothing."""

    def save(self, events: Events, since: float) -> Any:
        """Return JSON values; None: nothing."""
        return None

    def restore(self, saved: Any, events: Events) -> None:
        """Go on from what `save` returned."""


class TriggerRun:
    """One trigger of one rule: its machine, and a cell for each fact."""

    __slots__ = ("cells", "machine", "number", "path")

    def __init__(
        self,
        trigger: Trigger,
        rule: str,
        path: str,
        number: int,
        report: Callable[[list[Completion], frozenset[str]], list[Decision]],
        context: Context,
    ) -> None:
        self.path, self.number = path, number
        facts = list(facts_of(trigger))
        members = frozenset(
            m for f, _ in facts if f.group is not None and not f.across for m in f.members
        )

        def told(completions: list[Completion]) -> list[Decision]:
            for done in completions:
                done.trigger = number
            return report(completions, members)

        self.machine = _machine(trigger, rule, path, told, context)
        self.cells = [
            _cell(fact, role, rule, f"{path}.{number}", self.machine, context)
            for number, (fact, role) in enumerate(facts)
        ]

    def tell_near_misses(self) -> None:
        """Say when it was nearly complete; a hold that is cut short only where it is all of it."""
        if isinstance(self.machine, FactMachine):
            for cell in self.cells:
                if isinstance(cell, HoldCell):
                    cell.alone, cell.trigger = True, self.number
        else:
            self.machine.tell_near_misses(self.number)

    def owners(self) -> Iterator[Owner]:
        """Yield whoever in it waits for deadlines."""
        for cell in self.cells:
            if isinstance(cell, HoldCell):
                yield cell
        if isinstance(self.machine, AbsenceMachine):
            yield self.machine
        elif isinstance(self.machine, WindowMachine) and self.machine.near is not None:
            yield self.machine.near

    def clear(self) -> None:
        """Forget what waits."""
        self.machine.clear()
        for cell in self.cells:
            cell.clear()

    def save(self, events: Events, since: float) -> Any:
        """Return JSON values; None: nothing. Nothing from before `since` will be handled."""
        machine = self.machine.save(events, since)
        cells = [cell.save(events) for cell in self.cells]
        return None if machine is None and not any(cells) else [machine, cells]

    def restore(self, saved: Any, events: Events) -> None:
        """Go on from what `save` returned."""
        machine, cells = saved
        if machine is not None:
            self.machine.restore(machine, events)
        for cell, kept in zip(self.cells, cells, strict=True):
            if kept is not None:
                cell.restore(kept, events)


def facts_of(trigger: Trigger) -> Iterable[tuple[Fact, int]]:
    """Yield every fact with its role in the machine."""
    if isinstance(trigger, Fact):
        yield trigger, 0
    elif isinstance(trigger, Sequence):
        for role, step in enumerate(trigger.facts):
            for fact in step:
                yield fact, role
    elif isinstance(trigger, Count):
        for fact in trigger.of:
            yield fact, 0
    else:
        for fact in trigger.fact:
            yield fact, FACT
        for fact in trigger.without:
            yield fact, WITHOUT


def _machine(
    trigger: Trigger, rule: str, path: str, report: Report, context: Context
) -> FactMachine | WindowMachine | AbsenceMachine:
    if isinstance(trigger, Fact):
        return FactMachine(trigger, report)
    if isinstance(trigger, Absence):
        return AbsenceMachine(trigger, rule, path, report, context)
    return WindowMachine(trigger, rule, path, report, context)


def _cell(fact: Fact, role: int, rule: str, path: str, machine: Machine, context: Context) -> Cell:
    waits = fact.hold is not None or fact.holding is not None
    return (HoldCell if waits else Cell)(fact, role, rule, path, machine, context)
