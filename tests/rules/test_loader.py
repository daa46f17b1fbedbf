"""Good rule files: what each construct becomes, and which rules are in force at a site."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from drivers.commands import (
    Evacuate,
    Goto,
    OpenIncident,
    RecordClip,
    Release,
    Send,
    SetMode,
    Sound,
)
from drivers.priorities import Priority
from rules import yaml_source as ys
from rules.calendar import Calendar
from rules.convert import Context
from rules.loader import load_rules
from rules.model import Absence, Count, Fact, Moment, Quiet, Rule, RuleSet, Sequence, World
from rules.problems import Problems
from tests.rules.worlds import SHOP

CONTRACT = """
vars: {propped_after: {type: duration, default: 2m, max: 10m}}
rules:
  gate_alarm:
    description: A tag leaves through the front gates while the store is open.
    priority: security                        # default
    when: {eas_front: eas.alarm, direction: [out, unknown]}
    if: site.open
    do:
      - {goto: cam_exit, preset: gate, for: 60s}
      - {record: event.near.cameras, before: 20s, for: 60s}
      - {sound: siren_front, for: 10s}
      - {incident: gate_activation}
    cooldown: 30s
    escalate:                                 # stops when this firing's incident is acknowledged
      - {after: 60s, do: [{send: pager_manager, text: "Gate alarm unanswered"}]}

  delivery_door_propped:
    requires: [back_doors]                    # absent or empty: the rule is inactive here
    when: {back_doors: open, while: not site.delivery, for: !var propped_after}
    do: [{sound: event.near.siren}]
    until: {back_doors: closed}
tests:
  - name: a gate alarm at noon sounds for ten seconds
    given: {now: "2026-11-20T12:00:00"}
    timeline:
      - {at: 0s, eas_front: eas.alarm, aisle: 1, direction: out}
    expect:
      - {at: 0s, rule: gate_alarm, goto: cam_exit, preset: gate}
      - {at: 0s, rule: gate_alarm, record: cam_exit}
      - {at: 0s, rule: gate_alarm, sound: siren_front}
      - {at: 0s, rule: gate_alarm, incident: gate_activation}
      - {at: 10s, rule: gate_alarm, ends: siren_front}
      - {at: 60s, rule: gate_alarm, ends: cam_exit}
      - {at: 60s, rule: gate_alarm, send: pager_manager}
