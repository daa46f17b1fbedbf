"""Bring a box whose upgrade was cut off back to a release that is known to be good."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.upgrade import trial
from edge.upgrade.layout import CURRENT, PREVIOUS, Layout
from edge.upgrade.service import Service, ServiceFailed, last_line
from edge.upgrade.switching import finish, runs
from edge.upgrade.trial import DONE, RETURNED, Outcome, Trial

CUT = "the upgrade was cut off"


@dataclass(slots=True, kw_only=True)
class Recovery:
    """What becomes of an upgrade that nobody is at work on any more."""

    layout: Layout
    service: Service
    boot: str
    """The kernel's boot id now."""
    sees: bool = True
    """Whether it waits until what it started anew runs; the unit at boot comes before that."""
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    outcome: Outcome | None = None

    def steps(self) -> Iterator[str]:
        """Go back, or end what was decided; each item names what has just been done.

        Where the release before can't run any more, the new one stays.

        Raises:
            OSError: the folder of the releases can't be written.
        """
        layout = self.layout
        if not layout.trial.exists():
            return
        plan = trial.read(layout)
        if plan is None:
            yield from self._unreadable()
            return
        known = trial.decided(layout, plan)
        if known is not None:
            self.outcome = known
            if known.outcome == RETURNED:
                layout.point(PREVIOUS, plan.previous)
            trial.end(layout)
            yield "ended"
            return
        broken = self._broken(plan.from_)
        if broken and not self._broken(plan.to):
            yield from self._stay(plan, broken)
        else:
            yield from self._return(plan)

    def _broken(self, version: str) -> str:
        """Return why a release can't be run; empty when it can."""
        if not self.layout.complete(version):
            return f"there is no complete release {version}"
        program = str(self.layout.program(version))
        done = self.service.as_service(program, "upgrade", "facts", "--json")
        return f"{version} does not start: {last_line(done)}" if done.code else ""

    def _return(self, plan: Trial) -> Iterator[str]:
        ran = self.layout.version(CURRENT) != plan.from_ or bool(plan.reason)
        self.layout.point(CURRENT, plan.from_)
        yield "switched back"
        reason = plan.reason or self._cut(plan)
        failed = self._restarted(plan.from_) if ran else None
        if failed:
            reason = f"{reason}; after that {failed}"
        yield "restarted back"
        self.outcome = _outcome(plan, RETURNED, reason)
        yield from finish(self.layout, plan, self.outcome)

    def _stay(self, plan: Trial, broken: str) -> Iterator[str]:
        self.layout.point(CURRENT, plan.to)
        yield "switched"
        failed = self._restarted(plan.to)
        reason = f"{self._cut(plan)}, and {broken}" + (f"; after that {failed}" if failed else "")
        self.outcome = _outcome(plan, DONE, reason)
        trial.record(self.layout, self.outcome)
        yield "recorded"
        trial.end(self.layout)
        yield "ended"

    def _unreadable(self) -> Iterator[str]:
        """Of a trial that can't be read only the links tell something."""
        current, previous = self.layout.version(CURRENT), self.layout.version(PREVIOUS)
        if current is None and previous is None:
            return
        plan = Trial(from_=previous or current or "", to=current or "", began=trial.now())
        good = plan.from_ if not self._broken(plan.from_) else plan.to
        self.layout.point(CURRENT, good)
        yield "switched back"
        self._restarted(good)
        word = RETURNED if good == plan.from_ else DONE
        self.outcome = _outcome(plan, word, "the note of an upgrade can't be read")
        trial.record(self.layout, self.outcome)
        yield "recorded"
        trial.end(self.layout)
        yield "ended"

    def _restarted(self, version: str) -> str:
        """Start the service anew where it runs already; returns what went wrong."""
        if not self.service.runs():
            return ""
        try:
            self.service.restart()
        except ServiceFailed as failed:
            return str(failed)
        if not self.sees:
            return ""
        reason = runs(self.service, version, self.clock(), self.clock, self.wait)
        return "" if reason is None else reason.text

    def _cut(self, plan: Trial) -> str:
        return f"{CUT} by a restart of the box" if plan.boot != self.boot else CUT


def _outcome(plan: Trial, word: str, reason: str) -> Outcome:
    return Outcome(
        outcome=word,
        from_=plan.from_,
        to=plan.to,
        began=plan.began,
        ended=trial.now(),
        reason=reason,
        by=plan.by,
    )
