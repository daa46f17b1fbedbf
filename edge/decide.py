"""What follows from an event: latch, rules, leases and people's orders, as one function of state.

Live, the pipeline performs what a turn gives; after a restart the same turns are replayed from
the journal and nothing is performed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from drivers.commands import (
    BY_KIND,
    Command,
    Evacuate,
    Goto,
    OpenIncident,
    Release,
    Relock,
    SetMode,
)
from drivers.contract import Driver
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import LinkUp, OutputMismatch
from edge.config.model import Configuration
from edge.dispatch import Given
from edge.leases import Claim, Leases, Limit
from rules.engine import Engine
from rules.evacuation import Evacuation, LatchSignal, Want
from rules.model import Decision, Ended, Fired, NotFired, Order, Repeated

PERSON = "person.ordered"
LATCH = "evacuation.requested"
EVACUATION: Literal["evacuation"] = "evacuation"
LIFE_SAFETY = Priority.life_safety
RESUME_WITHIN = 30.0
"""Seconds after the last record of the same boot in which leases below life_safety resume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An order that was not handed to its device, and why."""

    given: Given
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Something that the site says because of this turn."""

    kind: str
    priority: Priority = Priority.operations
    fields: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """What one event, or the passing of time, leads to."""

    given: list[Given] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    said: list[Word] = field(default_factory=list)
    answer: str = ""
    """Why a person's request was refused; empty when it was not."""


