"""Why rules fired, and how near the others came: what the journal keeps of it, and how often."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drivers.priorities import Priority
from edge.turn import Turn
from rules.model import Fired, NotFired, Order

TRACED = "rule.traced"
MISSED = "rule.missed"
EVERY = 600.0
"""Seconds from one record of a near miss to the next of the same rule, member and kind."""
DAY = 86400.0
A_DAY = 200
"""Records of near misses of one rule in a day at most; more are counted in the next one."""
KEYS = 256
"""Rules, members and kinds of miss whose counts are kept at a time."""


def firing_of(fired: Fired) -> str:
    """Return the id of the firing: the same in a replay, and for each step of its escalation."""
    tick = fired.tick if fired.began is None else fired.began
    parts = (fired.event.id, fired.rule, fired.member, f"{tick:.6f}")
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A trace to be journaled."""

    signal: str
    data: dict[str, Any]
    priority: Priority


@dataclass(slots=True)
class _Misses:
    """Near misses of one rule, member and kind that are not in the journal yet."""

    until: float
    """Tick at which the next record may be written."""
    count: int = 0
    first: float = 0.0
    nearest: NotFired | None = None
    last: float = 0.0

    def take(self, missed: NotFired) -> None:
        self.first = missed.tick if not self.count else min(self.first, missed.tick)
        self.last = max(self.last, missed.tick) if self.count else missed.tick
        self.count += 1
        if self.nearest is None or missed.progress >= self.nearest.progress:
            self.nearest = missed


@dataclass(slots=True)
class _Budget:
    """What one rule has written of its near misses since `began`."""

    began: float
    written: int = 0
    unwritten: int = 0
    """Near misses that nothing else counts any more."""


class Traces:
    """Takes decisions in the order of ticks, returns what is to be journaled of them.

    Each firing at once. A near miss at once if it is the first of its rule, member and kind;
    then every ten minutes one record with how many there were and the nearest of them.
    """

    def __init__(self, priority_of: Callable[[str], Priority]) -> None:
        self._priority_of = priority_of
        self._misses: OrderedDict[tuple[str, str, str], _Misses] = OrderedDict()
        self._budgets: dict[str, _Budget] = {}
        self.next_due = float("inf")
        """Tick at which `due` has something to return or to forget."""

    def fired(self, fired: Fired, turn: Turn) -> Note:
        """Return the trace of a firing; `turn` says what became of its orders."""
        firing = firing_of(fired)
        data: dict[str, Any] = {
            "firing": firing,
            "rule": fired.rule,
            "member": fired.member,
            "cause": fired.event.id,
            "tick": fired.tick,
        }
        marks = {"late": fired.late, "shadow": fired.shadow, "step": fired.step}
        data |= {k: v for k, v in marks.items() if v}
        if fired.began is not None and fired.began != fired.tick:
            data["began"] = fired.began
        data["why"] = fired.why.as_json()
        held_up = {
            (r.given.device, r.given.command.kind): (word, r.reason)
            for word, some in (("refused", turn.refused), ("unmoved", turn.unmoved))
            for r in some
            if r.given.firing == firing
        }
        data["orders"] = [_order(order, held_up) for order in fired.orders]
        return Note(signal=TRACED, data=data, priority=self._priority_of(fired.rule))

    def missed(self, missed: NotFired) -> list[Note]:
        """Take a near miss; return what is to be journaled at once."""
        found = self.due(missed.tick)
        key = (missed.rule, missed.member, missed.miss)
        known = self._misses.get(key)
        if known is None:
            while len(self._misses) >= KEYS:
                found += self._push_out()
            known = self._misses[key] = _Misses(missed.tick)
        self._misses.move_to_end(key)
        known.take(missed)
        self.next_due = min(self.next_due, known.until)
        return found + self.due(missed.tick)

    def due(self, tick: float) -> list[Note]:
        """Return the records whose ten minutes are over at `tick`."""
        if tick < self.next_due:
            return []
        found = []
        for key, misses in list(self._misses.items()):
            if misses.until > tick:
                continue
            if not misses.count:
                del self._misses[key]
                continue
            over = self._over(key[0], tick)
            if over is not None:
                misses.until = over
                continue
            found.append(self._written(key, misses))
            misses.until, misses.count, misses.nearest = tick + EVERY, 0, None
        self.next_due = min((m.until for m in self._misses.values()), default=float("inf"))
        return found

    def close(self) -> list[Note]:
        """Return what was not journaled yet, at a stop or before the rules change."""
        found = [self._written(key, m) for key, m in self._misses.items() if m.count]
        self._misses.clear()
        self.next_due = float("inf")
        return found

    def _push_out(self) -> list[Note]:
        """Forget what was heard of longest ago; what is not written of it is written first."""
        key, misses = self._misses.popitem(last=False)
        if not misses.count:
            return []
        if self._over(key[0], misses.last) is not None:
            self._budgets[key[0]].unwritten += misses.count
            return []
        return [self._written(key, misses)]

    def _over(self, rule: str, tick: float) -> float | None:
        """Return the tick at which the rule may write again; None: it may now."""
        budget = self._budgets.get(rule)
        if budget is None or tick >= budget.began + DAY:
            unwritten = budget.unwritten if budget else 0
            self._budgets[rule] = _Budget(tick, unwritten=unwritten)
            return None
        return None if budget.written < A_DAY else budget.began + DAY

    def _written(self, key: tuple[str, str, str], misses: _Misses) -> Note:
        nearest = misses.nearest
        assert nearest is not None  # noqa: S101 - what counts something has a nearest
        budget = self._budgets.setdefault(key[0], _Budget(misses.last))
        budget.written += 1
        data: dict[str, Any] = {
            "rule": nearest.rule,
            "member": nearest.member,
            "miss": nearest.miss,
            "reason": nearest.reason,
            "progress": round(nearest.progress, 4),
            "count": misses.count,
            "tick": nearest.tick,
        }
        if misses.count > 1:
            data |= {"first": misses.first, "last": misses.last}
        if budget.unwritten:
            data["unwritten"], budget.unwritten = budget.unwritten, 0
        data["why"] = nearest.why.as_json()
        blind = nearest.miss == "blind"
        priority = self._priority_of(nearest.rule) if blind else Priority.telemetry
        return Note(signal=MISSED, data=data, priority=priority)


def _order(order: Order, held_up: dict[tuple[str, str], tuple[str, str]]) -> dict[str, Any]:
    word, reason = held_up.get((order.device, order.command.kind), ("given", ""))
    if order.shadow:
        word, reason = "shadow", ""
    found: dict[str, Any] = {"device": order.device, "command": order.command.kind, "is": word}
    if reason:
        found["reason"] = reason
    if parameters := order.command.fields():
        found["parameters"] = parameters
    if order.lasts is not None:
        found["for"] = order.lasts
    return found
