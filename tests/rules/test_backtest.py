"""A history through two rule sets at once: the difference, literally, and that it is the truth."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event import Event
from drivers.priorities import Priority
from rules import backtest_tally
from rules import yaml_source as ys
from rules.backtest import compare, interest
from rules.backtest_ledger import OutputLimits
from rules.backtest_play import Side
from rules.backtest_report import Report
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import Problems
from tests.rules.worlds import SHOP

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""Tick 0: a Friday noon in winter."""
NUMBERS = count(1)
STATES = {
    "eas.alarm": {"alarm": "active"},
    "eas.ended": {"alarm": "quiet"},
    "door.opened": {"contact": "open"},
    "door.closed": {"contact": "closed"},
    "fire.alarm": {"alarm": "active"},
    "opened": {"open": "yes"},
    "closed": {"open": "no"},
    "link.down": {"link": "down"},
    "link.up": {"link": "up"},
    "output.on": {"output": "on"},
    "output.off": {"output": "off"},
}


def said(tick: float, device: str, kind: str, **fields: Any) -> Event:
    return Event(
        id=fields.pop("id_", f"{next(NUMBERS):032x}"),
        device=device,
        kind=kind,
        priority=Priority.operations,
        tick=tick,
        at=fields.pop("at", BEGAN + timedelta(seconds=tick)),
        boot=fields.pop("boot", "b" * 32),
        trusted=fields.pop("trusted", True),
        fields=fields,
        sets=fields.pop("sets", STATES.get(kind, {})),
    )


@functools.cache
def side(rules: str, **more: Any) -> Side:
    problems = Problems()
    node = ys.read_text(f"rules:\n{rules}", "shop.yaml", problems)
    assert node is not None
    context = Context(problems=problems, variables={}, secret=lambda *_: None)
    found = load_rules([("rules/shop.yaml", node)], SHOP, context)
    assert not problems.errors, str(problems.errors[0])
    return Side(rules=found.rules, moments=found.moments, world=SHOP, **more)


GATES = """
  gate:
    when: {gates: eas.alarm}
    do: [{sound: siren_front, for: 10s}, {record: cam_exit, for: 30s}, {incident: tag}]
"""
PROPPED = """
  propped:
    when: {door_back: open, for: 60s}
    do: [{sound: siren_back}]
    until: {door_back: closed}
"""


def opened(tick: float, seconds: float) -> list[Event]:
    """The back door, open for so long."""
    return [
        said(tick, "door_back", "door.opened"),
        said(tick + seconds, "door_back", "door.closed"),
    ]


def played(events: Iterable[Event], before: str, after: str, **more: Any) -> Report:
    return compare(events, side(before), side(after, **more))


def alarms(report: Report) -> list[str]:
    """Lost and gained ones: `lost propped door_back 12:02:00`."""
    return [f"{a.change} {a.rule} {a.device} {a.at:%H:%M:%S}" for a in report.examples]


def figures(report: Report, what: str) -> tuple[Any, Any]:
    return getattr(report.total.before, what), getattr(report.total.after, what)


def test_a_longer_wait_loses_the_shorter_alarms() -> None:
    events = [*opened(0, 70), *opened(100, 200), *opened(400, 30)]
    report = played(events, PROPPED, PROPPED.replace("60s", "90s"))
    assert (report.alarms_before, report.alarms_after) == (2, 1)
    assert alarms(report) == ["lost propped door_back 12:01:00"]
    assert figures(report, "siren_seconds") == (10.0 + 140.0, 110.0)
    assert report.changed == {"propped": "changed"}


def test_the_same_firing_at_another_time_is_the_same() -> None:
    report = played(opened(0, 300), PROPPED, PROPPED.replace("60s", "90s"))
    assert (report.total.lost, report.total.gained) == (0, 0)


def test_a_new_rule_gains_and_one_that_is_gone_loses() -> None:
    events = [said(1, "eas_front", "eas.alarm"), *opened(5, 70)]
    report = played(events, GATES, PROPPED)
    assert alarms(report) == ["lost gate eas_front 12:00:01", "gained propped door_back 12:01:05"]
    assert report.changed == {"gate": "gone", "propped": "new"}
    assert report.rules["gate"].before.clips == 1
    assert figures(report, "clips") == (1, 0)
    assert figures(report, "incidents") == (1, 0)
    assert figures(report, "siren_seconds") == (10.0, 10.0)


def test_each_rule_day_and_device_has_its_own_figures() -> None:
    events = [said(1, "eas_front", "eas.alarm"), said(43_300, "eas_back", "eas.alarm")]
    events.append(said(43_400, "door_back", "link.up"))
    report = played(events, GATES, GATES.replace("gates:", "eas_back:"))
    days = {day: (line.before.alarms, line.after.alarms) for day, line in report.days.items()}
    assert days == {"2026-11-20": (1, 0), "2026-11-21": (1, 1)}
    devices = {d: (line.lost, line.before.alarms) for d, line in report.devices.items()}
    assert devices["eas_front"] == (1, 1)
    assert report.devices["siren_front"].before.siren_seconds == 20.0
    assert report.devices["cam_exit"].after.clips == 1


