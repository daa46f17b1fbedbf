"""Rules that load and do not mean what they say: each kind of mistake, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import yaml_source as ys
from rules.convert import Context
from rules.lint import lint
from rules.lint_windows import Paces
from rules.loader import load_rules
from rules.problems import Problems
from tests.rules.worlds import SHOP

MISTAKES = Path(__file__).parent / "mistakes" / "lint"
PACES = Paces(
    apart={("eas_front", "eas.alarm"): 8.0, ("eas_back", "eas.alarm"): 8.0},
    ring={"cam_exit": 60.0, "cam_tills": 60.0},
    per_hour={"siren_back": 600.0},
)
BARE = "no test covers "

TABLE: list[dict[str, Any]] = [
    {"name": f"{path.stem}: {case['says']}", "bare": path.stem == "tests", **case}
    for path in sorted(MISTAKES.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def said(files: dict[str, str], *, bare: bool) -> str:
    """Return what is said of rule files; `bare`: also of rules that have no test."""
    problems = Problems()
    read = [(name, ys.read_text(text, name, problems)) for name, text in files.items()]
    sources = [(name, node) for name, node in read if node is not None]
    rules = load_rules(sources, SHOP, Context(problems=problems))
    found = problems.all
    if not problems.errors:
        found += lint(rules, SHOP, PACES).all
    return "\n".join(map(str, (p for p in found if bare or not p.message.startswith(BARE))))


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_a_mistake_of_meaning_is_said_at_its_place(case: dict[str, Any]) -> None:
    assert said(case["files"], bare=case["bare"]) == case["problems"].rstrip("\n")


FINE = {
    "opposite orders that never meet": """
  a: {when: {eas_front: eas.alarm}, if: site.open, do: {sound: siren_front, for: 5s}}
  b: {when: {eas_front: eas.alarm}, if: not site.open, do: {silence: siren_front}}
""",
    "opposite orders at other values of a field": """
  a: {when: {eas_front: eas.alarm, direction: out}, do: {sound: siren_front, for: 5s}}
  b: {when: {eas_front: eas.alarm, direction: in}, do: {silence: siren_front}}
""",
    "opposite orders of different priority": """
  a: {when: {eas_front: eas.alarm}, do: {sound: siren_front, for: 5s}}
  b: {priority: operations, when: {eas_front: eas.alarm}, do: {silence: siren_front}}
""",
    "opposite orders after different times": """
  a: {when: {door_back: open, for: 1m}, do: {switch_on: beacon_back, for: 1m}}
  b: {when: {door_back: open, for: 5m}, do: {switch_off: beacon_back}}
""",
    "the same orders, one of them with a cooldown": """
  a: {when: {gates: eas.jammer}, do: [{incident: x}, {incident: y}], cooldown: 1m}
  b: {when: {gates: eas.jammer}, if: site.open, do: {incident: x}}
""",
    "the same orders, for longer": """
  a: {when: {gates: eas.jammer}, do: {sound: siren_front, for: 5s}}
  b: {when: {gates: eas.jammer}, if: site.open, do: {sound: siren_front, for: 10s}}
""",
    "the same orders on another condition": """
  a: {when: {gates: eas.jammer}, if: event.aisle < 3, do: {incident: x}}
  b: {when: {gates: eas.jammer}, if: event.aisle > 1, do: {incident: x}}
""",
    "a rule in shadow beside the one that it tries": """
  a: {when: {gates: eas.jammer}, do: {sound: siren_front, for: 5s}}
  b: {enabled: shadow, when: {gates: eas.jammer}, do: {sound: siren_front, for: 5s}}
""",
    "outputs that follow each other and end": """
  a: {when: {siren_front: output.on}, do: {switch_on: beacon_back, for: 10s}}
  b: {when: {beacon_back: output.on}, do: {sound: siren_front, for: 5s}}
""",
    "a mode that is set when another ends": """
  a: {when: {site: mode=delivery}, do: {mode: hours}}
  b: {when: {site: mode.changed, mode: closed}, do: {mode: delivery, for: 1h}}
""",
    "a failed order that another device says": """
  a: {when: {siren_front: order.failed}, do: {sound: siren_back, for: 5s}}
""",
    "an order done by a person, which is told on": """
  a: {when: {siren_front: order.done}, if: event.by == 'person', do: {sound: siren_front, for: 5s}}
""",
    "an incident of another name": """
  b: {when: {eas_back: eas.alarm}, do: {incident: theft}}
  a: {when: {site: incident.opened, name: theft}, do: {incident: theft_again}}
""",
    "a group that is watched, and one of its members told": """
  a: {when: {gates: link.down}, do: {sound: siren_front, for: 5s}}
""",
    "an output of the evacuation held for a time": """
  a: {when: {eas_front: eas.jammer}, do: {switch_on: beacon_back, for: 10m}}
""",
    "an output of the evacuation held until something comes": """
  a: {when: {door_back: open}, do: {switch_on: beacon_back}, until: {door_back: closed}}
""",
    "as many alarms as merge lets come": """
  a: {when: {count: 3, of: {eas_front: eas.alarm}, within: 17s}, do: {incident: x}}
""",
    "numbers that meet at one": """
  a: {when: {eas_front: eas.alarm}, if: 5 <= event.aisle and event.aisle <= 5, do: {incident: x}}
""",
    "all the members that a group has here": """
  a: {when: {gates: eas.alarm}, if: "event.device in ['eas_front', 'eas_back']", do: {incident: x}}
""",
    "a hold, a clip and a lease that are just within the limits": """
  a: {when: {door_front: open, for: 20ms}, do: {record: cam_tills, before: 60s}}
  b: {when: {eas_front: eas.jammer}, do: {sound: siren_back, for: 10m}}
""",
    "a group of which the lost one is not told": """
  a: {when: {gates: down, for: 1m}, do: {record: cam_exit}}
""",
    "a rule that is switched off": """
  a: {enabled: no, when: {eas_front: eas.alarm}, if: 1 < event.aisle < 1, do: {incident: x}}
""",
}


@pytest.mark.parametrize("rules", FINE.values(), ids=FINE.keys())
def test_nothing_is_said_of(rules: str) -> None:
    assert said({"rules/r.yaml": f"rules:{rules}"}, bare=False) == ""


def test_the_corpus_of_mistakes_is_large() -> None:
    loading = sum(len(yaml.safe_load(path.read_text())) for path in MISTAKES.parent.glob("*.yaml"))
    configurations = len(list((Path(__file__).parents[1] / "edge" / "mistakes").glob("*.txt")))

    assert len(TABLE) >= 85
    assert loading >= 170
    assert configurations >= 95
    assert len(TABLE) + loading + configurations >= 380
