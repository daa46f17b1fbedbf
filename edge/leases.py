"""Who holds which output: claims by priority, and what each output therefore shows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.commands import BY_KIND, Command
from drivers.priorities import Priority

By = Literal["rule", "person", "evacuation"]
HOUR = 3600.0
ROUNDING = 1e-3
"""Seconds by which a time may miss its limit and still have reached it."""
Known = Callable[[str, type[Command]], bool]
"""Whether a device takes a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One order's claim on one output."""

    device: str
    command: Command
    by: By
    priority: Priority
    owner: str
    """With device and command it names the lease: the same owner renews, never stacks."""
    rule: str | None = None
    firing: str | None = None
    """The latest firing of the rule that took it."""
    ends: float | None = None
    """Tick at which it ends by itself; a rule's lease is ended by the engine instead."""
    taken: float = 0.0
    """Tick of the last taking; among equals the later wins."""

    @property
    def rank(self) -> int:
        """Evacuation stands above every priority."""
        return -1 if self.by == "evacuation" else self.priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What an output allows: seconds on at a time and in an hour, for all but evacuation."""

    at_a_time: float | None = None
    in_an_hour: float | None = None


@dataclass(slots=True)
class _OnTime:
    """When an output was held, within the last hour."""

    since: float | None = None
    spans: list[tuple[float, float]] = field(default_factory=list)

    def before(self, tick: float) -> float:
        """Return the seconds held in the hour before `tick`, the present time on left out."""
        self.spans = [s for s in self.spans if s[1] > tick - HOUR]
        return sum(end - max(start, tick - HOUR) for start, end in self.spans)

    def in_last_hour(self, tick: float) -> float:
        now = 0.0 if self.since is None else tick - max(self.since, tick - HOUR)
        return self.before(tick) + now


class Leases:
    """The claims on every output. Ticks must not go backwards."""

    def __init__(self, limits: Mapping[str, Limit] | None = None) -> None:
        self._limits = dict(limits or {})
        self._claims: dict[tuple[str, str, str], Claim] = {}
        self._order: dict[tuple[str, str, str], int] = {}
        self._serial = 0
        self._on: dict[str, _OnTime] = {}

    def showing(self, device: str) -> Claim | None:
        """Return the claim that the output shows; None means its resting value."""
        live = [k for k in self._claims if k[0] == device]
        if not live:
            return None
        return self._claims[min(live, key=lambda k: (self._claims[k].rank, -self._order[k]))]

    def claims(self) -> list[Claim]:
        """Return every live claim, oldest first."""
        return [self._claims[k] for k in sorted(self._claims, key=self._order.__getitem__)]

    def refuses(self, claim: Claim, tick: float) -> str:
        """Return why `claim` can't be taken now, or an empty string."""
        limit = self._limits.get(claim.device, Limit()).in_an_hour
        if limit is None or not _counted(claim):
            return ""
        held = self._on.setdefault(claim.device, _OnTime()).in_last_hour(tick)
        if held < limit - ROUNDING:
            return ""
        return f"it was on for {held:.0f} s of {limit:.0f} s in the last hour"

    def take(self, claim: Claim) -> None:
        """Take or renew a claim."""
        key = (claim.device, claim.owner, claim.command.kind)
        self._serial += 1
        self._claims[key], self._order[key] = claim, self._serial
        on = self._on.setdefault(claim.device, _OnTime())
        if on.since is None:
            on.since = claim.taken

    def end(self, device: str, owner: str, command: str, tick: float) -> Claim | None:
        """End one claim and return it; None when it is not live."""
        return self._drop((device, owner, command), tick)

    def quell(
        self, device: str, kinds: Iterable[str], priority: Priority, tick: float
    ) -> list[Claim]:
        """End the claims of `kinds` that are not above `priority`; evacuation's stay."""
        keys = [
            k
            for k, c in self._claims.items()
            if k[0] == device and k[2] in kinds and c.rank >= priority
        ]
        return [c for k in keys if (c := self._drop(k, tick)) is not None]

    def next_deadline(self) -> float | None:
        """Return the next tick at which `advance` has something to end."""
        dues = [due for c in self._claims.values() if (due := self._due(c)) is not None]
        return min(dues, default=None)

    def advance(self, tick: float) -> list[Claim]:
        """End what is due at `tick`, by its own end or by its output's limit."""
        keys = [
            k for k, c in self._claims.items() if (due := self._due(c)) is not None and due <= tick
        ]
        return [c for k in keys if (c := self._drop(k, tick)) is not None]

    def _due(self, claim: Claim) -> float | None:
        """Return the tick at which `claim` ends by itself or by its output's limit, or None."""
        dues = [] if claim.ends is None else [claim.ends]
        limit, on = self._limits.get(claim.device), self._on[claim.device]
        if limit is not None and on.since is not None and claim.by != "evacuation":
            if limit.at_a_time is not None:
                dues.append(on.since + limit.at_a_time)
            if limit.in_an_hour is not None and _counted(claim):
                dues.append(on.since + max(limit.in_an_hour - on.before(on.since), 0.0))
        return min(dues, default=None)

    def _drop(self, key: tuple[str, str, str], tick: float) -> Claim | None:
        claim = self._claims.pop(key, None)
        self._order.pop(key, None)
        on = self._on.get(key[0])
        if on and on.since is not None and not any(k[0] == key[0] for k in self._claims):
            on.spans.append((on.since, tick))
            on.since = None
        return claim

    def saved_claims(self) -> list[dict[str, Any]]:
        """Return the live claims as JSON values, oldest first."""
        return [
            {
                "device": c.device,
                "command": c.command.kind,
                "parameters": c.command.fields(),
                "by": c.by,
                "priority": c.priority.name,
                "owner": c.owner,
                "rule": c.rule,
                "firing": c.firing,
                "ends": c.ends,
                "taken": c.taken,
            }
            for c in self.claims()
        ]

    def save(self) -> dict[str, Any]:
        """Return the claims, and how long each output was on, as JSON values."""
        on = {
            d: {"since": o.since, "spans": [list(s) for s in o.spans]} for d, o in self._on.items()
        }
        return {"claims": self.saved_claims(), "on": on}

    def restore(self, saved: Mapping[str, Any], known: Known = lambda _d, _c: True) -> None:
        """Take what `save` returned, but for claims that their device does not know any more."""
        for c in saved["claims"]:
            kind = BY_KIND.get(c["command"])
            if kind is None or not known(c["device"], kind):
                continue
            self.take(
                Claim(
                    device=c["device"],
                    command=kind(**c["parameters"]),
                    by=c["by"],
                    priority=Priority[c["priority"]],
                    owner=c["owner"],
                    rule=c["rule"],
                    firing=c.get("firing"),
                    ends=c["ends"],
                    taken=c["taken"],
                )
            )
        for device, was in saved["on"].items():
            on = self._on.setdefault(device, _OnTime())
            on.spans = [(start, end) for start, end in was["spans"]]
            if on.since is not None and was["since"] is not None:
                on.since = was["since"]


def _counted(claim: Claim) -> bool:
    """Whether the limit of an hour holds for it: not for life safety."""
    return claim.by != "evacuation" and claim.priority is not Priority.life_safety
