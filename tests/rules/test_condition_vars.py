"""Variables in conditions: their values, their mistakes, and what a new value changes."""

from __future__ import annotations

import pytest

from rules import yaml_source as ys
from rules.convert import Context
from rules.lint import lint
from rules.loader import load_rules
from rules.model import Rule, RuleSet
from rules.problems import Problems
from rules.scenario import play
from tests.rules.building import said
from tests.rules.test_expressions import Shop
from tests.rules.worlds import SHOP

VARS = """vars:
  walk: {type: duration, default: 90s}
  often: {type: whole, default: 3, min: 1}
  part: {type: number, default: 2.5}
  way: {type: text, default: in}
  loud: {type: bool, default: yes}
"""


def loaded(text: str, **site: str) -> tuple[RuleSet, str]:
    problems = Problems()
    node = ys.read_text(text, "rules/r.yaml", problems)
    assert node is not None
    given = {name: ys.read_text(value, "site.yaml", problems) for name, value in site.items()}
    variables = {name: value for name, value in given.items() if value is not None}
    context = Context(problems=problems, variables=variables)
    found = load_rules([("rules/r.yaml", node)], SHOP, context)
    shown = [str(p) for p in problems.all if "is not used" not in p.message]
    return found, "\n".join(shown)


def with_condition(condition: str, **site: str) -> tuple[RuleSet, str]:
    rule = f'a: {{when: {{eas_front: eas.alarm}}, if: "{condition}", do: {{incident: x}}}}'
    return loaded(f"{VARS}rules: {{{rule}}}", **site)


def the(rules: RuleSet) -> Rule:
    (rule,) = rules.rules
    return rule


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("event.aisle == var('often')", "yes"),
        ("event.aisle > var('part')", "yes"),
        ("event.aisle * 30 == var('walk')", "yes"),
        ("event.aisle < -var('often') + 2 * var('often') + 1", "yes"),
        ("event.direction == var('way')", "yes"),
        ("event.direction in ['out', var('way')]", "yes"),
        ("var('loud')", "yes"),
        ("not var('loud') or var('way') == 'out'", "no"),
        ("var('often') > 5", "no"),
        ("count('eas_front', 'eas.alarm', var('walk')) == 7", "yes"),
        ("count('eas_front', 'eas.alarm', '10s', direction=var('way')) == 8", "yes"),
    ],
)
def test_a_variable_is_its_value(condition: str, expected: str) -> None:
    rules, problems = with_condition(condition)
    assert problems == ""
    asked = the(rules).condition
    assert asked is not None
    shop = Shop(counts={"eas_front.eas.alarm.90": 7, "eas_front.eas.alarm.10 direction='in'": 8})
    event = said(1.0, "eas_front", "eas.alarm", aisle=3, direction="in")
    assert asked.evaluate(shop, event) == expected
    assert not lint(rules, SHOP).errors


@pytest.mark.parametrize(
    ("condition", "message", "hint"),
    [
        ("event.aisle > var('oftn')", "unknown variable 'oftn'", "did you mean often?"),
        ("event.aisle > var(often)", "a variable is wanted here, in quotes", ""),
        ("event.aisle > var('often', 3)", "var() takes other arguments", "write var('name')"),
        ("event.aisle > often", "unknown name 'often'", "did you mean var('often')?"),
        ("event.aisle > !var often", "not an expression", "write var('name')"),
        ("event.aisle > var('way')", "var('way') (a word) has no order", ""),
        ("event.aisle == var('way')", "is compared with var('way') (a word)", ""),
        ("site.mode == var('way')", "unknown value 'in' of site.mode", "known: open, closed"),
        ("var('often')", "var('often') is a number, not yes or no", "var('often') > 1"),
        ("count('gates', 'eas.alarm', var('often')) > 1", "var('often') is no duration", "whole"),
        ("event.aisle / (var('often') - 3) > 1", "division by zero", ""),
        ("event.aisle > var('only_here')", "type of the variable 'only_here'", "declare it in"),
    ],
)
def test_a_variable_that_does_not_fit_is_said(condition: str, message: str, hint: str) -> None:
    _, problems = with_condition(condition, only_here="5s")
    assert problems.startswith("rules/r.yaml:7:")
    assert message in problems
    assert hint in problems


