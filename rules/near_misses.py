"""Windows that were nearly complete: said once, when they are over.

A sequence or together of three facts and more is near with half of them, two at least; a count
with half of its number, two at least. Where two would have been enough it is near when the second
came too late, by a quarter of the window at most, or first (a sequence only). What a firing or a
near miss has told counts for no other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import permutations
from typing import TYPE_CHECKING, Any

from drivers.event import Event
from rules import reasons, ticks
from rules.deadlines import Deadline
from rules.model import Count, Decision, NotFired
from rules.trace import Miss, Why
from rules.trigger_facts import Completion

if TYPE_CHECKING:
    from rules.trigger_windows import Entry, Key, WindowMachine

Order = tuple[float, int]
TOO_LATE = 1.25
"""Windows after which the second of two facts is no near miss any more."""
WAITING_AT_MOST = 100
"""Windows of one trigger that wait to be said."""
KEYS_KEPT = 200
MOST_TRIED = 5
"""Facts of a together that are tried in every order; of more the first free one counts."""
LONG_AGO: Order = (float("-inf"), 0)
BEFORE_ALL = -(2**62)
"""The number of what comes before anything else of its tick."""


class NearMisses:
    """The near misses of one trigger. One window at a time waits for each key."""

    postponed = False

    def __init__(self, machine: WindowMachine, number: int) -> None:
        self.machine, self.number = machine, number
        self.path = f"{machine.path}.near"
        trigger = machine.trigger
        self.wanted = trigger.count if isinstance(trigger, Count) else len(trigger.facts)
        self.least = max(2, (self.wanted + 1) // 2)
        self.miss: Miss = "count" if isinstance(trigger, Count) else "sequence"
        self.word = "sequence" if machine.ordered else "together"
        self._told: dict[Key, Order] = {}
        """Up to where everything was told, by key."""
        self._waits: dict[Key, Deadline] = {}

    # --- looking ---------------------------------------------------------------------------------

    def look(self, key: Key, entry: Entry, roles: list[int], done: list[Completion]) -> None:
        """Take note of an entry in `roles`, and of what it completed."""
        wait = self._waits.get(key)
        if wait is not None and self._end(wait) <= entry.order[0]:
            # It is over, and is said when its deadline runs, late.
            self._tell(key, (self._end(wait), BEFORE_ALL))
            del self._waits[key]
            wait = None
        if done:
            self._tell(key, max(d.order for d in done))
            if wait is not None:
                del self._waits[key]
                self.machine.context.deadlines.cancel(wait)
            return
        told = self._told.get(key, LONG_AGO)
        if self.wanted == 2:
            self._look_at_two(key, entry, roles, told)
            return
        found = self._window_to(key, entry, roles, told)
        if found is not None and self.least <= found[1] < self.wanted:
            self._wait(key, found[0], found[1])

    def _window_to(
        self, key: Key, entry: Entry, roles: list[int], told: Order
    ) -> tuple[Entry, int] | None:
        """Return where the window that ends with `entry` begins, and how much is in it."""
        machine = self.machine
        oldest = ticks.before(entry.order[0], machine.within)
        if isinstance(machine.trigger, Count):
            entries = machine.kept.entries(key, 0)
            end = bisect_left(entries, entry.order, key=_order) + 1
            some = [e for e in entries[:end] if e.order[0] > oldest and e.order > told]
            return (some[0], len(some)) if some else None
        if machine.ordered:
            role = max(roles)
            chain = machine.chain(key, entry, role)
            if chain is None or chain[0].order[0] <= oldest or chain[0].order <= told:
                return None
            return chain[0], role + 1
        near = self._together(key, lambda e: e.order[0] > oldest and told < e.order <= entry.order)
        some = [e for e in near if e is not None]
        return (min(some, key=_order), len(some)) if some else None

    def _together(self, key: Key, counts: Callable[[Entry], bool]) -> list[Entry | None]:
        """Return an entry for as many roles as can have one of their own, the latest ones."""
        kept, roles = self.machine.kept, range(self.wanted)
        best: list[Entry | None] = [None] * self.wanted
        some = [[e for e in reversed(kept.entries(key, r)) if counts(e)] for r in roles]
        for order in permutations(roles) if self.wanted <= MOST_TRIED else (tuple(roles),):
            taken: list[Entry | None] = [None] * self.wanted
            places: set[Order] = set()
            for role in order:
                free = next((e for e in some[role] if e.order not in places), None)
                if free is not None:
                    taken[role] = free
                    places.add(free.order)
            if len(places) > sum(e is not None for e in best):
                best = taken
        return best

    def _look_at_two(self, key: Key, entry: Entry, roles: list[int], told: Order) -> None:
        """Notice the second of two facts that came too late, or first."""
        machine, count = self.machine, self.miss == "count"
        for role in roles:
            other = role if count else 1 - role
            before = self._latest(key, other, entry, told)
            if before is None:
                continue
            after = ticks.between(before.order[0], entry.order[0])
            if machine.ordered and not count and role == 0:
                if after < machine.within:
                    self._wait(key, entry, 1, before)
            elif machine.within <= after <= TOO_LATE * machine.within:
                what = reasons.facts(machine.steps[role])
                word = "count" if count else self.word
                reason = reasons.too_late(word, what, after, machine.within)
                progress = machine.within / after
                said = self._say(key, entry.order[0], progress, reason, [before, entry])
                machine.context.missed.append(said)
                self._tell(key, entry.order if not count else before.order)
                return

    def _latest(self, key: Key, role: int, entry: Entry, told: Order) -> Entry | None:
        """Return the latest entry in `role` before `entry` that was not told yet."""
        entries = self.machine.kept.entries(key, role)
        place = bisect_left(entries, entry.order, key=_order)
        return entries[place - 1] if place and entries[place - 1].order > told else None

    # --- waiting ---------------------------------------------------------------------------------

    def _tell(self, key: Key, order: Order) -> None:
        self._told[key] = max(order, self._told.pop(key, LONG_AGO))
        while len(self._told) > KEYS_KEPT:
            del self._told[next(iter(self._told))]

    def _wait(self, key: Key, start: Entry, reached: int, before: Entry | None = None) -> None:
        """Wait for the window to be over; of two at once the one that came further counts."""
        wait = self._waits.get(key)
        info = {"key": key, "start": list(start.order), "reached": reached}
        if wait is not None and start.order[0] < self._end(wait):
            if reached > wait.info["reached"]:
                wait.info.update(info)
            return
        if len(self._waits) < WAITING_AT_MOST:
            machine, end = self.machine, ticks.after(start.order[0], self.machine.within)
            self._waits[key] = machine.context.deadlines.add(
                end,
                machine.rule,
                self,
                "",
                start.occurrence.event,
                info,
                None if before is None else Why(facts=(before.occurrence.event,)),
            )

    def _end(self, wait: Deadline) -> float:
        start: float = wait.info["start"][0]
        return ticks.after(start, self.machine.within)

    def due(self, deadline: Deadline) -> list[Decision]:
        """Say that a window is over that was nearly complete."""
        info, end, machine = deadline.info, self._end(deadline), self.machine
        key: Key = info["key"]
        current = self._waits.get(key) is deadline
        if end > deadline.tick:
            again = machine.context.deadlines.add(
                end, machine.rule, self, "", deadline.event, info, deadline.why
            )
            if current:
                self._waits[key] = again
            return []
        if current:
            del self._waits[key]
        start: Order = (info["start"][0], info["start"][1])
        facts, reason = self._over(key, start, end)
        self._tell(key, (end, BEFORE_ALL))
        if not reason:
            return []
        progress = 0.5 if self.wanted == 2 else len(facts) / self.wanted
        before = deadline.why.facts if deadline.why is not None else ()
        return [self._say(key, end, progress, reason, facts, before)]

    def _over(self, key: Key, start: Order, end: float) -> tuple[list[Entry], str]:
        """Return what is in the window, in order, and what to say; nothing: it was complete."""
        machine, kept = self.machine, self.machine.kept
        within = machine.within

        def inside(e: Entry) -> bool:
            return start <= e.order and e.order[0] < end

        if isinstance(machine.trigger, Count):
            some = [e for e in kept.entries(key, 0) if inside(e)]
            enough = self.least <= len(some) < self.wanted
            return some, reasons.too_few(len(some), self.wanted, within) if enough else ""
        if machine.ordered:
            found = self._forward(key, inside)
            if self.wanted == 2:
                first, second = (reasons.facts(step) for step in machine.steps)
                return found, reasons.wrong_order(first, second, within) if len(found) == 1 else ""
            missing = [len(found)] if len(found) < self.wanted else []
        else:
            roles = self._together(key, inside)
            found = sorted((e for e in roles if e is not None), key=_order)
            missing = [role for role, e in enumerate(roles) if e is None]
        if not missing or len(found) < self.least:
            return [], ""
        what = ", ".join(reasons.facts(machine.steps[role]) for role in missing)
        return found, reasons.incomplete(self.word, len(found), self.wanted, within, what)

    def _forward(self, key: Key, inside: Callable[[Entry], bool]) -> list[Entry]:
        """Return the longest beginning of a sequence: always the earliest next fact."""
        found: list[Entry] = []
        for role in range(self.wanted):
            last = found[-1].order if found else LONG_AGO
            some = (e for e in self.machine.kept.entries(key, role) if inside(e) and e.order > last)
            step = next(some, None)
            if step is None:
                break
            found.append(step)
        return found

    def _say(
        self,
        key: Key,
        tick: float,
        progress: float,
        reason: str,
        facts: list[Entry],
        before: tuple[Event, ...] = (),
    ) -> NotFired:
        machine = self.machine
        last = facts[-1].occurrence
        events = (*before, *(e.occurrence.event for e in facts[-16:]))
        return NotFired(
            rule=machine.rule,
            member=last.member or machine.member(key),
            tick=tick,
            event=last.event,
            reason=reason,
            miss=self.miss,
            progress=progress,
            why=Why(trigger=self.number, facts=events, wanted=machine.within),
        )

    # --- saved and restored ----------------------------------------------------------------------

    def adopt(self, deadline: Deadline) -> None:
        """Take back a deadline of an engine that was saved."""
        self._waits[deadline.info["key"]] = deadline

    def clear(self) -> None:
        """Forget what waits."""
        for wait in self._waits.values():
            self.machine.context.deadlines.cancel(wait)
        self._waits.clear()
        self._told.clear()

    def save(self, since: float) -> list[list[Any]]:
        """Return up to where everything was told."""
        oldest = since - 2 * self.machine.within
        return [[key, *order] for key, order in self._told.items() if order[0] > oldest]

    def restore(self, saved: list[list[Any]]) -> None:
        """Go on from what `save` returned; the deadlines come back by `adopt`."""
        self._told = {key: (tick, number) for key, tick, number in saved}


def _order(entry: Entry) -> Order:
    return entry.order
