"""One rule at work: condition, repeats, orders and escalation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drivers.commands import Goto, OpenIncident, RecordClip
from drivers.event import Event
from drivers.settings import Seconds
from rules import reasons, ticks
from rules.asked import ask
from rules.deadlines import Deadline, Owner
from rules.event_json import Events
from rules.model import OF_DEVICE, Action, Decision, Fired, NotFired, Order, Rule, World
from rules.repeats import Repeats
from rules.rule_leases import RuleLeases
from rules.trace import Why
from rules.trigger_facts import BEFORE_EVENTS, Cell, Completion, Context
from rules.triggers import TriggerRun

ESCALATING_AT_MOST = 100
"""Steps that wait for one rule and member; until some are over more firings have none."""


class RuleRun:
    """A rule with everything that it waits for."""

    __slots__ = (
        "_escalations",
        "_last",
        "_recording",
        "context",
        "incidents",
        "leases",
        "repeats",
        "rule",
        "triggers",
        "world",
    )

    path = "rule"
    postponed = True

    def __init__(self, rule: Rule, world: World, context: Context) -> None:
        self.rule, self.world, self.context = rule, world, context
        self.incidents = {a.command.name for a in rule.do if isinstance(a.command, OpenIncident)}
        self.leases = RuleLeases(rule, context)
        self.repeats = Repeats(rule, context)
        self.triggers = [
            *(
                TriggerRun(t, rule.id, f"until.{n}", n, self.leases.ends, context)
                for n, t in enumerate(rule.until)
            ),
            *(
                TriggerRun(t, rule.id, f"when.{n}", n, self.fires, context)
                for n, t in enumerate(rule.when)
            ),
        ]
        for trigger in self.triggers[len(rule.until) :]:
            trigger.tell_near_misses()
        self._escalations: list[Deadline] = []
        self._recording: dict[tuple[str, str], float] = {}
        """Member and recorder to the tick until which it records."""
        self._last: dict[str, tuple[float, int]] = {}
        """Member to where something was complete last: two triggers are one together."""

    @property
    def cells(self) -> list[Cell]:
        return [cell for trigger in self.triggers for cell in trigger.cells]

    def owners(self) -> dict[str, Owner]:
        """Return whoever in it waits for deadlines, by path."""
        parts: list[Owner] = [self, self.leases, self.repeats]
        for trigger in self.triggers:
            parts += trigger.owners()
        return {part.path: part for part in parts}

    # --- firing ------------------------------------------------------------------------------

    def fires(self, completions: list[Completion], _members: frozenset[str]) -> list[Decision]:
        """Return what follows when triggers of `when` are complete."""
        return [decision for done in completions for decision in self._complete(done)]

    def _complete(self, done: Completion) -> list[Decision]:
        if self._last.get(done.member) == done.order:
            return []
        rule = self.rule
        if done.blind:
            return [self._not(done, "blind", reasons.blind(done.blind), _why(done))]
        self._last[done.member] = done.order
        condition = rule.condition
        if condition is None:
            why = _why(done)
        else:
            # What falls due at a tick comes before the events of that tick.
            view = self.context.states.at(done.tick, before=done.number < 0)
            answer, read = ask(condition, view, done.event)
            why = _why(done, condition.source, answer, read)
            if answer == "no":
                return [self._not(done, "if", reasons.not_met(condition, read), why)]
            if answer == "unknown" and rule.if_unknown == "skip":
                return [self._not(done, "blind", reasons.not_met(condition, read), why)]
        kept = self.repeats.suppresses(done)
        if kept is not None:
            return [self._not(done, *kept, why, self._record_on(done))]
        self.repeats.fired(done)
        waiting = sum(d.member == done.member for d in self._escalations)
        steps = rule.escalate if waiting < ESCALATING_AT_MOST else ()
        for number, step in enumerate(steps, start=1):
            info = {"step": number, "began": done.tick}
            self._escalations.append(
                self.context.deadlines.add(
                    ticks.after(done.tick, step.after),
                    rule.id,
                    self,
                    done.member,
                    done.event,
                    info,
                    why,
                )
            )
        return self._fire(rule.do, done, why, step=0, began=done.tick)

    def _not(
        self, done: Completion, miss: Any, reason: str, why: Why, orders: tuple[Order, ...] = ()
    ) -> NotFired:
        return NotFired(
            rule=self.rule.id,
            member=done.member,
            tick=done.tick,
            event=done.event,
            reason=reason,
            blind=miss == "blind",
            orders=orders,
            miss=miss,
            why=why,
        )

    def _fire(
        self, actions: tuple[Action, ...], done: Completion, why: Why, *, step: int, began: float
    ) -> list[Decision]:
        orders: list[Order] = []
        ended: list[Decision] = []
        for action in actions:
            for device in self._devices(action, done.event):
                order = self._order(action, device, done)
                orders.append(order)
                if order.holds:
                    ended += self.leases.take(order, action, done)
                elif isinstance(order.command, RecordClip):
                    self._recording[done.member, device] = ticks.after(
                        done.tick, order.command.duration
                    )
        fired = Fired(
            rule=self.rule.id,
            member=done.member,
            tick=done.tick,
            event=done.event,
            orders=tuple(orders),
            late=done.late,
            shadow=self.shadow,
            step=step,
            began=began,
            why=why,
        )
        return [*ended, fired]

    @property
    def shadow(self) -> bool:
        return self.rule.enabled == "shadow"

    def _devices(self, action: Action, event: Event) -> tuple[str, ...]:
        if action.near is None:
            return action.devices
        words = self.world.devices.get(event.device)
        return words.near.get(action.near, ()) if words else ()

    def _order(self, action: Action, device: str, done: Completion) -> Order:
        command, lasts = action.command, action.lasts
        if isinstance(command, RecordClip) and lasts is not None:
            command, lasts = replace(command, duration=Seconds(lasts)), None
        if isinstance(command, Goto) and command.preset == OF_DEVICE:
            command = replace(command, preset=done.event.device)
        holds = command.holds == "yes" or (command.holds == "with_for" and lasts is not None)
        limit = self._limit(device, command.kind) if holds else None
        if limit is not None:
            lasts = limit if lasts is None else min(lasts, limit)
        return Order(
            device=device,
            command=command,
            priority=self.rule.priority,
            rule=self.rule.id,
            member=done.member,
            lasts=lasts if holds else None,
            holds=holds,
            cause=done.event.id,
            shadow=self.shadow,
        )

    def _limit(self, device: str, command: str) -> float | None:
        words = self.world.devices.get(device)
        return words.limits.get(command) if words else None

    def give_up(self, tick: float) -> list[Decision]:
        """End every lease at `tick`: the rule is gone, or it did not outlive a restart."""
        return self.leases.give_up(tick)

    # --- what falls due ------------------------------------------------------------------------

    def due(self, deadline: Deadline) -> list[Decision]:
        """Return what follows when nobody has acknowledged in time: a step of `escalate`."""
        self._escalations.remove(deadline)
        if deadline.event is None:
            return []
        info, why = deadline.info, deadline.why or Why()
        done = Completion(
            deadline.tick, BEFORE_EVENTS, deadline.event, deadline.member, bool(info.get("late"))
        )
        do = self.rule.escalate[info["step"] - 1].do
        return self._fire(do, done, why, step=info["step"], began=info["began"])

    def postpones(self, deadline: Deadline) -> bool:
        """Return whether what fell due while down is done at the restart, as if it were due then.

        Leases, cooldowns and near misses are over when they are over.
        """
        return self.rule.after_restart == "late" and deadline.owner.postponed

    def acknowledged(self, tick: float) -> None:
        """Stop escalating what fired up to `tick`, unless it was due already."""
        for waiting in list(self._escalations):
            if waiting.info["began"] <= tick < waiting.tick:
                self.context.deadlines.cancel(waiting)
                self._escalations.remove(waiting)

    def _record_on(self, done: Completion) -> tuple[Order, ...]:
        """Return orders that make running recordings longer."""
        found = []
        for action in self.rule.do:
            if not isinstance(action.command, RecordClip):
                continue
            for device in self._devices(action, done.event):
                if done.tick < self._recording.get((done.member, device), done.tick):
                    order = self._order(action, device, done)
                    seconds = getattr(order.command, "duration", 0.0)
                    self._recording[done.member, device] = ticks.after(done.tick, seconds)
                    found.append(order)
        return tuple(found)

    # --- saved and restored ----------------------------------------------------------------------

    def adopt(self, deadline: Deadline) -> None:
        """Take back a deadline of an engine that was saved."""
        self._escalations.append(deadline)

    def save(self, events: Events, since: float) -> dict[str, Any]:
        """Return everything but the deadlines as JSON values; what is empty is left out.

        Nothing with a tick before `since` will be handled any more.
        """
        found: dict[str, Any] = {
            "triggers": {
                t.path: saved for t in self.triggers if (saved := t.save(events, since)) is not None
            },
            "leases": self.leases.save(),
            "untils": self.leases.save_untils(since),
            "repeats": self.repeats.save(since),
            "recording": [[*k, until] for k, until in self._recording.items() if until > since],
            "last": [[m, *last] for m, last in self._last.items() if last[0] >= since],
        }
        return {name: value for name, value in found.items() if value}

    def restore(self, saved: Mapping[str, Any], events: Events) -> None:
        """Go on from what `save` returned."""
        for trigger in self.triggers:
            if trigger.path in (triggers := saved.get("triggers", {})):
                trigger.restore(triggers[trigger.path], events)
        self.leases.restore(saved.get("leases", []), saved.get("untils", []))
        self.repeats.restore(saved.get("repeats", []))
        recording = saved.get("recording", ())
        self._recording = {(m, device): until for m, device, until in recording}
        self._last = {m: (tick, number) for m, tick, number in saved.get("last", ())}


def _why(
    done: Completion,
    condition: str = "",
    answer: str = "",
    read: Mapping[str, Any] | None = None,
) -> Why:
    return Why(
        trigger=done.trigger,
        facts=done.facts,
        held=done.held,
        wanted=done.wanted,
        condition=condition,
        answer=answer,
        read=read or {},
    )