def test_a_value_that_is_wrong_is_said_once_where_it_is_written() -> None:
    _, problems = with_condition("event.aisle > var('often')", often="many")
    assert problems == "site.yaml:1:1: 'many' is not a whole number"
    _, problems = with_condition("count('gates', 'eas.alarm', var('walk')) > 1", walk="0s")
    assert "a window of no length" in problems


def test_a_rule_starts_fresh_when_its_variable_changes_and_else_it_goes_on() -> None:
    usual, _ = with_condition("event.aisle > var('often')")
    other, _ = with_condition("event.aisle > var('often')", often="4")
    unconcerned, _ = with_condition("event.aisle > var('often')", walk="4s")
    assert the(usual).hash != the(other).hash
    assert the(usual).hash == the(unconcerned).hash


def test_a_variable_that_only_a_condition_names_is_used() -> None:
    problems = Problems()
    node = ys.read_text(
        "vars: {n: {type: whole, default: 3}, m: {type: whole, default: 3}}\n"
        "rules: {a: {when: {door_front: open, for: 1m, while: \"var('n') > 2 and site.open\"},"
        " do: {incident: x}}}",
        "rules/r.yaml",
        problems,
    )
    assert node is not None
    load_rules([("rules/r.yaml", node)], SHOP, Context(problems=problems))
    assert [p.message for p in problems.all] == ["the variable 'm' is not used"]


def test_a_test_gives_another_value() -> None:
    rules, problems = loaded(
        f"{VARS}"
        "rules:\n"
        "  a:\n"
        "    when: {eas_front: eas.alarm}\n"
        "    if: count('eas_front', 'eas.alarm', var('walk')) >= var('often')\n"
        "    do: {incident: x}\n"
        "tests:\n"
        "  - name: once is enough here\n"
        "    given: {vars: {often: 1}}\n"
        "    timeline: [{at: 0s, eas_front: eas.alarm}]\n"
        "    expect: [{at: 0s, rule: a, incident: x}]\n"
        "  - name: elsewhere it is not\n"
        "    timeline: [{at: 0s, eas_front: eas.alarm}]\n"
        "    expect: [{at: 0s, not_fired: {rule: a, because: var('often') was 3}}]\n"
    )
    assert problems == ""
    assert [play(case, rules, SHOP) for case in rules.tests] == [[], []]


def test_a_template_reads_the_variables_of_its_own_file() -> None:
    problems = Problems()
    template = (
        "vars: {often: {type: whole, default: 4}}\n"
        "templates:\n"
        "  nags:\n"
        "    parameters: {gate: device}\n"
        "    rule:\n"
        "      when: {$gate: eas.alarm}\n"
        "      if: event.aisle == var('often')\n"
        "      do: {incident: x}\n"
    )
    made = (
        "vars: {often: {type: text, default: never}, id: {type: text, default: gates}}\n"
        "rules: {a: {template: nags, with: {gate: eas_front}, description: !var often,"
        " requires: !var id}}\n"
    )
    sources = [("rules/t.yaml", template), ("rules/r.yaml", made)]
    nodes = [(name, ys.read_text(text, name, problems)) for name, text in sources]
    found = [(name, node) for name, node in nodes if node is not None]
    rules = load_rules(found, SHOP, Context(problems=problems))
    assert [str(p) for p in problems.all] == []
    asked = the(rules).condition
    assert asked is not None
    assert the(rules).description == "never"
    assert asked.evaluate(Shop(), said(1.0, "eas_front", "eas.alarm", aisle=4)) == "yes"


def test_a_variable_of_another_file_is_unknown_here() -> None:
    problems = Problems()
    sources = [
        ("rules/a.yaml", "vars: {often: {type: whole, default: 4}}"),
        (
            "rules/b.yaml",
            "rules: {b: {when: {eas_front: eas.alarm}, if: event.aisle > var('often'),"
            " do: {incident: x}}}",
        ),
    ]
    nodes = [(name, ys.read_text(text, name, problems)) for name, text in sources]
    load_rules([(n, d) for n, d in nodes if d is not None], SHOP, Context(problems=problems))
    assert "rules/b.yaml:1:65: unknown variable 'often'" in str(problems)
