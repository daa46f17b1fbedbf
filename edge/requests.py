"""What people and monitoring may ask of the running daemon."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any, Protocol

from drivers.commands import BY_KIND, Command, OpenIncident
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import OrderDone, OrderFailed
from edge.assembly import Parts
from edge.control import Misused, Refused, Request
from edge.decide import LATCH, PERSON
from edge.encode import utc
from edge.shown import Line
from edge.turn import Turn
from edge.version import VERSION
from rules.engine import ACKNOWLEDGED
from rules.model import Rule
from rules.modes import REQUESTED
from rules.problems import did_you_mean, nearest_or_all

MOVING_WITHIN = 5.0
"""Seconds since the last turn of the pipeline in which it counts as moving."""
UPGRADES = {"done": "upgrade.done", "returned": "upgrade.returned"}
"""What the site says of an upgrade, by how it ended."""
PEOPLES = (Priority.operations.name, Priority.security.name)
"""How urgent an order by a person can be."""
OUTCOME_WITHIN = 20.0
KEPT_WITHIN = 2.0
"""Seconds that an answer waits for the journal at most: a broken disk stops no person."""


class _Outcome:
    """Waits for what became of a person's order."""

    def __init__(self, device: str, command: str) -> None:
        self._device, self._command = device, command
        self.said: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    def show(self, event: Event | None, _stamp: Event, _turn: Turn) -> None:
        if event is None:
            return
        ours = event.device == self._device and event.fields.get("command") == self._command
        outcome = event.kind in {OrderDone.kind, OrderFailed.kind}
        if ours and outcome and event.fields.get("by") == "person" and not self.said.done():
            self.said.set_result(event)


class Changing(Protocol):
    """Who may change what runs."""

    async def apply(self, request: Request) -> dict[str, Any]: ...
    async def end_watch(self, request: Request) -> dict[str, Any]: ...
    async def reload(self) -> dict[str, Any]: ...
    async def upgraded(self) -> None: ...
    def status(self) -> dict[str, Any]: ...