"""


def loaded(
    *texts: str,
    local: str | None = None,
    variables: Mapping[str, str] | None = None,
    world: World = SHOP,
    said: str = "",
) -> RuleSet:
    """Load rule files named r0.yaml, r1.yaml …; `said` is what is warned of."""
    problems = Problems()
    read = [ys.read_text(t, f"rules/r{n}.yaml", problems) for n, t in enumerate(texts)]
    own = None if local is None else ys.read_text(local, "rules.local/l.yaml", problems)
    given = {k: ys.read_text(v, "site.yaml", problems) for k, v in (variables or {}).items()}
    known = {k: v for k, v in given.items() if v is not None}
    found = load_rules(
        [(f"rules/r{n}.yaml", node) for n, node in enumerate(read) if node is not None],
        world,
        Context(problems=problems, variables=known),
        local=[] if own is None else [("rules.local/l.yaml", own)],
    )
    assert str(problems) == said
    return found


def one(text: str, **others: Any) -> Rule:
    return loaded(text, **others).rules[0]


def when(trigger: str) -> Any:
    return one(f"rules: {{a: {{when: {trigger}, do: {{incident: x}}}}}}").when[0]


def do(steps: str, trigger: str = "{eas_front: eas.alarm}", **others: Any) -> Any:
    found = one(f"rules: {{a: {{when: {trigger}, do: {steps}}}}}", **others).do
    return [(a.command, a.devices, a.near, a.lasts) for a in found]


def test_the_example_of_the_contract_loads() -> None:
    rules = loaded(CONTRACT)
    gate, door = rules.rules
    assert (gate.id, gate.priority, gate.cooldown) == ("gate_alarm", Priority.security, 30.0)
    assert gate.condition is not None
    assert gate.condition.source == "site.open"
    assert [(a.command, a.devices, a.near, a.lasts) for a in gate.do] == [
        (Goto(preset="gate"), ("cam_exit",), None, 60.0),
        (RecordClip(before=20.0, duration=60.0), (), "cameras", None),  # type: ignore[arg-type]
        (Sound(), ("siren_front",), None, 10.0),
        (OpenIncident(name="gate_activation"), ("site",), None, None),
    ]
    (step,) = gate.escalate
    assert step.after == 60.0
    assert step.do[0].command == Send(text="Gate alarm unanswered")
    (held,) = door.when
    assert isinstance(held, Fact)
    assert (held.group, held.members) == ("back_doors", ("door_back",))
    assert (held.state, held.value, held.hold) == ("contact", "open", 120.0)
    assert held.holding is not None
    assert held.holding.reads == {("site", "delivery")}
    (test,) = rules.tests
    assert test.given["now"] == datetime(2026, 11, 20, 12)  # noqa: DTZ001 - local time
    assert test.timeline == ({"at": 0.0, "eas_front": "eas.alarm", "aisle": 1, "direction": "out"},)
    assert test.expect[0] == {"at": 0.0, "rule": "gate_alarm", "goto": "cam_exit", "preset": "gate"}
    assert test.rules == ("gate_alarm", "delivery_door_propped")
    assert (test.variant, test.skipped) == ({}, "")


def test_a_signal_with_fields_is_a_fact() -> None:
    fact = when("{gates: eas.alarm, direction: out, aisle: [1, 2]}")
    assert (fact.members, fact.group) == (("eas_front", "eas_back"), "gates")
    assert fact.signal == "eas.alarm"
    assert fact.fields == {"direction": ("out",), "aisle": (1, 2)}
    assert (fact.state, fact.across) == (None, False)


@pytest.mark.parametrize(
    ("written", "state", "value"),
    [("open", "contact", "open"), ("held=held", "held", "held"), ("link=down", "link", "down")],
)
def test_a_state_is_named_by_its_value_or_written_out(written: str, state: str, value: str) -> None:
    fact = when(f"{{door_front: {written}}}")
    assert (fact.signal, fact.state, fact.value) == (None, state, value)


def test_a_signal_wins_over_a_state_and_the_site_speaks_too() -> None:
    assert when("{site: opened}").signal == "opened"
    assert when("{site: delivery.started}").members == ("site",)
    assert (when("{site: open=yes}").state, when("{site: mode=delivery}").value) == (
        "open",
        "delivery",
    )


def test_a_group_may_count_as_one() -> None:
    assert when("{gates: eas.alarm, across: group}").across is True


def test_a_list_is_any_of_them() -> None:
    rule = one("rules: {a: {when: [{site: opened}, {site: closed}], do: {incident: x}}}")
    assert [getattr(fact, "signal", "") for fact in rule.when] == ["opened", "closed"]


def test_sequence_and_together() -> None:
    trigger = when(
        "{sequence: [{eas_front: eas.alarm}, [{door_front: open}, {door_back: open}]], within: 5s}"
    )
    assert isinstance(trigger, Sequence)
    assert (trigger.ordered, trigger.within, trigger.by) == (True, 5.0, None)
    assert [len(step) for step in trigger.facts] == [1, 2]
    trigger = when("{together: [{gates: eas.alarm}, {gates: eas.metal}], within: 2m, by: device}")
    assert isinstance(trigger, Sequence)
    assert (trigger.ordered, trigger.within, trigger.by) == (False, 120.0, "device")


def test_count_after_and_before() -> None:
    trigger = when("{count: 3, of: {gates: eas.alarm}, within: 10m, by: aisle}")
    assert isinstance(trigger, Count)
    assert (trigger.count, trigger.within, trigger.by) == (3, 600.0, "aisle")
    after = "{after: {eas_front: eas.alarm}, without: {eas_front: eas.deactivated}, within: 5s}"
    trigger = when(after)
    assert isinstance(trigger, Absence)
    assert (trigger.waits, trigger.within, trigger.blind) == (True, 5.0, "skip")
    trigger = when(
        "{before: {door_front: door.forced}, without: {site: opened}, within: 1h, blind: fire}"
    )
    assert isinstance(trigger, Absence)
    assert (trigger.waits, trigger.blind) == (False, "fire")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ('daily: "21:30"', Moment(key="21:30", at="21:30")),
        ("daily: opening-15m", Moment(key="opening-15m", at="opening", offset=-900.0)),
        ("daily: closing+30m", Moment(key="closing+30m", at="closing", offset=1800.0)),
        ("daily: opening", Moment(key="opening", at="opening")),
        (
            'daily: "21:30", days: mon-sat',
            Moment(
                key="21:30 mon,tue,wed,thu,fri,sat", at="21:30", days=frozenset({0, 1, 2, 3, 4, 5})
            ),
        ),
        (
            'daily: "06:00", days: [mon, sat-sun]',
            Moment(key="06:00 mon,sat,sun", at="06:00", days=frozenset({0, 5, 6})),
        ),
        (
            'daily: "06:00", days: sun-tue',
            Moment(key="06:00 mon,tue,sun", at="06:00", days=frozenset({6, 0, 1})),
        ),
    ],
)
def test_a_daily_moment_is_said_by_the_site(written: str, moment: Moment) -> None:
    rules = loaded(f"rules: {{a: {{when: {{{written}}}, do: {{incident: x}}}}}}")
    assert rules.moments == (moment,)
    (fact,) = rules.rules[0].when
    assert isinstance(fact, Fact)
    assert (fact.members, fact.signal) == (("site",), "daily")
    assert fact.fields == {"moment": (moment.key,)}


def test_the_same_moment_is_noted_once() -> None:
    text = """
