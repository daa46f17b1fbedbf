"""A line of the live feed: what happened, in words that a loss prevention officer uses."""

from __future__ import annotations

from typing import Any

QUIET = frozenset({"input.edge", "state.known", "daemon.started", "link.up"})
WORDS = {
    "eas.alarm": "tag at the gate",
    "eas.ended": "gate quiet again",
    "eas.metal": "metal at the gate: perhaps a foil-lined bag",
    "eas.jammer": "somebody disturbs the gate",
    "eas.deactivated": "tag deactivated at the till",
    "eas.visitors": "visitors",
    "door.opened": "door opened",
    "door.closed": "door closed",
    "door.forced": "DOOR FORCED",
    "door.held": "door held open",
    "door.request_to_exit": "someone asks to leave",
    "fire.alarm": "FIRE ALARM",
    "fire.restored": "fire alarm restored",
    "fire.trouble": "fire panel trouble",
    "fire.trouble_restored": "fire panel trouble over",
    "fire.notice": "fire panel notice",
    "link.down": "not heard any more",
    "link.up": "heard again",
    "button.pressed": "BUTTON PRESSED",
    "opened": "store open",
    "closed": "store closed",
    "evacuation.started": "EVACUATION",
    "evacuation.ended": "evacuation over",
    "incident.opened": "incident",
    "output.on": "is on",
    "output.off": "is off",
    "lock.released": "is released",
    "lock.locked": "is locked",
    "input.stuck": "input stuck: a fault, no alarm",
    "order.failed": "ORDER FAILED",
    "order.done": "done",
    "recording.confirmed": "clip kept",
    "recording.missing": "NO RECORDING",
}
COLOURS = {"life_safety": "1;31", "personal_safety": "1;35", "security": "33"}


def interesting(item: dict[str, Any]) -> bool:
    """Return whether people want to see it."""
    return item["signal"] not in QUIET


def line(item: dict[str, Any], *, colour: bool = False) -> str:
    """Return one event, decision or order as a line."""
    time = item["at"][11:19]
    if item["kind"] == "decision":
        text = f"  {time}  {_decision(item)}"
    elif item["kind"] == "order":
        data = item["data"]
        why = data["rule"] or data["by"]
        more = _details(data, {"command", "by", "rule"})
        text = f"  {time}  → {item['device']}: {data['command']}{more}  [{why}]"
    else:
        text = f"{time}  {item['device']:<14} {WORDS.get(item['signal'], item['signal'])}"
        text += _details(item["data"], {"by"})
    code = COLOURS.get(item["priority"])
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text


def _decision(item: dict[str, Any]) -> str:
    data = item["data"]
    if item["signal"] == "rule.fired":
        return f"rule {data['rule']} fired" + (" (late)" if data.get("late") else "")
    if item["signal"] == "rule.ended":
        return f"rule {data['rule']}: {data['command']} of {data['target']} ends"
    if item["signal"] == "rule.blind":
        return f"rule {data['rule']} is blind: {data['reason']}"
    return f"rule {data['rule']} would have fired {data['count']} times more"


def _details(data: dict[str, Any], without: set[str]) -> str:
    shown = [f"{k} {v}" for k, v in data.items() if k not in without and v not in (None, "", [])]
    return f"  ({', '.join(shown)})" if shown else ""