def test_a_siren_that_sounds_over_midnight_counts_on_both_days() -> None:
    midnight = 12 * 3600.0
    report = played(opened(midnight - 70, 100), PROPPED, PROPPED)
    seconds = {day: line.before.siren_seconds for day, line in report.days.items()}
    assert seconds == {"2026-11-20": 10.0, "2026-11-21": 30.0}


def test_two_rules_on_one_siren_sound_it_once() -> None:
    two = GATES + GATES.replace("gate:", "again:").replace("for: 10s", "for: 15s")
    report = played(
        [said(0, "eas_front", "eas.alarm"), said(60, "door_back", "link.up")], two, GATES
    )
    assert figures(report, "siren_seconds") == (15.0, 10.0)
    assert report.rules["gate"].before.siren_seconds == 10.0
    assert report.rules["again"].before.siren_seconds == 15.0


def test_a_siren_that_still_sounds_at_the_end_counts_until_then() -> None:
    events = [said(0, "eas_front", "eas.alarm"), said(4, "door_back", "link.up")]
    assert figures(played(events, GATES, GATES), "siren_seconds") == (4.0, 4.0)


def test_an_output_keeps_its_limits() -> None:
    limits = {
        "siren_front": OutputLimits(in_an_hour=25.0),
        "siren_back": OutputLimits(quiet="12:01-12:02"),
    }
    events = [said(20.0 * n, "eas_front", "eas.alarm") for n in range(4)]
    events += [*opened(100, 5), said(7200, "door_back", "link.up")]
    doors = "\n  door:\n    when: {door_back: door.opened}\n    do: [{sound: siren_back, for: 5s}]"
    report = compare(events, side(GATES + doors), replace(side(GATES + doors), limits=limits))
    assert report.devices["siren_front"].before.siren_seconds == 40.0
    assert report.devices["siren_front"].after.siren_seconds == 25.0
    assert report.devices["siren_back"].after.siren_seconds == 0.0


def test_a_person_who_silences_the_siren_does_so_on_both_sides() -> None:
    silence = said(
        3, "site", "person.ordered", target="siren_front", command="silence", priority="security"
    )
    events = [said(0, "eas_front", "eas.alarm"), silence, said(60, "door_back", "link.up")]
    assert figures(played(events, GATES, GATES), "siren_seconds") == (3.0, 3.0)


def test_a_rule_in_shadow_is_counted_as_what_it_would_do_when_it_is_asked_for() -> None:
    events = [said(0, "eas_front", "eas.alarm"), said(60, "door_back", "link.up")]
    shadow = GATES.replace("  gate:\n", "  gate:\n    enabled: shadow\n")
    report = played(events, shadow, shadow, shadow=True)
    assert (report.alarms_before, report.alarms_after) == (0, 1)
    assert report.total.after.shadow == 1
    assert report.total.after.siren_seconds == 10.0
    assert report.changed == {"gate": "shadow"}
    assert report.examples[0].shadow
    report = played(events, GATES, shadow)
    assert (report.alarms_before, report.alarms_after) == (1, 0)


def test_what_is_unknown_stays_so_until_a_device_says_it() -> None:
    closed = "\n  c:\n    when: {door_back: closed, for: 5s}\n    do: [{incident: c}]"
    events = [said(0, "eas_front", "link.up"), said(60, "door_back", "link.up")]
    assert played(events, GATES, closed).alarms_after == 0
    known = said(60, "door_back", "state.known", sets={"contact": "closed"})
    later = said(70, "door_back", "link.up")
    assert played([*events, known, later], GATES, closed).alarms_after == 1


def test_no_more_alarms_wait_for_the_same_on_the_other_side_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backtest_tally, "WAITING", 2)
    monkeypatch.setattr(backtest_tally, "EXAMPLES", 3)
    events = [said(20.0 * n, "eas_front", "eas.alarm") for n in range(9)]
    report = played(events, GATES, GATES.replace("gates: eas.alarm", "eas_back: eas.alarm"))
    assert (report.total.lost, report.total.gained) == (9, 0)
    assert [a.at.minute * 60 + a.at.second for a in report.examples] == [0, 20, 40]


# --- what the rules of then caused ---------------------------------------------------------------

CHAIN = """
  first:
    when: {eas_front: eas.alarm}
    do: [{incident: tag}, {mode: delivery}]
  second:
    when: {site: incident.opened, name: tag}
    do: [{record: cam_exit, for: 5s}]
  third:
    when: {site: mode.changed, mode: delivery}
    do: [{sound: siren_back, for: 5s}]
"""


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


# --- time ----------------------------------------------------------------------------------------

DAILY = '\n  walk:\n    when: {daily: "12:30"}\n    do: [{incident: walk}]'


def test_daily_moments_come_from_the_calendar() -> None:
    events = [said(tick, "door_back", "link.up") for tick in (0, 600, 7200, 90_000, 180_000)]
    events.insert(2, said(1800, "site", "daily", moment="12:30"))
    report = played(events, GATES, DAILY)
    assert alarms(report) == ["gained walk site 12:30:00"] * 3
    assert list(report.days) == ["2026-11-20", "2026-11-21", "2026-11-22"]


