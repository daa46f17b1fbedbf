"""What the rules of then caused is left out of a backtest, and made again by each side."""

from __future__ import annotations

from rules.backtest import compare
from tests.rules.played import (
    CHAIN,
    GATES,
    PROPPED,
    alarms,
    figures,
    played,
    said,
    side,
)


def test_incidents_and_modes_of_then_are_made_again_by_each_side_for_itself() -> None:
    events = [
        said(1, "eas_front", "eas.alarm"),
        said(1, "site", "incident.opened", name="tag", rule="first", cause="x"),
        said(1, "site", "mode.changed", mode="delivery", by="first", sets={"mode": "delivery"}),
        said(20, "door_back", "link.up"),
    ]
    report = played(events, CHAIN, CHAIN.replace("tag}, {mode", "other}, {mode"))
    assert figures(report, "clips") == (1, 0)
    assert figures(report, "siren_seconds") == (5.0, 5.0)
    assert alarms(report) == ["lost second site 12:00:01"]


def test_an_evacuation_of_a_rule_is_made_again_and_silences() -> None:
    events = [
        said(0, "eas_front", "eas.alarm"),
        said(2, "door_back", "door.opened"),
        said(
            2, "site", "evacuation.started", cause="door", drill=False, sets={"evacuation": "yes"}
        ),
        said(20, "door_back", "link.up"),
    ]
    out = """
  out:
    priority: life_safety
    when: {door_back: door.opened}
    do: [{evacuate: door}]"""
    heard = "\n  heard:\n    when: {site: evacuation.started}\n    do: [{incident: e}]"
    report = played(events, GATES + out + heard, GATES + heard)
    assert figures(report, "siren_seconds") == (2.0, 10.0)
    assert figures(report, "incidents") == (2, 1)


def test_a_fire_sets_the_latch_on_both_sides_and_a_person_ends_it() -> None:
    heard = "\n  heard:\n    when: {site: evacuation.ended}\n    do: [{incident: e}]"
    asked = {"action": "end", "by": "Ann", "reason": "all clear", "despite": ["fire_main"]}
    events = [
        said(0, "fire_main", "fire.alarm"),
        said(5, "eas_front", "eas.alarm"),
        said(30, "site", "evacuation.requested", **asked),
        said(30, "site", "evacuation.ended", cause="fire_main", drill=False),
        said(40, "eas_front", "eas.alarm"),
        said(90, "door_back", "link.up"),
    ]
    report = played(events, GATES + heard, GATES)
    assert figures(report, "siren_seconds") == (10.0, 10.0)
    assert alarms(report) == ["lost heard site 12:00:30"]


def test_outputs_that_rules_told_go_on_and_off_by_what_these_rules_tell_them() -> None:
    watch = "\n  watch:\n    when: {siren_front: output.off}\n    do: [{incident: off}]"
    events = [
        said(0, "eas_front", "eas.alarm"),
        said(0, "siren_front", "output.on"),
        said(10, "siren_front", "output.off"),
        said(30, "door_back", "link.up"),
    ]
    short = GATES.replace("for: 10s", "for: 4s")
    report = played(events, GATES + watch, short + watch)
    assert report.total.before.incidents == 2
    found = compare(
        events,
        side(GATES + watch),
        side("\n  w:\n    when: {door_back: door.opened}\n    do: [{incident: x}]"),
    )
    assert [a.at.second for a in found.examples if a.rule == "watch"] == [10]


def test_an_output_that_no_rule_tells_anything_is_as_it_was() -> None:
    watch = "\n  watch:\n    when: {siren_back: output.on}\n    do: [{incident: on}]"
    events = [said(5, "siren_back", "output.on"), said(30, "door_back", "link.up")]
    assert played(events, GATES + watch, GATES).alarms_before == 1
    assert played(events, PROPPED + watch, GATES).alarms_before == 0
    person = {"target": "siren_back", "command": "sound", "for": 2.0}
    events.insert(0, said(5, "site", "person.ordered", **person))
    assert played(events, GATES + watch, GATES).alarms_before == 1
    assert played(events, PROPPED + watch, GATES).alarms_before == 1


def test_what_the_evacuation_has_on_goes_off_at_its_end() -> None:
    rules = """
  watch:
    when: [{beacon_back: output.on}, {beacon_back: output.off}]
    do: [{incident: x}]
  lit:
    when: {door_back: door.opened}
    do: [{switch_on: beacon_back, for: 5s}]
"""
    asked = {"action": "end", "by": "Ann", "reason": "all clear", "despite": ["fire_main"]}
    events = [
        said(0, "fire_main", "fire.alarm"),
        said(30, "site", "evacuation.requested", **asked),
        said(60, "eas_front", "link.up"),
    ]
    report = played(events, rules, GATES)
    assert [a.at.second for a in report.examples] == [0, 30]


def test_orders_of_rules_are_taken_as_done() -> None:
    failed = "\n  failed:\n    when: {siren_front: order.failed}\n    do: [{incident: f}]"
    done = "\n  done:\n    when: {siren_front: order.done}\n    do: [{incident: d}]"
    events = [
        said(0, "eas_front", "eas.alarm"),
        said(1, "siren_front", "order.failed", command="sound", rule="gate", by="rule", reason="x"),
        said(2, "siren_front", "order.failed", command="sound", by="person", reason="x"),
        said(30, "door_back", "link.up"),
    ]
    report = played(events, GATES + failed, GATES + done)
    assert report.rules["failed"].before.incidents == 1
    assert report.rules["done"].after.incidents == 1


def test_rules_that_go_round_in_circles_end() -> None:
    circle = "\n  a:\n    when: {site: incident.opened}\n    do: [{incident: a}]\n"
    report = played([said(0, "eas_front", "eas.alarm")], GATES, GATES + circle)
    assert report.rules["a"].after.alarms == 100


def test_what_people_asked_for_in_words_of_another_version_is_passed_over() -> None:
    sound = {"target": "siren_front", "command": "sound"}
    events = [
        said(1, "site", "mode.requested"),
        said(2, "site", "mode.requested", action="set", mode=[], by="Ann", reason="r"),
        said(3, "site", "person.ordered", **sound, **{"for": "a while"}),
        said(4, "site", "evacuation.requested", action="end", despite=7),
        said(5, "eas_front", "eas.alarm"),
        said(60, "door_back", "link.up"),
    ]
    assert played(events, GATES, GATES).alarms_before == 1


def test_a_mode_that_a_person_sets_is_set_on_both_sides() -> None:
    rules = "\n  busy:\n    when: {eas_front: eas.alarm}\n    if: site.mode == 'delivery'\n"
    rules += "    do: [{incident: busy}]"
    asked = {"action": "set", "mode": "delivery", "by": "Ann", "reason": "a lorry", "for": 600.0}
    events = [
        said(0, "site", "opened"),
        said(10, "site", "mode.requested", **asked),
        said(10, "site", "mode.changed", mode="delivery", by="Ann", sets={"mode": "delivery"}),
        said(20, "eas_front", "eas.alarm"),
        said(700, "eas_front", "eas.alarm"),
    ]
    report = played(events, rules, GATES)
    assert alarms(report)[0] == "lost busy eas_front 12:00:20"
    assert report.rules["busy"].before.alarms == 1