rules:
  a: {when: {daily: "21:30"}, do: {incident: x}}
  b: {when: {daily: "21:30"}, do: {incident: y}}
"""
    assert [moment.key for moment in loaded(text).moments] == ["21:30"]


def test_opening_needs_hours() -> None:
    loaded(
        "rules: {a: {when: {daily: opening}, do: {incident: x}}}",
        world=dataclasses.replace(SHOP, calendar=Calendar()),
        said="rules/r0.yaml:1:27: the site has no hours\n    add hours: to site.yaml",
    )


def test_targets_are_devices_groups_and_neighbours() -> None:
    assert do("{sound: [siren_back, theft_sirens, siren_back], for: 2m}") == [
        (Sound(), ("siren_back", "siren_front"), None, 120.0)
    ]
    assert do("{record: [event.near.cameras, cam_tills]}") == [
        (RecordClip(), (), "cameras", None),
        (RecordClip(), ("cam_tills",), None, None),
    ]


def test_the_site_itself_can_be_told() -> None:
    assert do("[{evacuate: fire}, {incident: theft}, {mode: stock_take}]") == [
        (Evacuate(cause="fire"), ("site",), None, None),
        (OpenIncident(name="theft"), ("site",), None, None),
        (SetMode(name="stock_take"), ("site",), None, None),
    ]


def test_a_preset_without_for_is_no_lease_and_a_release_is_one() -> None:
    assert do("{goto: cam_exit, preset: gate}") == [
        (Goto(preset="gate"), ("cam_exit",), None, None)
    ]
    warned = (
        "rules/r0.yaml:1:47: warning: nothing ends release lock_exit\n"
        "    add for:, or until: with what ends it"
    )
    assert do("{release: exits}", said=warned) == [(Release(), ("lock_exit",), None, None)]


def test_a_release_of_life_safety_needs_no_end_and_an_until_is_one() -> None:
    fire = "when: {fire_main: fire.alarm}, do: {release: exits}"
    loaded(f"rules: {{a: {{priority: life_safety, {fire}}}}}")
    loaded(f"rules: {{a: {{{fire}, until: {{fire_main: fire.restored}}}}}}")


@pytest.mark.parametrize(
    ("priority", "answer"),
    [
        ("life_safety", "fire"),
        ("personal_safety", "fire"),
        ("security", "skip"),
        ("operations", "skip"),
    ],
)
def test_what_an_unknown_answer_means_depends_on_the_priority(priority: str, answer: str) -> None:
    text = f"rules: {{a: {{priority: {priority}, when: {{site: opened}}, do: {{incident: x}}}}}}"
    assert one(text).if_unknown == answer
    assert one(text.replace("when:", "if_unknown: fire, when:")).if_unknown == "fire"
    assert one(text.replace("when:", "if_unknown: skip, when:")).if_unknown == "skip"


def test_the_other_keys_have_their_defaults_and_their_words() -> None:
    rule = one("rules: {a: {when: {site: opened}, do: {incident: x}}}")
    assert (rule.enabled, rule.after_restart, rule.cooldown) == ("yes", "resume", 0.0)
    assert (rule.description, rule.until, rule.escalate) == ("", (), ())
    rule = one(
        "rules: {a: {enabled: shadow, after_restart: expire, when: {site: opened},"
        " do: {sound: siren_back}, until: [{site: closed}, {door_front: open}]}}"
    )
    assert (rule.enabled, rule.after_restart, len(rule.until)) == ("shadow", "expire", 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30s", Quiet(gap=30.0, at_most=600.0)),
        ("2s", Quiet(gap=2.0, at_most=60.0)),
        ("{for: 30s}", Quiet(gap=30.0, at_most=600.0)),
        ("{for: 30s, at_most: 10m}", Quiet(gap=30.0, at_most=600.0)),
        ("{for: 30s, at_most: 30s}", Quiet(gap=30.0, at_most=30.0)),
    ],
)
def test_quiet_lasts_at_most_twenty_times_its_pause_and_a_minute(
    written: str, meant: Quiet
) -> None:
    text = (
        f"rules: {{a: {{when: {{eas_front: eas.alarm}}, do: {{incident: x}}, quiet: {written}}}}}"
    )

    assert one(text).quiet == meant


def test_the_event_of_a_sequence_is_its_last_and_of_together_any() -> None:
    text = (
        "rules: {{a: {{when: {{{}: [{{door_front: open}}, {{eas_front: eas.alarm}}],"
        " within: 5s}}, if: event.aisle == 1, do: {{record: event.near.cameras}}}}}}"
    )
    one(text.format("sequence"))
    loaded(
        text.format("together"),
        said=("rules/r0.yaml:1:124: door_front has no near: cameras\n    it has near: nothing"),
    )


# --- variables ---------------------------------------------------------------------------------

HELD = """
vars: {after: {type: duration, default: 2m, max: 10m}}
rules: {a: {when: {door_front: open, for: !var after}, do: {incident: x}}}
"""


def test_the_site_overrides_a_default() -> None:
    fact = one(HELD).when[0]
    assert isinstance(fact, Fact)
    assert fact.hold == 120.0
    fact = one(HELD, variables={"after": "10m"}).when[0]
    assert isinstance(fact, Fact)
    assert fact.hold == 600.0


def test_a_variable_of_the_site_needs_no_declaration() -> None:
    text = "rules: {a: {when: {door_front: open, for: !var x}, do: {incident: x}}}"
    fact = one(text, variables={"x": "5s"}).when[0]
    assert isinstance(fact, Fact)
    assert fact.hold == 5.0


def test_a_rule_has_the_same_hash_until_its_words_or_variables_change() -> None:
    before = one(HELD).hash
    assert one("# moved down\n\n" + HELD).hash == before
    assert one(HELD.replace("open", "closed")).hash != before
    assert one(HELD, variables={"after": "3m"}).hash != before


# --- which rules are in force --------------------------------------------------------------------

NEEDS = """
rules:
  a: {requires: [%s], when: {%s: opened_somehow}, do: {sound: horn}}
  b: {when: {site: opened}, do: {incident: x}}
