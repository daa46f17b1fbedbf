"""A group that is empty in this store, as one of several facts of which any will do."""

from __future__ import annotations

import pytest

from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.model import Absence, Fact, RuleSet
from rules.problems import Problems
from tests.rules.worlds import SHOP


def loaded(when: str) -> tuple[RuleSet, str]:
    problems = Problems()
    text = f"rules: {{a: {{when: {when}, do: {{incident: x}}}}}}"
    node = ys.read_text(text, "rules/a.yaml", problems)
    assert node is not None
    rules = load_rules([("rules/a.yaml", node)], SHOP, Context(problems=problems))
    return rules, str(problems)


def test_the_others_are_heard_and_nothing_is_said_of_it() -> None:
    rules, said = loaded("[{nobody: door.opened}, {door_front: door.opened}]")

    assert said == ""
    (fact,) = rules.rules[0].when
    assert isinstance(fact, Fact)
    assert fact.members == ("door_front",)


def test_what_explains_an_alarm_may_be_absent_in_a_store() -> None:
    without = "[{nobody: door.opened}, {door_front: door.closed}]"
    rules, said = loaded(f"{{before: {{eas_front: eas.alarm}}, without: {without}, within: 1m}}")

    assert said == ""
    (trigger,) = rules.rules[0].when
    assert isinstance(trigger, Absence)
    assert [fact.members for fact in trigger.without] == [("door_front",)]


@pytest.mark.parametrize("when", ["[{nobody: open}, {nobody: closed}]", "{nobody: open}"])
def test_a_rule_that_nobody_can_trigger_is_warned_of(when: str) -> None:
    assert "warning: the group nobody is empty here" in loaded(when)[1]
