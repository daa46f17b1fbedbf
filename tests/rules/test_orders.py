"""What a firing orders: leases and their ends, until, escalation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drivers.commands import Goto, OpenIncident, RecordClip, Send, Silence, Sound
from drivers.priorities import Priority
from rules.model import Escalation, Fired, Rule
from tests.rules.building import (
    SOUND,
    do,
    engine,
    fact,
    play,
    rule,
    said,
    told,
)

ALARM = fact("eas_front", "eas.alarm")
GATES = fact("gates", "eas.alarm")


def fires(one: Rule, *events: Any, until: float = 1000.0) -> list[str]:
    return told(play(engine(one), *events, until=until))


# --- orders and leases -------------------------------------------------------------------------


def test_orders_carry_priority_rule_member_and_cause() -> None:
    near = do(RecordClip(), near="cameras", lasts=60.0)
    one = engine(rule(GATES, do=(near, do(Silence(), "siren_back")), priority=Priority.operations))
    event = said(1, "eas_back", "eas.alarm")
    fired = play(one, event)[0]
    assert isinstance(fired, Fired)
    clip, silence = fired.orders
    assert (clip.device, clip.command) == ("cam_exit", RecordClip(duration=60.0))  # type: ignore[arg-type]
    assert (clip.rule, clip.member, clip.cause) == ("r", "eas_back", event.id)
    assert (clip.priority, clip.holds, clip.lasts) == (Priority.operations, False, None)
    assert (silence.device, silence.holds) == ("siren_back", False)


def test_near_of_a_device_without_neighbours_orders_nothing() -> None:
    one = engine(rule(fact("door_front", "door.opened"), do=(do(Sound(), near="siren"),)))
    fired = play(one, said(1, "door_front", "door.opened"))[0]
    assert isinstance(fired, Fired)
    assert fired.orders == ()


def test_a_lease_ends_after_its_for() -> None:
    one = rule(ALARM, do=(SOUND,))
    assert fires(one, said(5, "eas_front", "eas.alarm")) == [
        "5 r fired",
        "15 r ended siren_front for",
    ]


def test_a_lease_ends_at_the_limit_of_its_device() -> None:
    without = rule(ALARM, do=(do(Sound(), "siren_front"),))
    longer = rule(ALARM, do=(do(Sound(), "siren_front", lasts=500.0),))
    expected = ["5 r fired", "125 r ended siren_front limit"]
    assert fires(without, said(5, "eas_front", "eas.alarm")) == expected
    assert fires(longer, said(5, "eas_front", "eas.alarm")) == expected


def test_a_lease_without_any_end_stays() -> None:
    one = engine(rule(ALARM, do=(do(Sound(), "siren_back"),)))
    assert told(play(one, said(5, "eas_front", "eas.alarm"), until=1e9)) == ["5 r fired"]
    assert one.next_deadline is None


def test_a_goto_is_a_lease_only_with_for() -> None:
    turn = Goto(preset="gate")
    plain, timed = do(turn, "cam_exit"), do(turn, "cam_exit", lasts=60.0)
    assert fires(rule(ALARM, do=(plain,)), said(0, "eas_front", "eas.alarm")) == ["0 r fired"]
    assert fires(rule(ALARM, do=(timed,)), said(0, "eas_front", "eas.alarm")) == [
        "0 r fired",
        "60 r ended cam_exit for",
    ]


def test_a_firing_renews_a_lease_and_never_stacks() -> None:
    one = rule(ALARM, do=(SOUND,))
    alarms = [said(t, "eas_front", "eas.alarm") for t in (0, 4, 9)]
    assert fires(one, *alarms) == [
        "0 r fired",
        "4 r fired",
        "9 r fired",
        "19 r ended siren_front for",
    ]


def test_a_firing_at_the_end_of_a_lease_takes_a_new_one() -> None:
    one = engine(rule(ALARM, do=(SOUND,)))
    found = [d for t in (0, 10) for d in one.feed(said(t, "eas_front", "eas.alarm"))]
    assert told(found + one.advance(100)) == [
        "0 r fired",
        "10 r ended siren_front for",
        "10 r fired",
        "20 r ended siren_front for",
    ]


def test_until_ends_a_lease_without_for_and_leaves_one_with_for() -> None:
    one = rule(
        fact("door_back", "door.opened"),
        do=(do(Sound(), "siren_back"), SOUND),
        until=(fact("door_back", "contact=closed"),),
    )
    events = (said(0, "door_back", "door.opened"), said(3, "door_back", "door.closed"))
    assert fires(one, *events) == [
        "0 r fired",
        "3 r ended siren_back until",
        "10 r ended siren_front for",
    ]


def test_until_ends_the_lease_of_its_own_member() -> None:
    one = rule(
        fact("gates", "alarm=active"),
        do=(do(Sound(), "siren_back"),),
        until=(fact("gates", "alarm=quiet"),),
    )
    events = (
        said(0, "eas_front", "eas.alarm"),
        said(1, "eas_back", "eas.alarm"),
        said(2, "eas_front", "eas.ended"),
    )
    found = fires(one, *events)
    assert found[2:] == ["2 r/eas_front ended siren_back until"]


def test_until_of_a_single_device_ends_the_leases_of_all_members() -> None:
    one = rule(GATES, do=(do(Sound(), "siren_back"),), until=(fact("site", "closed"),))
    events = (
        said(0, "eas_front", "eas.alarm"),
        said(1, "eas_back", "eas.alarm"),
        said(2, "site", "closed"),
    )
    assert fires(one, *events)[2:] == [
        "2 r/eas_front ended siren_back until",
        "2 r/eas_back ended siren_back until",
    ]


def test_one_event_ends_the_old_lease_and_takes_a_new_one() -> None:
    one = rule(ALARM, do=(do(Sound(), "siren_back"),), until=(ALARM,))
    assert fires(one, said(0, "eas_front", "eas.alarm"), said(5, "eas_front", "eas.alarm")) == [
        "0 r fired",
        "5 r ended siren_back until",
        "5 r fired",
    ]


def test_a_firing_that_falls_due_late_is_ended_by_an_until_that_came_after_it() -> None:
    one = engine(
        rule(
            fact("door_back", "contact=open", hold=10.0),
            do=(do(Sound(), "siren_back"),),
            until=(fact("door_back", "door.closed"),),
        )
    )
    found = one.feed(said(0, "door_back", "door.opened"))
    found += one.feed(said(12, "door_back", "door.closed"))
    assert told(found + one.advance(12)) == ["10 r fired", "12 r ended siren_back until"]


def test_until_at_the_limit_is_too_late() -> None:
    one = engine(
        rule(ALARM, do=(do(Sound(), "siren_front"),), until=(fact("eas_front", "eas.ended"),))
    )
    found = one.feed(said(0, "eas_front", "eas.alarm"))
    found += one.feed(said(120, "eas_front", "eas.ended"))
    assert told(found + one.advance(500)) == ["0 r fired", "120 r ended siren_front limit"]


# --- escalation --------------------------------------------------------------------------------


ESCALATES = rule(
    ALARM,
    do=(do(OpenIncident(name="gate"), "site"),),
    escalate=(Escalation(after=60.0, do=(do(Send(text="unanswered"), "pager_manager"),)),),
)


@pytest.mark.parametrize(
    ("name", "tick", "expected"),
    [
        ("gate", 59.9, ["0 r fired"]),
        ("gate", 60.0, ["0 r fired", "60 r fired step 1"]),
        ("other", 30.0, ["0 r fired", "60 r fired step 1"]),
    ],
)
def test_an_incident_that_nobody_acknowledges_escalates(
    name: str, tick: float, expected: list[str]
) -> None:
    one = engine(ESCALATES)
    found = one.feed(said(0, "eas_front", "eas.alarm"))
    found += one.feed(said(tick, "site", "incident.acknowledged", name=name))
    assert told(found + one.advance(100)) == expected


def test_a_storm_escalates_a_hundred_times_and_leaves_another_device_its_own() -> None:
    one = engine(replace(ESCALATES, when=(fact("gates", "eas.alarm"),)))
    for tenth in range(500):
        one.feed(said(tenth / 10, "eas_front", "eas.alarm"))
    one.feed(said(55, "eas_back", "eas.alarm"))
    steps = [d for d in one.advance(200) if isinstance(d, Fired) and d.step]
    assert [(s.member, s.tick) for s in steps[-2:]] == [("eas_front", 69.9), ("eas_back", 115.0)]
    assert len(steps) == 101


def test_an_acknowledgement_stops_only_what_fired_before_it() -> None:
    events = (
        said(0, "site", "incident.acknowledged", name="gate"),
        said(1, "eas_front", "eas.alarm"),
    )
    assert fires(ESCALATES, *events) == ["1 r fired", "61 r fired step 1"]
