"""Sequence, together and count: several facts within one window.

Nothing is used up: every occurrence that completes a window fires, whatever fired before it. An
event that comes out of tick order counts where it belongs.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from drivers.event import Event
from rules import event_json
from rules.model import Count, Decision, Fact, Sequence
from rules.trigger_facts import Completion, Occurrence

SLACK = 10.0
"""Seconds that an event may be overtaken by and still be put in its place."""
KEPT = 32
"""Latest occurrences that are kept of each fact, above what a count needs."""

Report = Callable[[list[Completion]], list[Decision]]
Key = str | None
"""What correlates occurrences; None belongs to every key."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """Which occurrences belong together: by device, by a field, else per member of a group."""

    by: str | None
    group: str | None

    @classmethod
    def of(cls, facts: Iterable[Fact], by: str | None, *, all_of_it: bool = False) -> Correlation:
        """Find it: the one group that the facts name per member, if it is one.

        With `all_of_it` no fact may name anything else.
        """
        names = [f.group if not f.across else None for f in facts]
        groups = {name for name in names if name is not None}
        one = len(groups) == 1 and not (all_of_it and None in names)
        return cls(by, next(iter(groups)) if one and by is None else None)

    def key(self, fact_group: str | None, event: Event) -> tuple[Key] | None:
        """Return the key of an occurrence in a tuple, or None if it has no such field."""
        if self.by == "device":
            return (event.device,)
        if self.by is not None:
            value = event.fields.get(self.by)
            return None if value is None else (repr(value),)
        return (event.device if self.group is not None and fact_group == self.group else None,)


@dataclass(slots=True, eq=False)
class Entry:
    """An occurrence that is remembered."""

    occurrence: Occurrence
    fired: set[Key] = field(default_factory=set)

    @property
    def tick(self) -> float:
        return self.occurrence.tick

    def __lt__(self, other: Entry) -> bool:
        return self.occurrence.order < other.occurrence.order


class _Kept:
    """The latest entries by key and role."""

    def __init__(self, roles: int, within: float, at_most: int) -> None:
        self.roles, self.within, self.at_most = roles, within, at_most
        self.by_key: OrderedDict[Key, list[list[Entry]]] = OrderedDict()
        self.newest = float("-inf")

    def add(self, key: Key, role: int, entry: Entry) -> None:
        self.newest = max(self.newest, entry.tick)
        lists = self.by_key.setdefault(key, [[] for _ in range(self.roles)])
        self.by_key.move_to_end(key)
        place = bisect_left(lists[role], entry)
        if lists[role][place : place + 1] and not entry < lists[role][place]:
            return
        lists[role].insert(place, entry)
        oldest = self.newest - self.within - SLACK
        while lists[role] and (lists[role][0].tick <= oldest or len(lists[role]) > self.at_most):
            del lists[role][0]
        while self.by_key:
            first = next(iter(self.by_key.values()))
            if any(entries and entries[-1].tick > oldest for entries in first):
                break
            self.by_key.popitem(last=False)

    def find(self, key: Key, occurrence: Occurrence) -> Entry | None:
        """Return what is kept of the same place in any role."""
        for entries in self.by_key.get(key, ()):
            place = bisect_left(entries, Entry(occurrence))
            if place < len(entries) and entries[place].occurrence.order == occurrence.order:
                return entries[place]
        return None

    def entries(self, key: Key, role: int) -> list[Entry]:
        """Return what counts for `key` in `role`, in order."""
        own = self.by_key[key][role] if key in self.by_key else []
        if key is None or None not in self.by_key:
            return own
        return sorted([*own, *self.by_key[None][role]])

    def save(self) -> Any:
        rows = []
        for key, lists in self.by_key.items():
            for role, entries in enumerate(lists):
                for e in entries:
                    o = e.occurrence
                    event = event_json.write(o.event)
                    rows.append([key, role, o.tick, o.number, event, o.member, list(e.fired)])
        return {"newest": self.newest if rows else None, "rows": rows}

    def restore(self, saved: Any) -> None:
        if saved["newest"] is None:
            return
        self.newest = saved["newest"]
        shared: dict[tuple[Key, float, int], Entry] = {}
        for key, role, tick, number, event, member, fired in saved["rows"]:
            occurrence = Occurrence(tick, number, event_json.read(event), member)
            entry = shared.setdefault((key, tick, number), Entry(occurrence, set(fired)))
            lists = self.by_key.setdefault(key, [[] for _ in range(self.roles)])
            insort(lists[role], entry)


class WindowMachine:
    """A `sequence`, `together` or `count` at work."""

    def __init__(self, trigger: Sequence | Count, report: Report) -> None:
        self.report = report
        self.within = trigger.within
        if isinstance(trigger, Count):
            self.steps: tuple[tuple[Fact, ...], ...] = (trigger.of,)
            self.correlation = Correlation.of(trigger.of, trigger.by, all_of_it=True)
            at_most = trigger.count + KEPT
        else:
            self.steps = trigger.facts
            facts = [f for step in trigger.facts for f in step]
            self.correlation = Correlation.of(facts, trigger.by)
            at_most = len(trigger.facts) + KEPT
        self.trigger = trigger
        self.kept = _Kept(len(self.steps), trigger.within, at_most)

    def step(self, seen: list[tuple[int, Occurrence]]) -> list[Completion]:
        new: dict[tuple[Key, float, int], Entry] = {}
        for role, occurrence in seen:
            found = self.correlation.key(self._group_of(role, occurrence.event), occurrence.event)
            if found is None:
                continue
            place = (found[0], *occurrence.order)
            entry = new.get(place) or self.kept.find(found[0], occurrence) or Entry(occurrence)
            new[place] = entry
            self.kept.add(found[0], role, entry)
        done = []
        for (key, *_), entry in new.items():
            for one, completing in self._candidates(key, entry):
                if one in completing.fired or not self._complete(one, completing):
                    continue
                completing.fired.add(one)
                o = completing.occurrence
                member = o.member or self._member(one)
                done.append(Completion(o.tick, o.number, o.event, member, o.late))
        return sorted(done, key=lambda c: c.order)

    def _group_of(self, role: int, event: Event) -> str | None:
        for fact in self.steps[role]:
            if event.device in fact.members and fact.group is not None and not fact.across:
                return fact.group
        return None

    def _member(self, key: Key) -> str:
        return key or "" if self.correlation.group is not None else ""

    def _candidates(self, key: Key, entry: Entry) -> Iterator[tuple[Key, Entry]]:
        """Yield the entries that `entry` may complete, itself or later ones, by key."""
        keys: list[Key] = [key]
        if key is None and self.correlation.group is not None:
            keys = [k for k in self.kept.by_key if k is not None]
        for one in keys:
            last = len(self.steps) - 1
            roles = range(len(self.steps)) if not self._ordered() else (last,)
            lists = (self.kept.entries(one, role) for role in roles)
            found = {id(e): e for some in lists for e in some[bisect_left(some, entry) :]}
            for e in sorted(found.values()):
                yield one, e

    def _ordered(self) -> bool:
        return isinstance(self.trigger, Count) or self.trigger.ordered

    def _complete(self, key: Key, completing: Entry) -> bool:
        if isinstance(self.trigger, Count):
            entries = self.kept.entries(key, 0)
            first = entries.index(completing) - self.trigger.count + 1
            return first >= 0 and completing.tick - entries[first].tick < self.within
        if self.trigger.ordered:
            return self._chain(key, completing)
        return self._assign(key, completing, 0, [])

    def _chain(self, key: Key, completing: Entry) -> bool:
        """Go back from the last fact, always to the latest one before: the shortest window."""
        first = completing
        for role in reversed(range(len(self.steps) - 1)):
            entries = self.kept.entries(key, role)
            place = bisect_left(entries, first)
            if place == 0:
                return False
            first = entries[place - 1]
        return completing.tick - first.tick < self.within

    def _assign(self, key: Key, completing: Entry, role: int, taken: list[Entry]) -> bool:
        """Give every role from `role` on an entry of its own, none after the completing one.

        If it can be done at all it can be done with the completing one in its own role.
        """
        if role == len(self.steps):
            return True
        for e in reversed(self.kept.entries(key, role)):
            near = completing.tick - e.tick < self.within and not completing < e
            distinct = all(e.occurrence.order != t.occurrence.order for t in taken)
            if near and distinct and self._assign(key, completing, role + 1, [*taken, e]):
                return True
        return False

    def clear(self) -> None:
        """Forget what waits."""
        self.kept.by_key.clear()

    def save(self) -> Any:
        return self.kept.save()

    def restore(self, saved: Any) -> None:
        """Go on from what `save` returned."""
        self.kept.restore(saved)
