"""A history through two rule sets at once: what is counted, literally."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules import backtest_tally
from rules.backtest import compare
from rules.backtest_ledger import OutputLimits
from tests.rules.played import (
    GATES,
    PROPPED,
    alarms,
    figures,
    opened,
    played,
    said,
    side,
)


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


def test_what_a_condition_asks_for_by_a_field_is_heard_from_the_history() -> None:
    asks = """
  again:
    when: {eas_front: eas.alarm}
    if: count('eas_back', 'eas.metal', '1m', aisle=event.aisle) >= 2
    do: [{incident: again}]
"""
    metal = [said(tick, "eas_back", "eas.metal", aisle=a) for tick, a in [(1, 1), (2, 2), (3, 1)]]
    alarms_ = [said(tick, "eas_front", "eas.alarm", aisle=a) for tick, a in [(4, 2), (5, 1)]]
    report = played([*metal, *alarms_], PROPPED, PROPPED + asks)
    assert alarms(report) == ["gained again eas_front 12:00:05"]
    assert report.total.after.alarms == 1


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


def test_an_output_is_on_no_longer_than_it_may_whoever_has_it_on() -> None:
    again = GATES.replace("gate:", "again:").replace("gates:", "eas_back:")
    both = side(GATES.replace("gates:", "eas_front:") + again)
    events = [said(0, "eas_front", "eas.alarm"), said(8, "eas_back", "eas.alarm")]
    events.append(said(60, "door_back", "link.up"))
    limited = replace(both, limits={"siren_front": OutputLimits(at_a_time=12.0)})
    assert figures(compare(events, both, limited), "siren_seconds") == (18.0, 12.0)


def test_a_person_who_silences_the_siren_does_so_on_both_sides() -> None:
    silence = said(
        3, "site", "person.ordered", target="siren_front", command="silence", priority="security"
    )
    events = [said(0, "eas_front", "eas.alarm"), silence, said(60, "door_back", "link.up")]
    assert figures(played(events, GATES, GATES), "siren_seconds") == (3.0, 3.0)


def test_a_rule_in_shadow_is_counted_as_what_it_would_do_when_it_is_asked_for() -> None:
    events = [said(0, "eas_front", "eas.alarm"), said(60, "door_back", "link.up")]
    shadow = GATES.replace("  gate:\n", "  gate:\n    enabled: shadow\n")
    report = played(events, shadow, shadow, shadow=frozenset({"gate"}))
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