def test_a_moment_that_was_slept_through_is_late_or_missed() -> None:
    def night(hours: float) -> Report:
        at = BEGAN + timedelta(hours=hours)
        woken = said(700, "site", "daemon.started", boot="c" * 32, at=at)
        events = [said(0, "door_back", "link.up"), said(600, "door_back", "link.up"), woken]
        return played(events, GATES, DAILY)

    assert night(0.6).alarms_after == 1
    assert night(1.0).alarms_after == 0


def test_after_a_power_cut_nothing_is_proven_and_leases_are_over() -> None:
    started = said(70, "site", "daemon.started", boot="c" * 32, at=BEGAN + timedelta(hours=5))
    still = said(75, "door_back", "link.up", sets={"link": "up", "contact": "open"}, boot="c" * 32)
    events = [
        said(0, "door_back", "door.opened"),
        said(65, "eas_front", "link.up"),
        started,
        still,
        said(200, "eas_front", "link.up"),
    ]
    report = played(events, PROPPED, PROPPED.replace("60s", "71s"))
    assert figures(report, "siren_seconds") == (10.0, 125.0)
    assert report.played.restarts == 1


def test_after_a_crash_leases_go_on() -> None:
    started = said(70, "site", "daemon.started")
    events = [said(0, "door_back", "door.opened"), said(65, "eas_front", "link.up"), started]
    events.append(said(100, "eas_front", "link.up"))
    assert figures(played(events, PROPPED, PROPPED), "siren_seconds") == (40.0, 40.0)


def test_decisions_before_a_crash_say_how_far_time_had_gone() -> None:
    expires = PROPPED.replace("do:", "after_restart: expire\n    do:")
    events = [said(0, "door_back", "door.opened"), said(90, "site", "daemon.started")]
    assert played(events, expires, GATES).alarms_before == 0
    events.insert(1, said(60, "site", "rule.fired", rule="propped"))
    assert played(events, expires, GATES).alarms_before == 1


def test_an_event_that_overtook_others_runs_no_deadline_before_them() -> None:
    events = [
        said(0, "door_back", "door.opened"),
        said(60.05, "fire_main", "fire.alarm"),
        said(59.9, "door_back", "door.closed"),
    ]
    assert played(events, PROPPED, GATES).alarms_before == 0


# --- properties ----------------------------------------------------------------------------------

MANY = (
    GATES
    + PROPPED
    + CHAIN
    + DAILY
    + """
  storm:
    when: {count: 3, of: {gates: eas.alarm}, within: 60s}
    if: count('gates', 'eas.alarm', '5m') < 9
    do: [{incident: storm}]
    cooldown: 30s
  unpaid:
    when: {after: {eas_back: eas.alarm}, without: {eas_back: eas.ended}, within: 20s}
    if: not (since('gates', 'eas.deactivated') < duration('3s'))
    do: [{sound: siren_back, for: 7s}]
  both:
    when: {sequence: [{eas_front: eas.alarm}, {door_back: door.opened}], within: 30s}
    do: [{record: cam_exit, for: 5s}]
"""
)
SAYINGS = st.sampled_from(
    [
        ("eas_front", "eas.alarm"),
        ("eas_back", "eas.alarm"),
        ("eas_back", "eas.ended"),
        ("eas_back", "eas.deactivated"),
        ("eas_front", "eas.visitors"),
        ("door_back", "door.opened"),
        ("door_back", "door.closed"),
        ("door_front", "door.opened"),
        ("door_back", "link.down"),
        ("door_back", "link.up"),
        ("eas_back", "link.down"),
        ("site", "daemon.started"),
        ("site", "opened"),
        ("siren_front", "output.on"),
    ]
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 3.0, 19.0, 61.0, 1000.0]), SAYINGS), max_size=25
)


def history(told: list[tuple[float, tuple[str, str]]]) -> list[Event]:
    tick, events = 0.0, []
    for delay, (device, kind) in told:
        tick += delay
        events.append(said(tick, device, kind))
    return events


def time_of(event: Event) -> Event:
    """The time of an event that nobody hears."""
    return replace(event, kind="time", device="site", sets={})


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_the_same_rules_differ_in_nothing(told: list[tuple[float, tuple[str, str]]]) -> None:
    report = compare(history(told), side(MANY), side(MANY))
    assert not report.total.differs
    assert (report.examples, report.changed) == ([], {})


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_events_that_nobody_hears_change_nothing(
    told: list[tuple[float, tuple[str, str]]],
) -> None:
    before, after = side(MANY), side(GATES)
    hears = interest(before, after).hears
    events = history(told)
    whole = compare(events, before, after).as_json()
    edge = {e.id for e in (*events[:1], *events[-1:])}
    kept = [e if hears(e) else time_of(e) for e in events if hears(e) or e.id in edge]
    part = compare(kept, before, after).as_json()
    del whole["played"], part["played"]
    assert part == whole
