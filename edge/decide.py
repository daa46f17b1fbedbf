"""What follows from an event: latch, rules, leases and people's orders, as one function of state.

Live, the pipeline performs what a turn gives; after a restart the same turns are replayed from
the journal and nothing is performed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from drivers.commands import Command, Evacuate, OpenIncident, Release, Relock, SetMode
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import LinkUp, OutputMismatch
from edge import people
from edge.circles import MOST, WITHIN, Circles
from edge.claims import EVACUATION, LIFE_SAFETY, lease_of, of_latch, of_rule
from edge.config.model import Configuration
from edge.dispatch import Given
from edge.leases import Claim
from edge.outputs import Outputs, ended_by, owner_of
from edge.traces import firing_of
from edge.turn import Refusal, Turn, Word
from rules.engine import Engine, known_to
from rules.evacuation import Evacuation, LatchSignal, Want
from rules.model import Decision, Ended, Fired, NotFired, Order
from rules.modes import REQUESTED as MODE
from rules.modes import Modes, ModeSignal

PERSON = "person.ordered"
LATCH = "evacuation.requested"
RESUME_WITHIN = 30.0
"""Seconds after the last record of the same boot in which leases below life_safety resume."""


class Decider:
    """Everything that decides, and its state. Never waits, never asks the time."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._devices = {d: c.driver for d, c in configuration.devices.items()}
        self._zone = ZoneInfo(configuration.site.timezone)
        self.engine = Engine(configuration.rules.rules, configuration.world)
        plan = configuration.site.evacuation
        self.evacuation: Evacuation | None = None
        if plan is not None:
            self.evacuation = Evacuation(plan=plan, world=configuration.world)
        self.outputs = Outputs(self._devices)
        self._gone: list[Decision] = []
        """Ends of leases that did not outlive a restart and are not told yet."""
        world = configuration.world
        self.modes = Modes(world.modes, world.calendar)
        self._priorities = {rule.id: rule.priority for rule in configuration.rules.rules}
        self._circles = Circles()
        self._fresh = False
        """Whether rules that the saved state does not know wait for `resume`."""

    # --- live and in replay ------------------------------------------------------------------

    def feed(self, event: Event) -> Turn:
        """Return what `event` leads to. The latch comes first."""
        turn = Turn()
        if self.evacuation is not None:
            self._latched(turn, self.evacuation.feed(event), event.tick)
        self._of_modes(turn, self.modes.feed(event))
        for decision in self.engine.feed(event):
            self._decided(turn, decision, event)
        if event.device == SITE and event.kind == PERSON:
            self._person(turn, event)
        elif event.device == SITE and event.kind == LATCH:
            self._request(turn, event)
        elif event.device == SITE and event.kind == MODE:
            self._of_modes(turn, self.modes.requested(event))
        elif event.kind == LinkUp.kind and event.device in self._devices:
            self.outputs.assert_now(turn, event.device, event.tick)
        elif event.kind == OutputMismatch.kind and event.device in self._devices:
            self.outputs.again(turn, event.device, event.tick)
        return turn

    def advance(self, tick: float, stamp: Event) -> Turn:
        """Return what the passing of time until `tick` leads to; `stamp` gives the wall time.

        It goes from deadline to deadline, so that it does not matter how often it is called.
        """
        turn = Turn()
        while (due := self.next_deadline()) is not None and due <= tick:
            for decision in self.engine.advance(due):
                self._decided(turn, decision, stamp)
            self.outputs.advance(turn, due)
            self._of_modes(turn, self.modes.advance(due, stamp))
        return turn

    def next_deadline(self) -> float | None:
        """Return the next tick at which `advance` is needed, or None."""
        dues = (
            self.engine.next_deadline,
            self.outputs.leases.next_deadline(),
            self.modes.next_deadline,
        )
        return min((due for due in dues if due is not None), default=None)

    def swap(self, configuration: Configuration, tick: float, stamp: Event) -> Turn:
        """Go on with the rules of `configuration` from `tick`; its devices are those of now.

        What is due by then is done by the old rules; leases of rules that are gone or changed end.
        A lock that one of life_safety keeps released stays so until a person relocks it.
        """
        turn = self.advance(tick, stamp)
        old = self._configuration.rules.rules
        self._configuration, rules = configuration, configuration.rules.rules
        for end in self.engine.swap(rules, configuration.world, tick):
            if not self._stays(end):
                self._decided(turn, end, stamp)
        self._priorities = {rule.id: rule.priority for rule in (*old, *rules)}
        return turn

    # --- rules -------------------------------------------------------------------------------

    def _decided(self, turn: Turn, decision: Decision, event: Event) -> None:
        turn.decisions.append(decision)
        if isinstance(decision, (Fired, NotFired)):
            firing = firing_of(decision) if isinstance(decision, Fired) else None
            for order in decision.orders:
                if not order.shadow:
                    self._order(turn, order, decision.tick, event, firing)
        elif isinstance(decision, Ended) and not decision.shadow:
            owner = owner_of(decision.rule, decision.member)
            self.outputs.end(turn, decision.device, owner, decision.command, decision.tick)

    def _order(
        self, turn: Turn, order: Order, tick: float, event: Event, firing: str | None
    ) -> None:
        if order.device == SITE:
            self._site(turn, order.command, order, tick, event, firing)
            return
        given = Given(
            device=order.device,
            command=order.command,
            by="rule",
            priority=order.priority,
            rule=order.rule,
            firing=firing,
            tick=tick,
        )
        claim = of_rule(order, firing, tick)
        before = len(turn.given), len(turn.refused)
        self._give(turn, given, claim if order.holds else None, self._local(event))
        if order.holds and before == (len(turn.given), len(turn.refused)):
            turn.unmoved.append(Refusal(given=given, reason=self.outputs.shows(given)))

    def _give(self, turn: Turn, given: Given, claim: Claim | None, local: datetime | None) -> None:
        reason = self._refuses(given)
        if not reason and claim is not None:
            reason = self.outputs.refuses(given, claim, local)
        if not reason:
            if claim is not None:
                self.outputs.take(turn, claim)
            elif given.command.ends:
                reason = self.outputs.quell(turn, given)
            elif not (reason := self.outputs.above(given)):
                turn.given.append(given)
        if reason:
            turn.refused.append(Refusal(given=given, reason=reason))

    def _refuses(self, given: Given) -> str:
        if self.evacuation is None:
            return ""
        by: Literal["rule", "person"] = "person" if given.by == "person" else "rule"
        return self.evacuation.refuses(given.device, given.command.kind, given.priority, by=by)

    def _local(self, event: Event) -> datetime | None:
        return event.at.astimezone(self._zone) if event.trusted else None

    def _site(
        self,
        turn: Turn,
        command: Command,
        order: Order,
        tick: float,
        event: Event,
        firing: str | None,
    ) -> None:
        if isinstance(command, Evacuate) and self.evacuation is not None:
            self._latched(turn, self.evacuation.ordered(command), event.tick)
        elif (stops := self._circles.stops(order.rule, tick)) is not False:
            if stops is None:
                reason = f"it had the site say {MOST} things within {WITHIN:g} s"
                fields = {"rule": order.rule, "reason": reason}
                turn.said.append(Word(kind="rule.stopped", priority=order.priority, fields=fields))
        elif isinstance(command, OpenIncident):
            fields = {"name": command.name, "rule": order.rule, "cause": order.cause}
            if firing is not None:
                fields["firing"] = firing
            turn.said.append(Word(kind="incident.opened", priority=order.priority, fields=fields))
        elif isinstance(command, SetMode):
            self._of_modes(turn, self.modes.ordered(command, order.rule, tick, event))

    def _of_modes(self, turn: Turn, said: list[ModeSignal] | str) -> None:
        if isinstance(said, str):
            turn.answer = said
            return
        for one in said:
            turn.said.append(Word(kind=one.kind, fields=one.fields, sets=one.sets))

    # --- the evacuation latch ----------------------------------------------------------------

    def _latched(self, turn: Turn, wants: Iterable[Want], tick: float) -> None:
        for want in wants:
            if isinstance(want, LatchSignal):
                turn.said.append(_word(want))
                if want.kind == "evacuation.ended":
                    # Locks stay released: a person relocks them, one at a time.
                    self.outputs.end_of(turn, EVACUATION, tick, but=Release)
            else:
                self._latch_order(turn, want.device, want.command, tick)

    def _latch_order(self, turn: Turn, device: str, command: Command, tick: float) -> None:
        if command.holds != "no":
            self.outputs.take(turn, of_latch(device, command, tick))
            return
        given = Given(
            device=device, command=command, by=EVACUATION, priority=LIFE_SAFETY, tick=tick
        )
        if command.ends:
            self.outputs.quell(turn, given)
        else:
            turn.given.append(given)

    # --- people --------------------------------------------------------------------------------

    def _person(self, turn: Turn, event: Event) -> None:
        order = people.order(event, self._devices)
        if isinstance(order, str):
            turn.answer = order
            return
        given, claim = order
        latch = self.evacuation
        if isinstance(given.command, Relock) and latch is not None and latch.relocked(given.device):
            self.outputs.leases.end(given.device, EVACUATION, Release.kind, event.tick)
        if not self._refuses(given):
            self._let_go(given)
        self._give(turn, given, claim, self._local(event))
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

    # --- what survives ---------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "engine": self.engine.save(),
            "outputs": self.outputs.save(),
            "evacuation": self.evacuation.save() if self.evacuation else None,
            "modes": self.modes.save(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what `save` returned, of this or an earlier configuration.

        The latch and the leases come first: what can't be read after them keeps no door shut.

        A rule that is new or changed begins at `resume`: what is replayed was not meant for it.
        """
        if self.evacuation is not None and saved["evacuation"] is not None:
            self.evacuation.restore(saved["evacuation"])
        self.outputs.restore(saved["outputs"])
        if "modes" in saved:
            self.modes.restore(saved["modes"])
        rules, world = self._configuration.rules.rules, self._configuration.world
        known = known_to(saved["engine"], rules)
        if known is not None and len(known) < len(rules):
            self.engine, self._fresh = Engine(known, world), True
        self._drop(self.engine.restore(saved["engine"]))

    def begin_afresh(self) -> None:
        """Forget what the rules waited for; latch and leases stay."""
        self._fresh = False
        self.engine = Engine(self._configuration.rules.rules, self._configuration.world)

    def resume(self, tick: float, *, same_boot: bool, silent_for: float) -> Turn:
        """After a restart, end the leases that are over, and take those of the latch again.

        Those of security and below resume only within 30 s of the last record of the same boot
        (a crash, not a power cut); life_safety leases and evacuation's always. What it returns
        orders nothing; it tells which leases of rules are gone.
        """
        self.outputs.forget_shown()
        crashed = same_boot and silent_for <= RESUME_WITHIN
        self._drop(self.engine.resume(tick, crashed=crashed))
        if self._fresh:
            self._fresh, configuration = False, self._configuration
            self._drop(self.engine.swap(configuration.rules.rules, configuration.world, tick))
        leases = self.outputs.leases
        for claim in leases.claims():
            if self._left(claim) and claim.priority is not LIFE_SAFETY:
                leases.end(claim.device, claim.owner, claim.command.kind, tick)
        for claim in [] if crashed else leases.claims():
            if claim.by != EVACUATION and claim.priority >= Priority.security:
                leases.end(claim.device, claim.owner, claim.command.kind, tick)
        for want in self.evacuation.standing() if self.evacuation is not None else ():
            if want.device in self._devices:
                leases.take(of_latch(want.device, want.command, tick))
        gone, self._gone = self._gone, []
        return Turn(decisions=gone)

    def unproven(self, event: Event) -> None:
        """Take note that a device's states are not proven any more; orders nothing."""
        self.engine.feed(event)

    def _left(self, claim: Claim) -> bool:
        """Return whether its rule knows nothing of it: it was changed, or began afresh."""
        return claim.by == "rule" and not self.engine.holds(*lease_of(claim))

    def _nobody_ends(self, claim: Claim) -> bool:
        """Return whether only a person can end it: what is left, and a release without an end."""
        if isinstance(claim.command, Release) and claim.by == "rule":
            return not self.engine.ends_it(*lease_of(claim))
        return self._left(claim)

    def _stays(self, end: Decision) -> bool:
        """Return whether it is a lock that must not shut because its rule was changed."""
        if not isinstance(end, Ended) or end.because != "gone":
            return False
        key = (end.rule, end.member, end.device, end.command)
        found = (c for c in self.outputs.leases.claims() if c.by == "rule" and lease_of(c) == key)
        return any(c.priority is LIFE_SAFETY and isinstance(c.command, Release) for c in found)

    def _let_go(self, given: Given) -> None:
        """End what a person's order ends and nobody else would, however urgent it was."""
        kinds = ended_by(given.command)
        for claim in self.outputs.leases.claims():
            ends = claim.device == given.device and claim.command.kind in kinds
            if ends and self._nobody_ends(claim):
                self.outputs.leases.end(claim.device, claim.owner, claim.command.kind, given.tick)

    def _drop(self, ends: Iterable[Decision]) -> None:
        for end in ends:
            if isinstance(end, Ended) and not self._stays(end):
                owner = owner_of(end.rule, end.member)
                self.outputs.leases.end(end.device, owner, end.command, end.tick)
                self._gone.append(end)

    def priority_of(self, rule: str) -> Priority:
        """Return how urgent the decisions of a rule are."""
        return self._priorities.get(rule, Priority.security)


def _word(want: LatchSignal) -> Word:
    return Word(kind=want.kind, priority=want.priority, fields=want.fields, sets=want.sets)
