"""Tests of rules, as stores write them, played on a virtual clock."""

from __future__ import annotations

import dataclasses
import textwrap

import pytest

from rules import yaml_source as ys
from rules.calendar import Calendar, Schedule
from rules.convert import Context
from rules.loader import load_rules
from rules.model import World
from rules.problems import Problems
from rules.scenario import play
from tests.rules.worlds import SHOP

DAYS = dict.fromkeys(range(7), ((540, 1260),))
OPEN_SHOP = dataclasses.replace(
    SHOP,
    calendar=Calendar(
        zone="Europe/London",
        hours=Schedule(week=DAYS),
        schedules={"delivery": Schedule(week=dict.fromkeys(range(7), ((360, 480),)))},
    ),
)

CONTRACT = """
vars: {propped_after: {type: duration, default: 2m, max: 10m}}
rules:
  gate_alarm:
    description: A tag leaves through the front gates while the store is open.
    priority: security
    when: {eas_front: eas.alarm, direction: [out, unknown]}
    if: site.open
    do:
      - {goto: cam_exit, preset: gate, for: 60s}
      - {record: event.near.cameras, before: 20s, for: 60s}
      - {sound: siren_front, for: 10s}
      - {incident: gate_activation}
    cooldown: 30s
    escalate:
      - {after: 60s, do: [{send: pager_manager, text: "Gate alarm unanswered"}]}

  delivery_door_propped:
    requires: [back_doors]
    when: {back_doors: open, while: not site.delivery, for: !var propped_after}
    do: [{sound: event.near.siren}]
    until: {back_doors: closed}
"""

NOON = "given: {now: '2026-11-20T12:00:00'}"
FIRED = """
  - {at: 0s, rule: gate_alarm, goto: cam_exit, preset: gate}
  - {at: 0s, rule: gate_alarm, record: cam_exit}
  - {at: 0s, rule: gate_alarm, sound: siren_front}
  - {at: 0s, rule: gate_alarm, incident: gate_activation}
  - {at: 10s, rule: gate_alarm, ends: siren_front}
  - {at: 60s, rule: gate_alarm, ends: cam_exit}
"""
SENT = "  - {at: 60s, rule: gate_alarm, send: pager_manager}\n"


def played(rules: str, test: str, world: World = OPEN_SHOP) -> list[str]:
    """Play one test, written without its name, against the rules."""
    problems = Problems()
    body = textwrap.indent(textwrap.dedent(test).strip(), "    ")
    text = f"{rules.rstrip()}\ntests:\n  - name: a test\n{body}\n"
    node = ys.read_text(text, "rules.yaml", problems)
    assert node is not None, str(problems)
    found = load_rules([("rules.yaml", node)], world, Context(problems=problems))
    assert problems.errors == [], str(problems)
    return play(found.tests[0], found, world)


def test_the_example_of_the_contract_passes_exactly() -> None:
    timeline = "timeline: [{at: 0s, eas_front: eas.alarm, aisle: 1, direction: out}]"
    assert played(CONTRACT, f"{NOON}\n{timeline}\nexpect:{FIRED}{SENT}") == []


def test_more_or_less_than_was_expected_fails_in_words() -> None:
    timeline = "timeline: [{at: 0s, eas_front: eas.alarm, direction: out}]"
    expect = FIRED.replace("10s", "12s").replace("preset: gate", "preset: till")
    found = played(CONTRACT, f"{NOON}\n{timeline}\nexpect:{expect}")
    assert found == [
        "at 0s expected gate_alarm: goto cam_exit, preset: till; it had preset: gate",
        "at 0s gate_alarm: goto cam_exit, preset: gate, for: 60.0, which was not expected",
        "at 10s gate_alarm: ends siren_front, which was not expected",
        "at 12s expected gate_alarm: ends siren_front; it came at 10s",
        "at 60s gate_alarm: send pager_manager, text: Gate alarm unanswered, "
        "which was not expected",
    ]


def test_an_acknowledged_incident_is_not_escalated() -> None:
    timeline = """timeline:
      - {at: 0s, eas_front: eas.alarm, direction: out}
      - {at: 59s, acknowledge: gate_activation}
    """
    assert played(CONTRACT, f"{NOON}\n{timeline}\nexpect:{FIRED}") == []


