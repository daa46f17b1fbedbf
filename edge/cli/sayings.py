"""What signals and commands are called in the live feed: words of a loss prevention officer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.cli.plainly import span

SAID = {
    "eas.alarm": "a tag at the gate",
    "eas.ended": "the gate is quiet again",
    "eas.metal": "metal at the gate: perhaps a foil-lined bag",
    "eas.jammer": "somebody disturbs the gate",
    "eas.tamper": "somebody touches the pedestal",
    "eas.counter_blocked": "the visitor counter is blocked",
    "eas.deactivated": "a tag was deactivated",
    "eas.visitors": "visitors",
    "door.opened": "opened",
    "door.closed": "closed",
    "door.forced": "FORCED OPEN",
    "door.held": "held open",
    "door.request_to_exit": "someone inside asks to leave",
    "contact.active": "active",
    "contact.quiet": "quiet again",
    "button.pressed": "PRESSED",
    "button.released": "let go",
    "pos.sale": "a sale",
    "pos.refund": "a refund",
    "pos.void": "taken back",
    "pos.no_sale": "drawer opened without a sale",
    "pos.suspended": "a sale is put aside",
    "pos.recalled": "a sale goes on",
    "pos.drawer_opened": "the drawer is open",
    "pos.drawer_closed": "the drawer is closed",
    "fire.alarm": "FIRE ALARM",
    "fire.restored": "the fire alarm is reset",
    "fire.trouble": "TROUBLE",
    "fire.trouble_restored": "the trouble is over",
    "fire.supervisory": "a supervised part is off normal",
    "fire.supervisory_restored": "the supervised part is normal again",
    "fire.notice": "notice",
    "link.down": "CAN'T BE HEARD",
    "link.up": "heard again",
    "input.fault": "an input can't be trusted",
    "input.restored": "the input can be trusted again",
    "input.stuck": "stuck: a fault, no alarm",
    "input.unstuck": "not stuck any more",
    "input.unreadable": "sends what nobody can read",
    "module.restarted": "was restarted",
    "output.on": "is on",
    "output.off": "is off",
    "output.mismatch": "IS NOT AS IT WAS TOLD; told again",
    "lock.released": "is released",
    "lock.locked": "is locked",
    "camera.arrived": "stands",
    "recording.confirmed": "clip kept",
    "recording.missing": "NO CLIP",
    "opened": "the store opens",
    "closed": "the store closes",
    "evacuation.started": "EVACUATION",
    "evacuation.ended": "the evacuation is over",
    "incident.opened": "incident",
    "incident.acknowledged": "is looked after",
    "mode.changed": "mode",
    "mode.requested": "a mode is asked for",
    "mode.refused": "no rule changes the mode that a person has set",
    "clock.untrusted": "the clock can't be trusted",
    "clock.trusted": "the clock can be trusted",
    "clock.stepped": "the clock was set",
    "clock.corrected": "the clock was wrong before; times are corrected",
    "uplink.connected": "the cloud is connected",
    "uplink.disconnected": "THE CLOUD CAN'T BE REACHED; everything is kept",
    "uplink.refused": "the cloud refuses a message",
    "certificate.expiring": "a certificate of the cloud's link ends soon",
    "certificate.expired": "A CERTIFICATE OF THE CLOUD'S LINK HAS ENDED",
    "config.reloaded": "a new configuration runs",
    "config.applied": "NEW RULES RUN, on trial",
    "config.confirmed": "the new rules stay",
    "config.reverted": "BACK TO THE RULES BEFORE",
    "config.refused": "THE NEW CONFIGURATION IS REFUSED; the old one runs",
    "upgrade.done": "a new release of the program runs",
    "upgrade.returned": "BACK TO THE RELEASE BEFORE",
    "daemon.restarted": "the program was started again",
    "buffer.gap": "THE JOURNAL HAS LOST RECORDS",
}

DONE = {
    "sound": "sounds",
    "silence": "is silent",
    "switch_on": "is on",
    "switch_off": "is off",
    "release": "is released",
    "relock": "is locked",
    "goto": "looks at {preset}",
    "record": "keeps a clip",
    "send": "sends: {text}",
}
"""What is to be seen when a command is done."""

_SECONDS = frozenset({"duration", "open_for", "active_for", "seconds", "before"})
_LEFT_OUT = frozenset(
    {"cause", "by", "size", "sha256", "proof", "late", "member", "affects", "values", "parameters"}
)


def details(signal: str, data: Mapping[str, Any]) -> list[str]:
    """Return what else is worth knowing of a signal, in words."""
    if signal == "eas.visitors":
        return [f"{data.get('entered') or 0} in, {data.get('left') or 0} out"]
    if signal == "eas.ended":
        times = data.get("count", 1)
        return [] if times == 1 else [f"{times} pulses in {data.get('duration', 0):.1f} s"]
    if signal == "incident.opened":
        return [str(data.get("name", "")).replace("_", " ")]
    found = ["found after a restart"] if data.get("changed_while_down") else []
    for key, value in data.items():
        if key in _LEFT_OUT or key == "changed_while_down" or value in (None, "", [], "unknown"):
            continue
        found += _detail(key, value)
    return found


def _detail(key: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [key] if value else []
    number = isinstance(value, (int, float))
    if key in _SECONDS and number:
        return [f"after {value:.1f} s" if key == "open_for" else f"{value:.1f} s"]
    if key in {"for", "watch"} and number:
        return [f"{key} {span(value)}"]
    if key == "amount" and isinstance(value, float):
        return [f"amount {value:.2f}"]
    if key in {"reason", "text", "zone"}:
        return [str(value)]
    return [f"{key.replace('_', ' ')} {value}"]
