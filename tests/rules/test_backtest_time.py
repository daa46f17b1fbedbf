"""Time in a backtest: daily moments, starts, power cuts, and what overtook what."""

from __future__ import annotations

from datetime import timedelta

from rules.backtest import compare
from rules.backtest_report import Report
from tests.rules.played import (
    BEGAN,
    DAILY,
    GATES,
    PROPPED,
    alarms,
    figures,
    played,
    said,
    side,
)


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


def test_a_state_that_another_version_has_saved_is_not_used() -> None:
    report = Report()
    report.played.restored = True
    saved = {"engine": {"version": 1, "tick": "soon"}, "evacuation": {}, "modes": {"held": 3}}
    events = [said(0, "eas_front", "eas.alarm"), said(60, "door_back", "link.up")]
    compare(events, side(GATES), side(GATES), saved=saved, report=report)
    assert (report.alarms_before, report.played.restored) == (1, False)
