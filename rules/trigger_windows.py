"""Sequence, together and count: several facts within one window.

Nothing is used up: every occurrence that completes a window fires, whatever fired before it. An
event that comes out of tick order counts where it belongs.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from drivers.event import Event
from rules import ticks
from rules.assignment import Place, latest
from rules.event_json import Events
from rules.model import Count, Decision, Fact, Sequence
from rules.near_misses import NearMisses
from rules.states import OVERTAKEN
from rules.trigger_facts import Completion, Context, Occurrence

SLACK = OVERTAKEN
"""Seconds that an event may be overtaken by and still be put in its place."""
KEPT = 32
"""Latest occurrences that are kept of each fact, above what a count needs."""
KEYS = 1000
"""Values of `by:` that are kept of one trigger; of more the one heard longest ago is forgotten."""
TOLD = 16
"""Latest facts that a firing of a count names."""

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

    order: tuple[float, int]
    occurrence: Occurrence
    fired: set[Key] = field(default_factory=set)


ORDER = attrgetter("order")
NOTHING: list[Completion] = []
FOR_ALL: tuple[Key] = (None,)


class Kept:
    """The latest entries by key and role."""

    def __init__(self, roles: int, within: float, at_most: int) -> None:
        self.roles, self.at_most = roles, at_most
        self.remembered = within + max(SLACK, within / 4)
        self.by_key: OrderedDict[Key, list[list[Entry]]] = OrderedDict()
        self.newest = float("-inf")

    def put(self, key: Key, role: int, occurrence: Occurrence) -> Entry:
        """Keep an occurrence in its place, and return it.

        What is in the same place in another role is the same entry.
        """
        order = (occurrence.tick, occurrence.number)
        lists = self.by_key.get(key)
        if lists is None:
            lists = self.by_key[key] = [[] for _ in range(self.roles)]
        elif len(self.by_key) > 1:
            self.by_key.move_to_end(key)
        entry = self.find(key, order) or Entry(order, occurrence)
        entries = lists[role]
        if not entries or entries[-1].order < order:
            entries.append(entry)
        else:
            place = bisect_left(entries, order, key=ORDER)
            if entries[place].order == order:
                return entry
            entries.insert(place, entry)
        self._forget(entries, order[0])
        return entry

    def _forget(self, entries: list[Entry], tick: float) -> None:
        if tick > self.newest:
            self.newest = tick
        oldest = self.newest - self.remembered
        while entries and (entries[0].order[0] <= oldest or len(entries) > self.at_most):
            del entries[0]
        while len(self.by_key) > 1:
            first = next(iter(self.by_key.values()))
            fresh = any(some and some[-1].order[0] > oldest for some in first)
            if fresh and len(self.by_key) <= KEYS:
                break
            self.by_key.popitem(last=False)

    def find(self, key: Key, order: tuple[float, int]) -> Entry | None:
        """Return what is kept of the same place in any role."""
        for entries in self.by_key.get(key, ()):
            if entries and entries[-1].order >= order:
                place = bisect_left(entries, order, key=ORDER)
                if entries[place].order == order:
                    return entries[place]
        return None

    def entries(self, key: Key, role: int) -> list[Entry]:
        """Return what counts for `key` in `role`, in order."""
        lists = self.by_key.get(key)
        own = lists[role] if lists is not None else []
        if key is None or None not in self.by_key:
            return own
        return sorted([*own, *self.by_key[None][role]], key=ORDER)

    def save(self, events: Events, since: float) -> list[list[Any]]:
        oldest = since - self.remembered
        rows = []
        for key, lists in self.by_key.items():
            for role, entries in enumerate(lists):
                for e in entries:
                    o = e.occurrence
                    if o.tick > oldest:
                        event = events.number(o.event)
                        rows.append([key, role, o.tick, o.number, event, o.member, list(e.fired)])
        return rows

    def restore(self, rows: list[list[Any]], events: Events) -> None:
        shared: dict[tuple[Key, float, int], Entry] = {}
        for key, role, tick, number, event, member, fired in rows:
            occurrence = Occurrence(tick, number, events.event(event), member)
            order = (tick, number)
            entry = shared.setdefault((key, *order), Entry(order, occurrence, set(fired)))
            lists = self.by_key.setdefault(key, [[] for _ in range(self.roles)])
            insort(lists[role], entry, key=ORDER)


class WindowMachine:
    """A `sequence`, `together` or `count` at work."""

    def __init__(
        self, trigger: Sequence | Count, rule: str, path: str, report: Report, context: Context
    ) -> None:
        self.report, self.context = report, context
        self.rule, self.path = rule, path
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
        self._as_one = self.correlation.by is None and self.correlation.group is None
        self.ordered = isinstance(trigger, Count) or trigger.ordered
        last = len(self.steps) - 1
        self._completing = (last,) if self.ordered else tuple(range(last + 1))
        self.kept = Kept(len(self.steps), trigger.within, at_most)
        self.near: NearMisses | None = None

    def tell_near_misses(self, number: int) -> None:
        """Say where it was nearly complete."""
        self.near = NearMisses(self, number)

    def step(self, seen: list[tuple[int, Occurrence]]) -> list[Completion]:
        if len(seen) == 1:
            role, occurrence = seen[0]
            found = self._key(role, occurrence.event)
            if found is None:
                return NOTHING
            return self._look(found[0], self.kept.put(found[0], role, occurrence), [role])
        new: dict[tuple[Key, tuple[float, int]], tuple[Entry, list[int]]] = {}
        for role, occurrence in seen:
            found = self._key(role, occurrence.event)
            if found is not None:
                entry = self.kept.put(found[0], role, occurrence)
                new.setdefault((found[0], entry.order), (entry, []))[1].append(role)
        done = [d for (key, _), (e, roles) in new.items() for d in self._look(key, e, roles)]
        return sorted(done, key=ORDER)

    def _key(self, role: int, event: Event) -> tuple[Key] | None:
        if self._as_one:
            return FOR_ALL
        return self.correlation.key(self._group_of(role, event), event)

    def _look(self, key: Key, entry: Entry, roles: list[int]) -> list[Completion]:
        """Return what a new entry completes, itself or later, in order; note near misses."""
        if key is not None or self.correlation.group is None:
            done = self._completions(key, entry)
            if self.near is not None:
                self.near.look(key, entry, roles, done)
            return done
        # What belongs to no member of the group counts for every member.
        found: list[Completion] = []
        for one in [k for k in self.kept.by_key if k is not None]:
            done = self._completions(one, entry)
            if self.near is not None:
                self.near.look(one, entry, roles, done)
            found += done
        return sorted(found, key=ORDER)

    def _completions(self, key: Key, entry: Entry) -> list[Completion]:
        """Return what `entry` completes for `key`, at itself or at later entries, in order."""
        done = []
        for completing in self._candidates(key, entry):
            if key in completing.fired:
                continue
            facts = self.match(key, completing)
            if facts is None:
                continue
            completing.fired.add(key)
            o = completing.occurrence
            done.append(
                Completion(
                    o.tick,
                    o.number,
                    o.event,
                    o.member or self.member(key),
                    o.late,
                    facts=tuple(e.occurrence.event for e in facts[-TOLD:]),
                    wanted=self.within,
                )
            )
        return done

    def _group_of(self, role: int, event: Event) -> str | None:
        for fact in self.steps[role]:
            if fact.group is not None and not fact.across and event.device in fact.members:
                return fact.group
        return None

    def member(self, key: Key) -> str:
        """Return for whom a window of `key` fires."""
        return key or "" if self.correlation.group is not None else ""

    def _candidates(self, key: Key, entry: Entry) -> list[Entry]:
        """Return the entries that `entry` may complete, itself or later ones, in order."""
        found: list[Entry] = []
        for role in self._completing:
            entries = self.kept.entries(key, role)
            if entries and entries[-1].order >= entry.order:
                found += entries[bisect_left(entries, entry.order, key=ORDER) :]
        if len(found) < 2:
            return found
        return sorted({e.order: e for e in found}.values(), key=ORDER)

    def match(self, key: Key, completing: Entry) -> list[Entry] | None:
        """Return the entries that are complete with `completing`, in order; None: they are not."""
        if isinstance(self.trigger, Count):
            entries = self.kept.entries(key, 0)
            place = bisect_left(entries, completing.order, key=ORDER)
            first = place - self.trigger.count + 1
            if (
                first < 0
                or ticks.between(entries[first].order[0], completing.order[0]) >= self.within
            ):
                return None
            return entries[first : place + 1]
        if self.ordered:
            chain = self.chain(key, completing, len(self.steps) - 1)
            late = (
                chain is not None
                and ticks.between(chain[0].order[0], completing.order[0]) >= self.within
            )
            return None if late else chain
        return self._together(key, completing)

    def chain(self, key: Key, last: Entry, role: int) -> list[Entry] | None:
        """Go back from `last` in `role`, always to the latest one before: the shortest window."""
        found = [last]
        for step in reversed(range(role)):
            entries = self.kept.entries(key, step)
            place = bisect_left(entries, found[-1].order, key=ORDER)
            if place == 0:
                return None
            found.append(entries[place - 1])
        found.reverse()
        return found

    def _together(self, key: Key, completing: Entry) -> list[Entry] | None:
        """Give every role an entry of its own, none after the completing one.

        If it can be done at all it can be done with the completing one in its own role.
        """
        options: list[list[Place]] = []
        entries: dict[Place, Entry] = {}
        for role in range(len(self.steps)):
            own: list[Place] = []
            for e in reversed(self.kept.entries(key, role)):
                if e.order > completing.order:
                    continue
                old = ticks.between(e.order[0], completing.order[0]) >= self.within
                if old or len(own) == len(self.steps):
                    break
                own.append(e.order)
                entries[e.order] = e
            if not own:
                return None
            options.append(own)
        found = latest(options)
        return None if found is None else [entries[place] for place in sorted(found)]

    def clear(self) -> None:
        """Forget what waits."""
        self.kept.by_key.clear()
        if self.near is not None:
            self.near.clear()

    def save(self, events: Events, since: float) -> Any:
        """Return JSON values; None: nothing. Nothing from before `since` will be handled."""
        rows = self.kept.save(events, since)
        near = self.near.save(since) if self.near is not None else []
        newest = self.kept.newest if rows else None
        return [newest, rows, near] if rows or near else None

    def restore(self, saved: Any, events: Events) -> None:
        """Go on from what `save` returned."""
        newest, rows, near = saved
        if newest is not None:
            self.kept.newest = newest
        self.kept.restore(rows, events)
        if self.near is not None:
            self.near.restore(near)
