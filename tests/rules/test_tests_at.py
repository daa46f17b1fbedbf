"""`tests_at:`: a file that is copied to many stores is tested at the one whose devices it names."""

from __future__ import annotations

import dataclasses

from rules import yaml_source as ys
from rules.convert import Context
from rules.lint_tests import uncovered
from rules.loader import load_rules
from rules.model import RuleSet
from rules.problems import Problems
from rules.scenario import play
from tests.rules.worlds import SHOP

COPIED = """
rules:
  opened: {when: {doors: door.opened}, do: [{incident: opened}]}
tests_at: store_1
tests:
  - name: a door that only this store has
    timeline: [{at: 0s, door_of_store_1: door.opened}]
    expect: [{at: 0s, rule: opened, incident: opened}]
"""


def loaded(text: str, site: str) -> tuple[RuleSet, Problems]:
    problems = Problems()
    node = ys.read_text(text, "rules/a.yaml", problems)
    assert node is not None
    groups = {**SHOP.groups, "doors": ("door_front",)}
    world = dataclasses.replace(SHOP, site=site, groups=groups)
    return load_rules([("rules/a.yaml", node)], world, Context(problems=problems)), problems


def test_at_another_store_the_tests_are_left_out_and_name_what_they_like() -> None:
    rules, problems = loaded(COPIED, "store_2")

    assert str(problems) == ""
    (case,) = rules.tests
    assert (case.name, case.skipped) == ("a door that only this store has", "it is for store_1")


def test_at_its_own_store_what_they_name_must_be_there() -> None:
    _rules, problems = loaded(COPIED, "store_1")

    assert [(p.mark.line, p.message) for p in problems.errors] == [
        (7, "unknown device 'door_of_store_1'")
    ]


def test_at_its_own_store_they_are_played() -> None:
    rules, problems = loaded(COPIED.replace("door_of_store_1", "door_front"), "store_1")

    assert str(problems) == ""
    (case,) = rules.tests
    assert not case.elsewhere
    assert case.skipped == ""


def test_a_file_that_is_tested_elsewhere_is_not_called_untested() -> None:
    world = dataclasses.replace(SHOP, site="store_2")
    covered, problems = Problems(), Problems()

    uncovered(loaded(COPIED, "store_2")[0], world, covered)
    uncovered(loaded(COPIED.partition("tests_at")[0], "store_2")[0], world, problems)

    assert str(covered) == ""
    assert [p.message for p in problems.all] == ["no test covers opened"]


def test_what_is_left_out_does_not_fail() -> None:
    rules, _problems = loaded(COPIED, "store_2")

    assert play(rules.tests[0], rules, SHOP) == []
