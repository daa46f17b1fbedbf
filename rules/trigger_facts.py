"""Facts of triggers: what is seen at once, and what has to hold for a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from drivers.event import Event
from drivers.signals import UNKNOWN
from rules import reasons, ticks
from rules.asked import ask
from rules.deadlines import Deadline, Deadlines
from rules.event_json import Events
from rules.model import Answer, Decision, Fact, NotFired
from rules.states import Change, States
from rules.trace import Why

BEFORE_EVENTS = -(2**52)
"""A deadline comes before the events of its tick: added to the number of what began it."""


@dataclass(slots=True)
class Context:
    """What all triggers of an engine share."""

    states: States
    deadlines: Deadlines
    arrivals: int = 0
    """Events so far; the order among equal ticks."""
    missed: list[NotFired] = field(default_factory=list)
    """Rules that nearly fired on the event that is being fed."""


@dataclass(slots=True)
class Occurrence:
    """A fact came true."""

    tick: float
    number: int
    """Its place among occurrences of the same tick; the same event is in the same place."""
    event: Event
    member: str
    """The device for which it is, when the fact names a group per member; else ''."""
    late: bool = False
    held: float | None = None
    """For how long the state has held, where the fact waits for that."""

    @property
    def order(self) -> tuple[float, int]:
        return (self.tick, self.number)


@dataclass(slots=True)
class Completion:
    """A whole trigger came true."""

    tick: float
    number: int
    event: Event
    member: str
    late: bool = False
    blind: str = ""
    """A watched device that could not be heard meanwhile, so that nobody knows."""
    facts: tuple[Event, ...] = ()
    """What it matched, in order."""
    held: float | None = None
    wanted: float | None = None
    """Seconds that the state had to hold, or the window."""
    trigger: int = 0
    """Its place in `when` or `until`."""

    @property
    def order(self) -> tuple[float, int]:
        return (self.tick, self.number)


class Machine(Protocol):
    """A trigger at work: takes occurrences of its facts by role, says when it is complete."""

    def step(self, seen: list[tuple[int, Occurrence]]) -> list[Completion]: ...
    def report(self, completions: list[Completion]) -> list[Decision]: ...


def matches(fact: Fact, event: Event) -> bool:
    """Return whether the event's fields are what `fact` asks for.

    A test event matches only a fact that asks for `test`.
    """
    fields = event.fields
    if not fields and not fact.fields:
        return True
    if fields.get("test") is True and "test" not in fact.fields:
        return False
    for name, accepted in fact.fields.items():
        value = fields.get(name)
        if value is None and name in ("changed_while_down", "test", "late"):
            value = False
        if not any(
            value == one and (type(value) is bool) == (type(one) is bool) for one in accepted
        ):
            return False
    return True


class Cell:
    """One fact in one role of one trigger, seen at once."""

    __slots__ = ("context", "fact", "machine", "order", "path", "per_member", "role", "rule")

    def __init__(
        self, fact: Fact, role: int, rule: str, path: str, machine: Machine, context: Context
    ) -> None:
        self.fact, self.role, self.rule, self.path = fact, role, rule, path
        self.machine, self.context = machine, context
        self.order = 0
        self.per_member = fact.group is not None and not fact.across

    def signals(self) -> list[tuple[str, str]]:
        """Return the (device, signal) pairs at which it has to look."""
        signal = self.fact.signal
        return [(m, signal) for m in self.fact.members] if signal else []

    def pairs(self) -> list[tuple[str, str]]:
        """Return the (device, state) pairs at whose changes it has to look."""
        state = self.fact.state
        return [(m, state) for m in self.fact.members] if state else []

    def see(self, event: Event, changes: Iterable[Change]) -> list[Occurrence]:
        """Return the occurrences that this event brings, now.

        A cell looks only at what its `signals` and `pairs` name.
        """
        fact = self.fact
        if fact.signal is not None:  # the engine has looked at device and signal
            return [self.occurrence(event)] if matches(fact, event) else []
        if event.device not in fact.members or not matches(fact, event):
            return []
        for change in changes:
            if change.state == fact.state and change.enters and change.after == fact.value:
                others = (m for m in fact.members if m != event.device)
                if not (fact.across and any(self.is_in(m) for m in others)):
                    return [self.occurrence(event)]
        return []

    def occurrence(self, event: Event) -> Occurrence:
        member = event.device if self.per_member else ""
        return Occurrence(event.tick, self.context.arrivals, event, member)

    def is_in(self, device: str) -> bool:
        """Return whether the state of `device` has the fact's value now."""
        return self.context.states.value(device, self.fact.state or "") == self.fact.value

    def begin(self, tick: float) -> None:
        """Look at what is so already, at the start of the engine or of a new rule."""

    def clear(self) -> None:
        """Forget what waits."""

    def save(self, events: Events) -> Any:
        """Return JSON values; None: nothing."""
        return None

    def restore(self, saved: Any, events: Events) -> None:
        """Go on from what `save` returned."""