class Desk:
    """Answers requests about one running configuration."""

    def __init__(self, parts: Parts, changes: Changing | None = None) -> None:
        self._parts, self._changes = parts, changes
        self._began = parts.clock.tick()

    def moving(self) -> bool:
        """Return whether the pipeline turned within the last 5 s."""
        return self._parts.clock.tick() - self._parts.pipeline.turned < MOVING_WITHIN

    async def status(self) -> dict[str, Any]:
        parts = self._parts
        site, stats = parts.configuration.site, parts.writer.stats
        states = parts.decider.engine.states
        rules = parts.configuration.rules.rules
        return {
            "site": site.site,
            "version": VERSION,
            "config": parts.configuration.hash,
            "moving": self.moving(),
            "up_for": round(parts.clock.tick() - self._began, 1),
            "tick": round(parts.clock.tick(), 3),
            "time": utc(parts.clock.now()),
            "timezone": site.timezone,
            "clock": "trusted" if parts.speaker.trusted else "untrusted",
            "open": states.value(SITE, "open"),
            "evacuation": states.value(SITE, "evacuation"),
            "mode": parts.decider.modes.shown(parts.clock.tick()),
            "devices_down": [d for d in parts.drivers if states.value(d, "link") != "up"],
            "events": parts.metrics.handled,
            "fired": parts.metrics.firings,
            "reaction": parts.metrics.recent_reactions(),
            "rules": len(rules),
            "rules_inactive": {r.id: r.inactive for r in rules if r.inactive},
            "orders": parts.decider.outputs.leases.saved_claims(),
            "journal": {
                "sequence": stats.head,
                "waiting": stats.pending,
                "lost": sum(stats.lost),
                "dropped": sum(parts.metrics.evicted.values()),
                "error": stats.error,
                "anchor": parts.cloud.anchored(),
                "public_key": parts.writer.public_key,
            },
            "uplink": parts.cloud.status(),
            **(self._changes.status() if self._changes else {"watch": None, "refused": None}),
            "warnings": [str(p) for p in parts.configuration.problems.warnings],
        }

    async def devices(self) -> list[dict[str, Any]]:
        parts, states = self._parts, self._parts.decider.engine.states
        everything = {**parts.configuration.io, **parts.configuration.devices}
        now = parts.clock.tick()
        found = []
        for device, configured in everything.items():
            names = ("link", *type(configured.driver).has_states)
            found.append(
                {
                    "device": device,
                    "type": configured.type,
                    "name": configured.name,
                    "states": {
                        name: {
                            "value": states.value(device, name),
                            "for": round(now - since, 1)
                            if (since := states.since(device, name)) is not None
                            else None,
                        }
                        for name in names
                    },
                }
            )
        return found

    async def rules(self) -> list[dict[str, Any]]:
        return [
            {
                "rule": r.id,
                "priority": r.priority.name,
                "enabled": r.enabled,
                "inactive": r.inactive,
                "description": r.description,
                "file": f"{r.mark.file}:{r.mark.line}",
            }
            for r in self._parts.configuration.rules.rules
        ]

    async def explain(self, request: Request) -> dict[str, Any]:
        """Return what the rules wait for now; `rule` names one of them, else all are told."""
        from rules.waits import waits

        tick, wanted = self._parts.clock.tick(), request.get("rule")
        known = [rule.id for rule in self._parts.configuration.rules.rules]
        if wanted is not None and wanted not in known:
            raise Misused(f"there is no rule {wanted!r}")
        found = [
            {
                "rule": wait.rule,
                "what": wait.what,
                "member": wait.member,
                "text": wait.text,
                "left": round(max(wait.until - tick, 0.0), 3),
            }
            for run, deadlines in self._parts.decider.engine.at_work()
            if wanted in (None, run.rule.id)
            for wait in waits(run, deadlines, tick)
        ]
        return {"waits": found}

    async def tail(self, _request: Request) -> AsyncGenerator[dict[str, Any], None]:
        line = Line()
        self._parts.pipeline.followers.append(line)
        try:
            while True:
                yield await line.next()
        finally:
            self._parts.pipeline.followers.remove(line)

    async def order(self, request: Request) -> dict[str, Any]:
        """Tell a device something as a person; the answer is the outcome."""
        device, kind = str(request.get("device")), str(request.get("command"))
        command = self._command(device, kind, request.get("parameters") or {})
        priority = request.get("priority") or Priority.operations.name
        if priority not in PEOPLES:
            raise Misused(f"an order by a person is {' or '.join(PEOPLES)}, not {priority}")
        fields: dict[str, Any] = {
            "target": device,
            "command": kind,
            "parameters": command.fields(),
            "priority": priority,
            "by": _by(request),
            "reason": _reason(request),
        }
        if request.get("for") is not None:
            fields["for"] = _seconds(request["for"])
            longest = self._parts.configuration.world.devices[device].limits.get(kind)
            if longest is not None and fields["for"] > longest:
                raise Misused(f"{device} can {kind} for {longest:g} s at most")
        outcome = _Outcome(device, kind)
        self._parts.pipeline.followers.append(outcome)
        try:
            turn = await self._asked(PERSON, fields, Priority[priority])
            if turn.answer:
                raise Refused(f"{device}: {turn.answer}")
            if not any(g.device == device for g in turn.given):
                return {"device": device, "command": kind, "outcome": "it is so already"}
            async with asyncio.timeout(OUTCOME_WITHIN):
                said = await outcome.said
        except TimeoutError:
            raise Refused(f"{device}: no outcome within {OUTCOME_WITHIN:g} s") from None
        finally:
            self._parts.pipeline.followers.remove(outcome)
        if said.kind == OrderFailed.kind:
            again = "; it is tried again" if any(g.lasting for g in turn.given) else ""
            raise Refused(f"{device}: {said.fields['reason']}{again}")
        return {"device": device, "command": kind, "outcome": "done", **said.fields}

    def _command(self, device: str, kind: str, parameters: Any) -> Command:
        driver = self._parts.drivers.get(device)
        if driver is None:
            hint = did_you_mean(device, list(self._parts.drivers))
            raise Misused(f"there is no device {device!r}" + (f"; {hint}" if hint else ""))
        words = sorted(c.kind for c in driver.accepts)
        if kind not in BY_KIND or BY_KIND[kind] not in driver.accepts:
            told = f"it can: {', '.join(words)}" if words else "it takes no commands"
            raise Misused(f"{device} cannot {kind}; {told}")
        wanted = dataclasses.fields(BY_KIND[kind])
        names = [f.name for f in wanted]
        if not isinstance(parameters, dict) or (strange := sorted(parameters.keys() - set(names))):
            first = strange[0] if isinstance(parameters, dict) else str(parameters)
            raise Misused(
                f"{kind} has no parameter {first!r}; it has: {', '.join(names) or 'none'}"
            )
        for f in wanted:
            if f.name not in parameters and f.default is dataclasses.MISSING:
                raise Misused(f"{kind} needs {f.name}")
            kinds = str if f.type == "str" else (int, float)
            if f.name in parameters and not isinstance(parameters[f.name], kinds):
                raise Misused(f"{kind}: {f.name} can't be {parameters[f.name]!r}")
        return BY_KIND[kind](**parameters)

    async def evacuate(self, request: Request) -> dict[str, Any]:
        """Set, drill or end the evacuation latch, as a person."""
        action = request.get("action")
        if action not in {"start", "drill", "end"}:
            raise Misused("an evacuation can be started, drilled or ended")
        despite = request.get("despite") or []
        plan = self._parts.configuration.site.evacuation
        for device in despite if isinstance(despite, list) else [despite]:
            if plan is None or device not in plan.on:
                raise Misused(f"{device!r} does not set off the evacuation of this site")
        fields = {
            "action": action,
            "by": _by(request),
            "reason": _reason(request),
            "despite": despite,
        }
        turn = await self._asked(LATCH, fields, Priority.life_safety)
        if turn.answer:
            raise Refused(turn.answer)
        return {"evacuation": action}

    async def mode(self, request: Request) -> dict[str, Any]:
        """Show, set or end the site's mode, as a person."""
        action, modes = request.get("action", "show"), self._parts.decider.modes
        if action not in {"show", "set", "end"}:
            raise Misused("a mode can be shown, set or ended")
        if action != "show":
            fields: dict[str, Any] = {"action": action}
            if action == "set":
                name = str(request.get("mode"))
                if name not in modes.longest:
                    hint = nearest_or_all(name, modes.longest)
                    raise Misused(f"this site has no mode {name!r}; {hint}")
                fields["mode"] = name
                if request.get("for") is not None:
                    fields["for"] = _seconds(request["for"])
            fields |= {"by": _by(request), "reason": _reason(request)}
            turn = await self._asked(REQUESTED, fields, Priority.operations)
            if turn.answer:
                raise Refused(turn.answer)
        longest = {name: int(seconds) for name, seconds in sorted(modes.longest.items())}
        return {**modes.shown(self._parts.clock.tick()), "modes": longest}

    async def acknowledge(self, request: Request) -> dict[str, Any]:
        """Say as a person that an incident is looked after: its escalations stop."""
        name = str(request.get("name"))
        known = sorted(_incidents(self._parts.configuration.rules.rules))
        if name not in known:
            told = nearest_or_all(name, known, "they open") or "they open none"
            raise Misused(f"no rule opens an incident {name!r}; {told}")
        fields = {"name": name, "by": _by(request), "reason": _reason(request)}
        await self._asked(ACKNOWLEDGED, fields, Priority.operations)
        return {"incident": name, "outcome": "acknowledged"}

    async def apply(self, request: Request) -> dict[str, Any]:
        """Try the rules in the folder, as a person."""
        return await self._changing().apply(request)

    async def watch(self, request: Request) -> dict[str, Any]:
        """Confirm or revert the rules on trial, as a person."""
        return await self._changing().end_watch(request)

    async def reload(self, _request: Request) -> dict[str, Any]:
        """Load the folder again, as SIGHUP does."""
        return await self._changing().reload()

    async def upgraded(self, request: Request) -> dict[str, Any]:
        """Say what became of an upgrade of the program, as whoever did it tells."""
        kind = UPGRADES.get(str(request.get("outcome")))
        if kind is None:
            raise Misused(f"an upgrade ends as {' or '.join(UPGRADES)}")
        told = {name: str(request.get(name) or "") for name in ("from", "to", "reason", "by")}
        fields = {name: text for name, text in told.items() if text}
        if "from" not in fields or "to" not in fields:
            raise Misused("an upgrade is from a version to a version")
        await self._asked(kind, fields, Priority.operations)
        if self._changes is not None:
            await self._changes.upgraded()
        return {"upgrade": kind}

    def _changing(self) -> Changing:
        if self._changes is None:
            raise Refused("nothing here can be changed")
        return self._changes

    async def _asked(self, kind: str, fields: dict[str, Any], priority: Priority) -> Turn:
        """Return what a person's request led to, once it is in the journal."""
        turn = await self._parts.pipeline.request(kind, fields, priority)
        with suppress(TimeoutError):
            async with asyncio.timeout(KEPT_WITHIN):
                await self._parts.writer.flush()
        return turn


def _reason(request: Request) -> str:
    reason = str(request.get("reason") or "").strip()
    if not reason:
        raise Misused("a reason is needed: it is journaled")
    return reason


def _by(request: Request) -> str:
    return str(request.get("by") or "").strip() or "someone on the box"


def _seconds(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise Misused(f"for is a number of seconds more than 0, not {value!r}")
    return float(value)


def _incidents(rules: Iterable[Rule]) -> set[str]:
    """Return the names of the incidents that rules open."""
    actions = (a for r in rules for some in (r.do, *(e.do for e in r.escalate)) for a in some)
    return {a.command.name for a in actions if isinstance(a.command, OpenIncident)}
