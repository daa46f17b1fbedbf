"""The switch to another release and the way back, in steps of which each survives a power cut.

A step is done when its name is yielded, and on the disk. Whoever stops after any of them, or in the
middle of one, leaves a box that `recovering` brings to a release that is known to be good.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from edge.upgrade import trial
from edge.upgrade.health import Health, Reason
from edge.upgrade.layout import CURRENT, PREVIOUS, Layout
from edge.upgrade.service import Look, Service, ServiceFailed
from edge.upgrade.trial import DONE, RETURNED, Outcome, Trial

LOOK_EVERY = 0.5
"""Seconds between two looks at a release on trial."""


@dataclass(slots=True, kw_only=True)
class Switch:
    """One upgrade; `outcome` is known when the steps are over."""

    layout: Layout
    service: Service
    trial: Trial
    before: Look | None
    """How the release before stood; None when it did not run."""
    watch: float
    """Seconds of the watch, from when the rules run."""
    why: str = ""
    """Why somebody wants it."""
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    outcome: Outcome | None = None
    _began: float = 0.0
    _downtime: float | None = None

    def steps(self) -> Iterator[str]:
        """Switch, watch, and stay or go back; each item names what has just been done.

        Raises:
            OSError: the folder of the releases can't be written; the switch may be half done.
        """
        layout, plan = self.layout, self.trial
        layout.point(PREVIOUS, plan.from_)
        yield "previous set"
        trial.write(layout, plan)
        yield "trial written"
        layout.point(CURRENT, plan.to)
        yield "switched"
        self._began = self.clock()
        reason = self._restarted(plan.to)
        yield "restarted"
        reason = reason or self._watched()
        if reason is not None:
            yield from self._back(reason.text)
            return
        yield "watched"
        self.outcome = self._outcome(DONE, self.why)
        trial.record(layout, self.outcome)
        yield "recorded"
        trial.end(layout)
        yield "ended"

    def _restarted(self, version: str) -> Reason | None:
        try:
            self.service.restart()
        except ServiceFailed as failed:
            return Reason(text=f"{version} can't be started: {failed}", grave=True)
        return None

    def _watched(self) -> Reason | None:
        """Watch the new release to the end; returns why it can't stay."""
        health = Health(version=self.trial.to, before=self.before, begun=self._began)
        while True:
            look = self.service.look()
            now = self.clock()
            reason = health.see(look, now)
            if reason is not None:
                return reason
            if health.ready_at is not None:
                if self._downtime is None:
                    self._downtime = round(now - self._began, 1)
                if now - health.ready_at >= self.watch and health.settled:
                    return None
            self.wait(LOOK_EVERY)

    def _back(self, reason: str) -> Iterator[str]:
        layout, plan = self.layout, replace(self.trial, reason=reason)
        trial.write(layout, plan)
        yield "reason written"
        layout.point(CURRENT, plan.from_)
        yield "switched back"
        began = self.clock()
        failed = self._restarted(plan.from_)
        yield "restarted back"
        failed = failed or runs(self.service, plan.from_, began, self.clock, self.wait)
        if failed is not None:
            reason = f"{reason}; after that {failed.text}"
        yield "seen running"
        back = round(self.clock() - self._began, 1)
        self.outcome = replace(self._outcome(RETURNED, reason), back=back)
        yield from finish(layout, plan, self.outcome)

    def _outcome(self, word: str, reason: str) -> Outcome:
        plan = self.trial
        return Outcome(
            outcome=word,
            from_=plan.from_,
            to=plan.to,
            began=plan.began,
            ended=trial.now(),
            reason=reason,
            by=plan.by,
            downtime=self._downtime,
        )


def finish(layout: Layout, plan: Trial, outcome: Outcome) -> Iterator[str]:
    """Record that it was gone back from, and end the trial."""
    trial.record(layout, outcome)
    yield "recorded"
    layout.point(PREVIOUS, plan.previous)
    yield "previous restored"
    trial.end(layout)
    yield "ended"


def runs(
    service: Service,
    version: str,
    began: float,
    clock: Callable[[], float],
    wait: Callable[[float], None],
) -> Reason | None:
    """Wait until `version` runs; returns why it does not."""
    health = Health(version=version, before=None, begun=began)
    while True:
        reason = health.see(service.look(), clock())
        if reason is not None or health.ready_at is not None:
            return reason
        wait(LOOK_EVERY)
