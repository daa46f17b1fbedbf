"""Times that can't be right: shorter than a poll, than a device's own pace, or than people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drivers.commands import RecordClip
from rules.lint_ground import completing, facts
from rules.model import Action, Count, Fact, Rule, Sequence, Trigger, World
from rules.problems import Problems

SOONEST_ANSWER = 5.0
"""Seconds in which nobody can acknowledge an incident."""
A_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paces:
    """What devices.yaml says of devices beyond what rules may say of them."""

    apart: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(device, signal) to the seconds that lie at least between two of them."""
    ring: Mapping[str, float] = field(default_factory=dict)
    """Recorder to the seconds of video that it keeps."""
    per_hour: Mapping[str, float] = field(default_factory=dict)
    """Output to the seconds that it may be on within any hour."""


def windows(rules: Iterable[Rule], world: World, paces: Paces, problems: Problems) -> None:
    """Say each time that keeps a rule from doing what it says."""
    for rule in rules:
        looking = _Looking(world, paces, problems)
        for trigger in (*rule.when, *rule.until):
            looking.trigger(trigger)
        for action in (*rule.do, *(a for step in rule.escalate for a in step.do)):
            looking.action(action, rule)
        looking.rule(rule)


def shown(seconds: float) -> str:
    """Return a time as rules write it."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:g}ms"


class _Looking:
    def __init__(self, world: World, paces: Paces, problems: Problems) -> None:
        self._world, self._paces, self._problems = world, paces, problems

    def trigger(self, trigger: Trigger) -> None:
        for fact in facts(trigger):
            if fact.hold is not None:
                self._shorter(trigger, "for", fact.hold, (fact,))
        if isinstance(trigger, Fact):
            return
        self._shorter(trigger, "within", trigger.within, facts(trigger))
        if isinstance(trigger, Count):
            self._never_so_many(trigger)
        elif isinstance(trigger, Sequence):
            self._never_so_soon(trigger)

    def _slowest(self, some: Iterable[Fact]) -> tuple[float, str]:
        """Return the longest poll among the devices of facts, and whose it is."""
        polls = [
            (poll, member)
            for fact in some
            for member in fact.members
            if (poll := self._world.devices[member].poll) is not None
        ]
        return max(polls, default=(0.0, ""))

    def _shorter(self, at: Trigger, key: str, seconds: float, some: tuple[Fact, ...]) -> None:
        poll, device = self._slowest(some)
        if seconds < poll:
            message = f"{key}: {shown(seconds)} is shorter than a poll of {device}"
            hint = f"it is looked at every {shown(poll)}: write more, or poll its module faster"
            mark = some[0].mark if key == "for" else at.mark
            self._problems.warning(mark, message, hint)

    def _never_so_many(self, trigger: Count) -> None:
        """Say a count that the devices' own pace keeps from being reached."""
        said = {(m, f.signal) for f in trigger.of for m in f.members if f.signal}
        apart = {pair: self._paces.apart.get((pair[0], pair[1] or ""), 0.0) for pair in said}
        if not said or not all(apart.values()) or any(f.state for f in trigger.of):
            return
        most = [math.ceil(trigger.within / seconds) for seconds in apart.values()]
        if (max(most) if trigger.by == "device" else sum(most)) < trigger.count:
            device, signal = min((d, s) for d, s in said if s)
            seconds = apart[device, signal]
            message = f"there are never {trigger.count} within {shown(trigger.within)}"
            hint = f"{device} says {signal} every {shown(seconds)} at most (merge:, debounce:)"
            self._problems.error(trigger.mark, message, hint)

    def _never_so_soon(self, trigger: Sequence) -> None:
        """Say a window that ends before one device can say the same thing again."""
        steps = [step[0] for step in trigger.facts if len(step) == 1]
        for index, fact in enumerate(steps):
            again = [f for f in steps[index + 1 :] if _same(f, fact)]
            seconds = self._paces.apart.get((fact.members[0], fact.signal or ""), 0.0)
            if again and trigger.within <= seconds * len(again):
                message = f"this never comes within {shown(trigger.within)}"
                who = f"{fact.members[0]} says {fact.signal}"
                hint = f"{who} every {shown(seconds)} at most (merge:, debounce:)"
                self._problems.error(trigger.mark, message, hint)
                return

    def action(self, action: Action, rule: Rule) -> None:
        command, lasts = action.command, action.lasts
        near = (
            device
            for trigger in rule.when
            for fact in completing(trigger)
            for member in fact.members
            for device in self._world.devices[member].near.get(action.near or "", ())
        )
        for device in dict.fromkeys((*action.devices, *near)):
            ring = self._paces.ring.get(device, math.inf)
            if isinstance(command, RecordClip) and command.before > ring:
                message = f"{device} keeps {shown(ring)} of video, not {shown(command.before)}"
                hint = f"write before: {shown(ring)} or less, or ring: in devices.yaml"
                self._problems.error(action.mark, message, hint)
            limit = self._paces.per_hour.get(device, math.inf)
            if lasts is not None and lasts > limit and command.holds == "yes":
                message = f"{device} may be on for {shown(limit)} in an hour, not {shown(lasts)}"
                hint = "max_per_hour: ends it before"
                self._problems.warning(action.mark, message, hint)

    def rule(self, rule: Rule) -> None:
        poll, device = self._slowest(f for trigger in rule.when for f in completing(trigger))
        calm = {"cooldown": rule.cooldown, "quiet": rule.quiet.gap if rule.quiet else 0.0}
        for key, seconds in calm.items():
            if 0 < seconds < poll:
                message = f"{key}: {shown(seconds)} is shorter than a poll of {device}"
                self._problems.warning(rule.mark, message, f"it is looked at every {shown(poll)}")
        if rule.quiet and rule.quiet.at_most < rule.cooldown:
            message = f"cooldown: {shown(rule.cooldown)} outlasts at_most: of quiet:"
            hint = f"what is to fire again after {shown(rule.quiet.at_most)} still waits for it"
            self._problems.warning(rule.mark, message, hint)
        if rule.escalate and rule.escalate[0].after < SOONEST_ANSWER:
            after = shown(rule.escalate[0].after)
            hint = "escalate: is for what nobody answered; put it into do: to have it at once"
            self._problems.warning(
                rule.escalate[0].do[0].mark, f"nobody can acknowledge within {after}", hint
            )
        daily = rule.when and all(isinstance(t, Fact) and t.signal == "daily" for t in rule.when)
        if daily and rule.cooldown > A_DAY:
            message = f"cooldown: {shown(rule.cooldown)} swallows what comes each day"
            self._problems.warning(rule.mark, message, "leave it out, or name the days: days: mon")


def _same(one: Fact, other: Fact) -> bool:
    """Return whether two facts are the same signal of the same one device."""
    single = len(one.members) == 1 and one.members == other.members
    return single and one.signal is not None and one.signal == other.signal