class Decider:
    """Everything that decides, and its state. Never waits, never asks the time."""

    def __init__(self, configuration: Configuration) -> None:
        self._devices = {d: c.driver for d, c in configuration.devices.items()}
        self._zone = ZoneInfo(configuration.site.timezone)
        self.engine = Engine(configuration.rules.rules, configuration.world)
        plan = configuration.site.evacuation
        self.evacuation: Evacuation | None = None
        if plan is not None:
            self.evacuation = Evacuation(plan=plan, world=configuration.world)
        self.leases = Leases({d: limit_of(c) for d, c in self._devices.items()})
        self._shown: dict[str, Command | None] = {}
        self._priorities = {rule.id: rule.priority for rule in configuration.rules.rules}

    # --- live and in replay ------------------------------------------------------------------

    def feed(self, event: Event) -> Turn:
        """Return what `event` leads to. The latch comes first."""
        turn = Turn()
        if self.evacuation is not None:
            self._latched(turn, self.evacuation.feed(event), event.tick)
        for decision in self.engine.feed(event):
            self._decided(turn, decision, event)
        if event.device == SITE and event.kind == PERSON:
            self._person(turn, event)
        elif event.device == SITE and event.kind == LATCH:
            self._request(turn, event)
        elif event.kind == LinkUp.kind and event.device in self._devices:
            self._assert(turn, event)
        elif event.kind == OutputMismatch.kind and event.device in self._devices:
            self._again(turn, event)
        return turn

    def advance(self, tick: float, stamp: Event) -> Turn:
        """Return what the passing of time until `tick` leads to; `stamp` gives the wall time."""
        turn = Turn()
        for decision in self.engine.advance(tick):
            self._decided(turn, decision, stamp)
        for claim in self.leases.advance(tick):
            self._show(turn, claim.device, claim, tick)
        return turn

    def next_deadline(self) -> float | None:
        """Return the next tick at which `advance` is needed, or None."""
        dues = (self.engine.next_deadline, self.leases.next_deadline())
        return min((due for due in dues if due is not None), default=None)

    # --- rules -------------------------------------------------------------------------------

    def _decided(self, turn: Turn, decision: Decision, event: Event) -> None:
        turn.decisions.append(decision)
        if isinstance(decision, Fired) and not decision.shadow:
            for order in decision.orders:
                self._order(turn, order, decision, event)
        elif isinstance(decision, Ended) and not decision.shadow:
            owner = _owner(decision.rule, decision.member)
            claim = self.leases.end(decision.device, owner, decision.command, decision.tick)
            if claim is not None:
                self._show(turn, decision.device, claim, decision.tick)

    def _order(self, turn: Turn, order: Order, fired: Fired, event: Event) -> None:
        command = order.command
        if order.device == SITE:
            self._site(turn, command, order, event)
            return
        given = Given(
            device=order.device,
            command=command,
            by="rule",
            priority=order.priority,
            rule=order.rule,
            tick=fired.tick,
        )
        claim = Claim(
            device=order.device,
            command=command,
            by="rule",
            priority=order.priority,
            owner=_owner(order.rule, order.member),
            rule=order.rule,
            taken=fired.tick,
        )
        self._give(turn, given, claim if order.holds else None, event.at, local=event.trusted)

    def _give(
        self, turn: Turn, given: Given, claim: Claim | None, at: datetime, *, local: bool
    ) -> None:
        reason = self._refuses(given, claim, at, local=local)
        if reason:
            turn.refused.append(Refusal(given=given, reason=reason))
        elif claim is not None:
            self.leases.take(claim)
            self._show(turn, given.device, claim, given.tick)
        elif given.command.ends:
            self._quell(turn, given)
        else:
            turn.given.append(given)

    def _quell(self, turn: Turn, given: Given) -> None:
        """End what the command ends, and show what is left."""
        self.leases.quell(given.device, given.command.ends, given.priority, given.tick)
        if self.leases.showing(given.device) is None:
            self._shown.pop(given.device, None)
        self._show(turn, given.device, _of(given), given.tick, rest=given.command)

    def _refuses(self, given: Given, claim: Claim | None, at: datetime, *, local: bool) -> str:
        kind = given.command.kind
        if self.evacuation is not None:
            by: Literal["rule", "person"] = "person" if given.by == "person" else "rule"
            reason = self.evacuation.refuses(given.device, kind, given.priority, by=by)
            if reason:
                return reason
        if claim is None or given.priority <= Priority.personal_safety:
            return ""
        quiet = getattr(self._devices.get(given.device), "quiet", None)
        if quiet and local and within(quiet, at.astimezone(self._zone)):
            return f"quiet from {quiet.replace('-', ' to ')}"
        return self.leases.refuses(claim, given.tick)

    def _site(self, turn: Turn, command: Command, order: Order, event: Event) -> None:
        if isinstance(command, Evacuate) and self.evacuation is not None:
            self._latched(turn, self.evacuation.ordered(command), event.tick)
        elif isinstance(command, OpenIncident):
            fields = {"name": command.name, "rule": order.rule, "cause": order.cause}
            turn.said.append(Word(kind="incident.opened", priority=order.priority, fields=fields))
        elif isinstance(command, SetMode):
            fields = {"mode": command.name, "by": order.rule}
            sets = {"mode": command.name}
            turn.said.append(Word(kind="mode.changed", fields=fields, sets=sets))

    # --- the evacuation latch ----------------------------------------------------------------

    def _latched(self, turn: Turn, wants: Iterable[Want], tick: float) -> None:
        for want in wants:
            if isinstance(want, LatchSignal):
                word = Word(
                    kind=want.kind, priority=want.priority, fields=want.fields, sets=want.sets
                )
                turn.said.append(word)
                if want.kind == "evacuation.ended":
                    self._evacuation_over(turn, tick)
            else:
                self._latch_order(turn, want.device, want.command, tick, holds=want.holds)

    def _evacuation_over(self, turn: Turn, tick: float) -> None:
        """End what the latch held, but the locks: those a person relocks one at a time."""
        for claim in self.leases.claims():
            if claim.by == EVACUATION and not isinstance(claim.command, Release):
                self.leases.end(claim.device, claim.owner, claim.command.kind, tick)
                self._show(turn, claim.device, claim, tick)

    def _latch_order(
        self, turn: Turn, device: str, command: Command, tick: float, *, holds: bool
    ) -> None:
        given = Given(
            device=device, command=command, by=EVACUATION, priority=LIFE_SAFETY, tick=tick
        )
        if holds:
            claim = Claim(
                device=device,
                command=command,
                by=EVACUATION,
                priority=LIFE_SAFETY,
                owner=EVACUATION,
                taken=tick,
            )
            self.leases.take(claim)
            self._show(turn, device, claim, tick)
        elif command.ends:
            self._quell(turn, given)
        else:
            turn.given.append(given)

    # --- people --------------------------------------------------------------------------------

    def _person(self, turn: Turn, event: Event) -> None:
        fields = event.fields
        device = str(fields["target"])
        command = BY_KIND[str(fields["command"])](**fields.get("parameters", {}))
        given = Given(
            device=device,
            command=command,
            by="person",
            priority=Priority[str(fields.get("priority", "operations"))],
            tick=event.tick,
        )
        latch = self.evacuation
        if isinstance(command, Relock) and latch is not None and latch.relocked(device):
            self.leases.end(device, EVACUATION, Release.kind, event.tick)
        claim = None
        lasts = fields.get("for")
        if command.holds == "yes" or (command.holds == "with_for" and lasts is not None):
            longest = self._devices[device].longest(command)
            ends = [event.tick + s for s in (lasts, longest) if s is not None]
            claim = Claim(
                device=device,
                command=command,
                by="person",
                priority=given.priority,
                owner="person",
                ends=min(ends, default=None),
                taken=event.tick,
            )
        self._give(turn, given, claim, event.at, local=event.trusted)
        if turn.refused:
            turn.answer = turn.refused[-1].reason

    def _request(self, turn: Turn, event: Event) -> None:
        latch, fields = self.evacuation, event.fields
        if latch is None:
            turn.answer = "this site has no evacuation: in site.yaml"
            return
        reason, action = str(fields["reason"]), fields["action"]
        if action == "end":
            wants = latch.end(
                reason,
                str(fields["by"]),
                despite=frozenset(fields.get("despite", ())),
                panel_states={d: self._alarm_of(d) for d in latch.plan.on},
            )
            if isinstance(wants, str):
                turn.answer = wants
                return
        elif action == "drill" and latch.active:
            turn.answer = "the latch is set already"
            return
        else:
            wants = latch.start(reason, drill=action == "drill")
        self._latched(turn, wants, event.tick)

    def _alarm_of(self, device: str) -> str:
        states = type(self._devices[device]).has_states
        return self.engine.states.value(device, "alarm" if "alarm" in states else "contact")

    # --- what outputs show ---------------------------------------------------------------------

    def _show(
        self,
        turn: Turn,
        device: str,
        because: Claim,
        tick: float,
        *,
        rest: Command | None = None,
    ) -> None:
        """Give the device what its highest live claim says, else its rest, if that is new."""
        live = self.leases.showing(device)
        driver = self._devices.get(device)
        command = live.command if live else rest or (driver.rest() if driver else None)
        if command is None:
            self._shown[device] = None
            return
        if self._shown.get(device) == command and not isinstance(command, Goto):
            return
        self._shown[device] = command
        by = live or because
        turn.given.append(
            Given(
                device=device,
                command=command,
                by=by.by if live or rest else "rest",
                priority=by.priority,
                rule=by.rule,
                lasting=True,
                tick=tick,
            )
        )

    def _assert(self, turn: Turn, event: Event) -> None:
        """At start and at each new link: the highest live lease, else what at_start says."""
        driver = self._devices[event.device]
        live = self.leases.showing(event.device)
        command = live.command if live else driver.at_start()
        self._shown[event.device] = command
        if command is not None:
            turn.given.append(
                Given(
                    device=event.device,
                    command=command,
                    by=live.by if live else "start",
                    priority=live.priority if live else Priority.operations,
                    rule=live.rule if live else None,
                    lasting=True,
                    tick=event.tick,
                    quiet=live is None,
                )
            )

    def _again(self, turn: Turn, event: Event) -> None:
        """An output is not as it was written: write it once more."""
        command = self._shown.get(event.device)
        if command is not None:
            live = self.leases.showing(event.device)
            turn.given.append(
                Given(
                    device=event.device,
                    command=command,
                    by=live.by if live else "rest",
                    priority=live.priority if live else Priority.operations,
                    rule=live.rule if live else None,
                    lasting=True,
                    tick=event.tick,
                )
            )

    # --- what survives ---------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "engine": self.engine.save(),
            "leases": self.leases.save(),
            "evacuation": self.evacuation.save() if self.evacuation else None,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what `save` returned, of this or an earlier configuration."""
        ends = self.engine.restore(saved["engine"])
        self.leases.restore(c for c in saved["leases"] if c["device"] in self._devices)
        self._drop(ends)
        if self.evacuation is not None and saved["evacuation"] is not None:
            self.evacuation.restore(saved["evacuation"])

    def resume(self, tick: float, *, same_boot: bool, silent_for: float) -> None:
        """After a restart, end the leases that are over.

        Those of security and below resume only within 30 s of the last record of the same boot
        (a crash, not a power cut); life_safety leases and evacuation's always.
        """
        self._shown.clear()
        crashed = same_boot and silent_for <= RESUME_WITHIN
        self._drop(self.engine.resume(tick, crashed=crashed))
        for claim in [] if crashed else self.leases.claims():
            if claim.by != EVACUATION and claim.priority >= Priority.security:
                self.leases.end(claim.device, claim.owner, claim.command.kind, tick)

    def unproven(self, event: Event) -> None:
        """Take note that a device's states are not proven any more; orders nothing."""
        self.engine.feed(event)

    def _drop(self, ends: Iterable[Decision]) -> None:
        for end in ends:
            if isinstance(end, Ended):
                owner = _owner(end.rule, end.member)
                self.leases.end(end.device, owner, end.command, end.tick)

    def priority_of(self, rule: str) -> Priority:
        """Return how urgent the decisions of a rule are."""
        return self._priorities.get(rule, Priority.security)


