"""What a rule waits for now, as people are told."""

from __future__ import annotations

from drivers.event import Event
from rules.model import Escalation, Quiet, Rule, Trigger
from rules.waits import waits
from tests.rules.building import (
    SOUND,
    after,
    counted,
    engine,
    fact,
    play,
    rule,
    said,
    sequence,
    together,
)

OPENED = fact("door_front", "door.opened")
ALARM = fact("eas_front", "eas.alarm")
CLOSED = fact("door_front", "door.closed")


def told(one: Rule, *events: Event, at: float) -> list[tuple[str, str, float]]:
    running = engine(one)
    play(running, *events, until=at)
    ((run, deadlines),) = running.at_work()
    return [(w.what, w.text, w.until) for w in waits(run, deadlines, at)]


def test_a_hold_says_what_holds_and_until_when() -> None:
    propped = rule(fact("door_front", "contact=open", hold=60.0))
    events = said(10, "door_front", "door.opened")
    assert told(propped, events, at=30) == [("hold", "door_front contact=open holds", 70.0)]
    assert told(propped, events, said(20, "door_front", "door.closed"), at=30) == []


def test_a_sequence_says_how_far_it_has_come() -> None:
    three = rule(sequence(ALARM, OPENED, CLOSED, within=30.0))
    events = (said(10, "eas_front", "eas.alarm"), said(15, "door_front", "door.opened"))
    assert told(three, *events, at=20) == [("sequence", "sequence 2 of 3 within 30 s", 40.0)]
    assert told(three, *events, at=40) == []
    assert told(three, *events, said(18, "door_front", "door.closed"), at=20) == []


def test_the_first_of_two_facts_is_half_of_a_sequence() -> None:
    two = rule(sequence(ALARM, OPENED, within=30.0))
    first, second = said(10, "eas_front", "eas.alarm"), said(10, "door_front", "door.opened")
    assert told(two, first, at=20) == [("sequence", "sequence 1 of 2 within 30 s", 40.0)]
    assert told(two, second, at=20) == []
    both = rule(together(ALARM, OPENED, within=30.0))
    assert told(both, second, at=20) == [("sequence", "together 1 of 2 within 30 s", 40.0)]


def test_a_count_says_how_many_there_are() -> None:
    events = [said(t, "eas_front", "eas.alarm") for t in (1, 10, 20)]
    four = rule(counted(4, ALARM, within=15.0))
    assert told(four, *events, at=21) == [("count", "count 2 of 4 within 15 s", 25.0)]
    assert told(four, *events, at=25) == [("count", "count 1 of 4 within 15 s", 35.0)]


def test_what_did_not_come_yet_is_waited_for() -> None:
    left: Trigger = after(ALARM, OPENED, within=5.0)
    event = said(10, "eas_front", "eas.alarm")
    assert told(rule(left), event, at=12) == [("absence", "no door_front door.opened yet", 15.0)]


def test_after_a_firing_there_are_leases_cooldown_and_escalation() -> None:
    steps = (Escalation(after=60.0, do=(SOUND,)),)
    alarm = rule(ALARM, do=(SOUND,), cooldown=30.0, escalate=steps)
    assert told(alarm, said(10, "eas_front", "eas.alarm"), at=12) == [
        ("lease", "siren_front has its sound", 20.0),
        ("cooldown", "cooldown", 40.0),
        ("escalation", "step 1 of its escalation, unless acknowledged", 70.0),
    ]


def test_a_storm_is_waited_out() -> None:
    alarm = rule(ALARM, quiet=Quiet(gap=20.0, at_most=600.0))
    events = (said(10, "eas_front", "eas.alarm"), said(15, "eas_front", "eas.alarm"))
    assert told(alarm, *events, at=16) == [("quiet", "quiet while eas_front keeps on", 35.0)]
