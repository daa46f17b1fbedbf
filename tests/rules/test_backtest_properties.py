"""Backtests of random histories: the same rules differ in nothing; what nobody hears is nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event import Event
from rules.backtest import compare, interest
from rules.backtest_shared import shared
from tests.rules.played import (
    CHAIN,
    DAILY,
    GATES,
    PROPPED,
    said,
    side,
)

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
  moved:
    when: {eas_back: eas.ended}
    if: count('eas_front', 'eas.visitors', '1m', aisle=0) > 0
    do: [{incident: moved}]
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
        ("fire_main", "fire.alarm"),
        ("fire_main", "link.down"),
    ]
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 3.0, 19.0, 61.0, 1000.0]), SAYINGS), max_size=25
)


def history(told: list[tuple[float, tuple[str, str]]]) -> list[Event]:
    tick = 0.0
    events: list[Event] = []
    for delay, (device, kind) in told:
        tick += delay
        events.append(said(tick, device, kind, aisle=len(events) % 2))
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
    before_starts = (e for e, n in pairwise(events) if n.kind == "daemon.started")
    edge = {e.id for e in (*events[:1], *before_starts, *events[-1:])}
    kept = [e if hears(e) else time_of(e) for e in events if hears(e) or e.id in edge]
    part = compare(kept, before, after).as_json()
    del whole["played"], part["played"]
    assert part == whole


CHANGES = st.sampled_from(
    [
        (
            "gates: eas.alarm}\n    do: [{sound: siren_front, for: 10s}",
            "gates: eas.alarm}\n    do: [{sound: siren_front, for: 4s}",
        ),
        ("for: 60s}\n    do: [{sound: siren_back}]", "for: 20s}\n    do: [{sound: siren_back}]"),
        ("do: [{incident: tag}, {mode: delivery}]", "do: [{incident: tag}]"),
        ("{site: incident.opened, name: tag}", "{site: incident.opened}"),
        ("{count: 3,", "{count: 2,"),
        ("within: 20s}", "within: 5s}"),
        ("{record: cam_exit, for: 5s}]\n  third", "{silence: siren_back}]\n  third"),
        ("{site: mode.changed, mode: delivery}", "{site: mode.changed}"),
        ("do: [{incident: storm}]", "do: [{evacuate: storm}]"),
    ]
)
LISTENING = """
  off:
    when: {siren_front: output.off}
    do: [{incident: off}]
  open:
    when: {door_front: door.opened}
    if: site.open
    do: [{sound: siren_back, for: 3s}]
  fire_gone:
    when: {fire_main: link.down}
    do: [{record: cam_exit, for: 9s}]
  out:
    when: {site: evacuation.started}
    do: [{incident: tag}]
"""


@settings(max_examples=60, deadline=None)
@given(HISTORIES, CHANGES)
def test_what_is_played_once_is_as_if_it_were_played_twice(
    told: list[tuple[float, tuple[str, str]]], change: tuple[str, str]
) -> None:
    old, new = change
    rules = MANY + LISTENING
    assert old in rules
    before, after, events = side(rules), side(rules.replace(old, new)), history(told)
    once = compare(events, before, after).as_json()
    assert compare(events, before, after, share=False).as_json() == once


def test_rules_that_a_changed_one_reaches_are_played_twice() -> None:
    rules = side(MANY + LISTENING)
    assert shared(rules, rules) == {r.id for r in rules.rules}

    def apart(old: str, new: str) -> set[str]:
        changed = side((MANY + LISTENING).replace(old, new))
        return {r.id for r in rules.rules} - shared(rules, changed)

    assert apart("within: 20s}", "within: 5s}") == {"unpaid"}
    assert apart("{sound: siren_front, for: 10s}", "{sound: siren_front, for: 9s}") == {
        *("gate", "off", "second"),
    }
    assert apart("{mode: delivery}]", "{mode: maintenance}]") == {
        "first",
        "second",
        "third",
        "open",
    }
    assert apart("do: [{incident: storm}]", "do: [{evacuate: storm}]") == {
        r.id for r in rules.rules
    }


def test_rules_that_meet_where_their_order_counts_are_played_twice() -> None:
    def alike(rules: str, old: str, new: str) -> set[str]:
        return set(shared(side(rules), side(rules.replace(old, new))))

    quells = """
  loud:
    when: {eas_front: eas.alarm}
    do: [{sound: siren_front, for: 10s}]
  hush:
    when: {eas_front: eas.alarm}
    do: [{silence: siren_front}]
  lit:
    when: {eas_front: eas.alarm}
    do: [{switch_on: beacon_back, for: 10s}]
"""
    assert alike(quells, "{silence: siren_front}", "{silence: siren_back}") == {"lit"}
    assert alike(quells, "sound: siren_front, for: 10s", "sound: siren_front, for: 9s") == {"lit"}
    modes = """
  one:
    when: {eas_front: eas.alarm}
    do: [{mode: delivery}]
  two:
    when: {eas_front: eas.alarm}
    do: [{mode: maintenance}]
"""
    assert alike(modes, "mode: maintenance", "mode: stock_take") == set()


def test_what_only_unchanged_rules_hear_of_a_fire_panel_reaches_them() -> None:
    trouble = "\n  trouble:\n    when: {fire_main: fire.trouble}\n    do: [{incident: trouble}]"
    events = [said(1, "fire_main", "fire.trouble"), said(9, "eas_front", "link.up")]
    report = compare(events, side(PROPPED + trouble), side(GATES + trouble))
    assert (report.alarms_before, report.alarms_after) == (1, 1)


def test_unchanged_rules_that_go_round_in_circles_do_so_on_both_sides() -> None:
    circle = """
  a:
    when: [{eas_front: eas.alarm}, {site: incident.opened}]
    do: [{incident: a}]
"""
    events = [said(1, "eas_front", "eas.alarm")]
    report = compare(events, side(PROPPED + circle), side(PROPPED.replace("60s", "9s") + circle))
    assert (report.alarms_before, report.alarms_after, report.total.lost) == (101, 101, 0)
