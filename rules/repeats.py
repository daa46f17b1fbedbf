"""What keeps a rule from firing again: its cooldown, and `quiet` while one device storms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from drivers.priorities import Priority
from rules import reasons, ticks
from rules.deadlines import Deadline
from rules.model import Decision, Quiet, Repeated, Rule
from rules.trace import Miss
from rules.trigger_facts import Completion, Context

Kind = Literal["cooldown", "quiet"]
Key = tuple[str, str]
"""Member and, for `quiet`, the device whose storm it is."""


@dataclass(slots=True)
class _Span:
    """A time in which nothing fires. It is over exactly at `end`."""

    began: float
    end: float
    deadline: Deadline | None = None
    """When the repeats are said, once there are any."""


class Repeats:
    """The cooldowns of one rule by member, and its storms by member and device.

    Nothing falls due for what was not repeated. Rules that protect people have neither.
    """

    __slots__ = ("_spans", "context", "cooldown", "quiet", "rule")

    path = "repeats"
    postponed = False

    def __init__(self, rule: Rule, context: Context) -> None:
        careful = rule.priority <= Priority.personal_safety
        self.rule, self.context = rule.id, context
        self.cooldown = 0.0 if careful else rule.cooldown
        self.quiet: Quiet | None = None if careful else rule.quiet
        self._spans: dict[Kind, dict[Key, _Span]] = {"cooldown": {}, "quiet": {}}

    def suppresses(self, done: Completion) -> tuple[Miss, str] | None:
        """Return what keeps a complete trigger from firing, and count it; None: it may fire.

        Every one of its device makes the storm longer, whatever else kept it from firing.
        """
        storm = None
        if self.quiet is not None:
            storm = self._spans["quiet"].get((done.member, done.event.device))
            if storm is not None and done.tick < storm.end:
                until = min(
                    ticks.after(done.tick, self.quiet.gap),
                    ticks.after(storm.began, self.quiet.at_most),
                )
                storm.end = max(storm.end, until)
                if storm.deadline is not None:
                    storm.deadline.info["end"] = storm.end
            else:
                storm = None
        cooling = self._spans["cooldown"].get((done.member, ""))
        if cooling is not None and done.tick < cooling.end:
            self._count("cooldown", (done.member, ""), cooling, done)
            return "cooldown", reasons.cooling(ticks.between(done.tick, cooling.end))
        if storm is not None:
            device = done.event.device
            self._count("quiet", (done.member, device), storm, done)
            return "quiet", reasons.stormy(device, ticks.between(done.tick, storm.end))
        return None

    def _count(self, kind: Kind, key: Key, span: _Span, done: Completion) -> None:
        if span.deadline is None:
            said_of = key[1] if kind == "quiet" else key[0]
            info = {"what": kind, "key": list(key), "count": 0, "end": span.end, "current": True}
            span.deadline = self.context.deadlines.add(
                span.end, self.rule, self, said_of, done.event, info
            )
        span.deadline.info["count"] += 1

    def fired(self, done: Completion) -> None:
        """Begin what follows a firing."""
        if self.cooldown > 0:
            self._begin(
                "cooldown", (done.member, ""), done.tick, ticks.after(done.tick, self.cooldown)
            )
        if self.quiet is not None:
            end = ticks.after(done.tick, min(self.quiet.gap, self.quiet.at_most))
            self._begin("quiet", (done.member, done.event.device), done.tick, end)

    def _begin(self, kind: Kind, key: Key, began: float, end: float) -> None:
        old = self._spans[kind].get(key)
        if old is not None and old.deadline is not None:
            del old.deadline.info["current"]
        self._spans[kind][key] = _Span(began, end)

    def due(self, deadline: Deadline) -> list[Decision]:
        """Say the repeats; a storm that has gone on meanwhile is said when it is over."""
        info = deadline.info
        kind: Kind = info["what"]
        key = (info["key"][0], info["key"][1])
        span = self._spans[kind].get(key) if "current" in info else None
        if info["end"] > deadline.tick:
            again = self.context.deadlines.add(
                info["end"], self.rule, self, deadline.member, deadline.event, info
            )
            if span is not None:
                span.deadline = again
            return []
        if span is not None:
            del self._spans[kind][key]
        said = Repeated(
            rule=self.rule,
            member=deadline.member,
            tick=deadline.tick,
            count=info["count"],
            because=kind,
        )
        return [said]

    # --- saved and restored ----------------------------------------------------------------------

    def adopt(self, deadline: Deadline) -> None:
        """Take back a deadline of an engine that was saved."""
        info = deadline.info
        if "current" in info:
            self._spans[info["what"]][info["key"][0], info["key"][1]].deadline = deadline

    def save(self, since: float) -> list[list[Any]]:
        """Return what can still keep anything from firing whose tick is `since` or later."""
        return list(self._rows(since))

    def _rows(self, since: float) -> Iterator[list[Any]]:
        for kind, spans in self._spans.items():
            for key, span in spans.items():
                if span.deadline is not None or span.end > since:
                    yield [kind, *key, span.began, span.end]

    def restore(self, saved: list[list[Any]]) -> None:
        """Go on from what `save` returned; the deadlines come back by `adopt`."""
        for kind, member, device, began, end in saved:
            of: Kind = kind
            self._spans[of][member, device] = _Span(began, end)