"""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vault", "requires vault, and there is none here"),
        ("nobody", "requires nobody, and it is empty here"),
    ],
)
def test_a_rule_that_requires_what_is_not_here_is_inactive_and_says_why(
    name: str, why: str
) -> None:
    rules = loaded(NEEDS % (name, name)).rules
    assert [(rule.id, rule.inactive) for rule in rules] == [("a", why), ("b", "")]


def test_a_test_of_an_inactive_rule_is_skipped_with_the_reason() -> None:
    text = """
rules:
  a: {requires: [vault], when: {vault: open}, do: {incident: x}}
tests:
  - {name: t, timeline: [{at: 0s, vault: door.opened}], expect: [{at: 0s, incident: x}]}
"""
    (test,) = loaded(text).tests
    assert test.skipped == "a requires vault, and there is none here"


FLEET = """
rules: {gate: {when: {eas_front: eas.alarm}, do: {sound: siren_front, for: 10s}}}
tests: [{name: t, expect: []}]
"""


@pytest.mark.parametrize("path", ["../rules/r0.yaml", "rules/r0.yaml"])
def test_a_store_tests_its_rules_with_those_of_the_fleet_that_are_in_force(path: str) -> None:
    fleet = """
rules:
  gate: {when: {eas_front: eas.alarm}, do: {incident: fleet}}
  metal: {when: {eas_front: eas.metal}, do: {incident: metal}}
"""
    local = f"""
rules: {{mine: {{replaces: gate, when: {{eas_front: eas.alarm}}, do: {{incident: own}}}}}}
tests:
  - {{name: both, with: {path}, expect: []}}