@pytest.mark.parametrize(
    ("because", "found"),
    [
        ("site.open was no", []),
        (
            "cooldown",
            ["gate_alarm did not fire, but not because of 'cooldown': site.open was no"],
        ),
    ],
)
def test_a_rule_that_stays_quiet_says_why(because: str, found: list[str]) -> None:
    said = played(
        CONTRACT,
        f"""
        given: {{now: "2026-11-20T23:00:00"}}
        timeline: [{{at: 0s, eas_front: eas.alarm, direction: out}}]
        expect: [{{at: 0s, not_fired: {{rule: gate_alarm, because: {because}}}}}]
        """,
    )
    assert [line.replace("if site.open: ", "") for line in said] == found


def test_a_rule_that_fired_was_not_quiet() -> None:
    timeline = "timeline: [{at: 0s, eas_front: eas.alarm, direction: out}]"
    expect = f"expect:{FIRED}{SENT}  - {{not_fired: {{rule: gate_alarm}}}}"
    assert played(CONTRACT, f"{NOON}\n{timeline}\n{expect}") == [
        "gate_alarm was not to fire, and fired at 0s"
    ]


def test_a_door_propped_after_the_delivery_sounds_until_it_is_closed() -> None:
    test = """
    given: {now: "2026-11-20T07:59:00"}
    timeline:
      - {at: 0s, door_back: door.opened}
      - {at: 10m, door_back: door.closed}
    expect:
      - {at: 180s, sound: siren_back}
      - {at: 600s, ends: siren_back}
    """
    assert played(CONTRACT, test) == []


def test_a_door_closed_in_time_is_a_near_miss() -> None:
    test = """
    given: {now: "2026-11-20T12:00:00"}
    timeline:
      - {at: 0s, door_back: door.opened}
      - {at: 119s, door_back: door.closed}
    expect:
      - {not_fired: {rule: delivery_door_propped, because: held 119 s of 120 s}}
    """
    assert played(CONTRACT, test) == []


def test_an_open_door_can_be_given() -> None:
    test = """
    given: {now: "2026-11-20T12:00:00", states: {door_back: {contact: open}}}
    timeline: [{at: 10m, door_back: door.closed}]
    expect:
      - {at: 2m, sound: siren_back}
      - {at: 10m, ends: siren_back}
    """
    assert played(CONTRACT, test) == []


def test_a_lost_link_suspends_and_a_found_one_resumes() -> None:
    test = """
    given: {now: "2026-11-20T12:00:00"}
    timeline:
      - {at: 0s, door_back: door.opened}
      - {at: 60s, down: door_back}
      - {at: 5m, up: door_back}
      - {at: 6m, door_back: door.closed}
    expect:
      - {at: 5m, sound: siren_back}
      - {at: 6m, ends: siren_back}
    """
    assert played(CONTRACT, test) == []


RESTARTS = """
rules:
  propped:
    when: {door_back: open, for: 2m}
    do: [{send: pager_manager, text: "propped"}]
  loud:
    when: {eas_front: eas.alarm}
    do: [{sound: siren_back, for: 1h}]
"""


def test_what_fell_due_in_a_restart_is_done_at_its_own_time() -> None:
    test = """
    timeline:
      - {at: 0s, door_back: door.opened}
      - {at: 0s, eas_front: eas.alarm}
      - {at: 60s, restart: 3h}
    expect:
      - {at: 0s, sound: siren_back}
      - {at: 120s, send: pager_manager}
      - {at: 1h, ends: siren_back}
    """
    assert played(RESTARTS, test) == []


@pytest.mark.parametrize(("seconds", "end"), [(30, "1h"), (31, "91s")])
def test_leases_of_security_outlive_a_crash_only(seconds: int, end: str) -> None:
    test = f"""
    timeline:
      - {{at: 0s, eas_front: eas.alarm}}
      - {{at: 60s, restart: {seconds}s}}
    expect:
      - {{at: 0s, sound: siren_back}}
      - {{at: {end}, ends: siren_back}}
    """
    assert played(RESTARTS, test) == []


