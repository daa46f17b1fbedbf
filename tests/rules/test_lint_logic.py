"""What is said of conditions is true of them: no value that can be ever contradicts it."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event import Event
from rules import yaml_source as ys
from rules.convert import Context
from rules.lint import lint
from rules.lint_logic import MOST, Given, Logic
from rules.loader import load_rules
from rules.model import RuleSet, StateView
from rules.problems import Problems
from rules.tallies import NO_FIELDS
from tests.rules.building import said as event
from tests.rules.worlds import SHOP

STATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("door_front", "contact"): ("open", "closed", "unknown"),
    ("door_back", "contact"): ("open", "closed", "unknown"),
    ("door_front", "held"): ("no", "warning", "held", "unknown"),
    ("site", "open"): ("yes", "no", "unknown"),
}
LEAVES = [
    "site.open",
    "door_front.contact == 'open'",
    "door_front.contact != 'closed'",
    "door_front.contact in ['open', 'unknown']",
    "door_front.contact == door_back.contact",
    "door_back.contact == 'closed'",
    "door_front.held not in ['held', 'warning']",
    "event.direction == 'out'",
    "event.direction in ['in', 'out']",
    "event.aisle > 2",
    "event.aisle <= 2",
    "1 < event.aisle < 4",
    "since('eas_back', 'eas.alarm') > 30",
    "since('eas_back', 'eas.alarm') < duration('30s')",
    "since('eas_front', 'eas.alarm') >= 5",
    "count('eas_front', 'eas.alarm', '5m') >= 2",
    "count('eas_front', 'eas.alarm', '5m') < 2",
    "count('eas_back', 'eas.alarm', '5m') + 1 > 1",
    "since('eas_back', 'eas.alarm') > since('eas_back', 'eas.metal')",
    "since('eas_front', 'eas.alarm', direction='in') < 30",
    "count('eas_front', 'eas.alarm', '5m', direction='out') >= 1",
    "count('eas_front', 'eas.alarm', '5m', direction='out') < var('often')",
    "count('eas_front', 'eas.alarm', '5m', aisle=event.aisle) >= 1",
    "event.aisle > var('often')",
    "event.direction in [var('way'), 'unknown']",
    "var('loud')",
    "not var('still')",
    "var('often') > 3",
    "var('way') == 'out'",
]
VARIABLES = """vars:
  often: {type: whole, default: 2}
  way: {type: text, default: in}
  loud: {type: bool, default: yes}
  still: {type: bool, default: no}
"""
CONDITIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=5,
)


class View(StateView):
    """A shop with some values."""

    def __init__(self, values: Mapping[tuple[str, str], str], chance: random.Random) -> None:
        self._values = values
        self._chance = chance
        self._counts: dict[tuple[str, str, str], int] = {}
        self._ages: dict[tuple[str, str, str], float | None] = {}

    def state(self, device: str, state: str) -> str:
        return self._values[device, state]

    def since(self, device: str, kind: str, fields: Mapping[str, Any] = NO_FIELDS) -> float | None:
        if (device, kind) == ("eas_front", "eas.alarm") and not fields:
            return 0.0
        ages = [None, 0.0, 29.5, 30.0, 31.0, 1000.0]
        return self._ages.setdefault((device, kind, str(fields)), self._chance.choice(ages))

    def held(self, device: str, state: str) -> float | None:
        return None

    def count(
        self, device: str, kind: str, within: float, fields: Mapping[str, Any] = NO_FIELDS
    ) -> int:
        least = 1 if device == "eas_front" and not fields else 0
        asked = (device, kind, str(fields))
        return self._counts.setdefault(asked, least + self._chance.randrange(3))


def loaded(condition: str, when: str) -> RuleSet:
    text = f'{VARIABLES}rules: {{a: {{when: {when}, if: "{condition}", do: {{incident: x}}}}}}'
    problems = Problems()
    node = ys.read_text(text, "rules/r.yaml", problems)
    assert node is not None
    rules = load_rules([("rules/r.yaml", node)], SHOP, Context(problems=problems))
    assert not problems.errors, str(problems)
    return rules


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, st.sampled_from([("out",), ("in",), ("in", "out", "unknown")]), st.integers())
def test_what_is_called_impossible_never_happens_and_what_is_called_constant_never_fails(
    condition: str, directions: tuple[str, ...], seed: int
) -> None:
    when = f"{{eas_front: eas.alarm, direction: [{', '.join(directions)}]}}"
    rules = loaded(condition, when)
    said = {p.message for p in lint(rules, SHOP).all if p.message.startswith("if:")}
    compiled = rules.rules[0].condition
    assert compiled is not None
    chance = random.Random(seed)
    answers = set()
    for values in itertools.product(*STATES.values()):
        view = View(dict(zip(STATES, values, strict=True)), chance)
        fields = {"direction": chance.choice(directions), "aisle": chance.randrange(6)}
        asked: Event = event(1.0, "eas_front", "eas.alarm", **fields)
        answers.add(compiled.evaluate(view, asked))

    if "if: can never be true here" in said:
        assert "yes" not in answers
    if "if: is always true here" in said:
        assert "no" not in answers


def test_too_many_values_are_not_tried() -> None:
    doors = [f"door{n}" for n in range(8)]
    text = " and ".join(f"{door}.contact == 'open'" for door in doors)
    words = dict.fromkeys(doors, SHOP.devices["door_front"])
    world = type(SHOP)(devices={**SHOP.devices, **words})
    logic = Logic(world, {})

    assert 3 ** len(doors) > MOST
    assert logic.outcomes(logic.read(text), Given()) is None
    assert logic.outcomes(logic.read(text.rpartition(" and ")[0]), Given()) == {
        "yes",
        "no",
        "unknown",
    }


@pytest.mark.parametrize(
    "when",
    [
        "{gates: eas.alarm}",
        "{sequence: [{door_front: open}, {eas_front: eas.alarm}], within: 1m}",
        "{after: {door_front: open}, without: {door_front: closed}, within: 1m}",
        "[{eas_front: eas.alarm, direction: in}, {eas_front: eas.alarm, direction: out}]",
        "{door_front: open, for: 2m, while: site.open}",
        "{daily: opening}",
        "{gates: link.down}",
    ],
)
@pytest.mark.parametrize(
    "condition",
    [
        "site.open",
        "door_back.contact == 'open'",
        "door_back.contact == 'unknown' or site.open",
        "site.mode != 'maintenance'",
        "since('eas_back', 'eas.metal') > duration('30s')",
        "count('gates', 'eas.alarm', '5m') >= 3",
        "event.device != 'eas_back'",
        "since('gates', 'eas.alarm', direction='in') < 30",
        "count('gates', 'eas.alarm', '5m', direction='in') >= 1",
        "count('gates', 'eas.alarm', '5m') >= var('often')",
        "var('loud')",
        "var('often') > 3 and site.open",
        "site.open and var('way') == 'in'",
    ],
)
def test_nothing_is_said_of_a_condition_that_may_be_so_or_not(when: str, condition: str) -> None:
    if "event" in condition and "gates" not in when:
        condition = "door_back.contact == 'closed'"
    said = lint(loaded(condition, when), SHOP).all

    assert [str(p) for p in said if not re.search("no test covers", p.message)] == []
