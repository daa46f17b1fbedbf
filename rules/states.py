"""What every device is known to be, since when, and what it said lately: what conditions ask."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.event import SITE, Event
from drivers.signals import UNKNOWN
from rules import ticks
from rules.event_json import Events
from rules.tallies import NO_FIELDS, Tallied, Tally
from rules.ticks import LONG_AGO

LINK = "link"
OVERTAKEN = 10.0
"""Seconds that an event may be overtaken by, or a deadline run late, and still see what was so
at its own tick."""
PAST_KEPT = 32
"""Latest changes of one state, and latest times of one signal, that are remembered for it."""
DOWN_SPANS = 8
"""Latest times without link that are remembered of a device."""


@dataclass(frozen=True, slots=True)
class Change:
    """A state of a device became another value."""

    device: str
    state: str
    before: str
    after: str
    proven_again: bool
    """It was unknown and is again what it was before: nothing happened."""

    @property
    def enters(self) -> bool:
        """Whether the value is entered, as a fact on a state means it."""
        return self.after != UNKNOWN and not self.proven_again


@dataclass(slots=True)
class _Level:
    value: str = UNKNOWN
    since: float = 0.0
    updated: float = LONG_AGO
    known: str | None = None
    """The last value that was not unknown."""
    known_since: float = 0.0
    event: Event | None = None
    """What entered the last known value."""
    changed: float = LONG_AGO
    """The tick at which it became `value`."""
    past: list[tuple[float, str, float]] = field(default_factory=list)
    """What it was lately: until which tick, which value, since when."""

    def at(self, tick: float, *, before: bool) -> tuple[str, float]:
        """Return the value at `tick`, or just before it, and since when it was so."""
        if self.changed < tick or (self.changed == tick and not before):
            return self.value, self.since
        for until, value, since in self.past:
            if until > tick or (until == tick and before):
                return value, since
        return self.value, self.since

    def was(self, tick: float, value: str) -> None:
        """Take what an event said that was overtaken; what is so now stays."""
        for place, (until, old, since) in enumerate(self.past):
            if until > tick:
                if old != value:
                    self.past[place : place + 1] = [(tick, old, since), (until, value, tick)]
                return

    def becomes(self, tick: float, value: str) -> None:
        """Remember what it was, and become another value."""
        self.past.append((tick, self.value, self.since))
        while len(self.past) > PAST_KEPT or self.past[0][0] <= tick - OVERTAKEN:
            del self.past[0]
        self.value, self.changed = value, tick

    def save(self, state: str, events: Events, since: float) -> list[Any]:
        """Return JSON values: what led to it and when it was heard last, or all of it in full."""
        event = events.number(self.event) if self.event is not None else None
        past = [list(one) for one in self.past if one[0] > since]
        if self.event is not None and self._follows_from(state, self.event):
            short = [event, self.updated] if self.updated != self.event.tick else [event]
            return [event, self.updated, past] if past else short
        return [
            event,
            self.updated,
            past,
            self.value,
            self.since,
            self.changed,
            self.known,
            self.known_since,
        ]

    def _follows_from(self, state: str, event: Event) -> bool:
        same = self.value == self.known == event.sets.get(state)
        return same and self.since == self.changed == self.known_since == event.tick

    @classmethod
    def restored(cls, state: str, row: list[Any], events: Events) -> _Level:
        """Return the level that `save` wrote."""
        level = cls()
        level.event = events.event(row[0]) if row[0] is not None else None
        if level.event is not None:
            level.value = level.known = level.event.sets.get(state, UNKNOWN)
            level.since = level.changed = level.known_since = level.updated = level.event.tick
        if len(row) > 1:
            level.updated = row[1]
        if len(row) > 2:
            level.past = [(until, value, since) for until, value, since in row[2]]
        if len(row) > 3:
            level.value, level.since, level.changed, level.known, level.known_since = row[3:]
        return level


@dataclass(slots=True)
class _Link:
    """When a device could not be heard: spans of ticks, the last one open while it is down."""

    spans: deque[tuple[float | None, float | None]] = field(
        default_factory=lambda: deque([(None, None)], maxlen=DOWN_SPANS)
    )

    def becomes(self, value: str, tick: float) -> None:
        open_since = self.spans[-1] if self.spans and self.spans[-1][1] is None else None
        if value == "up" and open_since is not None:
            self.spans[-1] = (open_since[0], tick)
        elif value != "up" and open_since is None:
            self.spans.append((tick, None))

    def was_down(self, start: float, end: float) -> bool:
        return any(
            (first is None or first < end) and (last is None or last > start)
            for first, last in self.spans
        )


class States:
    """The states of all devices.

    `counts` are the signals whose times are kept, and for how many seconds; beside device and
    signal the fields by whose values they are told apart.
    """

    def __init__(self, counts: Mapping[Tallied, float] | None = None) -> None:
        self._levels: dict[tuple[str, str], _Level] = {}
        self._of_device: dict[str, list[str]] = {}
        self._links: dict[str, _Link] = {}
        self._said: dict[tuple[str, str], list[float]] = {}
        self._tallies: dict[Tallied, Tally] = {}
        self._asked: dict[tuple[str, str], list[Tally]] = {}
        self.count(counts or {})

    def count(self, counts: Mapping[Tallied, float]) -> None:
        """Keep the times of these signals from now on, and no others'."""
        old, self._tallies = self._tallies, {}
        self._asked.clear()
        for key, window in counts.items():
            device, kind, *names = key
            tally = self._tallies[key] = old.get(key) or Tally(tuple(names), 0.0)
            tally.keeps = window + OVERTAKEN
            self._asked.setdefault((device, kind), []).append(tally)

    def apply(self, event: Event) -> list[Change]:
        """Take what `event` says and return what changed by it.

        A value older than what is known already (the event was overtaken) changes nothing. A
        lost link makes every other state of the device unknown.
        """
        self._remember(event)
        sets = event.sets
        if event.kind == "link.down":
            others = self._of_device.get(event.device, ())
            sets = {**dict.fromkeys((s for s in others if s != LINK), UNKNOWN), **sets}
        changes = []
        for state, value in sets.items():
            change = self._set(event, state, value)
            if change is not None:
                changes.append(change)
        return changes

    def assume(self, event: Event) -> None:
        """Take what `event` sets as if it had always been so."""
        self.apply(event)
        for state in event.sets:
            level = self._levels[event.device, state]
            level.past.clear()
            level.changed = LONG_AGO
        if event.sets.get(LINK) == "up":
            self._links[event.device].spans.clear()

    def _remember(self, event: Event) -> None:
        """Note when it was said, for `since` and `count`; what a test says is asked for nowhere."""
        if event.fields.get("test") is True:
            return
        key, tick = (event.device, event.kind), event.tick
        said = self._said.get(key)
        if said is None:
            self._said[key] = [tick]
        elif tick >= said[-1]:
            said.append(tick)
            if said[1] <= tick - OVERTAKEN or len(said) > PAST_KEPT:
                old = bisect_right(said, tick - OVERTAKEN) - 1
                del said[: max(old, len(said) - PAST_KEPT)]
        else:
            insort(said, tick)
        for tally in self._asked.get(key, ()):
            tally.take(event)

    def _set(self, event: Event, state: str, value: str) -> Change | None:
        key = (event.device, state)
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = _Level()
            self._of_device.setdefault(event.device, []).append(state)
        if event.tick < level.updated:
            level.was(event.tick, value)
            return None
        level.updated = event.tick
        if state == LINK:
            self._links.setdefault(event.device, _Link()).becomes(value, event.tick)
        if value == level.value:
            return None
        before = level.value
        level.becomes(event.tick, value)
        again = before == UNKNOWN and value == level.known
        level.since = level.known_since if again else event.tick
        if value != UNKNOWN and not again:
            level.known, level.known_since, level.event = value, event.tick, event
        return Change(event.device, state, before, value, again)

    def value(self, device: str, state: str) -> str:
        """Return the value now; `unknown` until proven."""
        level = self._levels.get((device, state))
        return level.value if level else UNKNOWN

    def changes(self, pairs: Iterable[tuple[str, str]], since: float) -> list[float]:
        """Return the ticks after `since` at which any of these (device, state) changed, in order.

        There are none but those that overtook an event of `since`.
        """
        found: set[float] = set()
        for pair in pairs:
            level = self._levels.get(pair)
            if level is not None and level.changed > since:
                found.add(level.changed)
                found.update(until for until, _, _ in level.past if until > since)
        return sorted(found)

    def last_known(self, device: str, state: str) -> str | None:
        """Return the last value that was not unknown."""
        level = self._levels.get((device, state))
        return level.known if level else None

    def since(self, device: str, state: str) -> float | None:
        """Return the tick since which the value is so; None before anything was said."""
        level = self._levels.get((device, state))
        return level.since if level else None

    def entered_by(self, device: str, state: str) -> Event | None:
        """Return the event that entered the last known value."""
        level = self._levels.get((device, state))
        return level.event if level else None

    def was_down(self, devices: Iterable[str], start: float, end: float) -> str:
        """Return the first of `devices` that could not be heard within [start, end), or ''."""
        for device in devices:
            if device != SITE and self._links.setdefault(device, _Link()).was_down(start, end):
                return device
        return ""

    def at(self, tick: float, *, before: bool = False) -> View:
        """Return what an expression may ask, as of `tick`.

        What has changed since is left out. With `before` the events of that very tick are too: it
        is how a deadline sees it, which comes before them.
        """
        return View(self, tick, before)

    def level(
        self, device: str, state: str, tick: float, *, before: bool = False
    ) -> tuple[str, float]:
        """Return the value as of `tick`, and since when it was so."""
        level = self._levels.get((device, state))
        return level.at(tick, before=before) if level else (UNKNOWN, 0.0)

    def said(self, device: str, kind: str) -> list[float]:
        """Return the latest ticks at which the device said `kind`, in order."""
        return self._said.get((device, kind), [])

    def times(self, device: str, kind: str, fields: Mapping[str, Any] = NO_FIELDS) -> list[float]:
        """Return the ticks that are kept of this signal with these fields, in order."""
        tally = self._tallies.get((device, kind, *fields) if fields else (device, kind))
        return tally.ticks(fields) if tally is not None else []

    def forgotten(self, device: str, kind: str, fields: Mapping[str, Any]) -> float:
        """Return the tick until which some that had these fields may be forgotten."""
        tally = self._tallies.get((device, kind, *fields))
        return tally.gap(fields) if tally is not None else LONG_AGO

    def of(self, device: str) -> dict[str, tuple[str, float]]:
        """Return the states of one device: name to value and since when it is so."""
        return {
            state: (self._levels[device, state].value, self._levels[device, state].since)
            for state in self._of_device.get(device, ())
        }

    def all(self) -> dict[str, dict[str, tuple[str, float]]]:
        """Return device to state to value and the tick since which it is so."""
        return {device: self.of(device) for device in self._of_device}

    def save(self, events: Events, *, since: float) -> Any:
        """Return everything as JSON values: by device, state or signal.

        Nothing will be asked as of a tick before `since`.
        """
        levels: dict[str, dict[str, Any]] = {}
        for device, state in ((d, s) for d, states in self._of_device.items() for s in states):
            level = self._levels[device, state]
            levels.setdefault(device, {})[state] = level.save(state, events, since)
        said: dict[str, dict[str, list[float]]] = {}
        for (device, kind), heard in self._said.items():
            old = max(bisect_right(heard, since) - 1, 0)
            said.setdefault(device, {})[kind] = heard[old:]
        plain = [(key, tally.save()) for key, tally in self._tallies.items() if len(key) == 2]
        return {
            "levels": levels,
            "links": {
                device: [list(s) for s in link.spans] for device, link in self._links.items()
            },
            "said": said,
            "times": [[*key, rows[0][1]] for key, rows in plain if rows],
            "apart": [
                [list(key), tally.save(), tally.forgotten]
                for key, tally in self._tallies.items()
                if len(key) > 2
            ],
        }

    def restore(self, saved: Mapping[str, Any], events: Events) -> None:
        """Go on from what `save` returned."""
        for device, states in saved["levels"].items():
            for state, row in states.items():
                level = _Level.restored(state, row, events)
                self._levels[device, state] = level
                self._of_device.setdefault(device, []).append(state)
        for device, spans in saved["links"].items():
            kept = deque(((s[0], s[1]) for s in spans), maxlen=DOWN_SPANS)
            self._links[device] = _Link(kept)
        for device, kinds in saved["said"].items():
            for kind, heard in kinds.items():
                self._said[device, kind] = list(heard)
        plain = [([device, kind], [[[], heard]]) for device, kind, heard in saved["times"]]
        for key, rows, *forgotten in (*plain, *saved.get("apart", ())):
            if tuple(key) in self._tallies:
                self._tallies[tuple(key)].restore(rows, *forgotten)