def test_what_changed_while_down_is_found_after_it() -> None:
    rules = """
rules:
  opened:
    when: {door_back: door.opened, changed_while_down: yes}
    do: [{send: pager_manager, text: "opened"}]
"""
    test = """
    timeline:
      - {at: 10s, restart: 60s}
      - {at: 20s, door_back: door.opened}
    expect: [{at: 70s, send: pager_manager}]
    """
    assert played(rules, test) == []


@pytest.mark.parametrize(
    ("minutes", "expected"), [(20, "[{at: 20m, send: pager_manager}]"), (21, "[]")]
)
def test_a_daily_moment_in_a_restart_is_late_for_a_quarter_of_an_hour(
    minutes: int, expected: str
) -> None:
    rules = """
rules:
  check:
    when: {daily: "12:05"}
    do: [{send: pager_manager, text: "check"}]
"""
    test = f"""
    given: {{now: "2026-11-20T12:00:00"}}
    timeline: [{{at: 0s, restart: {minutes}m}}]
    expect: {expected}
    """
    assert played(rules, test) == []


def test_the_latch_outlives_a_restart() -> None:
    test = """
    timeline:
      - {at: 0s, panic_till: button.pressed}
      - {at: 10s, restart: 3h}
      - {at: 4h, eas_front: eas.alarm}
    expect:
      - {at: 0s, rule: gas, evacuate: gas}
      - {at: 0s, rule: away, send: pager_manager}
      - {at: 4h, rule: theft, sound: siren_front}
      - {at: 4h, rule: refused, send: pager_manager}
    """
    assert played(EVACUATES, test) == []


FAILS = """
rules:
  loud:
    when: {eas_front: eas.alarm}
    do: [{sound: siren_back, for: 10s}]
  failed:
    when: {siren_back: order.failed, command: sound}
    do: [{send: pager_manager, text: "the siren failed"}]
"""


@pytest.mark.parametrize("how", ["fail", "down"])
def test_a_device_that_fails_says_so_until_it_is_up(how: str) -> None:
    test = f"""
    timeline:
      - {{at: 0s, {how}: siren_back}}
      - {{at: 5s, eas_front: eas.alarm}}
      - {{at: 20s, up: siren_back}}
      - {{at: 25s, eas_front: eas.alarm}}
    expect:
      - {{at: 5s, sound: siren_back, for: 10s}}
      - {{at: 5s, send: pager_manager}}
      - {{at: 15s, ends: siren_back}}
      - {{at: 25s, sound: siren_back}}
      - {{at: 35s, ends: siren_back}}
    """
    assert played(FAILS, test) == []


EVACUATES = """
rules:
  gas:
    priority: life_safety
    when: {panic_till: button.pressed}
    do: [{evacuate: gas}]
  theft:
    when: {eas_front: eas.alarm}
    do: [{sound: siren_front, for: 10s}]
  refused:
    when: {siren_front: order.failed}
    do: [{send: pager_manager, text: "not now"}]
  away:
    when: {site: evacuation.started, drill: no}
    do: [{send: pager_manager, text: "evacuation"}]
"""


def test_evacuate_is_listed_and_what_the_latch_does_is_not() -> None:
    test = """
    timeline:
      - {at: 0s, eas_front: eas.alarm}
      - {at: 4s, panic_till: button.pressed}
      - {at: 6s, eas_front: eas.alarm}
    expect:
      - {at: 0s, rule: theft, sound: siren_front}
      - {at: 4s, rule: gas, evacuate: gas}
      - {at: 4s, rule: away, send: pager_manager}
      - {at: 4s, rule: theft, ends: siren_front}
      - {at: 6s, rule: theft, sound: siren_front}
      - {at: 6s, rule: refused, send: pager_manager}
    """
    assert played(EVACUATES, test) == []


def test_a_fire_sets_the_latch() -> None:
    test = """
    timeline: [{at: 3s, fire_main: fire.alarm}]
    expect: [{at: 3s, rule: away, send: pager_manager, text: evacuation}]
    """
    assert played(EVACUATES, test) == []


