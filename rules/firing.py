"""One rule at work: condition, cooldown, orders, leases and escalation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivers.commands import OpenIncident, RecordClip
from drivers.event import Event
from drivers.priorities import Priority
from drivers.settings import Seconds
from rules import reasons
from rules.deadlines import Deadline
from rules.model import Action, Decision, Ended, Fired, NotFired, Order, Repeated, Rule, World
from rules.trigger_facts import BEFORE_EVENTS, Cell, Completion, Context
from rules.triggers import TriggerRun

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


class RuleRun:
    """A rule with everything that it waits for."""

    path = "rule"

    def __init__(self, rule: Rule, world: World, context: Context) -> None:
        self.rule, self.world, self.context = rule, world, context
        careful = rule.priority <= Priority.personal_safety
        self.cooldown = 0.0 if careful else rule.cooldown
        self.incidents = {a.command.name for a in rule.do if isinstance(a.command, OpenIncident)}
        self.triggers = [
            *(
                TriggerRun(t, rule.id, f"until.{n}", self.ends, context)
                for n, t in enumerate(rule.until)
            ),
            *(
                TriggerRun(t, rule.id, f"when.{n}", self.fires, context)
                for n, t in enumerate(rule.when)
            ),
        ]
        for trigger in self.triggers[len(rule.until) :]:
            trigger.tell_near_misses()
        self._cooling: dict[str, Deadline] = {}
        self._leases: dict[LeaseKey, _Lease] = {}
        self._escalations: list[Deadline] = []
        self._untils: dict[str, list[_Until]] = {}
        """Member to the latest that were complete: a firing may fall due before them, and late."""
        self._recording: dict[tuple[str, str], float] = {}
        """Member and recorder to the tick until which it records."""
        self._last: dict[str, tuple[str, float]] = {}
        """Member to event and tick of its last firing: two triggers fire once together."""

    @property
    def cells(self) -> list[Cell]:
        return [cell for trigger in self.triggers for cell in trigger.cells]

    # --- firing ------------------------------------------------------------------------------

    def fires(self, completions: list[Completion], _members: frozenset[str]) -> list[Decision]:
        """Return what follows when triggers of `when` are complete."""
        return [decision for done in completions for decision in self._complete(done)]

    def _complete(self, done: Completion) -> list[Decision]:
        if self._last.get(done.member) == (done.event.id, done.tick):
            return []
        if done.blind:
            return [self._not(done, reasons.blind(done.blind), blind=True)]
        condition = self.rule.condition
        if condition is not None:
            view = self.context.states.at(done.tick)
            answer = condition.evaluate(view, done.event)
            if answer == "unknown" and self.rule.if_unknown == "skip":
                reason = reasons.not_met(condition, view, done.event)
                return [self._not(done, reason, blind=True)]
            if answer == "no":
                return [self._not(done, reasons.not_met(condition, view, done.event))]
        cooling = self._cooling.get(done.member)
        if cooling is not None and done.tick < cooling.tick:
            cooling.info["count"] += 1
            again = self._record_on(done)
            return [
                replace(self._not(done, reasons.cooling(cooling.tick - done.tick)), orders=again)
            ]
        self._last[done.member] = (done.event.id, done.tick)
        if self.cooldown > 0:
            if cooling is not None:
                cooling.info.pop("current", None)
            self._cooling[done.member] = self._add(
                done.tick + self.cooldown, done, {"what": "cooldown", "count": 0}
            )
        for number, step in enumerate(self.rule.escalate, start=1):
            info = {"what": "escalate", "step": number, "began": done.tick}
            self._escalations.append(self._add(done.tick + step.after, done, info))
        return self._fire(self.rule.do, done, step=0, began=done.tick)

    def _add(self, tick: float, done: Completion, info: dict[str, Any]) -> Deadline:
        deadlines = self.context.deadlines
        return deadlines.add(tick, self.rule.id, self, done.member, done.event, info)

    def _not(self, done: Completion, reason: str, *, blind: bool = False) -> NotFired:
        return NotFired(
            rule=self.rule.id,
            member=done.member,
            tick=done.tick,
            event=done.event,
            reason=reason,
            blind=blind,
        )

    def _fire(
        self, actions: tuple[Action, ...], done: Completion, *, step: int, began: float
    ) -> list[Decision]:
        orders: list[Order] = []
        ended: list[Decision] = []
        for action in actions:
            for device in self._devices(action, done.event):
                order = self._order(action, device, done)
                orders.append(order)
                if order.holds:
                    ended += self._hold(order, action, done)
                elif isinstance(order.command, RecordClip):
                    self._recording[done.member, device] = done.tick + order.command.duration
        fired = Fired(
            rule=self.rule.id,
            member=done.member,
            tick=done.tick,
            event=done.event,
            orders=tuple(orders),
            late=done.late,
            shadow=self.shadow,
            step=step,
            began=began,
        )
        return [*ended, fired]

    @property
    def shadow(self) -> bool:
        return self.rule.enabled == "shadow"

    def _devices(self, action: Action, event: Event) -> tuple[str, ...]:
        if action.near is None:
            return action.devices
        words = self.world.devices.get(event.device)
        return words.near.get(action.near, ()) if words else ()

    def _order(self, action: Action, device: str, done: Completion) -> Order:
        command, lasts = action.command, action.lasts
        if isinstance(command, RecordClip) and lasts is not None:
            command, lasts = replace(command, duration=Seconds(lasts)), None
        holds = command.holds == "yes" or (command.holds == "with_for" and lasts is not None)
        limit = self._limit(device, command.kind) if holds else None
        if limit is not None:
            lasts = limit if lasts is None else min(lasts, limit)
        return Order(
            device=device,
            command=command,
            priority=self.rule.priority,
            rule=self.rule.id,
            member=done.member,
            lasts=lasts if holds else None,
            holds=holds,
            cause=done.event.id,
            shadow=self.shadow,
        )

    def _limit(self, device: str, command: str) -> float | None:
        words = self.world.devices.get(device)
        return words.limits.get(command) if words else None

    # --- leases ------------------------------------------------------------------------------

    def _hold(self, order: Order, action: Action, done: Completion) -> list[Decision]:
        """Take or renew a lease; say the end of an old one that had come before."""
        key = (done.member, order.device, order.command.kind)
        ended = self._over_before(key, done.order)
        old = self._leases.pop(key, None)
        if old is not None and old.deadline is not None:
            self.context.deadlines.cancel(old.deadline)
        due, number, because = None, 2 * BEFORE_EVENTS, "for"
        if order.lasts is not None:
            due = done.tick + order.lasts
            because = "for" if order.lasts == action.lasts else "limit"
        until = action.lasts is None and bool(self.rule.until)
        came = self._came_already(done) if until else None
        if came is not None and (due is None or came[0] < due):
            due, number, because = *came, "until"
        deadline = None
        if due is not None:
            info = {
                "what": "lease",
                "device": order.device,
                "command": order.command.kind,
                "because": because,
                "number": number,
            }
            deadline = self._add(due, done, info)
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
            shadow=self.shadow,
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

    # --- what falls due ------------------------------------------------------------------------

    def due(self, deadline: Deadline) -> list[Decision]:
        """Return what follows when a cooldown, a lease or a wait to escalate is over."""
        info, member = deadline.info, deadline.member
        if info["what"] == "cooldown":
            if self._cooling.get(member) is deadline:
                del self._cooling[member]
            if not info["count"]:
                return []
            count = info["count"]
            return [Repeated(rule=self.rule.id, member=member, tick=deadline.tick, count=count)]
        if info["what"] == "lease":
            key = (member, info["device"], info["command"])
            del self._leases[key]
            return [self._ended(key, deadline.tick, info["because"])]
        self._escalations.remove(deadline)
        if deadline.event is None:
            return []
        done = Completion(
            deadline.tick, BEFORE_EVENTS, deadline.event, member, bool(info.get("late"))
        )
        step = info["step"]
        do = self.rule.escalate[step - 1].do
        return self._fire(do, done, step=step, began=info["began"])

    def postpones(self, deadline: Deadline) -> bool:
        """Return whether what fell due while down is done at the restart, as if it were due then.

        Leases and cooldowns are over when they are over.
        """
        over = deadline.owner is self and deadline.info["what"] in ("lease", "cooldown")
        return self.rule.after_restart == "late" and not over

    def acknowledged(self, tick: float) -> None:
        """Stop escalating what fired up to `tick`, unless it was due already."""
        for waiting in list(self._escalations):
            if waiting.info["began"] <= tick < waiting.tick:
                self.context.deadlines.cancel(waiting)
                self._escalations.remove(waiting)

    def _record_on(self, done: Completion) -> tuple[Order, ...]:
        """Return orders that make running recordings longer."""
        found = []
        for action in self.rule.do:
            if not isinstance(action.command, RecordClip):
                continue
            for device in self._devices(action, done.event):
                if done.tick < self._recording.get((done.member, device), done.tick):
                    order = self._order(action, device, done)
                    seconds = getattr(order.command, "duration", 0.0)
                    self._recording[done.member, device] = done.tick + seconds
                    found.append(order)
        return tuple(found)

    # --- saved and restored ----------------------------------------------------------------------

    def adopt(self, deadline: Deadline) -> None:
        what, member = deadline.info["what"], deadline.member
        if what == "cooldown" and deadline.info.pop("current", False):
            self._cooling[member] = deadline
        elif what == "lease":
            key = (member, deadline.info["device"], deadline.info["command"])
            self._leases[key].deadline = deadline
        elif what == "escalate":
            self._escalations.append(deadline)

    def save(self) -> dict[str, Any]:
        """Return everything but the deadlines as JSON values."""
        for cooling in self._cooling.values():
            cooling.info["current"] = True
        return {
            "hash": self.rule.hash,
            "triggers": {t.path: t.save() for t in self.triggers},
            "leases": [[*k, list(lease.start), lease.until] for k, lease in self._leases.items()],
            "untils": [
                [*u.order, u.member, sorted(u.members)] for us in self._untils.values() for u in us
            ],
            "recording": [[*key, until] for key, until in self._recording.items()],
            "last": [[member, *last] for member, last in self._last.items()],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned."""
        for trigger in self.triggers:
            trigger.restore(saved["triggers"][trigger.path])
        for member, device, command, start, until in saved["leases"]:
            self._leases[member, device, command] = _Lease((start[0], start[1]), until, None)
        for tick, number, member, members in saved["untils"]:
            until = _Until((tick, number), member, frozenset(members))
            self._untils.setdefault(member, []).append(until)
        self._recording = {(m, device): until for m, device, until in saved["recording"]}
        self._last = {member: (event, tick) for member, event, tick in saved["last"]}
