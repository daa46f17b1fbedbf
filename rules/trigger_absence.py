"""`after … without` and `before … without`: what did not come in time."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from drivers.event import Event
from rules import reasons, ticks
from rules.deadlines import Deadline
from rules.event_json import Events
from rules.model import Absence, Decision, Fact, NotFired
from rules.trace import Why
from rules.trigger_facts import BEFORE_EVENTS, Completion, Context, Occurrence
from rules.trigger_windows import KEPT, KEYS, SLACK, Correlation, Key, Report

FACT, WITHOUT = 0, 1
"""The roles."""
WAITING_AT_MOST = 1000
"""Waits of one trigger and key; while so many wait already, one more begins none."""


_Came = tuple[float, int, Event]
"""Tick, number and event of a `without` that came."""


class AbsenceMachine:
    """An `after` or `before` at work; each occurrence of the fact waits for itself."""

    postponed = True

    def __init__(
        self, trigger: Absence, rule: str, path: str, report: Report, context: Context
    ) -> None:
        self.trigger, self.rule, self.path = trigger, rule, path
        self.report, self.context = report, context
        self.correlation = Correlation.of((*trigger.fact, *trigger.without), trigger.by)
        self._number: int | None = None
        """The trigger's place in `when`, once near misses are said."""
        self._waits: dict[Key, list[Deadline]] = {}
        self._came: OrderedDict[Key, deque[_Came]] = OrderedDict()

    def tell_near_misses(self, number: int) -> None:
        """Say where the other came in time."""
        self._number = number

    def step(self, seen: list[tuple[int, Occurrence]]) -> list[Completion]:
        facts = {o.order: o for role, o in seen if role == FACT}
        others = {o.order: o for role, o in seen if role == WITHOUT}
        done: list[Completion] = []
        if self.trigger.waits:
            for other in others.values():
                self._comes(other)
            for one in facts.values():
                self._wait(one)
            return done
        for one in facts.values():
            done += self._missed(one)
        for other in others.values():
            self._comes(other)
        return done

    def _key(self, facts: tuple[Fact, ...], event: Event) -> tuple[Key] | None:
        named = (f for f in facts if event.device in f.members and f.group and not f.across)
        fact = next(named, None)
        return self.correlation.key(fact.group if fact else None, event)

    def _comes(self, other: Occurrence) -> None:
        found = self._key(self.trigger.without, other.event)
        if found is None:
            return
        key = found[0]
        came = self._came.setdefault(key, deque(maxlen=KEPT))
        self._came.move_to_end(key)
        came.append((*other.order, other.event))
        self._forget(other.tick - self.trigger.within - SLACK)
        ended: dict[str, Deadline] = {}
        for one in [key, None] if key is not None else list(self._waits):
            for wait in list(self._waits.get(one, ())):
                if self._began(wait) < other.order and other.tick < wait.tick:
                    self._end(wait)
                    self.context.deadlines.cancel(wait)
                    ended.setdefault(wait.member, wait)
        for member, wait in ended.items():
            if wait.event is not None:
                self._answered(member, wait.event, wait.info["began"], other.tick, other.event)

    def _answered(self, member: str, fact: Event, began: float, came: float, other: Event) -> None:
        """Note an `after` that the other answered: the first wait of a member that it ended."""
        within = self.trigger.within
        took = ticks.between(began, came)
        reason = reasons.came(self._what(other), took, within)
        self._miss(member, came, took / within, reason, (fact, other))

    def _miss(
        self, member: str, tick: float, progress: float, reason: str, facts: tuple[Event, ...]
    ) -> None:
        if self._number is None:
            return
        why = Why(trigger=self._number, facts=facts, wanted=self.trigger.within)
        self.context.missed.append(
            NotFired(
                rule=self.rule,
                member=member,
                tick=tick,
                event=facts[-1],
                reason=reason,
                miss="absence",
                progress=progress,
                why=why,
            )
        )

    def _what(self, other: Event) -> str:
        named = [f for f in self.trigger.without if other.device in f.members]
        same = [f for f in named if f.signal in (None, other.kind)]
        return reasons.facts(same or named)

    def _forget(self, oldest: float) -> None:
        while self._came and (len(self._came) > KEYS or self._known_since() <= oldest):
            self._came.popitem(last=False)

    def _known_since(self) -> float:
        """Return when the key was heard that was heard longest ago."""
        return max(map(_order, next(iter(self._came.values()))))[0]

    def _came_for(self, key: Key) -> list[_Came]:
        keys = list(self._came) if key is None else [key, None]
        return [one for k in keys for one in self._came.get(k, ())]

    @staticmethod
    def _began(wait: Deadline) -> tuple[float, int]:
        return (wait.info["began"], wait.info["number"])

    def _wait(self, one: Occurrence) -> None:
        found = self._key(self.trigger.fact, one.event)
        if found is None:
            return
        key, until = found[0], ticks.after(one.tick, self.trigger.within)
        came = [c for c in self._came_for(key) if c[:2] > one.order and c[0] < until]
        if came:
            first = min(came, key=_order)
            self._answered(one.member, one.event, one.tick, first[0], first[2])
            return
        if key not in self._waits and len(self._waits) >= KEYS:
            return
        waits = self._waits.setdefault(key, [])
        if len(waits) < WAITING_AT_MOST:
            info = {"began": one.tick, "number": one.number, "key": key}
            deadlines = self.context.deadlines
            waits.append(deadlines.add(until, self.rule, self, one.member, one.event, info))

    def _end(self, wait: Deadline) -> None:
        waits = self._waits[wait.info["key"]]
        waits.remove(wait)
        if not waits:
            del self._waits[wait.info["key"]]

    def _missed(self, one: Occurrence) -> list[Completion]:
        """Complete `before`, unless the other came in the window that ends with `one`."""
        found = self._key(self.trigger.fact, one.event)
        if found is None:
            return []
        within = self.trigger.within
        came = [
            c
            for c in self._came_for(found[0])
            if c[:2] < one.order and ticks.between(c[0], one.tick) < within
        ]
        if came:
            last = max(came, key=_order)
            ago = ticks.between(last[0], one.tick)
            reason = reasons.came_before(self._what(last[2]), ago, within)
            member = self._member(one, found[0])
            self._miss(member, one.tick, ago / within, reason, (last[2], one.event))
            return []
        forgot = len(self._came) >= KEYS and one.tick - within < self._known_since()
        if forgot and self.trigger.blind == "skip":
            self._miss(self._member(one, found[0]), one.tick, 0.0, reasons.FORGOTTEN, (one.event,))
            return []
        return [self._complete(one, found[0], ticks.before(one.tick, within), one.tick)]

    def _watched(self, key: Key) -> tuple[str, ...]:
        """Return who could have said the other; of a group per member it is that of `key`."""
        found: dict[str, None] = {}
        for fact in self.trigger.without:
            group = None if fact.across else fact.group
            apart = self.trigger.by == "device" or group == self.correlation.group is not None
            mine = apart and key is not None and key in fact.members
            found |= dict.fromkeys((key,) if mine and key is not None else fact.members)
        return tuple(found)

    def _complete(self, one: Occurrence, key: Key, start: float, end: float) -> Completion:
        blind = ""
        if self.trigger.blind == "skip":
            blind = self.context.states.was_down(self._watched(key), start, end)
        return Completion(
            one.tick,
            one.number,
            one.event,
            self._member(one, key),
            one.late,
            blind,
            facts=(one.event,),
            wanted=self.trigger.within,
        )

    def _member(self, one: Occurrence, key: Key) -> str:
        return one.member or (key or "" if self.correlation.group is not None else "")

    def due(self, deadline: Deadline) -> list[Decision]:
        self._end(deadline)
        event, late = deadline.event, bool(deadline.info.get("late"))
        if event is None:
            return []
        at, began = deadline.tick, deadline.info["began"]
        number = BEFORE_EVENTS + deadline.info["number"]
        one = Occurrence(at, number, event, deadline.member, late)
        end = ticks.after(began, self.trigger.within)  # a restart may have put it off
        return self.report([self._complete(one, deadline.info["key"], began, end)])

    def adopt(self, deadline: Deadline) -> None:
        self._waits.setdefault(deadline.info["key"], []).append(deadline)

    def clear(self) -> None:
        """Forget what waits."""
        for waits in self._waits.values():
            for wait in waits:
                self.context.deadlines.cancel(wait)
        self._waits.clear()

    def save(self, events: Events, since: float) -> Any:
        """Return JSON values; None: nothing. Nothing from before `since` will be handled."""
        oldest = since - self.trigger.within
        rows = []
        for key, came in self._came.items():
            kept = [[c[0], c[1], events.number(c[2])] for c in came if c[0] > oldest]
            if kept:
                rows.append([key, kept])
        return rows or None

    def restore(self, saved: Any, events: Events) -> None:
        """Go on from what `save` returned; the waits come back by `adopt`."""
        for key, came in saved:
            kept = ((c[0], c[1], events.event(c[2])) for c in came)
            self._came[key] = deque(kept, maxlen=KEPT)


def _order(came: _Came) -> tuple[float, int]:
    return (came[0], came[1])
