"""Rules made of templates: what stands for what, and that they are like rules written out."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.model import Fact, Moment, Rule, RuleSet
from rules.problems import Problems
from rules.scenario import play
from tests.rules.worlds import SHOP

PROPPED = """
templates:
  propped:
    description: The door $door stands open.
    parameters:
      door: {type: device}
      after: {type: duration, default: 2m, max: 10m}
      siren: device_or_group
    rule:
      when: {$door: open, for: $after}
      if: $door.contact == 'open' and held('$door', 'contact') >= duration('$after')
      do: [{sound: [$siren], for: 10s}]
"""


def loaded(*texts: str, local: str = "", said: str = "") -> RuleSet:
    """Load files named a.yaml, b.yaml …; `said` is what is warned of."""
    problems = Problems()
    names = [f"rules/{letter}.yaml" for letter in "abcd"]
    nodes = [(n, ys.read_text(t, n, problems)) for n, t in zip(names, texts, strict=False)]
    own = ys.read_text(local, "rules.local/l.yaml", problems) if local else None
    found = load_rules(
        [(name, node) for name, node in nodes if node is not None],
        SHOP,
        Context(problems=problems),
        local=[] if own is None else [("rules.local/l.yaml", own)],
    )
    assert str(problems) == said
    return found


def rule(*texts: str, local: str = "") -> Rule:
    return loaded(*texts, local=local).rules[0]


def same(one: Rule, other: Rule) -> None:
    """Assert that two rules do the same, whatever their places."""
    assert (one.id, one.description, one.priority) == (other.id, other.description, other.priority)
    assert [(a.command, a.devices, a.lasts) for a in one.do] == [
        (a.command, a.devices, a.lasts) for a in other.do
    ]
    (mine,), (yours,) = one.when, other.when
    assert isinstance(mine, Fact)
    assert isinstance(yours, Fact)
    assert (mine.members, mine.state, mine.hold) == (yours.members, yours.state, yours.hold)
    assert one.condition is not None
    assert other.condition is not None
    assert one.condition.source == other.condition.source


def test_a_rule_of_a_template_is_the_rule_written_out() -> None:
    made = rule(
        PROPPED
        + "rules: {back: {template: propped, "
        + "with: {door: door_back, siren: siren_front, after: 5m}}}"
    )

    same(
        made,
        rule(
            """
rules:
  back:
    description: The door door_back stands open.
    when: {door_back: open, for: 5m}
    if: door_back.contact == 'open' and held('door_back', 'contact') >= duration('5m')
    do: [{sound: [siren_front], for: 10s}]
"""
        ),
    )


def test_what_is_not_given_has_its_default() -> None:
    made = rule(
        PROPPED + "rules: {back: {template: propped, with: {door: door_back, siren: theft_sirens}}}"
    )

    (fact,) = made.when
    assert isinstance(fact, Fact)
    assert fact.hold == 120.0
    assert made.mark.line == 13


def test_a_rule_may_say_its_own_description_priority_and_more() -> None:
    text = """
rules:
  back:
    template: propped
    with: {door: door_back, siren: siren_front}
    description: mine
    priority: operations
    enabled: shadow
    requires: [nobody]
"""
    made = rule(PROPPED + text)

    assert (made.description, made.priority.name, made.enabled) == ("mine", "operations", "shadow")
    assert made.inactive == "requires nobody, and it is empty here"


def test_a_store_without_the_device_has_no_such_rule_and_no_mistake() -> None:
    text = """
rules:
  side:
    template: propped
    with: {door: door_side, siren: siren_front}
    requires: door_side
"""
    assert rule(PROPPED + text).inactive == "requires door_side, and there is none here"


def test_a_template_may_require_what_it_is_given() -> None:
    text = """
templates:
  any:
    parameters: {door: device}
    rule: {requires: $door, when: {$door: open}, do: {incident: x}}
rules:
  side: {template: any, with: {door: door_side}}
"""
    assert rule(text).inactive == "requires door_side, and there is none here"


def test_a_store_makes_rules_of_the_fleets_templates() -> None:
    local = "rules: {mine: {template: propped, with: {door: door_front, siren: siren_front}}}"

    assert [r.id for r in loaded(PROPPED, local=local).rules] == ["mine"]


def test_a_store_replaces_a_rule_by_one_of_a_template() -> None:
    fleet = "rules: {back: {when: {door_back: open}, do: {incident: x}}}"
    local = """
rules:
  back:
    template: propped
    replaces: back
    with: {door: door_back, siren: siren_front}
