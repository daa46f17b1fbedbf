"""A slow engine that keeps the whole history and reads the contract word by word.

It knows triggers of single devices, in the order of ticks, and nothing of conditions, cooldown or
orders. Every answer is found by looking at all of the past anew.
"""

from __future__ import annotations

from itertools import combinations, permutations

from drivers.event import Event
from rules.model import Absence, Count, Fact, Sequence, Trigger

Place = tuple[float, int]
"""A tick, and the place of the event in the history. What falls due comes before the events of
its tick, in the order of what began it."""
FAR = -1_000_000


def firings(trigger: Trigger, history: list[Event]) -> list[float]:
    """Return the ticks at which the trigger is complete, sorted."""
    return sorted(tick for tick, _ in _places(trigger, history))


def _places(trigger: Trigger, history: list[Event]) -> list[Place]:
    if isinstance(trigger, Fact):
        return occurrences(trigger, history)
    if isinstance(trigger, Sequence):
        return _windows(trigger, history)
    if isinstance(trigger, Count):
        return _counted(trigger, history)
    return _absent(trigger, history)


def _any(facts: tuple[Fact, ...], history: list[Event]) -> list[Place]:
    return sorted({place for fact in facts for place in occurrences(fact, history)})


def occurrences(fact: Fact, history: list[Event]) -> list[Place]:
    """Return where one fact comes true."""
    device = fact.members[0]
    if fact.signal is not None:
        return [
            (e.tick, n)
            for n, e in enumerate(history)
            if e.device == device and e.kind == fact.signal
        ]
    values = [
        (e.tick, n, e.sets[fact.state or ""])
        for n, e in enumerate(history)
        if e.device == device and (fact.state or "") in e.sets
    ]
    if fact.hold is None:
        return _entered(fact.value, values)
    return _held(fact, values)


def _entered(wanted: str | None, values: list[tuple[float, int, str]]) -> list[Place]:
    """Return where the value differs from the last one that was known."""
    known = None
    places = []
    for tick, number, value in values:
        if value != "unknown":
            if value == wanted and known != wanted:
                places.append((tick, number))
            known = value
    return places


def _held(fact: Fact, values: list[tuple[float, int, str]]) -> list[Place]:
    """Return where the value was so for long enough, unknown times left out of every answer."""
    places: list[Place] = []
    start: float | None = None
    began = 0
    told = False
    nexts = [*(tick for tick, _, _ in values[1:]), float("inf")]
    for (tick, number, value), after in zip(values, nexts, strict=False):
        if value not in (fact.value, "unknown"):
            start, told = None, False
        if value != fact.value:
            continue
        if start is None:
            start, began = tick, number
        due = start + (fact.hold or 0.0)
        if not told and due <= after:
            told = True
            places.append((due, FAR + began) if due > tick else (tick, number))
    return places


def _windows(trigger: Sequence, history: list[Event]) -> list[Place]:
    steps = [_any(step, history) for step in trigger.facts]
    if not trigger.ordered:
        chains = {place for order in permutations(steps) for place in _chains(list(order), trigger)}
        return sorted(chains)
    return sorted(_chains(steps, trigger))


def _chains(steps: list[list[Place]], trigger: Sequence) -> set[Place]:
    """Return the last place of every chain, one of each step, in order and within the window."""
    found: set[Place] = set()

    def go_on(first: Place | None, last: Place, rest: list[list[Place]]) -> None:
        if not rest:
            if first is not None:
                found.add(last)
            return
        for place in rest[0]:
            begun = first or place
            if (first is None or place > last) and place[0] - begun[0] < trigger.within:
                go_on(begun, place, rest[1:])

    go_on(None, (float("-inf"), 0), steps)
    return found


def _counted(trigger: Count, history: list[Event]) -> list[Place]:
    places = _any(trigger.of, history)
    chosen = combinations(places, trigger.count)
    return sorted({c[-1] for c in chosen if c[-1][0] - c[0][0] < trigger.within})


def _absent(trigger: Absence, history: list[Event]) -> list[Place]:
    facts, others = _any(trigger.fact, history), _any(trigger.without, history)
    within = trigger.within
    if trigger.waits:
        return [
            (at + within, FAR + number)
            for at, number in facts
            if not any((at, number) < other and other[0] < at + within for other in others)
        ]
    return [
        (at, number)
        for at, number in facts
        if not any(other < (at, number) and at - other[0] < within for other in others)
    ]
