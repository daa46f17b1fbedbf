"""Who holds which output in a backtest, and so for how long each output was on. Pure.

It counts as the box does: leases end by themselves or by `until`, an output's own limits end or
refuse them, `silence` and its like end them, evacuation stands above all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drivers.priorities import Priority

HOUR = 3600.0
ROUNDING = 1e-3
"""Seconds by which a time may miss its limit and still have reached it."""
ON = frozenset({"sound", "switch_on"})
"""Leases that have an output on, whatever it is: `silence` and `switch_off` end both."""

Said = Callable[[str, str, str, float, float], None]
"""Device, rule, command, tick of the beginning and of the end: for how long a rule had a lease
live, and the same under ANY for all rules together."""
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLimits:
    """What one output allows rules and people; life_safety passes over all but `at_a_time`."""

    at_a_time: float | None = None
    """`max_on` in seconds."""
    in_an_hour: float | None = None
    """`max_per_hour` in seconds."""
    quiet: str = ""
    """Local times `22:00-07:00` in which it refuses."""


@dataclass(slots=True, kw_only=True)
class Claim:
    """One lease."""

    rule: str
    """Empty for a person's and the latch's."""
    priority: int
    """-1 is evacuation's."""
    ends: float | None = None
    """Its own end; a rule's is ended by the engine."""


Key = tuple[str, str]
"""Owner and command."""


@dataclass(slots=True)
class _Output:
    claims: dict[Key, Claim] = field(default_factory=dict)
    since: float | None = None
    began: dict[tuple[str, str], float] = field(default_factory=dict)
    """Rule (or ANY) and command to the tick since which any of its leases is live."""
    spans: list[tuple[float, float]] = field(default_factory=list)


class Ledger:
    """The leases of every output; `said` is told of each time of being on when it is over."""

    def __init__(self, limits: Mapping[str, OutputLimits], said: Said) -> None:
        self._limits, self._said = limits, said
        self._outputs: dict[str, _Output] = {}
        self._next: float | None = None
        self._stale = False

    def refuses(self, device: str, priority: int, tick: float, local: str) -> bool:
        """Return whether the output refuses a lease now; `local` is `HH:MM`, '' when unknown."""
        limits = self._limits.get(device)
        if limits is None or priority <= Priority.life_safety:
            return False
        if limits.quiet and local and within(limits.quiet, local):
            return True
        if limits.in_an_hour is None:
            return False
        return self._in_last_hour(device, tick) >= limits.in_an_hour - ROUNDING

    def take(self, device: str, owner: str, command: str, claim: Claim, tick: float) -> bool:
        """Take or renew a lease; return whether the output goes on by it."""
        output = self._outputs.setdefault(device, _Output())
        output.claims[owner, command] = claim
        self._stale = True
        if claim.rule:
            output.began.setdefault((claim.rule, command), tick)
            output.began.setdefault((ANY, command), tick)
        goes_on = output.since is None
        if goes_on:
            output.since = tick
        return goes_on

    def end(self, device: str, owner: str, command: str, tick: float) -> bool:
        """End a lease if it is live; return whether the output goes off by it."""
        output = self._outputs.get(device)
        claim = output.claims.pop((owner, command), None) if output is not None else None
        if output is None or claim is None:
            return False
        self._stale = True
        if claim.rule:
            self._told(device, output, claim.rule, command, tick)
        if output.claims or output.since is None:
            return False
        output.spans.append((output.since, tick))
        output.since = None
        return True

    def _told(self, device: str, output: _Output, rule: str, command: str, tick: float) -> None:
        """Say for how long the rule, and any rule, had the output, if that is over now."""
        left = {c.rule for key, c in output.claims.items() if key[1] == command and c.rule}
        if rule not in left:
            self._said(device, rule, command, output.began.pop((rule, command)), tick)
        if not left:
            self._said(device, ANY, command, output.began.pop((ANY, command)), tick)

    def quell(self, device: str, ends: frozenset[str], priority: int, tick: float) -> bool:
        """End the leases that a command ends, but those above it; return whether it goes off."""
        output = self._outputs.get(device)
        kinds = ON if ends & ON else ends
        found = [
            key
            for key, claim in (output.claims.items() if output is not None else ())
            if key[1] in kinds and claim.priority >= priority
        ]
        gone = [self.end(device, *key, tick) for key in found]
        return any(gone)

    def end_of(self, owner: str, tick: float, *, but: str) -> list[str]:
        """End every lease of `owner` but those of one command; return what goes off."""
        found = [
            (device, key)
            for device, output in self._outputs.items()
            for key in list(output.claims)
            if key[0] == owner and key[1] != but
        ]
        return [device for device, key in found if self.end(device, *key, tick)]

    def next_due(self) -> float | None:
        """Return the next tick at which a lease ends by itself or by its output's limit."""
        if self._stale:
            dues = [
                due
                for device, output in self._outputs.items()
                for claim in output.claims.values()
                if (due := self._due(device, output, claim)) is not None
            ]
            self._next, self._stale = min(dues, default=None), False
        return self._next

    def advance(self, tick: float) -> list[tuple[str, float]]:
        """End what is due at `tick`; return the devices that go off, and when."""
        off = []
        while (due := self.next_due()) is not None and due <= tick:
            for device, output in self._outputs.items():
                for key, claim in list(output.claims.items()):
                    ends = self._due(device, output, claim)
                    if ends is not None and ends <= due and self.end(device, *key, due):
                        off.append((device, due))
        return off

    def close(self, tick: float) -> None:
        """The history ends here: what is on was on until now."""
        for device, output in self._outputs.items():
            for owner, command in list(output.claims):
                self.end(device, owner, command, tick)

    def on(self, device: str) -> bool:
        """Return whether any lease is live."""
        output = self._outputs.get(device)
        return output is not None and output.since is not None

    def _due(self, device: str, output: _Output, claim: Claim) -> float | None:
        dues = [] if claim.ends is None else [claim.ends]
        limits = self._limits.get(device)
        if limits is not None and output.since is not None and claim.priority >= 0:
            if limits.at_a_time is not None:
                dues.append(output.since + limits.at_a_time)
            if limits.in_an_hour is not None and claim.priority > Priority.life_safety:
                left = limits.in_an_hour - self._before(output, output.since)
                dues.append(output.since + max(left, 0.0))
        return min(dues, default=None)

    def _in_last_hour(self, device: str, tick: float) -> float:
        output = self._outputs.setdefault(device, _Output())
        now = 0.0 if output.since is None else tick - max(output.since, tick - HOUR)
        return self._before(output, tick) + now

    @staticmethod
    def _before(output: _Output, tick: float) -> float:
        output.spans = [s for s in output.spans if s[1] > tick - HOUR]
        return sum(end - max(start, tick - HOUR) for start, end in output.spans)


def within(times: str, local: str) -> bool:
    """Return whether `local` lies in a range like `22:00-07:00`."""
    start, _, end = times.partition("-")
    return start <= local < end if start < end else local >= start or local < end
