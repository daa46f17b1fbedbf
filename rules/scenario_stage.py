"""A store in virtual time: rules and latch, devices that fail, restarts; notes what was done."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drivers.commands import SITE_COMMANDS, Command, OpenIncident, Release, SetMode
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import LinkDown, LinkUp, OrderFailed, StateKnown
from rules.calendar import LATE
from rules.engine import Engine
from rules.evacuation import Evacuation, LatchSignal, Want
from rules.model import (
    Decision,
    Ended,
    EvacuationPlan,
    Fired,
    Moment,
    NotFired,
    Order,
    Rule,
    World,
)
from rules.modes import HOURS, REQUESTED, Modes, ModeSignal
from rules.scenario_events import Stamp, start
from rules.scenario_outputs import Lease, Outputs, Said

EVACUATION = "evacuation"
CRASH = 30.0
"""Seconds up to which a restart counts as a crash, so that leases resume."""
TOO_MUCH = 10_000
"""Events after which rules are taken to trigger each other for ever."""


class Endless(Exception):
    """The rules trigger each other without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """One thing that a rule did."""

    at: float
    rule: str
    word: str
    """A command, or `ends`."""
    target: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Stage:
    """Plays events into the rules and the latch, and notes what they do."""

    def __init__(
        self,
        rules: Sequence[Rule],
        moments: tuple[Moment, ...],
        world: World,
        began: datetime,
        states: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._rules, self._moments, self._world = rules, moments, world
        self.stamp = Stamp(began)
        self.did: list[Did] = []
        self.not_fired: list[NotFired] = []
        self._latch = Evacuation(world.evacuation or EvacuationPlan(), world)
        self._outputs = Outputs(world)
        self._failing: dict[str, str] = {}
        self._queue: deque[Event] = deque()
        self._engine = Engine(rules, world)
        self._modes = Modes(world.modes, world.calendar)
        self._assumed: set[str] = set()
        for device, values in start(world, states, began).items():
            event = self.stamp.event(0.0, device, StateKnown.kind, {"values": values}, values)
            self._assumed.add(event.id)
            self._engine.assume(event)
        known = self._engine.states
        self._modes.assume(
            known.value(SITE, "mode"),
            is_open=known.value(SITE, "open"),
            given="mode" in states.get(SITE, {}),
        )
        self._engine.begin()

    # --- time ----------------------------------------------------------------------------------

    def until(self, tick: float) -> None:
        """Let time pass up to and including `tick`."""
        while True:
            waiting = (self._engine.next_deadline, self._modes.next_deadline)
            due = self._world.calendar.due(
                self.stamp.at(self._engine.tick), self.stamp.at(tick), self._moments
            )
            said = (due[0].at - self.stamp.began).total_seconds() if due else None
            steps = [at for at in (*waiting, said) if at is not None and at <= tick]
            if not steps:
                break
            self._advance(min(steps))
            for one in due if said == min(steps) else ():
                if one.at == due[0].at:
                    self.say(self.stamp.event(min(steps), SITE, one.kind, one.fields, one.sets))
        self._advance(tick)

    def run_out(self) -> None:
        """Let time pass until everything is over that the timeline has begun."""
        while begun := [
            tick
            for tick, event in self._engine.waits()
            if event is not None and event.id not in self._assumed
        ]:
            self.until(min(begun))

    def _advance(self, tick: float) -> None:
        for decision in self._engine.advance(tick):
            self._take(decision)
        self._of_modes(tick, self._modes.advance(tick, self.stamp.event(tick, SITE, "time")))
        self._drain()

    # --- events ----------------------------------------------------------------------------------

    def say(self, event: Event) -> None:
        """Feed an event, and what the site and failing devices say because of it."""
        self._queue.append(event)
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            if self.stamp.made > TOO_MUCH:
                raise Endless
            event = self._modes.amended(self._queue.popleft())
            self._wanted(self._latch.feed(event), event.tick)
            self._of_modes(event.tick, self._modes.feed(event))
            for decision in self._engine.feed(event):
                self._take(decision)
            if event.device == SITE and event.kind == REQUESTED:
                self._of_modes(event.tick, self._modes.requested(event))

    def _of_modes(self, tick: float, said: list[ModeSignal] | str) -> None:
        for one in said if isinstance(said, list) else ():
            self._queue.append(self.stamp.event(tick, SITE, one.kind, one.fields, one.sets))

    def _site(self, tick: float, kind: str, fields: Mapping[str, Any]) -> None:
        self._queue.append(self.stamp.signal(tick, SITE, kind, fields))

    def down(self, tick: float, device: str) -> None:
        """Lose a device: its states are unknown, and it does nothing that it is told."""
        words = self._world.devices[device]
        sets = {**dict.fromkeys(words.states, "unknown"), "link": "down"}
        self._failing[device] = "it is not connected"
        self.say(self.stamp.event(tick, device, LinkDown.kind, {"reason": "in this test"}, sets))

    def up(self, tick: float, device: str) -> None:
        """Find a device again, as it was; it does what it is told again."""
        self._failing.pop(device, None)
        words, states = self._world.devices[device], self._engine.states
        self.say(self.stamp.event(tick, device, LinkUp.kind, {}, {"link": "up"}))
        last = {state: states.last_known(device, state) for state in words.states}
        values = {state: value for state, value in last.items() if value is not None}
        self.say(self.stamp.event(tick, device, StateKnown.kind, {"values": values}, values))
        self._show(device, tick)
        self._drain()

    def mode(self, tick: float, mode: str, lasts: float | None, by: str) -> None:
        """Set a mode as a person, or end it: `hours`."""
        fields = {"action": "end", "by": by, "reason": "in this test"}
        if mode != HOURS:
            fields |= {"action": "set", "mode": mode}
        kept = {} if lasts is None else {"for": lasts}
        self.say(self.stamp.event(tick, SITE, REQUESTED, {**fields, **kept}))

    def evacuation(self, tick: float, kind: str, fields: Mapping[str, Any]) -> None:
        """Start an evacuation or a drill as a person, or end it."""
        if kind == "evacuation.started":
            cause, drill = str(fields.get("cause", "person")), fields.get("drill") is True
            self._wanted(self._latch.start(cause, drill=drill), tick)
            self._drain()
            return
        self._latch.stage, self._latch.cause = "idle", ""
        self.say(self.stamp.signal(tick, SITE, kind, fields))
        for lease in self._outputs.of(EVACUATION):
            if lease[3] != Release.kind and self._outputs.end(lease):
                self._show(lease[2], tick)
        self._drain()

    def fail(self, device: str) -> None:
        """From now on the device fails to do what it is told, until it is `up`."""
        self._failing[device] = "failing in this test"

    def restart(self, tick: float, seconds: float) -> None:
        """Be down from `tick` on for `seconds`; what was saved goes through JSON."""
        self.until(tick)
        saved = [self._engine.save(), self._latch.save(), self._modes.save()]
        engine, latch, modes = json.loads(json.dumps(saved))
        back = tick + seconds
        self._engine = Engine(self._rules, self._world)
        decisions = self._engine.restore(engine)
        self._latch = Evacuation(self._latch.plan, self._world)
        self._latch.restore(latch)
        self._modes = Modes(self._world.modes, self._world.calendar)
        self._modes.restore(modes)
        due = self._world.calendar.due(self.stamp.at(tick), self.stamp.at(back), self._moments)
        decisions += self._engine.resume(back, crashed=seconds <= CRASH)
        for decision in decisions:
            self._take(decision)
        self._advance(back)
        values = self._world.calendar.states(self.stamp.at(back))
        for one in due:
            if self.stamp.at(back) - one.at <= LATE:
                fields = {**one.fields, "late": True}
                self.say(self.stamp.event(back, SITE, one.kind, fields, one.sets))
        self.say(self.stamp.event(back, SITE, StateKnown.kind, {"values": values}, values))

    def known(self, device: str, state: str) -> str | None:
        """Return the last known value of a state."""
        return self._engine.states.last_known(device, state)

    # --- decisions -------------------------------------------------------------------------------

    def _take(self, decision: Decision) -> None:
        if isinstance(decision, NotFired):
            self.not_fired.append(decision)
        elif isinstance(decision, Ended):
            lease = (decision.rule, decision.member, decision.device, decision.command)
            self._end(lease, decision.tick)
        elif isinstance(decision, Fired) and not decision.shadow:
            for order in decision.orders:
                self._order(order, decision)

    def _end(self, lease: Lease, tick: float) -> None:
        if self._outputs.end(lease):
            self.did.append(Did(at=tick, rule=lease[0], word="ends", target=lease[2]))
            self._show(lease[2], tick)

    def _show(self, device: str, tick: float) -> None:
        """Let a device say what it does now; one that fails does nothing new."""
        if device not in self._failing:
            self._says(device, self._outputs.show(device), tick)

    def _says(self, device: str, said: list[Said], tick: float) -> None:
        now = max(tick, self._engine.tick)
        for kind, fields in said:
            event = self.stamp.signal(now, device, kind, fields)
            states = self._engine.states
            if not event.sets or any(states.value(device, s) != v for s, v in event.sets.items()):
                self._queue.append(event)

    def _order(self, order: Order, fired: Fired) -> None:
        command = order.command
        parameters = command.fields()
        if "duration" in parameters:
            parameters["for"] = parameters.pop("duration")
        if order.lasts is not None:
            parameters["for"] = order.lasts
        target = order.device
        if command.kind in SITE_COMMANDS:
            target = str(next(iter(parameters.values())))
        self.did.append(
            Did(
                at=fired.tick,
                rule=order.rule,
                word=command.kind,
                target=target,
                parameters=parameters,
            )
        )
        if command.kind in SITE_COMMANDS:
            self._of_site(order, fired.tick)
            return
        reason = self._latch.refuses(order.device, command.kind, order.priority, by="rule")
        reason = reason or self._give(order, fired.tick)
        if reason:
            fields = {"command": command.kind, "rule": order.rule, "by": "rule", "reason": reason}
            self._says(order.device, [(OrderFailed.kind, fields)], fired.tick)

    def _give(self, order: Order, tick: float) -> str:
        """Let a device have an order; return why it does not do it, or an empty string."""
        device, command, priority = order.device, order.command, order.priority
        self._quell(device, command, priority, tick)
        if order.holds:
            lease = (order.rule, order.member, device, command.kind)
            self._outputs.take(lease, command, priority, "rule")
        if device in self._failing:
            return self._failing[device]
        if order.holds:
            self._show(device, tick)
        elif command.ends or command.holds != "no":
            if command.ends and (holder := self._outputs.holder(device)):
                return holder
            if self._outputs.outranked(device, priority):
                return self._outputs.holder(device)
            self._says(device, self._outputs.done(device, command, "rule", order.rule), tick)
        else:
            self._says(device, self._outputs.done(device, command, "rule", order.rule), tick)
        return ""

    def _of_site(self, order: Order, tick: float) -> None:
        self._wanted(self._latch.ordered(order.command), tick)
        if isinstance(order.command, OpenIncident):
            self._site(tick, "incident.opened", {"name": order.command.name})
        elif isinstance(order.command, SetMode):
            stamp = self.stamp.event(tick, SITE, "time")
            self._of_modes(tick, self._modes.ordered(order.command, order.rule, tick, stamp))

    def _wanted(self, wants: list[Want], tick: float) -> None:
        for want in wants:
            if isinstance(want, LatchSignal):
                self._site(tick, want.kind, want.fields)
            elif want.holds:
                lease = (EVACUATION, "", want.device, want.command.kind)
                self._outputs.take(lease, want.command, want.priority, EVACUATION)
                self._show(want.device, tick)
            else:
                self._quell(want.device, want.command, want.priority, tick)
                done = self._outputs.done(want.device, want.command, EVACUATION, "")
                if want.device not in self._failing:
                    self._says(want.device, done, tick)

    def _quell(self, device: str, command: Command, priority: Priority, tick: float) -> None:
        """End the leases that `command` ends and that are not above `priority`."""
        ended = self._outputs.quell(device, command, priority)
        for rule, _member, target, _kind in ended:
            if rule != EVACUATION:
                self.did.append(Did(at=tick, rule=rule, word="ends", target=target))
        if ended and self._outputs.holder(device):
            self._show(device, tick)
