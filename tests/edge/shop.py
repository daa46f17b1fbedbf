"""A small shop as a loaded configuration, and events of its devices, for tests of edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from drivers.commands import Command
from drivers.event import SITE, Event
from drivers.priorities import Priority
from edge.config.load import load
from edge.config.model import Configuration
from edge.decide import LATCH, PERSON, Decider
from edge.turn import Turn

SITE_YAML = """
site: shop
timezone: Europe/London
hours: {mon-sun: "09:00-21:00"}
evacuation:
  on: [fire_main]
  release: [exits]
  silence: [siren_front]
  sound: [beacon_back]
  goto: {cam_exit: evacuation}
  drill: {release: no, sound: yes, record: yes}
http: {listen: 127.0.0.1:9464}
"""
DEVICES_YAML = """
io:
  annex:
    type: modbus
    url: "tcp://127.0.0.1:1502"
    unit: 1
    inputs: {di0: {discrete: 0}, di1: {discrete: 1}, di2: {discrete: 2}, di3: {discrete: 3}}
    outputs: {do0: {coil: 0}, do1: {coil: 1}, do2: {coil: 2}, do3: {coil: 3}, do4: {coil: 4}}
devices:
  eas_front: {type: eas_pedestal, alarm: annex.di0, aisle: 1}
  door_back: {type: door, contact: annex.di1, held_after: 1h}
  fire_main: {type: fire_panel, alarm: annex.di2, unsupervised: accepted}
  panic: {type: button, kind: panic, contact: annex.di3, unsupervised: accepted}
  siren_front: {type: siren, output: annex.do0, max_on: 2m, max_per_hour: 5m, quiet: "22:00-07:00"}
  siren_back: {type: siren, output: annex.do1, max_on: 2m}
  beacon_back: {type: beacon, output: annex.do2}
  lock_exit: {type: lock, output: annex.do3}
  lock_back: {type: lock, output: annex.do4}
  film: {type: recorder, url: "rtsp://10.0.4.52/stream1"}
  cam_exit:
    {type: onvif_camera, host: 10.0.4.51, username: warden, password: !secret cam, home: lobby}
groups: {exits: [lock_exit, lock_back]}
"""
RULES_YAML = """
rules:
  gate_alarm:
    priority: security
    when: {eas_front: eas.alarm}
    do:
      - {sound: siren_front, for: 10s}
      - {goto: cam_exit, preset: gate, for: 60s}
      - {incident: gate_activation}
    escalate:
      - {after: 60s, do: [{sound: siren_back, for: 5s}]}
  hold_up:
    priority: personal_safety
    when: {panic: button.pressed}
    do: [{sound: siren_back, for: 30s}]
  propped:
    when: {door_back: open, for: 20s}
    do: [{sound: siren_back}]
    until: {door_back: closed}
"""
BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""Tick 0: a Friday noon in winter."""
NUMBERS = count(1)
STATES = {
    "eas.alarm": {"alarm": "active"},
    "eas.ended": {"alarm": "quiet"},
    "door.opened": {"contact": "open"},
    "door.closed": {"contact": "closed"},
    "fire.alarm": {"alarm": "active"},
    "fire.restored": {"alarm": "normal"},
    "button.pressed": {"contact": "active"},
    "link.up": {"link": "up"},
    "link.down": {"link": "down"},
}
URGENT = {"fire.alarm": Priority.life_safety, "eas.alarm": Priority.security}


def written(folder: Path, **files: str) -> Path:
    """Write the shop's files into `folder`; `site=`, `devices=`, `rules=` replace one."""
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "cam").write_text("c4m-pass")
    (folder / "secrets" / "cam").chmod(0o600)
    (folder / "site.yaml").write_text(files.get("site", SITE_YAML))
    (folder / "devices.yaml").write_text(files.get("devices", DEVICES_YAML))
    (folder / "rules" / "shop.yaml").write_text(files.get("rules", RULES_YAML))
    return folder


def shop(folder: Path, **files: str) -> Configuration:
    """Load the shop from `folder`."""
    return load(written(folder, **files))


def said(tick: float, device: str, kind: str, **fields: Any) -> Event:
    """An event of the shop; `sets=` overrides the states that usually follow from its kind."""
    sets = fields.pop("sets", STATES.get(kind, {}))
    return Event(
        id=f"{next(NUMBERS):032x}",
        device=device,
        kind=kind,
        priority=fields.pop("priority_", URGENT.get(kind, Priority.operations)),
        tick=tick,
        at=fields.pop("at", BEGAN + timedelta(seconds=tick)),
        boot="b" * 32,
        trusted=fields.pop("trusted", True),
        fields=fields,
        sets=sets,
    )


def ordered(tick: float, target: str, command: str, **fields: Any) -> Event:
    """A person's order, as the control socket puts it into the inbox."""
    return said(tick, SITE, PERSON, target=target, command=command, by="Ann", reason="r", **fields)


def asked(tick: float, action: str, **fields: Any) -> Event:
    """A person's word to the evacuation latch."""
    told = {"reason": "all clear", "by": "Ann"} | fields
    return said(tick, SITE, LATCH, action=action, priority_=Priority.life_safety, **told)


class Story:
    """A decider that is told events and shows its orders as words."""

    def __init__(self, configuration: Configuration) -> None:
        self.decider = Decider(configuration)

    def at(self, event: Event) -> Turn:
        """Let time pass until the event, then feed it; return what both led to."""
        before = self.decider.advance(event.tick, event)
        turn = self.decider.feed(event)
        turn.given[:0] = before.given
        turn.said[:0] = before.said
        return turn

    def until(self, tick: float) -> Turn:
        """Let time pass."""
        return self.decider.advance(tick, said(tick, SITE, "time"))


def orders(turn: Turn) -> list[str]:
    """Return the orders handed over, `siren_front sound by rule`."""
    return [f"{g.device} {word(g.command)} by {g.by}" for g in turn.given]


def refusals(turn: Turn) -> list[str]:
    """Return the orders refused, and why."""
    return [f"{r.given.device} {r.given.command.kind}: {r.reason}" for r in turn.refused]


def word(command: Command) -> str:
    return " ".join([command.kind, *(str(v) for v in command.fields().values())])