def test_one_rule_silences_what_another_sounds() -> None:
    rules = """
rules:
  loud:
    when: {eas_front: eas.alarm}
    do: [{sound: siren_back, for: 1m}]
  quiet:
    when: {eas_front: eas.ended}
    do: [{silence: siren_back}]
"""
    test = """
    timeline:
      - {at: 0s, eas_front: eas.alarm}
      - {at: 8s, eas_front: eas.ended}
    expect:
      - {at: 0s, sound: siren_back}
      - {at: 8s, silence: siren_back}
      - {at: 8s, ends: siren_back}
    """
    assert played(rules, test) == []


def test_the_day_goes_by_as_the_calendar_says() -> None:
    rules = """
rules:
  evening:
    when: {daily: closing-15m}
    if: site.open
    do: [{send: pager_manager, text: "closing soon"}]
  shut:
    when: {site: closed}
    do: [{mode: closed}]
  mode:
    when: {site: mode.changed, mode: [closed, stock_take]}
    do: [{send: pager_manager, text: "mode"}]
"""
    test = """
    given: {now: "2026-11-20T20:30:00"}
    timeline: [{at: 1h, mode: stock_take}]
    expect:
      - {at: 15m, rule: evening, send: pager_manager}
      - {at: 30m, rule: shut, mode: closed}
      - {at: 30m, rule: mode, send: pager_manager}
      - {at: 30m, rule: mode, send: pager_manager}
      - {at: 1h, rule: mode, send: pager_manager}
    """
    assert played(rules, test) == []


def test_rules_that_trigger_each_other_for_ever_are_told() -> None:
    rules = """
rules:
  ping:
    when: {site: mode.changed, mode: delivery}
    do: [{mode: maintenance}]
  pong:
    when: {site: mode.changed, mode: maintenance}
    do: [{mode: delivery}]
  begin:
    when: {eas_front: eas.alarm}
    do: [{mode: delivery}]
"""
    test = "timeline: [{at: 0s, eas_front: eas.alarm}]\nexpect: []"
    assert played(rules, test) == ["the rules trigger each other without end"]


def test_a_fleet_file_tests_its_rules_as_written_where_a_store_replaces_one() -> None:
    fleet = """
rules: {gate: {when: {eas_front: eas.metal}, do: {incident: metal}}}
tests:
  - name: the fleet's rule
    timeline: [{at: 0s, eas_front: eas.metal}]
    expect: [{at: 0s, rule: gate, incident: metal}]
"""
    local = """
rules: {trolleys: {replaces: gate, when: {eas_front: eas.metal}, do: {incident: trolley}}}
tests:
  - name: the store's rule
    timeline: [{at: 0s, eas_front: eas.metal}]
    expect: [{at: 0s, rule: trolleys, incident: trolley}]
"""
    problems = Problems()
    nodes = [ys.read_text(text, name, problems) for name, text in (("a", fleet), ("b", local))]
    assert nodes[0] is not None
    assert nodes[1] is not None
    context = Context(problems=problems)
    found = load_rules([("a", nodes[0])], OPEN_SHOP, context, local=[("b", nodes[1])])
    assert [play(test, found, OPEN_SHOP) for test in found.tests] == [[], []]


def test_with_late_what_fell_due_while_down_is_done_at_the_restart() -> None:
    rules = """
rules:
  propped:
    after_restart: late
    when: {door_back: open, for: 10m}
    do: [{sound: siren_back, for: 5s}]
"""
    test = """
    timeline:
      - {at: 0s, door_back: door.opened}
      - {at: 1m, restart: 1h}
    expect:
      - {at: 61m, rule: propped, sound: siren_back}
      - {at: 3665s, rule: propped, ends: siren_back}
    """
    assert played(rules, test) == []


def test_a_rule_in_shadow_that_was_to_do_something_is_told() -> None:
    rules = """
rules:
  gate:
    enabled: shadow
    when: {eas_front: eas.alarm}
    do: [{incident: x}]
"""
    alarm = "timeline: [{at: 0s, eas_front: eas.alarm}]"
    wanted = f"{alarm}\nexpect: [{{at: 0s, rule: gate, incident: x}}]"
    assert played(rules, wanted) == [
        "at 0s expected gate: incident x; it did not come",
        "gate does nothing: it is enabled: shadow",
    ]
    assert played(rules, f"{alarm}\nexpect: []") == []