def limit_of(driver: Driver) -> Limit:
    """Return what `max_on` and `max_per_hour` of an output allow."""
    return Limit(
        at_a_time=getattr(driver, "max_on", None), in_an_hour=getattr(driver, "max_per_hour", None)
    )


def within(times: str, local: datetime) -> bool:
    """Return whether `local` lies in a range like `22:00-07:00`."""
    start, _, end = times.partition("-")
    now = f"{local:%H:%M}"
    return start <= now < end if start < end else now >= start or now < end


def described(decision: Decision) -> tuple[str, dict[str, Any]] | None:
    """Return the signal and data under which a decision is journaled; None: it is not."""
    if isinstance(decision, Fired):
        data: dict[str, Any] = {
            "rule": decision.rule,
            "member": decision.member,
            "cause": decision.event.id,
        }
        marks = {"late": decision.late, "shadow": decision.shadow, "step": decision.step}
        return "rule.fired", data | {k: v for k, v in marks.items() if v}
    if isinstance(decision, Ended):
        return "rule.ended", {
            "rule": decision.rule,
            "member": decision.member,
            "target": decision.device,
            "command": decision.command,
            "because": decision.because,
        }
    if isinstance(decision, Repeated):
        data = {"rule": decision.rule, "member": decision.member, "count": decision.count}
        return "rule.repeated", data
    assert isinstance(decision, NotFired)  # noqa: S101 - there is no fifth kind
    if not decision.blind:
        return None
    data = {"rule": decision.rule, "member": decision.member, "reason": decision.reason}
    return "rule.blind", data


def _owner(rule: str, member: str) -> str:
    return f"{rule}/{member}"


def _of(given: Given) -> Claim:
    by = given.by if given.by in {"rule", "person", "evacuation"} else "rule"
    return Claim(
        device=given.device,
        command=given.command,
        by=by,
        priority=given.priority,
        owner="",
        rule=given.rule,
    )