@dataclass(slots=True)
class View:
    """The states as a condition sees them at one tick, or just before the events of that tick."""

    states: States
    tick: float
    before: bool = False

    def state(self, device: str, state: str) -> str:
        return self.states.level(device, state, self.tick, before=self.before)[0]

    def since(self, device: str, kind: str, fields: Mapping[str, Any] = NO_FIELDS) -> float | None:
        states = self.states
        said = states.times(device, kind, fields) if fields else states.said(device, kind)
        heard = self._heard(said)
        return ticks.between(said[heard - 1], self.tick) if heard else None

    def held(self, device: str, state: str) -> float | None:
        value, since = self.states.level(device, state, self.tick, before=self.before)
        return None if value == UNKNOWN else max(ticks.between(since, self.tick), 0.0)

    def count(
        self, device: str, kind: str, within: float, fields: Mapping[str, Any] = NO_FIELDS
    ) -> int | None:
        times = self.states.times(device, kind, fields)
        if fields and self.states.forgotten(device, kind, fields) > self.tick - within:
            return None
        return max(self._heard(times) - bisect_right(times, ticks.before(self.tick, within)), 0)

    def _heard(self, ticks: list[float]) -> int:
        """Return how many of `ticks` had come."""
        find = bisect_left if self.before else bisect_right
        return find(ticks, self.tick)
