"""Histories by hand, rules as text, and the difference in words, for tests of the backtest."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from drivers.event import Event
from drivers.priorities import Priority
from rules import yaml_source as ys
from rules.backtest import compare
from rules.backtest_play import Side
from rules.backtest_report import Report
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import Problems
from tests.rules.worlds import SHOP

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""Tick 0: a Friday noon in winter."""
NUMBERS = count(1)
STATES = {
    "eas.alarm": {"alarm": "active"},
    "eas.ended": {"alarm": "quiet"},
    "door.opened": {"contact": "open"},
    "door.closed": {"contact": "closed"},
    "fire.alarm": {"alarm": "active"},
    "opened": {"open": "yes"},
    "closed": {"open": "no"},
    "link.down": {"link": "down"},
    "link.up": {"link": "up"},
    "output.on": {"output": "on"},
    "output.off": {"output": "off"},
}


def said(tick: float, device: str, kind: str, **fields: Any) -> Event:
    return Event(
        id=fields.pop("id_", f"{next(NUMBERS):032x}"),
        device=device,
        kind=kind,
        priority=Priority.operations,
        tick=tick,
        at=fields.pop("at", BEGAN + timedelta(seconds=tick)),
        boot=fields.pop("boot", "b" * 32),
        trusted=fields.pop("trusted", True),
        fields=fields,
        sets=fields.pop("sets", STATES.get(kind, {})),
    )


@functools.cache
def side(rules: str, **more: Any) -> Side:
    problems = Problems()
    node = ys.read_text(f"rules:\n{rules}", "shop.yaml", problems)
    assert node is not None
    context = Context(problems=problems, variables={}, secret=lambda *_: None)
    found = load_rules([("rules/shop.yaml", node)], SHOP, context)
    assert not problems.errors, str(problems.errors[0])
    return Side(rules=found.rules, moments=found.moments, world=SHOP, **more)


GATES = """
  gate:
    when: {gates: eas.alarm}
    do: [{sound: siren_front, for: 10s}, {record: cam_exit, for: 30s}, {incident: tag}]
"""
PROPPED = """
  propped:
    when: {door_back: open, for: 60s}
    do: [{sound: siren_back}]
    until: {door_back: closed}
"""


def opened(tick: float, seconds: float) -> list[Event]:
    """The back door, open for so long."""
    return [
        said(tick, "door_back", "door.opened"),
        said(tick + seconds, "door_back", "door.closed"),
    ]


def played(events: Iterable[Event], before: str, after: str, **more: Any) -> Report:
    return compare(events, side(before), side(after, **more))


def alarms(report: Report) -> list[str]:
    """Lost and gained ones: `lost propped door_back 12:02:00`."""
    return [f"{a.change} {a.rule} {a.device} {a.at:%H:%M:%S}" for a in report.examples]


def figures(report: Report, what: str) -> tuple[Any, Any]:
    return getattr(report.total.before, what), getattr(report.total.after, what)


CHAIN = """
  first:
    when: {eas_front: eas.alarm}
    do: [{incident: tag}, {mode: delivery}]
  second:
    when: {site: incident.opened, name: tag}
    do: [{record: cam_exit, for: 5s}]
  third:
    when: {site: mode.changed, mode: delivery}
    do: [{sound: siren_back, for: 5s}]
"""
DAILY = '\n  walk:\n    when: {daily: "12:30"}\n    do: [{incident: walk}]'