"""
    assert [len(r.do) for r in loaded(PROPPED, fleet, local=local).rules] == [1]
    assert loaded(PROPPED, fleet, local=local).rules[0].mark.file == "rules.local/l.yaml"


def test_the_hash_is_that_of_what_is_made() -> None:
    text = PROPPED + "rules: {back: {template: propped, with: {door: %s, siren: siren_front}}}"
    one, other = rule(text % "door_back"), rule(text % "door_front")
    longer = rule((text % "door_back").replace("default: 2m", "default: 3m"))

    assert len({one.hash, other.hash, longer.hash}) == 3
    assert (
        rule((text % "door_back").replace("description: The", "description:  The")).hash == one.hash
    )


def test_a_template_reads_the_variables_of_its_own_file() -> None:
    first = """
vars: {chirp: {type: duration, default: 2s}}
templates:
  metal:
    parameters: {gate: device}
    rule: {when: {$gate: eas.metal}, do: [{sound: siren_front, for: !var chirp}]}
"""
    second = """
rules: {front: {template: metal, with: {gate: eas_front}}}
tests:
  - name: it chirps longer
    given: {vars: {chirp: 5s}}
    timeline: [{at: 0s, eas_front: eas.metal}]
    expect:
      - {at: 0s, rule: front, sound: siren_front}
      - {at: 5s, rule: front, ends: siren_front}
"""
    found = loaded(first, second)

    assert found.rules[0].do[0].lasts == 2.0
    assert play(found.tests[0], found, SHOP) == []


def test_what_is_given_may_be_a_variable() -> None:
    text = """
vars: {long: {type: duration, default: 7m}}
rules:
  back: {template: propped, with: {door: door_back, siren: siren_front, after: !var long}}
"""
    (fact,) = rule(PROPPED, text).when
    assert isinstance(fact, Fact)
    assert fact.hold == 420.0


def test_signals_modes_and_times_are_parameters_too() -> None:
    text = """
templates:
  nightly:
    parameters: {at: time, gate: device, says: signal, mode: mode, price: {type: number}}
    rule:
      when:
        - {daily: $at}
        - {$gate: $says}
      do: [{mode: $mode}, {send: pager_manager, text: "$gate: $$$price"}]
rules:
  evening:
    template: nightly
    with: {at: "21:30", gate: eas_front, says: eas.metal, mode: stock_take, price: 5}
"""
    found = loaded(text)

    assert found.moments == (Moment(key="21:30", at="21:30"),)
    command = found.rules[0].do[1].command
    assert command.fields() == {"text": "eas_front: $5"}


def test_a_template_that_nobody_uses_is_no_mistake() -> None:
    assert loaded(PROPPED).rules == ()


def test_a_dollar_outside_of_templates_is_a_dollar() -> None:
    text = 'rules: {a: {when: {eas_front: eas.metal}, do: {send: pager_manager, text: "$5"}}}'

    assert rule(text).do[0].command.fields() == {"text": "$5"}


def test_tests_name_the_rules_that_are_made() -> None:
    text = """
rules: {back: {template: propped, with: {door: door_back, siren: siren_front}}}
tests:
  - name: it sounds after two minutes
    timeline: [{at: 0s, door_back: door.opened}]
    expect:
      - {at: 2m, rule: back, sound: siren_front}
      - {at: 130s, rule: back, ends: siren_front}
"""
    found = loaded(PROPPED + text)

    assert play(found.tests[0], found, SHOP) == []


BODY = """{when: [{$gate: eas.alarm, aisle: $aisle}, {$door: open, for: $after}],
  if: "$door.contact != '$value' and since('$gate', 'eas.alarm') > duration('$after')",
  do: [{sound: [$siren], for: $after}, {send: pager_manager, text: "$door $$1 $gate."}],
  cooldown: $after}"""
GIVEN = st.fixed_dictionaries(
    {
        "gate": st.sampled_from(["eas_front", "eas_back", "gates"]),
        "door": st.sampled_from(["door_front", "door_back"]),
        "siren": st.sampled_from(["siren_front", "siren_back", "theft_sirens"]),
        "value": st.sampled_from(["open", "closed", "unknown"]),
        "after": st.sampled_from(["5s", "1m", "90s"]),
        "aisle": st.sampled_from(["1", "12"]),
    }
)


@settings(max_examples=40, deadline=None)
@given(GIVEN)
def test_a_rule_of_a_template_has_the_hash_of_the_rule_written_out(given: dict[str, str]) -> None:
    """The same nodes: whatever reads them can't tell the one from the other."""
    kinds = {
        "gate": "device_or_group",
        "door": "device",
        "siren": "device_or_group",
        "value": "text",
        "after": "duration",
        "aisle": "whole",
    }
    parameters = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    values = ", ".join(f"{name}: {value}" for name, value in given.items())
    made = f"templates: {{t: {{parameters: {{{parameters}}}, rule: {BODY}}}}}\n"
    made += f"rules: {{a: {{template: t, with: {{{values}}}}}}}\n"
    written = re.sub(
        r"\$(\$|[a-z]+)", lambda found: "$" if found[1] == "$" else given[found[1]], BODY
    )

    assert rule(made).hash == rule(f"rules: {{a: {written}}}").hash
