"""Neighbours in conditions: whoever is near the device that spoke is asked, and checked at load."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules import yaml_source as ys
from rules.convert import Context
from rules.lint import lint
from rules.loader import load_rules
from rules.model import Fired, NotFired, RuleSet, World
from rules.problems import Problems
from tests.rules.building import engine, play, said
from tests.rules.worlds import SHOP

NEAR = {"eas_front": ("door_front",), "eas_back": ("door_back",)}
TWO_GATES = replace(
    SHOP,
    devices={
        **SHOP.devices,
        **{
            gate: replace(SHOP.devices[gate], near={"door": doors, "doors": ("door_front",) * 2})
            for gate, doors in NEAR.items()
        },
    },
)


def loaded(condition: str, when: str = "{gates: eas.alarm}", more: str = "") -> tuple[RuleSet, str]:
    return in_world(TWO_GATES, condition, when, more)


def in_world(world: World, condition: str, when: str, more: str) -> tuple[RuleSet, str]:
    problems = Problems()
    text = f'rules: {{a: {{when: {when}, if: "{condition}", do: {{incident: x}}{more}}}}}'
    node = ys.read_text(text, "r.yaml", problems)
    assert node is not None
    rules = load_rules([("r.yaml", node)], world, Context(problems=problems))
    return rules, str(problems)


OPENED = [said(1, "door_back", "door.opened"), said(1, "door_front", "door.closed")]


@pytest.mark.parametrize(
    ("condition", "front", "back"),
    [
        ("event.near.door.contact == 'open'", "no", "yes"),
        ("event.near.door.contact in ['open', 'unknown']", "no", "yes"),
        ("since(event.near.door, 'door.opened') < 60", "unknown", "yes"),
        ("count(event.near.door, 'door.opened', '1m') == 0", "yes", "no"),
        ("held(event.near.door, 'contact') == 4", "yes", "yes"),
        ("event.near.door.held == 'no'", "unknown", "unknown"),
        ("event.near.door.held == 'unknown'", "yes", "yes"),
        ("event.near.door.forced or event.near.door.contact == 'unknown'", "unknown", "unknown"),
        ("event.near.door.contact == door_front.contact", "yes", "no"),
    ],
)
def test_the_neighbour_of_whoever_spoke_is_asked(condition: str, front: str, back: str) -> None:
    rules, problems = loaded(condition)
    assert problems == ""
    one = engine(*rules.rules)
    play(one, *OPENED)
    answers = []
    for gate in ("eas_front", "eas_back"):
        (decision,) = one.feed(said(5, gate, "eas.alarm"))
        assert isinstance(decision, Fired | NotFired)
        answers.append(decision.why.answer)
    assert answers == [front, back]


def test_what_was_read_names_the_neighbour_itself() -> None:
    rules, _ = loaded("event.near.door.contact == 'open'")
    one = engine(*rules.rules)
    (found,) = play(one, *OPENED, said(5, "eas_back", "eas.alarm"))
    assert isinstance(found, Fired)
    assert dict(found.why.read) == {"event.device": "eas_back", "door_back.contact": "open"}
    condition = rules.rules[0].condition
    assert condition is not None
    assert condition.reads == {
        ("event", "device"),
        ("door_front", "contact"),
        ("door_back", "contact"),
    }


@pytest.mark.parametrize(
    ("condition", "message", "hint"),
    [
        ("event.near.dor.contact == 'open'", "eas_front has no near: dor", "did you mean door?"),
        ("event.near.siren.output == 'on'", "eas_front has no near: siren", "near: door, doors"),
        ("event.near.doors.contact == 'open'", "has not one device near: doors", "there are 2"),
        ("event.near.door.contct == 'open'", "unknown state door_front.contct", "contact?"),
        (
            "event.near.door.contact == 'opn'",
            "unknown value 'opn' of event.near.door.contact",
            "did you mean open?",
        ),
        ("event.near.door == 'open'", "one dot only", "write event.near.door.<state>"),
        ("count(event.near.door, 'eas.alarm', '5m') > 1", "door_front never says 'eas.alarm'", ""),
        ("held(event.near.door, 'open') > 1", "door_front has no state 'open'", ""),
    ],
)
def test_a_neighbour_that_is_not_there_is_said(condition: str, message: str, hint: str) -> None:
    _, problems = loaded(condition)
    assert message in problems
    assert hint in problems


def test_every_device_that_can_complete_the_trigger_has_one() -> None:
    _, problems = loaded(
        "event.near.door.contact == 'open'", "[{gates: eas.alarm}, {door_front: open}]"
    )
    assert "door_front has no near: door" in problems
    _, problems = loaded("event.near.door.contact == 'open'", '{daily: "21:30"}')
    assert "site has no near: door" in problems


def test_it_can_not_be_asked_while_a_state_lasts_nor_for_life_safety() -> None:
    while_ = "{eas_front: alarm=active, for: 1m, while: event.near.door.contact == 'open'}"
    _, problems = loaded("site.open", while_)
    assert "event.near.door can't be read here" in problems
    _, problems = loaded("event.near.door.contact == 'open'", more=", priority: life_safety")
    assert "a life_safety rule reads event.* only, not event.near.door" in problems


@pytest.mark.parametrize(
    ("condition", "said_of_it"),
    [
        ("event.near.door.contact == 'open'", []),
        ("event.near.door.forced", []),
        ("event.near.door.contact == 'open' or door_front.contact == 'closed'", []),
        ("count(event.near.door, 'door.opened', '5m') >= 1", []),
        (
            "event.near.door.contact == 'open' and event.near.door.contact == 'closed'",
            ["if: can never be true here"],
        ),
    ],
)
def test_only_what_contradicts_itself_is_called_impossible(
    condition: str, said_of_it: list[str]
) -> None:
    rules, _ = loaded(condition)
    found = [p.message for p in lint(rules, TWO_GATES).all if p.message.startswith("if:")]
    assert found == said_of_it
