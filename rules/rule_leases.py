"""What one rule holds: its leases, and what ends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rules import ticks
from rules.deadlines import Deadline
from rules.model import Action, Decision, Ended, Order, Rule
from rules.trigger_facts import BEFORE_EVENTS, Completion, Context

LeaseKey = tuple[str, str, str]
"""Member, device, command."""
UNTILS_KEPT = 8


@dataclass(slots=True)
class _Lease:
    start: tuple[float, int]
    """Tick and number of the firing."""
    until: bool
    """Whether `until:` ends it."""
    deadline: Deadline | None
    """Its own end; None: nothing but `until:` ends it."""


@dataclass(frozen=True, slots=True)
class _Until:
    """A trigger of `until` that was complete."""

    order: tuple[float, int]
    member: str
    members: frozenset[str]
    """The devices for which it runs each for itself."""

    def means(self, member: str) -> bool:
        """Return whether it ends the lease of `member`."""
        return self.member in ("", member) or member not in self.members


class RuleLeases:
    """The leases of one rule. A firing renews the lease of its member, device and command."""

    __slots__ = ("_leases", "_untils", "context", "rule")

    path = "leases"
    postponed = False

    def __init__(self, rule: Rule, context: Context) -> None:
        self.rule, self.context = rule, context
        self._leases: dict[LeaseKey, _Lease] = {}
        self._untils: dict[str, list[_Until]] = {}
        """Member to the latest that were complete: a firing may fall due before them, and late."""

    def take(self, order: Order, action: Action, done: Completion) -> list[Decision]:
        """Take or renew a lease; say the end of an old one that had come before."""
        key = (done.member, order.device, order.command.kind)
        ended = self._over_before(key, done.order)
        old = self._leases.pop(key, None)
        if old is not None and old.deadline is not None:
            self.context.deadlines.cancel(old.deadline)
        due, number, because = None, 2 * BEFORE_EVENTS, "for"
        if order.lasts is not None:
            due = ticks.after(done.tick, order.lasts)
            because = "for" if order.lasts == action.lasts else "limit"
        until = action.lasts is None and bool(self.rule.until)
        came = self._came_already(done) if until else None
        if came is not None and (due is None or came[0] < due):
            due, number, because = *came, "until"
        deadline = None
        if due is not None:
            info = {
                "device": order.device,
                "command": order.command.kind,
                "because": because,
                "number": number,
            }
            deadline = self.context.deadlines.add(
                due, self.rule.id, self, done.member, done.event, info
            )
        self._leases[key] = _Lease(done.order, until, deadline)
        return ended

    def _came_already(self, done: Completion) -> tuple[float, int] | None:
        """Return where `until` was complete first after a firing that fell due late."""
        came = [
            until.order
            for some in self._untils.values()
            for until in some
            if until.order > done.order and until.means(done.member)
        ]
        return min(came, default=None)

    def _over_before(self, key: LeaseKey, order: tuple[float, int]) -> list[Decision]:
        """End a lease whose own end had come before `order`, at that end."""
        lease = self._leases.get(key)
        if lease is None or lease.deadline is None:
            return []
        deadline = lease.deadline
        if (deadline.tick, deadline.info["number"]) > order:
            return []
        self.context.deadlines.cancel(deadline)
        del self._leases[key]
        return [self._ended(key, deadline.tick, deadline.info["because"])]

    def _ended(self, key: LeaseKey, tick: float, because: Any) -> Ended:
        member, device, command = key
        return Ended(
            rule=self.rule.id,
            member=member,
            device=device,
            command=command,
            tick=tick,
            because=because,
            shadow=self.rule.enabled == "shadow",
        )

    def ends(self, completions: list[Completion], members: frozenset[str]) -> list[Decision]:
        """Return what follows when triggers of `until` are complete.

        `members` are the devices for which the trigger runs each for itself.
        """
        found: list[Decision] = []
        for done in completions:
            if done.blind:
                continue
            until = _Until(done.order, done.member, members)
            latest = self._untils.setdefault(done.member, [])
            latest.append(until)
            del latest[:-UNTILS_KEPT]
            for key in list(self._leases):
                found += self._end_by(key, until)
        return found

    def _end_by(self, key: LeaseKey, until: _Until) -> list[Decision]:
        lease = self._leases[key]
        if not (lease.until and until.order > lease.start and until.means(key[0])):
            return []
        if over := self._over_before(key, until.order):
            return over
        del self._leases[key]
        if lease.deadline is not None:
            self.context.deadlines.cancel(lease.deadline)
        return [self._ended(key, until.order[0], "until")]

    def holds(self, key: LeaseKey) -> bool:
        """Return whether this lease is live."""
        return key in self._leases

    def ends_it(self, key: LeaseKey) -> bool:
        """Return whether this lease is live, and a time or `until:` will end it."""
        lease = self._leases.get(key)
        return lease is not None and (lease.until or lease.deadline is not None)

    def give_up(self, tick: float) -> list[Decision]:
        """End every lease at `tick`: the rule is gone, or it did not outlive a restart."""
        found: list[Decision] = []
        for key in list(self._leases):
            over = self._over_before(key, (tick, 0))
            if not over:
                lease = self._leases.pop(key)
                if lease.deadline is not None:
                    self.context.deadlines.cancel(lease.deadline)
                over = [self._ended(key, tick, "gone")]
            found += over
        return found

    def due(self, deadline: Deadline) -> list[Decision]:
        """Return the end of a lease whose time is over."""
        key = (deadline.member, deadline.info["device"], deadline.info["command"])
        del self._leases[key]
        return [self._ended(key, deadline.tick, deadline.info["because"])]

    # --- saved and restored ----------------------------------------------------------------------

    def adopt(self, deadline: Deadline) -> None:
        """Take back a deadline of an engine that was saved."""
        key = (deadline.member, deadline.info["device"], deadline.info["command"])
        self._leases[key].deadline = deadline

    def save(self) -> list[list[Any]]:
        """Return the leases as JSON values."""
        return [[*k, list(lease.start), lease.until] for k, lease in self._leases.items()]

    def save_untils(self, since: float) -> list[list[Any]]:
        """Return what ended leases, where a firing may still fall due before it."""
        return [
            [*u.order, u.member, sorted(u.members)]
            for us in self._untils.values()
            for u in us
            if u.order[0] > since
        ]

    def restore(self, leases: list[list[Any]], untils: list[list[Any]]) -> None:
        """Go on from what `save` and `save_untils` returned."""
        for member, device, command, start, until in leases:
            self._leases[member, device, command] = _Lease((start[0], start[1]), until, None)
        for tick, number, member, members in untils:
            one = _Until((tick, number), member, frozenset(members))
            self._untils.setdefault(member, []).append(one)


def restored_leases(saved: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return member, device and command of every lease in what a rule saved."""
    return [(member, device, command) for member, device, command, *_ in saved.get("leases", ())]