"""
    assert loaded(fleet, local=local).tests[0].rules == ("mine", "metal")


def test_a_rule_of_the_store_replaces_one_of_the_fleet() -> None:
    local = "rules: {mine: {replaces: gate, when: {eas_front: eas.alarm}, do: {incident: x}}}"
    rules = loaded(FLEET, local=local)
    assert [rule.id for rule in rules.rules] == ["mine"]
    (test,) = rules.tests
    assert test.variant["gate"].do[0].command == Sound()
    same = local.replace("mine", "gate")
    rules = loaded(FLEET, local=same)
    assert [rule.do[0].command for rule in rules.rules] == [OpenIncident(name="x")]
    assert rules.tests[0].variant["gate"].do[0].command == Sound()


# --- tests of rules ------------------------------------------------------------------------------


def test_a_test_has_durations_in_seconds_and_fields_of_their_type() -> None:
    text = """
rules: {a: {when: {eas_front: eas.alarm}, do: {sound: siren_front, for: 10s}}}
tests:
  - name: everything
    given:
      now: "2026-11-20T12:00:00"
      site: {delivery: yes}
      mode: stock_take
      states: {door_front: {contact: open, forced: unknown}}
    timeline:
      - {at: 2m, restart: 3h}
      - {at: 1s, down: cam_exit}
      - {at: 2s, up: cam_exit}
      - {at: 3s, fail: siren_front}
      - {at: 4s, acknowledge: theft}
      - {at: 5s, mode: maintenance, for: 1h}
      - {at: 0s, door_front: door.held, stage: held, open_for: 30, changed_while_down: yes}
      - {at: 6s, site: evacuation.started, cause: fire, drill: no}
    expect:
      - {at: 0s, sound: siren_front, for: 10s}
      - {at: 0s, record: cam_tills, before: 20s, for: 1m}
      - {at: 0s, evacuate: fire}
      - {at: 10s, rule: a, ends: siren_front}
      - {at: 1s, not_fired: {rule: a, because: cooldown}}
      - {not_fired: {rule: a}}
"""
    (test,) = loaded(text).tests
    assert test.given["states"] == {
        "site": {"delivery": "yes", "mode": "stock_take"},
        "door_front": {"contact": "open", "forced": "unknown"},
    }
    assert test.timeline == (
        {
            "at": 0.0,
            "door_front": "door.held",
            "stage": "held",
            "open_for": 30.0,
            "changed_while_down": True,
        },
        {"at": 1.0, "down": "cam_exit"},
        {"at": 2.0, "up": "cam_exit"},
        {"at": 3.0, "fail": "siren_front"},
        {"at": 4.0, "acknowledge": "theft"},
        {"at": 5.0, "mode": "maintenance", "for": 3600.0},
        {"at": 6.0, "site": "evacuation.started", "cause": "fire", "drill": False},
        {"at": 120.0, "restart": 10800.0},
    )
    assert test.expect == (
        {"at": 0.0, "sound": "siren_front", "for": 10.0},
        {"at": 0.0, "record": "cam_tills", "before": 20.0, "for": 60.0},
        {"at": 0.0, "evacuate": "fire"},
        {"at": 10.0, "rule": "a", "ends": "siren_front"},
        {"at": 1.0, "not_fired": {"rule": "a", "because": "cooldown"}},
        {"not_fired": {"rule": "a"}},
    )
    assert [mark.line for mark in test.marks] == [20, 21, 22, 23, 24, 25]


def test_a_test_may_play_the_rules_of_another_file() -> None:
    first = "rules: {a: {when: {site: opened}, do: {incident: x}}}"
    second = """
rules: {b: {when: {site: opened}, do: {incident: y}}}
tests: [{name: t, with: [r0.yaml], expect: [{at: 0s, rule: a, incident: x}]}]
"""
    (test,) = loaded(first, second).tests
    assert test.rules == ("b", "a")


def test_a_test_may_set_variables() -> None:
    text = HELD + "tests: [{name: t, given: {vars: {after: 5m}}, expect: []}]"
    (test,) = loaded(text).tests
    fact = test.variant["a"].when[0]
    assert isinstance(fact, Fact)
    assert fact.hold == 300.0


@pytest.mark.parametrize("text", ["", "# nothing yet", "rules:\ntests:\n", "rules: ~", "vars: {}"])
def test_a_file_may_still_be_empty(text: str) -> None:
    assert loaded(text).rules == ()


def test_a_test_without_happenings_may_leave_its_timeline_empty() -> None:
    text = """
rules: {a: {when: {daily: "21:30", days: "mon, wed-thu"}, do: {incident: x}}}
tests:
  - name: nothing happens
    timeline:
    expect: []
"""
    found = loaded(text)
    assert found.tests[0].timeline == ()
    assert found.moments[0].days == {0, 2, 3}
