"""What people and monitoring may ask of the running daemon, and the two ways they reach it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from drivers.commands import BY_KIND, Command
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import UNKNOWN, OrderDone, OrderFailed
from edge import control, scrape
from edge.assembly import Parts
from edge.control import Refused, Request
from edge.decide import LATCH, PERSON, Turn, described
from edge.encode import utc
from edge.version import VERSION

MOVING_WITHIN = 5.0
"""Seconds since the last turn of the pipeline in which it counts as moving."""
TAIL = 1000
"""Lines that may wait for a slow reader of `tail`; older ones are dropped, counted."""
OUTCOME_WITHIN = 20.0
KEPT_WITHIN = 2.0
"""Seconds that an answer waits for the journal at most: a broken disk stops no person."""


async def serving(parts: Parts) -> None:
    """Serve the control socket and HTTP until cancelled."""
    from edge.http import server

    desk = Desk(parts)
    scrape.register(parts)
    app = server.application(parts.metrics.page, desk.moving, lambda: True, desk.status)
    answers = {
        "status": lambda _request: desk.status(),
        "devices": lambda _request: desk.devices(),
        "rules": lambda _request: desk.rules(),
        "order": desk.order,
        "evacuate": desk.evacuate,
    }
    http = parts.configuration.site.http
    async with control.serve(parts.places.socket, answers, {"tail": desk.tail}):
        await server.serve(app, http.host, http.port)


class _Line:
    """One reader of `tail`."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.dropped = 0

    def show(self, event: Event | None, stamp: Event, turn: Turn) -> None:
        said = [_shown(event)] if event is not None else []
        for item in (*said, *_decisions(stamp, turn), *_orders(stamp, turn)):
            if self.waiting.qsize() >= TAIL:
                self.waiting.get_nowait()
                self.dropped += 1
            self.waiting.put_nowait(item)


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


class Desk:
    """Answers requests about one running configuration."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
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
            "up_for": round(parts.clock.tick() - self._began, 1),
            "tick": round(parts.clock.tick(), 3),
            "time": utc(parts.clock.now()),
            "clock": "trusted" if parts.speaker.trusted else "untrusted",
            "open": states.value(SITE, "open"),
            "evacuation": states.value(SITE, "evacuation"),
            "devices_down": [d for d in parts.drivers if states.value(d, "link") != "up"],
            "events": parts.metrics.handled,
            "fired": parts.metrics.firings,
            "reaction": parts.metrics.recent_reactions(),
            "rules": len(rules),
            "rules_inactive": {r.id: r.inactive for r in rules if r.inactive},
            "orders": parts.decider.leases.save(),
            "journal": {
                "sequence": stats.head,
                "waiting": stats.pending,
                "lost": sum(stats.lost),
                "error": stats.error,
            },
            "uplink": parts.cloud.status(),
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

    async def tail(self, _request: Request) -> AsyncIterator[dict[str, Any]]:
        line = _Line()
        self._parts.pipeline.followers.append(line)
        try:
            while True:
                yield await line.waiting.get()
        finally:
            self._parts.pipeline.followers.remove(line)

    async def order(self, request: Request) -> dict[str, Any]:
        """Tell a device something as a person; the answer is the outcome."""
        device, kind = str(request.get("device")), str(request.get("command"))
        command = self._command(device, kind, request.get("parameters") or {})
        fields: dict[str, Any] = {
            "target": device,
            "command": kind,
            "parameters": command.fields(),
            "by": str(request.get("by") or "someone on the box"),
            "reason": _reason(request),
        }
        if request.get("for") is not None:
            fields["for"] = float(request["for"])
        if request.get("priority") == "security":
            fields["priority"] = "security"
        outcome = _Outcome(device, kind)
        self._parts.pipeline.followers.append(outcome)
        try:
            priority = Priority[fields.get("priority", "operations")]
            turn = await self._asked(PERSON, fields, priority)
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
            raise Refused(f"{device}: {said.fields['reason']}")
        return {"device": device, "command": kind, "outcome": "done", **said.fields}

    def _command(self, device: str, kind: str, parameters: dict[str, Any]) -> Command:
        driver = self._parts.drivers.get(device)
        if driver is None:
            raise Refused(f"there is no device {device!r}")
        words = sorted(c.kind for c in driver.accepts)
        if kind not in BY_KIND or BY_KIND[kind] not in driver.accepts:
            told = f"it can: {', '.join(words)}" if words else "it takes no commands"
            raise Refused(f"{device} cannot {kind}; {told}")
        try:
            return BY_KIND[kind](**parameters)
        except (TypeError, ValueError) as error:
            raise Refused(f"{kind}: {error}") from error

    async def evacuate(self, request: Request) -> dict[str, Any]:
        """Set, drill or end the evacuation latch, as a person."""
        action = request.get("action")
        if action not in {"start", "drill", "end"}:
            raise Refused("an evacuation can be started, drilled or ended")
        fields = {
            "action": action,
            "by": str(request.get("by") or "someone on the box"),
            "reason": _reason(request),
            "despite": list(request.get("despite") or ()),
        }
        turn = await self._asked(LATCH, fields, Priority.life_safety)
        if turn.answer:
            raise Refused(turn.answer)
        return {"evacuation": action}

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
        raise Refused("a reason is needed: it is journaled")
    return reason


def _shown(event: Event) -> dict[str, Any]:
    return {
        "kind": "event",
        "at": utc(event.at),
        "tick": round(event.tick, 6),
        "device": event.device,
        "signal": event.kind,
        "priority": event.priority.name,
        "data": event.fields,
        "unknown": UNKNOWN in event.sets.values(),
    }


def _decisions(event: Event, turn: Turn) -> list[dict[str, Any]]:
    found = []
    for decision in turn.decisions:
        if (words := described(decision)) is not None:
            found.append({**_shown(event), "kind": "decision", "device": SITE} | _data(*words))
    return found


def _data(signal: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"signal": signal, "data": data}


def _orders(event: Event, turn: Turn) -> list[dict[str, Any]]:
    return [
        {
            **_shown(event),
            "kind": "order",
            "device": given.device,
            "signal": "order.given",
            "priority": given.priority.name,
            "data": {"command": given.command.kind, "by": given.by, "rule": given.rule}
            | given.command.fields(),
        }
        for given in turn.given
        if not given.quiet
    ]
