"""One rule set over the history: engine, evacuation latch and leases, and what follows from them.

What the rules that ran then caused is not taken from the history but made again from what these
rules decide: incidents, modes, evacuations, outcomes of orders, outputs that go on and off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from drivers.commands import BY_KIND, Command, Evacuate, OpenIncident, RecordClip, SetMode
from drivers.event import SITE, Event
from drivers.priorities import Priority
from rules.backtest_interest import Interest
from rules.backtest_ledger import Claim, Ledger, OutputLimits
from rules.engine import Engine
from rules.evacuation import Evacuation, LatchSignal, Want
from rules.model import Decision, Ended, Fired, Moment, NotFired, Order, Rule, World
from rules.modes import REQUESTED as MODE
from rules.modes import Modes, ModeSignal

LATCH = "evacuation"
PERSON = "person"
ORDERED = "person.ordered"
REQUESTED = "evacuation.requested"
OUTPUTS: Mapping[str, tuple[str, str, str, str, str]] = {
    "sound": ("output.on", "output.off", "output", "on", "off"),
    "switch_on": ("output.on", "output.off", "output", "on", "off"),
    "release": ("lock.released", "lock.locked", "lock", "released", "locked"),
}
"""Lease to the signals said when its output goes on and off, the state and its values."""
_TELLING = ("name", "mode", "rule", "command", "cause")
"""Fields by which events that follow from one another are told apart, alike on both sides."""
LONGEST_CHAIN = 100
"""Events made again on one event of the history; rules that go round in circles stop there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Rules of one configuration, ready to be played."""

    rules: tuple[Rule, ...]
    world: World
    moments: tuple[Moment, ...] = ()
    limits: Mapping[str, OutputLimits] = field(default_factory=dict)
    shadow: frozenset[str] = frozenset()
    """Rules in shadow that are counted as what they would do; others in shadow do nothing."""


class Tally(Protocol):
    """Who counts what a side does."""

    def fired(self, fired: Fired, at: datetime) -> None: ...
    def ordered(self, order: Order, device: str, at: datetime) -> None: ...
    def sounded(self, device: str, rule: str, began: datetime, seconds: float) -> None: ...


Wall = Callable[[float], datetime]
"""From a tick to the wall time."""


class Play:
    """Feed it the history in order. Never waits, never asks the time."""

    def __init__(
        self,
        side: Side,
        interest: Interest,
        tally: Tally,
        wall: Wall,
        switched: frozenset[str] = frozenset(),
        elsewhere: frozenset[str] = frozenset(),
    ) -> None:
        """`switched` are the devices of which the history does not say that they go on or off.

        Rules that are played `elsewhere` are not played here: see `decided`.
        """
        self._switched = switched
        self.side, self._interest, self._tally, self._wall = side, interest, tally, wall
        self.engine = Engine([r for r in side.rules if r.id not in elsewhere], side.world)
        plan = side.world.evacuation
        self.latch = None if plan is None else Evacuation(plan=plan, world=side.world)
        self.modes = Modes(side.world.modes, side.world.calendar)
        self._ledger = Ledger(side.limits, self._was_on)
        self._latching = frozenset(plan.on if plan is not None else ())
        self._zone = ZoneInfo(side.world.zone)
        self.made: deque[tuple[Event, int]] = deque()
        """What was made again and waits for `follow`, with its depth."""
        self.depth = 0
        """How far from the history what is taken now is: it followed from what followed from it."""
        self.stamp: Event | None = None
        """The last event that was fed, or passed by."""
        self.aside: Callable[[Event], None] | None = None
        """Who else hears what the site says, and what is made again."""

    # --- the passing of events -----------------------------------------------------------------

    def begin(self, saved: Mapping[str, Any] | None) -> None:
        """Begin where a snapshot's state stands, `decider` of its data; None: nothing is known.

        What rules wait for goes on where their text is the same; leases of before are not counted.
        """
        if saved is None:
            return
        if self.latch is not None and saved.get("evacuation"):
            self.latch.restore(saved["evacuation"])
        if "modes" in saved:
            self.modes.restore(saved["modes"])
        self.engine.restore(saved["engine"])

    def advance(self, tick: float) -> None:
        """Let time pass until `tick`, from deadline to deadline."""
        while (due := self.next_due()) is not None and due <= tick:
            for decision in self.engine.advance(due):
                self._decided(decision)
            for device, at in self._ledger.advance(due):
                self._output(device, at, goes_on=False)
            if self.stamp is not None:
                self._of_modes(self.modes.advance(due, self.stamp), due)
            self.follow()

    def match(self, event: Event) -> None:
        """Take an event of the history for the rules alone; `follow` comes after it."""
        for decision in self.engine.feed(event):
            self._decided(decision)

    def hears_first(self, event: Event) -> bool:
        """Return whether latch or modes have to `take` the event before the rules do."""
        return event.device == SITE or event.device in self._latching

    def decided(self, decisions: Iterable[Decision], depth: int = 0) -> None:
        """Take what rules that are played elsewhere decided; `follow` comes after it."""
        before, self.depth = self.depth, depth
        for decision in decisions:
            self._decided(decision)
        self.depth = before

    def resume(self, tick: float, *, crashed: bool) -> None:
        """Take a start of the daemon, as the box does; `advance` comes after it."""
        self.decided(self.engine.resume(tick, crashed=crashed))

    def close(self, tick: float) -> None:
        """The history ends at `tick`, up to which time has passed."""
        self._ledger.close(tick)

    def next_due(self) -> float | None:
        """Return the tick at which `advance` is next needed, or None."""
        due = self.engine.next_deadline
        for other in (self._ledger.next_due(), self.modes.next_deadline):
            if other is not None and (due is None or other < due):
                due = other
        return due

    def take(self, event: Event) -> None:
        """Take one event of the history, or one made again; `follow` comes after it."""
        if event.device == SITE:
            event = self.modes.amended(event)
        if self.latch is not None:
            self._latched(self.latch.feed(event), event.tick)
        if self.aside is not None:
            self.aside(event)
        for decision in self.engine.feed(event):
            self._decided(decision)
        if event.device != SITE:
            return
        self._of_modes(self.modes.feed(event), event.tick)
        try:
            self._asked(event)
        except (KeyError, TypeError, ValueError):
            return  # not as this version writes it: nobody asked for anything that can be read

    def _asked(self, event: Event) -> None:
        """Take what a person asked for."""
        if event.kind == ORDERED:
            self._person(event)
        elif event.kind == REQUESTED:
            self._request(event)
        elif event.kind == MODE:
            self._of_modes(self.modes.requested(event), event.tick)

    def follow(self) -> None:
        """Take what was made again, in order."""
        taken = 0
        while self.made:
            event, self.depth = self.made.popleft()
            taken += 1
            if taken <= LONGEST_CHAIN:
                self.take(event)
        self.depth = 0

    # --- decisions -----------------------------------------------------------------------------

    def _decided(self, decision: Decision) -> None:
        if isinstance(decision, Ended):
            owner = f"{decision.rule}/{decision.member}"
            if self._ledger.end(decision.device, owner, decision.command, decision.tick):
                self._output(decision.device, decision.tick, goes_on=False)
            return
        if not isinstance(decision, Fired | NotFired):
            return
        if isinstance(decision, Fired):
            if decision.shadow and decision.rule not in self.side.shadow:
                return
            self._tally.fired(decision, self._wall(decision.tick))
        for order in decision.orders:
            if not order.shadow or order.rule in self.side.shadow:
                if isinstance(decision, Fired):
                    on = decision.event.device if order.device == SITE else order.device
                    self._tally.ordered(order, on, self._wall(decision.tick))
                self._ordered(order, decision.tick)

    def _ordered(self, order: Order, tick: float) -> None:
        at = self._wall(tick)
        command = order.command
        if order.device == SITE:
            self._site(order, tick)
            return
        if self._refused(order, tick, at):
            return
        owner = f"{order.rule}/{order.member}"
        if order.holds:
            claim = Claim(rule=order.rule, priority=order.priority)
            if self._ledger.take(order.device, owner, command.kind, claim, tick):
                self._output(order.device, tick, goes_on=True, command=command.kind)
        elif command.ends and self._ledger.quell(order.device, command.ends, order.priority, tick):
            self._output(order.device, tick, goes_on=False)
        fields = {"command": command.kind, "rule": order.rule, "by": "rule", "seconds": 0.0}
        self._make(tick, order.device, "order.done", Priority(order.priority), fields)

    def _refused(self, order: Order, tick: float, at: datetime) -> bool:
        kind = order.command.kind
        if self.latch is not None and self.latch.refuses(
            order.device, kind, order.priority, by="rule"
        ):
            return True
        if not order.holds:
            return False
        trusted = self.stamp is not None and self.stamp.trusted
        local = f"{at.astimezone(self._zone):%H:%M}" if trusted else ""
        return self._ledger.refuses(order.device, order.priority, tick, local)

    def _site(self, order: Order, tick: float) -> None:
        command = order.command
        if isinstance(command, Evacuate) and self.latch is not None:
            self._latched(self.latch.ordered(command), tick)
        elif isinstance(command, OpenIncident):
            fields = {"name": command.name, "rule": order.rule, "cause": order.cause}
            self._make(tick, SITE, "incident.opened", order.priority, fields)
        elif isinstance(command, SetMode):
            stamp = self.stamp
            if stamp is not None:
                self._of_modes(self.modes.ordered(command, order.rule, tick, stamp), tick)

    def _of_modes(self, said: list[ModeSignal] | str, tick: float) -> None:
        for one in [] if isinstance(said, str) else said:
            self._make(tick, SITE, one.kind, Priority.operations, one.fields, one.sets)

    # --- the latch and people ------------------------------------------------------------------

    def _latched(self, wants: Iterable[Want], tick: float) -> None:
        for want in wants:
            if isinstance(want, LatchSignal):
                self._make(tick, SITE, want.kind, want.priority, dict(want.fields), want.sets)
                if want.kind == "evacuation.ended":
                    for device in self._ledger.end_of(LATCH, tick, but="release"):
                        self._output(device, tick, goes_on=False)
            else:
                self._claim(want.device, LATCH, want.command, -1, None, tick)

    def _claim(
        self,
        device: str,
        owner: str,
        command: Command,
        priority: int,
        ends: float | None,
        tick: float,
    ) -> None:
        if command.kind in OUTPUTS:
            claim = Claim(rule="", priority=priority, ends=ends)
            if self._ledger.take(device, owner, command.kind, claim, tick):
                self._output(device, tick, goes_on=True, command=command.kind)
        elif command.ends and self._ledger.quell(device, command.ends, max(priority, 0), tick):
            self._output(device, tick, goes_on=False)

    def _person(self, event: Event) -> None:
        fields, device = event.fields, str(event.fields.get("target"))
        kind = BY_KIND.get(str(fields.get("command")))
        if kind is None or kind is RecordClip or (kind.kind not in OUTPUTS and not kind.ends):
            return
        words = self.side.world.devices.get(device)
        if words is None or kind.kind not in words.accepts:
            return
        if kind.kind == "relock" and self.latch is not None and self.latch.relocked(device):
            self._ledger.end(device, LATCH, "release", event.tick)
        urgent = fields.get("priority") == Priority.security.name
        priority = Priority.security if urgent else Priority.operations
        lasts = [s for s in (fields.get("for"), words.limits.get(kind.kind)) if s is not None]
        ends = event.tick + min(float(s) for s in lasts) if lasts else None
        self._claim(device, PERSON, kind(), priority, ends, event.tick)

    def _request(self, event: Event) -> None:
        latch, fields = self.latch, event.fields
        if latch is None:
            return
        reason, action = str(fields.get("reason", "")), fields.get("action")
        if action == "end":
            wants = latch.end(
                reason,
                str(fields.get("by", "")),
                despite=frozenset(fields.get("despite", ())),
                panel_states={d: self._alarm_of(d) for d in latch.plan.on},
            )
            if isinstance(wants, str):
                return
        elif action == "drill" and latch.active:
            return
        else:
            wants = latch.start(reason, drill=action == "drill")
        self._latched(wants, event.tick)

    def _alarm_of(self, device: str) -> str:
        words = self.side.world.devices.get(device)
        has_alarm = words is not None and "alarm" in words.states
        return self.engine.states.value(device, "alarm" if has_alarm else "contact")

    # --- what is made again --------------------------------------------------------------------

    def _was_on(self, device: str, rule: str, command: str, began: float, ended: float) -> None:
        if command == "sound":
            self._tally.sounded(device, rule, self._wall(began), ended - began)

    def _output(self, device: str, tick: float, *, goes_on: bool, command: str = "") -> None:
        if device not in self._switched:
            return
        words = self.side.world.devices.get(device)
        kinds = [command] if command else list(words.accepts if words else ())
        said = next((OUTPUTS[kind] for kind in kinds if kind in OUTPUTS), None)
        if said is None:
            return
        on, off, state, value, rest = said
        sets = {state: value if goes_on else rest}
        self._make(tick, device, on if goes_on else off, Priority.operations, {}, sets)

    def _make(
        self,
        tick: float,
        device: str,
        kind: str,
        priority: Priority,
        fields: Mapping[str, Any],
        sets: Mapping[str, str] | None = None,
    ) -> None:
        """Let something follow that the box said then because of its own rules, or would have."""
        if self.stamp is None:
            return
        which = ":".join(str(fields[name]) for name in _TELLING if name in fields)
        event = replace(
            self.stamp,
            id=f"{self.stamp.id}:{kind}:{device}:{which}:{self.depth}",
            device=device,
            kind=kind,
            priority=priority,
            tick=tick,
            at=self._wall(tick),
            fields=dict(fields),
            sets=dict(sets or {}),
        )
        if self._interest.hears(event):
            self.made.append((event, self.depth + 1))


def unknown_states(world: World, stamp: Event) -> list[Event]:
    """Return that nothing is proven any more of any device, as of `stamp`."""
    return [
        replace(
            stamp,
            id=f"{stamp.id}:{device}",
            device=device,
            fields={},
            sets=dict.fromkeys([*words.states, "link"], "unknown"),
        )
        for device, words in world.devices.items()
        if device != SITE
    ]
