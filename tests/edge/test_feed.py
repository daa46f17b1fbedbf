"""Lines of the live feed: one a fact, with names and the site's time."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from edge.cli.feed import Feed

NAMES = {"siren_front": "Siren at the front", "eas_front": "Front gates", "tills": "Tills"}
RULES = {"walk_out": "A tag leaves, and nobody paid."}


def feed(*, colour: bool = False) -> Feed:
    return Feed(names=NAMES, rules=RULES, zone=ZoneInfo("Europe/London"), colour=colour)


def item(device: str, signal: str, kind: str = "event", **data: Any) -> dict[str, Any]:
    priority = "security" if signal == "eas.alarm" else "operations"
    at = "2026-07-01T11:30:05.250000Z"
    return {
        "kind": kind,
        "at": at,
        "device": device,
        "signal": signal,
        "priority": priority,
        "data": data,
    }


def lines(made: Feed, *items: dict[str, Any]) -> list[str]:
    return [line for one in items if (line := made.line(one)) is not None]


def test_an_alarm_is_told_by_the_sites_clock_and_the_devices_name() -> None:
    found = lines(feed(), item("eas_front", "eas.alarm", aisle=1, direction="unknown"))
    assert found == ["12:30:05  Front gates                 a tag at the gate (aisle 1)"]


def test_an_order_its_outcome_and_the_output_are_one_line() -> None:
    given = {"command": "sound", "by": "rule", "rule": "walk_out"}
    found = lines(
        feed(),
        item("site", "rule.fired", "decision", rule="walk_out", member="eas_front", cause="f00"),
        item("siren_front", "order.given", "order", **given),
        item("siren_front", "order.done", seconds=0.01, **given),
        item("siren_front", "output.on"),
    )
    assert found == [
        "12:30:05    » A tag leaves, and nobody paid.",
        "12:30:05    → Siren at the front sounds [walk_out]",
    ]


def test_an_output_that_nobody_ordered_is_told() -> None:
    found = lines(feed(), item("siren_front", "output.on"))
    assert found == ["12:30:05  Siren at the front          is on"]


def test_a_failed_order_names_devices_and_not_ids() -> None:
    reason = "tills is unknown"
    failed = item("siren_front", "order.failed", command="sound", by="person", reason=reason)
    assert lines(feed(), failed) == [
        "12:30:05    → Siren at the front: sound FAILED: Tills is unknown [a person]"
    ]


def test_what_stands_in_quotation_marks_stays_as_it_is() -> None:
    reason = "the camera has no preset 'eas_front'"
    failed = item("siren_front", "order.failed", command="goto", by="person", reason=reason)
    assert lines(feed(), failed) == [
        "12:30:05    → Siren at the front: goto FAILED: the camera has no preset 'eas_front'"
        " [a person]"
    ]


def test_a_mode_and_who_set_it_are_told() -> None:
    asked: dict[str, Any] = {
        "action": "set",
        "mode": "stock_take",
        "for": 7200.0,
        "by": "ann",
        "reason": "count",
    }
    changed: dict[str, Any] = {
        "mode": "stock_take",
        "before": "open",
        "by": "ann",
        "reason": "count",
    }
    found = lines(
        feed(),
        item("site", "mode.requested", **asked),
        item("site", "mode.changed", **changed, until="2026-07-01T13:30:05Z"),
    )
    assert found == [
        "12:30:05  the store                   a mode is asked for"
        " (action set, mode stock_take, for 2 h, count)",
        "12:30:05  the store                   mode stock take (before: open; by ann, count)",
    ]


def test_an_acknowledged_incident_and_rules_on_trial_are_told() -> None:
    tried: dict[str, Any] = {
        "config": "b",
        "before": "a",
        "watch": 45.0,
        "by": "ann",
        "reason": "gates",
    }
    found = lines(
        feed(),
        item("site", "incident.acknowledged", name="walk_out", by="ann", reason="seen"),
        item("site", "config.applied", **tried),
    )
    assert found == [
        "12:30:05    incident: walk out is looked after, says ann (seen)",
        "12:30:05  the store                   NEW RULES RUN, on trial"
        " (config b, before a, watch 45 s, gates)",
    ]


def test_a_long_name_stays_apart_from_what_it_says() -> None:
    made = Feed(names={"exit": "Emergency exit in the stockroom"}, zone=ZoneInfo("UTC"))
    found = lines(made, item("exit", "door.forced"))
    assert found == ["11:30:05  Emergency exit in the stockroom  FORCED OPEN"]


def test_a_lost_cable_is_told_once_with_its_reason_and_its_return_only_after_a_loss() -> None:
    found = lines(
        feed(),
        item("tills", "link.up"),
        item("gateway", "link.down", reason="10.0.4.31: closed"),
        item("tills", "link.down", reason="10.0.4.31: closed"),
        item("tills", "link.up"),
    )
    assert found == [
        "12:30:05  gateway                     CAN'T BE HEARD (10.0.4.31: closed)",
        "12:30:05  Tills                       CAN'T BE HEARD",
        "12:30:05  Tills                       heard again",
    ]


def test_what_concerns_the_box_alone_is_not_told() -> None:
    quiet = [
        item("annex", "input.edge", line="di0", level=True),
        item("tills", "state.known", values={}),
        item("site", "daemon.started", config="0"),
        item("site", "rule.ended", "decision", rule="walk_out", command="sound", target="s"),
    ]
    assert lines(feed(), *quiet) == []


def test_colours_are_of_the_priority_and_only_when_wanted() -> None:
    alarm = item("eas_front", "eas.alarm", aisle=1)
    (line,) = lines(feed(colour=True), alarm)
    assert line.startswith("\x1b[33m12:30:05")
    assert line.endswith("\x1b[0m")
    assert "\x1b" not in lines(feed(), alarm)[0]


def test_an_evacuation_is_told_by_its_cause_and_who_ended_it() -> None:
    found = lines(
        feed(),
        item("site", "evacuation.started", cause="eas_front", drill=False),
        item("site", "evacuation.ended", cause="eas_front", drill=False, reason="clear", by="ann"),
    )
    assert found == [
        "12:30:05  the store                   EVACUATION (because of Front gates)",
        "12:30:05  the store                   the evacuation is over (ended by ann, clear)",
    ]


def test_a_signal_that_has_no_words_yet_is_told_by_its_own_name() -> None:
    found = lines(feed(), item("tills", "walk.point", amount=3, currency="GBP"))
    assert found == ["12:30:05  Tills                       walk.point (amount 3, currency GBP)"]
