"""What every device is known to be, since when, and what it said lately: what conditions ask."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.event import SITE, Event
from drivers.signals import UNKNOWN
from rules import event_json

LINK = "link"
DOWN_SPANS = 8
"""Latest times without link that are remembered of a device."""
SAID_AT_MOST = 10_000
"""Latest ticks that are remembered of one signal of one device, where a condition counts it."""


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
    updated: float = float("-inf")
    known: str | None = None
    """The last value that was not unknown."""
    known_since: float = 0.0
    event: Event | None = None
    """What entered the last known value."""


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

    `counts` are the (device, signal) pairs whose times are kept, and for how many seconds.
    """

    def __init__(self, counts: Mapping[tuple[str, str], float] | None = None) -> None:
        self._levels: dict[tuple[str, str], _Level] = {}
        self._of_device: dict[str, list[str]] = {}
        self._links: dict[str, _Link] = {}
        self._said: dict[tuple[str, str], float] = {}
        self._counts = dict(counts or {})
        self._times: dict[tuple[str, str], list[float]] = {}

    def count(self, counts: Mapping[tuple[str, str], float]) -> None:
        """Keep the times of these (device, signal) pairs from now on, and no others'."""
        self._counts = dict(counts)
        self._times = {key: times for key, times in self._times.items() if key in counts}

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
        if event.sets.get(LINK) == "up":
            self._links[event.device].spans.clear()

    def _remember(self, event: Event) -> None:
        key = (event.device, event.kind)
        if event.tick > self._said.get(key, float("-inf")):
            self._said[key] = event.tick
        window = self._counts.get(key)
        if window is not None:
            times = self._times.setdefault(key, [])
            insort(times, event.tick)
            old = bisect_right(times, times[-1] - window)
            del times[: max(old, len(times) - SAID_AT_MOST)]

    def _set(self, event: Event, state: str, value: str) -> Change | None:
        key = (event.device, state)
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = _Level()
            self._of_device.setdefault(event.device, []).append(state)
        if event.tick < level.updated:
            return None
        level.updated = event.tick
        if state == LINK:
            self._links.setdefault(event.device, _Link()).becomes(value, event.tick)
        if value == level.value:
            return None
        before, level.value = level.value, value
        again = before == UNKNOWN and value == level.known
        level.since = level.known_since if again else event.tick
        if value != UNKNOWN and not again:
            level.known, level.known_since, level.event = value, event.tick, event
        return Change(event.device, state, before, value, again)

    def value(self, device: str, state: str) -> str:
        """Return the value now; `unknown` until proven."""
        level = self._levels.get((device, state))
        return level.value if level else UNKNOWN

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

    def at(self, tick: float) -> View:
        """Return what an expression may ask, as of `tick`."""
        return View(self, tick)

    def said(self, device: str, kind: str) -> float | None:
        """Return the tick at which the device last said `kind`."""
        return self._said.get((device, kind))

    def times(self, device: str, kind: str) -> list[float]:
        """Return the ticks that are kept of this signal, in order."""
        return self._times.get((device, kind), [])

    def of(self, device: str) -> dict[str, tuple[str, float]]:
        """Return the states of one device: name to value and since when it is so."""
        return {
            state: (self._levels[device, state].value, self._levels[device, state].since)
            for state in self._of_device.get(device, ())
        }

    def all(self) -> dict[str, dict[str, tuple[str, float]]]:
        """Return device to state to value and the tick since which it is so."""
        return {device: self.of(device) for device in self._of_device}

    def save(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        levels = [
            [
                *key,
                level.value,
                level.since,
                level.updated,
                level.known,
                level.known_since,
                event_json.write(level.event) if level.event else None,
            ]
            for key, level in self._levels.items()
        ]
        return {
            "levels": levels,
            "links": {
                device: [list(s) for s in link.spans] for device, link in self._links.items()
            },
            "said": [[*key, tick] for key, tick in self._said.items()],
            "times": [[*key, list(ticks)] for key, ticks in self._times.items()],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned."""
        for device, state, value, since, updated, known, known_since, event in saved["levels"]:
            entered = event_json.read(event) if event else None
            level = _Level(value, since, updated, known, known_since, entered)
            self._levels[device, state] = level
            self._of_device.setdefault(device, []).append(state)
        for device, spans in saved["links"].items():
            kept = deque(((s[0], s[1]) for s in spans), maxlen=DOWN_SPANS)
            self._links[device] = _Link(kept)
        self._said.update({(device, kind): tick for device, kind, tick in saved["said"]})
        for device, kind, ticks in saved["times"]:
            if (device, kind) in self._counts:
                self._times[device, kind] = list(ticks)


@dataclass(frozen=True, slots=True)
class View:
    """The states as a condition sees them at one tick."""

    states: States
    tick: float

    def state(self, device: str, state: str) -> str:
        return self.states.value(device, state)

    def since(self, device: str, kind: str) -> float | None:
        said = self.states.said(device, kind)
        return None if said is None else max(self.tick - said, 0.0)

    def held(self, device: str, state: str) -> float | None:
        if self.states.value(device, state) == UNKNOWN:
            return None
        since = self.states.since(device, state)
        return None if since is None else max(self.tick - since, 0.0)

    def count(self, device: str, kind: str, within: float) -> int:
        times = self.states.times(device, kind)
        return bisect_right(times, self.tick) - bisect_right(times, self.tick - within)
