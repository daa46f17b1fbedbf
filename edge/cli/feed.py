"""The live feed: one line a fact, by the site's clock, in the words of the people there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge.cli.sayings import DONE, SAID, details

SITE = "site"
QUIET = frozenset(
    {
        "camera.arrived",
        "daemon.started",
        "door.request_to_exit_ended",
        "input.edge",
        "journal.salvaged",
        "journal.started",
        "person.ordered",
        "state.known",
    }
)
FOLDED = {
    "output.on": "sound switch_on",
    "output.off": "silence switch_off",
    "lock.released": "release",
    "lock.locked": "relock",
}
"""What an output says when it was told to: the order's own line says it already."""
COLOURS = {"life_safety": "1;31", "personal_safety": "1;35", "security": "33"}
GREEN, RED, GREY = "32", "31", "2"
WIDEST = 28
_QUOTED_OR_ID = re.compile(r"'[^']*'|\b[a-z][a-z0-9_]*\b")


@dataclass(slots=True, kw_only=True)
class Feed:
    """Makes lines of what `tail` gives, in order. Remembers what was ordered and who is away."""

    names: Mapping[str, str] = field(default_factory=dict)
    """What people call a device, by its id."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """What a rule is for, by its id."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    colour: bool = False

    _ordered: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict, init=False)
    _away: set[str] = field(default_factory=set, init=False)
    _reason: str = field(default="", init=False)

    def line(self, item: Mapping[str, Any]) -> str | None:
        """Return the line of one item of `tail`; None when another line says it."""
        kind, signal, data = item["kind"], item["signal"], item["data"]
        colour = COLOURS.get(item["priority"], "")
        if kind == "order":
            self._ordered[item["device"], data["command"]] = data
            return None
        if kind == "decision":
            text = self._decision(signal, data)
        elif signal in {"order.done", "order.failed"}:
            text, colour = self._outcome(item["device"], signal, data), GREEN
            if signal == "order.failed":
                colour = RED
        else:
            text = self._said(item["device"], signal, data)
            if signal in {"link.down", "uplink.disconnected", "config.refused", "buffer.gap"}:
                colour = colour or RED
        if text is None:
            return None
        time = datetime.fromisoformat(item["at"]).astimezone(self.zone)
        return self._painted(f"{time:%H:%M:%S}  {text}", colour)

    def named(self, text: str) -> str:
        """Return `text` with the names of devices in the place of their ids, but for quotations."""
        return _QUOTED_OR_ID.sub(lambda m: self.names.get(m[0], m[0]), text)

    def _name(self, device: str) -> str:
        return self.names.get(device) or device

    def _said(self, device: str, signal: str, data: Mapping[str, Any]) -> str | None:
        if signal in QUIET or self._folded(device, signal):
            return None
        if signal == "evacuation.requested":
            asked = f"{data['by']} asks to {data['action']} the evacuation: {data['reason']}"
            return self._row("the store", asked)
        more = [self.named(one) for one in details(signal, data)]
        if signal == "link.up" and device not in self._away:
            return None
        if signal == "link.down":
            self._away.add(device)
            more = [] if data["reason"] == self._reason else more
            self._reason = data["reason"]
        elif signal == "link.up":
            self._away.discard(device)
            self._reason = ""
        elif signal == "evacuation.started":
            more.insert(0, f"because of {self._name(str(data.get('cause', '')))}")
        elif signal == "evacuation.ended":
            more = [f"ended by {data['by']}", data["reason"]] if "by" in data else more
        said = SAID.get(signal, signal)
        if signal == "incident.acknowledged":
            what = str(data.get("name", "")).replace("_", " ")
            told = f"incident: {what} {said}, says {data.get('by')} ({data.get('reason')})"
            return self._row("", told)
        if signal == "mode.changed":
            return self._row("the store", _mode(data))
        if signal == "incident.opened":
            return self._row("", f"{said}: {more[0]}")
        where = "the store" if device == SITE else self._name(device)
        return self._row(where, said + (f" ({', '.join(more)})" if more else ""))

    def _folded(self, device: str, signal: str) -> bool:
        return any((device, c) in self._ordered for c in FOLDED.get(signal, "").split())

    def _decision(self, signal: str, data: Mapping[str, Any]) -> str | None:
        rule = data["rule"]
        about = self.rules.get(rule) or rule
        if signal == "rule.fired":
            late = " (late: it fell due while the box was down)" if data.get("late") else ""
            shadow = " (in the shadow: nothing is done)" if data.get("shadow") else ""
            return self._row("", f"» {about}{late}{shadow}")
        if signal == "rule.blind":
            return self._row("", f"» can't tell: {about} {self.named(str(data['reason']))}")
        if signal == "rule.repeated":
            return self._row("", f"» {data['count']} more of: {about}")
        return None  # rule.ended: the order that follows says it

    def _outcome(self, device: str, signal: str, data: Mapping[str, Any]) -> str:
        command, by = data["command"], data["by"]
        given = self._ordered.get((device, command), {})
        for other in [key for key in self._ordered if key[0] == device]:
            del self._ordered[other]
        self._ordered[device, command] = given
        words = {"person": "a person", "rest": "over", "start": "at the start"}
        why = data.get("rule") or words.get(by, by)
        name = self._name(device)
        if signal == "order.failed":
            reason = self.named(str(data["reason"]))
            return self._row("", f"→ {name}: {command} FAILED: {reason} [{why}]")
        known = {"preset": "?", "text": "?", **given}
        return self._row("", f"→ {name} {DONE.get(command, command).format(**known)} [{why}]")

    def _row(self, where: str, what: str) -> str:
        """Return a line: who says it in a column of its own, what follows from it indented."""
        return f"{where:<{WIDEST - 2}}  {what}" if where else f"  {what}"

    def _painted(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour and colour else text


def _mode(data: Mapping[str, Any]) -> str:
    """Return `mode stock take (before: open; set by Ann, yearly count)`."""
    by, reason = data.get("by"), data.get("reason")
    told = [f"before: {str(data.get('before', '?')).replace('_', ' ')}"]
    if by:
        told.append(f"by {by}" + (f", {reason}" if reason else ""))
    return f"mode {str(data.get('mode', '?')).replace('_', ' ')} ({'; '.join(told)})"


async def feed_of(socket: Path, *, colour: bool) -> Feed:
    """Return the feed of the daemon that listens at `socket`.

    Raises:
        NotRunning: there is none.
    """
    from edge.control import ask

    status = await ask(socket, {"do": "status"})
    devices = await ask(socket, {"do": "devices"})
    rules = await ask(socket, {"do": "rules"})
    return Feed(
        names={d["device"]: d["name"] or d["device"] for d in devices},
        rules={r["rule"]: r["description"] or r["rule"] for r in rules},
        zone=ZoneInfo(status["timezone"]),
        colour=colour,
    )