@dataclass(slots=True)
class _Hold:
    """A state that has its value; waits until it and `while` have held long enough."""

    start: float
    number: int
    """Of the event that began it."""
    event: Event
    known: bool = True
    """False while the state is unknown: the hold is suspended."""
    answer: Answer = "yes"
    """Of `while`."""
    yes_since: float | None = None
    over: bool = False
    """It came true, and is not told again before it was cancelled."""
    deadline: Deadline | None = field(default=None)


class HoldCell(Cell):
    """A fact on a state with `for:` or `while:`."""

    __slots__ = ("_holds", "alone", "trigger")

    postponed = True

    def __init__(
        self, fact: Fact, role: int, rule: str, path: str, machine: Machine, context: Context
    ) -> None:
        super().__init__(fact, role, rule, path, machine, context)
        self._holds: dict[str, _Hold] = {}
        self.alone = False
        """Whether it is the whole trigger of a firing, so that a hold cut short is a near miss."""
        self.trigger = 0
        """The trigger's place in `when`."""

    def pairs(self) -> list[tuple[str, str]]:
        holding = self.fact.holding
        return [*super().pairs(), *(sorted(holding.reads) if holding else ())]

    def see(self, event: Event, changes: Iterable[Change]) -> list[Occurrence]:
        found: list[Occurrence] = []
        if event.device in self.fact.members and any(c.state == self.fact.state for c in changes):
            key = event.device if self.per_member else ""
            found += self._level(key, self._level_of(key), event)
        reads = self.fact.holding.reads if self.fact.holding else frozenset()
        if any((c.device, c.state) in reads for c in changes):
            for key, hold in list(self._holds.items()):
                found += self._ask_from(key, hold, event.tick)
        return found

    def _level_of(self, key: str) -> Literal["in", "out", "unknown"]:
        members = (key,) if key else self.fact.members
        if any(self.is_in(m) for m in members):
            return "in"
        states, state = self.context.states, self.fact.state or ""
        return "unknown" if any(states.value(m, state) == UNKNOWN for m in members) else "out"

    def _level(
        self, key: str, level: Literal["in", "out", "unknown"], event: Event
    ) -> list[Occurrence]:
        hold = self._holds.get(key)
        if level == "in":
            if hold is None:
                if not matches(self.fact, event):
                    return []
                hold = self._holds[key] = _Hold(event.tick, self.context.arrivals, event)
                return self._ask_from(key, hold, event.tick)
            hold.known = True
            return self._arm(key, hold, event.tick)
        if hold is not None:
            if level == "out":
                self._miss(key, hold, event.tick)
            self._stop(hold, event.tick)
            hold.known = False
            if level == "out":
                del self._holds[key]
        return []

    def _ask_from(self, key: str, hold: _Hold, tick: float) -> list[Occurrence]:
        """Ask `while` anew and arm: at `tick`, and where it has changed since: it was overtaken."""
        found: list[Occurrence] = []
        holding, states = self.fact.holding, self.context.states
        for at in (tick, *(states.changes(holding.reads, tick) if holding else ())):
            self._ask(key, hold, at)
            found += self._arm(key, hold, at)
        return found

    def _ask(self, key: str, hold: _Hold, tick: float) -> None:
        """Ask `while` anew."""
        condition = self.fact.holding
        if condition is None:
            return
        hold.answer = condition.evaluate(self.context.states.at(tick), hold.event)
        if hold.answer == "yes":
            hold.yes_since = tick if hold.yes_since is None else hold.yes_since
            return
        if hold.answer == "no":
            self._miss(key, hold, tick)
        self._stop(hold, tick)
        if hold.answer == "no":
            hold.yes_since = None
            hold.over = False

    def _miss(self, key: str, hold: _Hold, tick: float) -> None:
        """Note a hold that is cut short."""
        if not self.alone or hold.deadline is None or hold.deadline.tick <= tick:
            return
        wanted = self.fact.hold or 0.0
        held = ticks.before(wanted, ticks.between(tick, hold.deadline.tick))
        reason = reasons.cut_short(held, wanted)
        self.context.missed.append(
            NotFired(
                rule=self.rule,
                member=key,
                tick=tick,
                event=hold.event,
                reason=reason,
                miss="hold",
                progress=held / wanted,
                why=self._cut_short(hold, tick, held, wanted),
            )
        )

    def _cut_short(self, hold: _Hold, tick: float, held: float, wanted: float) -> Why:
        """Return how long it held, and what `while` was told where that ended it."""
        why = Why(trigger=self.trigger, facts=(hold.event,), held=held, wanted=wanted)
        condition = self.fact.holding
        if condition is None or hold.answer != "no":
            return why
        answer, read = ask(condition, self.context.states.at(tick), hold.event)
        return replace(why, condition=condition.source, answer=answer, read=read)

    def _stop(self, hold: _Hold, tick: float) -> None:
        """Take back the deadline, unless it came first."""
        if hold.deadline is None:
            return
        hold.deadline.info.pop("current", None)
        if hold.deadline.tick <= tick:
            hold.over = True
        else:
            self.context.deadlines.cancel(hold.deadline)
        hold.deadline = None

    def _arm(self, key: str, hold: _Hold, tick: float) -> list[Occurrence]:
        if hold.over or hold.deadline or not hold.known or hold.answer != "yes":
            return []
        begun = hold.start if hold.yes_since is None else max(hold.start, hold.yes_since)
        at = ticks.after(begun, self.fact.hold or 0.0)
        if at <= tick:
            hold.over = True
            return [
                Occurrence(
                    tick, self.context.arrivals, hold.event, key, held=ticks.between(begun, tick)
                )
            ]
        self._wait(key, hold, at)
        return []

    def _wait(self, key: str, hold: _Hold, at: float) -> None:
        info = {"number": BEFORE_EVENTS + hold.number, "current": True}
        hold.deadline = self.context.deadlines.add(at, self.rule, self, key, hold.event, info)

    def due(self, deadline: Deadline) -> list[Decision]:
        hold = self._holds.get(deadline.member)
        if hold is not None and hold.deadline is deadline:
            hold.deadline = None
            hold.over = True
        event = deadline.event
        if event is None:
            return []
        late, number = bool(deadline.info.get("late")), deadline.info["number"]
        held = self.fact.hold
        seen = Occurrence(deadline.tick, number, event, deadline.member, late, held)
        return self.machine.report(self.machine.step([(self.role, seen)]))

    def adopt(self, deadline: Deadline) -> None:
        hold = self._holds.get(deadline.member)
        if hold is not None and "current" in deadline.info:
            hold.deadline = deadline

    def begin(self, tick: float) -> None:
        for key in self.fact.members if self.per_member else ("",):
            entered = self._entered(key)
            if key not in self._holds and entered is not None and self._level_of(key) == "in":
                hold = self._holds[key] = _Hold(tick, self.context.arrivals, entered)
                self._ask(key, hold, tick)
                self._arm_later(key, hold, tick)

    def _arm_later(self, key: str, hold: _Hold, tick: float) -> None:
        """Arm without telling at once: what `begin` finds falls due in `advance`."""
        if hold.answer == "yes" and not hold.over:
            self._wait(key, hold, ticks.after(tick, self.fact.hold or 0.0))

    def _entered(self, key: str) -> Event | None:
        states, state = self.context.states, self.fact.state or ""
        inside = [m for m in ((key,) if key else self.fact.members) if self.is_in(m)]
        return states.entered_by(inside[0], state) if inside else None

    def clear(self) -> None:
        for hold in self._holds.values():
            if hold.deadline is not None:
                self.context.deadlines.cancel(hold.deadline)
        self._holds.clear()

    def save(self, events: Events) -> Any:
        return [
            [
                key,
                h.start,
                h.number,
                events.number(h.event),
                h.known,
                h.answer,
                h.yes_since,
                h.over,
            ]
            for key, h in self._holds.items()
        ] or None

    def restore(self, saved: Any, events: Events) -> None:
        for key, start, number, event, known, answer, yes_since, over in saved:
            self._holds[key] = _Hold(
                start, number, events.event(event), known, answer, yes_since, over
            )
