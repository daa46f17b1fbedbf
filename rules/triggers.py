"""Triggers at work: from a trigger as loaded to the machine that notices it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rules.model import Absence, Count, Decision, Fact, Sequence, Trigger
from rules.trigger_absence import FACT, WITHOUT, AbsenceMachine
from rules.trigger_facts import Cell, Completion, Context, HoldCell, Machine, Occurrence
from rules.trigger_windows import Report, WindowMachine


class FactMachine:
    """A single fact: complete whenever it comes true."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def step(self, seen: list[tuple[int, Occurrence]]) -> list[Completion]:
        return [Completion(o.tick, o.number, o.event, o.member, o.late) for _, o in seen]

    def clear(self) -> None:
        """Forget what waits: nothing."""

    def save(self) -> Any:
        return None

    def restore(self, saved: Any) -> None:
        """Go on from what `save` returned."""


class TriggerRun:
    """One trigger of one rule: its machine, and a cell for each fact."""

    def __init__(
        self,
        trigger: Trigger,
        rule: str,
        path: str,
        report: Callable[[list[Completion], frozenset[str]], list[Decision]],
        context: Context,
    ) -> None:
        self.path = path
        facts = list(facts_of(trigger))
        members = frozenset(
            m for f, _ in facts if f.group is not None and not f.across for m in f.members
        )
        self.machine = _machine(trigger, rule, path, lambda done: report(done, members), context)
        self.cells = [
            _cell(fact, role, rule, f"{path}.{number}", self.machine, context)
            for number, (fact, role) in enumerate(facts)
        ]

    def tell_near_misses(self) -> None:
        """Note a hold that is cut short, where it is all of the trigger."""
        for cell in self.cells:
            if isinstance(cell, HoldCell) and isinstance(self.machine, FactMachine):
                cell.alone = True

    def clear(self) -> None:
        """Forget what waits."""
        self.machine.clear()
        for cell in self.cells:
            cell.clear()

    def save(self) -> Any:
        return [self.machine.save(), [cell.save() for cell in self.cells]]

    def restore(self, saved: Any) -> None:
        """Go on from what `save` returned."""
        self.machine.restore(saved[0])
        for cell, kept in zip(self.cells, saved[1], strict=True):
            cell.restore(kept)


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
        return FactMachine(report)
    if isinstance(trigger, Absence):
        return AbsenceMachine(trigger, rule, path, report, context)
    return WindowMachine(trigger, report)


def _cell(fact: Fact, role: int, rule: str, path: str, machine: Machine, context: Context) -> Cell:
    waits = fact.hold is not None or fact.holding is not None
    return (HoldCell if waits else Cell)(fact, role, rule, path, machine, context)
