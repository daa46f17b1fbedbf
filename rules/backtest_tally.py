"""Counting what two sides of a backtest do, and finding the alarms that only one of them has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import merge
from typing import Literal
from zoneinfo import ZoneInfo

from drivers.commands import OpenIncident, RecordClip, Sound
from rules.backtest_ledger import ANY
from rules.backtest_report import Alarm, Change, Figures, Line, Report
from rules.model import Fired, Order

Which = Literal["before", "after"]
EXAMPLES = 50
"""Lost and gained alarms that are kept of each rule; all are counted."""
WAITING = 50_000
"""Alarms of one side at most that wait for the same one of the other; the oldest is given up."""
_DAY = timedelta(days=1)
_CHANGES: dict[Which, Change] = {"before": "lost", "after": "gained"}
_Key = tuple[str, str, str]


class Counting:
    """Counts both sides into one report."""

    def __init__(
        self,
        report: Report,
        active: dict[Which, frozenset[str]],
        *,
        since: datetime | None = None,
        only: str | None = None,
    ) -> None:
        self.report, self._active, self.since, self.only = report, active, since, only
        self._zone = ZoneInfo(report.zone)
        self._waiting: dict[Which, dict[_Key, list[Alarm]]] = {"before": {}, "after": {}}
        self._examples: dict[tuple[Change, str], list[Alarm]] = {}

    def side(self, which: Which) -> OneSide:
        """Return what one side tells."""
        return OneSide(self, which)

    def counts(self, rule: str, at: datetime) -> bool:
        """Return whether what a rule did then is counted."""
        return self.only in (None, rule) and (self.since is None or at >= self.since)

    def lines(self, rule: str, device: str, at: datetime) -> tuple[Line, Line, Line, Line]:
        """Return every line that something of a rule, on a device, at a time counts in."""
        report, day = self.report, self.day(at)
        return (
            report.total,
            report.rules.setdefault(rule, Line()),
            report.days.setdefault(day, Line()),
            report.devices.setdefault(device, Line()),
        )

    def day(self, at: datetime) -> str:
        """Return the local date."""
        return at.astimezone(self._zone).date().isoformat()

    def days(self, at: datetime, seconds: float) -> Iterator[tuple[str, float]]:
        """Yield the local dates that a span touches, each with its seconds."""
        local = at.astimezone(self._zone)
        while seconds > 0:
            day = local.date()
            midnight = datetime.combine(day + _DAY, datetime.min.time(), self._zone)
            left = (midnight - local.astimezone(midnight.tzinfo)).total_seconds()
            here = seconds if left <= 0 else min(seconds, left)
            yield day.isoformat(), here
            seconds -= here
            local = midnight

    def alarm(self, which: Which, alarm: Alarm) -> None:
        """Take an alarm of one side: it goes with the same one of the other, sooner or later."""
        other: Which = "after" if which == "before" else "before"
        if alarm.rule not in self._active[other]:
            self._only(alarm)
            return
        key = (alarm.rule, alarm.member, alarm.cause)
        partners = self._waiting[other].get(key)
        if partners:
            partners.pop(0)
            if not partners:
                del self._waiting[other][key]
            return
        waiting = self._waiting[which]
        waiting.setdefault(key, []).append(alarm)
        if len(waiting) > WAITING:
            for old in waiting.pop(next(iter(waiting))):
                self._only(old)

    def finish(self) -> None:
        """Nothing more comes: who still waits is alone."""
        for waiting in self._waiting.values():
            for alarms in waiting.values():
                for alarm in alarms:
                    self._only(alarm)
            waiting.clear()
        kept = (sorted(some, key=_when) for some in self._examples.values())
        self.report.examples = list(merge(*kept, key=_when))

    def _only(self, alarm: Alarm) -> None:
        for line in self.lines(alarm.rule, alarm.device, alarm.at):
            if alarm.change == "lost":
                line.lost += 1
            else:
                line.gained += 1
        some = self._examples.setdefault((alarm.change, alarm.rule), [])
        if len(some) < EXAMPLES:
            some.append(alarm)


class OneSide:
    """What one rule set does, counted."""

    def __init__(self, counting: Counting, which: Which) -> None:
        self._counting, self._which = counting, which

    def _figures(self, line: Line) -> Figures:
        return line.before if self._which == "before" else line.after

    def fired(self, fired: Fired, at: datetime) -> None:
        """Count a firing."""
        if fired.step or not self._counting.counts(fired.rule, at):
            return
        event = fired.event
        for line in self._counting.lines(fired.rule, event.device, at):
            figures = self._figures(line)
            figures.alarms += 1
            figures.shadow += fired.shadow
        alarm = Alarm(
            change=_CHANGES[self._which],
            rule=fired.rule,
            member=fired.member,
            device=event.device,
            signal=event.kind,
            cause=event.id,
            at=at,
            shadow=fired.shadow,
        )
        self._counting.alarm(self._which, alarm)

    def ordered(self, order: Order, device: str, at: datetime) -> None:
        """Count an order on a device; sirens are counted by their seconds."""
        command = order.command
        if not self._counting.counts(order.rule, at):
            return
        for line in self._counting.lines(order.rule, device, at):
            figures = self._figures(line)
            if isinstance(command, RecordClip):
                figures.clips += 1
            elif isinstance(command, OpenIncident):
                figures.incidents += 1
            elif not isinstance(command, Sound):
                figures.orders[command.kind] += 1

    def sounded(self, device: str, rule: str, began: datetime, seconds: float) -> None:
        """Count for how long a rule, or any of them, sounded an output."""
        report, only = self._counting.report, self._counting.only
        early = self._counting.since
        if early is not None and began < early:
            seconds -= (early - began).total_seconds()
            began = early
        if seconds <= 0:
            return
        if rule != ANY and only in (None, rule):
            line = report.rules.setdefault(rule, Line())
            self._figures(line).siren_seconds += seconds
        if rule != (only or ANY):
            return
        for line in (report.total, report.devices.setdefault(device, Line())):
            self._figures(line).siren_seconds += seconds
        for day, here in self._counting.days(began, seconds):
            self._figures(report.days.setdefault(day, Line())).siren_seconds += here


def _when(alarm: Alarm) -> tuple[datetime, str]:
    return (alarm.at, alarm.rule)
