"""Triggers at their edges: just inside, exactly on, just outside, twice, out of order, blind."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from drivers.event import Event
from rules.engine import Engine
from rules.model import Decision, NotFired, Rule, Sequence, Trigger
from tests.rules.building import (
    MARK,
    Says,
    after,
    before,
    counted,
    engine,
    fact,
    play,
    rule,
    said,
    sequence,
    together,
    told,
)

DOOR = fact("door_back", "door.opened")
CLOSED = fact("door_back", "door.closed")
ALARM = fact("eas_front", "eas.alarm")


def fires(trigger: Trigger, *events: Event, until: float = 1000.0) -> list[str]:
    """What is decided, near misses left out."""
    return told(far(play(engine(rule(trigger)), *events, until=until)))


def far(decisions: list[Decision]) -> list[Decision]:
    near = ("hold", "sequence", "count", "absence")
    return [d for d in decisions if not (isinstance(d, NotFired) and d.miss in near)]


def fed(one: Engine, *events: Event, until: float = 1000.0) -> list[str]:
    """Feed everything before any deadline runs, as when the inbox is full."""
    found = [d for event in events for d in one.feed(event)]
    return told(far(found + one.advance(until)))


def opened(tick: float, device: str = "door_back") -> Event:
    return said(tick, device, "door.opened")


def closed(tick: float, device: str = "door_back") -> Event:
    return said(tick, device, "door.closed")


def lost(tick: float, device: str = "door_back") -> Event:
    return said(tick, device, "link.down")


def found(tick: float, contact: str, device: str = "door_back") -> Event:
    return said(tick, device, "state.known", sets={"link": "up", "contact": contact})


def alarm(tick: float, device: str = "eas_front", **fields: Any) -> Event:
    return said(tick, device, "eas.alarm", **fields)


# --- for ------------------------------------------------------------------------------------

HELD = fact("door_back", "contact=open", hold=10.0)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([opened(0)], ["10 r fired"]),
        ([opened(0), closed(9.9)], []),
        ([opened(0), closed(10)], ["10 r fired"]),
        ([opened(0), opened(6)], ["10 r fired"]),
        ([opened(0), closed(5), opened(6)], ["16 r fired"]),
        ([opened(0), closed(10), opened(11)], ["10 r fired", "21 r fired"]),
        ([closed(0)], []),
        ([opened(0), lost(4), found(6, "open")], ["10 r fired"]),
        ([opened(0), lost(4), found(25, "open")], ["25 r fired"]),
        ([opened(0), lost(4), found(6, "closed")], []),
        ([opened(0), lost(4)], []),
        ([opened(0), lost(10)], ["10 r fired"]),
        ([opened(0), lost(12), found(15, "open")], ["10 r fired"]),
    ],
)
def test_a_state_that_holds(events: list[Event], expected: list[str]) -> None:
    assert fires(HELD, *events) == expected
    assert fed(engine(rule(HELD)), *events) == expected


def test_a_hold_cut_short_is_a_near_miss() -> None:
    one = engine(rule(HELD), rule(WHILE, name="w"))
    events = (delivery(0, "no"), opened(0), delivery(4, "yes"), closed(9))
    assert told(play(one, *events, until=1000)) == [
        "4 w not: held 4 s of 10 s",
        "9 r not: held 9 s of 10 s",
    ]


def test_every_member_holds_for_itself() -> None:
    trigger = fact("gates", "alarm=active", hold=10.0)
    events = (alarm(0), alarm(4, "eas_back"), said(8, "eas_front", "eas.ended"))
    assert fires(trigger, *events) == ["14 r/eas_back fired"]


def test_a_group_as_one_holds_while_any_member_does() -> None:
    trigger = fact("gates", "alarm=active", hold=10.0, across=True)
    events = (alarm(0), alarm(4, "eas_back"), said(8, "eas_front", "eas.ended"))
    assert fires(trigger, *events) == ["10 r fired"]


WHILE = fact("door_back", "contact=open", hold=10.0, holding=Says("site", "delivery", "no"))


def delivery(tick: float, value: str) -> Event:
    return said(tick, "site", "state.known", sets={"delivery": value})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([delivery(0, "no"), opened(5)], ["15 r fired"]),
        ([delivery(0, "yes"), opened(5), delivery(20, "no")], ["30 r fired"]),
        ([delivery(0, "no"), opened(5), delivery(9, "yes"), delivery(11, "no")], ["21 r fired"]),
        ([delivery(0, "no"), opened(5), delivery(15, "yes")], ["15 r fired"]),
        ([delivery(0, "no"), opened(5), delivery(9, "unknown")], []),
        (
            [delivery(0, "no"), opened(5), delivery(9, "unknown"), delivery(11, "no")],
            ["15 r fired"],
        ),
        (
            [delivery(0, "no"), opened(5), delivery(9, "unknown"), delivery(30, "no")],
            ["30 r fired"],
        ),
        (
            [delivery(0, "no"), opened(5), delivery(20, "yes"), delivery(40, "no")],
            ["15 r fired", "50 r fired"],
        ),
        ([opened(5), delivery(7, "no")], ["17 r fired"]),
    ],
)
def test_both_hold_from_the_later(events: list[Event], expected: list[str]) -> None:
    assert fires(WHILE, *events) == expected


def test_while_without_for_fires_once_both_are_so() -> None:
    trigger = fact("door_back", "contact=open", holding=Says("site", "delivery", "no"))
    events = [delivery(0, "no"), opened(5), closed(6), delivery(7, "yes"), opened(8)]
    assert fires(trigger, *events, delivery(9, "no")) == ["5 r fired", "9 r fired"]


def test_while_without_for_needs_no_deadline() -> None:
    trigger = fact("door_back", "contact=open", holding=Says("site", "delivery", "no"))
    one = engine(rule(trigger))
    one.feed(delivery(0, "no"))
    assert told(one.feed(opened(5))) == ["5 r fired"]


# --- sequence, together, count -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([opened(0), alarm(4.9)], ["4.9 r fired"]),
        ([opened(0), alarm(5)], []),
        ([alarm(0), opened(1)], []),
        ([opened(2), alarm(2)], ["2 r fired"]),
        ([alarm(2), opened(2)], []),
        ([opened(0), opened(3), alarm(7)], ["7 r fired"]),
        ([opened(0), alarm(1), alarm(2)], ["1 r fired", "2 r fired"]),
        ([alarm(3), opened(1)], ["3 r fired"]),
        ([alarm(6), opened(1)], []),
    ],
)
def test_a_sequence(events: list[Event], expected: list[str]) -> None:
    assert fires(sequence(DOOR, ALARM, within=5.0), *events) == expected


def test_one_event_is_never_two_steps() -> None:
    trigger = sequence(ALARM, ALARM, within=5.0)
    assert fires(trigger, alarm(0)) == []
    assert fires(trigger, alarm(0), alarm(4)) == ["4 r fired"]


def test_a_step_with_alternatives() -> None:
    trigger = Sequence(mark=MARK, facts=((DOOR, CLOSED), (ALARM,)), within=5.0, ordered=True)
    assert fires(trigger, closed(0), alarm(1)) == ["1 r fired"]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([opened(0), alarm(4.9)], ["4.9 r fired"]),
        ([alarm(0), opened(4.9)], ["4.9 r fired"]),
        ([alarm(0), opened(5)], []),
        ([alarm(0), opened(1), alarm(2)], ["1 r fired", "2 r fired"]),
        ([alarm(3), opened(1)], ["3 r fired"]),
    ],
)
def test_together(events: list[Event], expected: list[str]) -> None:
    assert fires(together(DOOR, ALARM, within=5.0), *events) == expected


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0, 10, 59.9], ["59.9 r fired"]),
        ([0, 10, 60], []),
        ([0, 10, 60, 61], ["61 r fired"]),
        ([0, 10, 20, 30], ["20 r fired", "30 r fired"]),
        ([5, 5, 5], ["5 r fired"]),
        ([0, 20, 10], ["20 r fired"]),
        ([0, 1], []),
    ],
)
def test_a_count_within_any_window(ticks: list[float], expected: list[str]) -> None:
    trigger = counted(3, ALARM, within=60.0)
    assert fires(trigger, *(alarm(t) for t in ticks)) == expected


def test_every_member_counts_for_itself_unless_across() -> None:
    events = (alarm(0), alarm(1, "eas_back"), alarm(2, "eas_back"))
    gates, as_one = fact("gates", "eas.alarm"), fact("gates", "eas.alarm", across=True)
    assert fires(counted(2, gates, within=60.0), *events) == ["2 r/eas_back fired"]
    assert fires(counted(3, as_one, within=60.0), *events) == ["2 r fired"]


def test_by_a_field_and_by_device() -> None:
    as_one = fact("gates", "eas.alarm", across=True)
    by_aisle = counted(2, as_one, within=60.0, by="aisle")
    by_device = counted(2, as_one, within=60.0, by="device")
    events = (alarm(0, aisle=1), alarm(1, aisle=2), alarm(2, "eas_back", aisle=2))
    assert fires(by_aisle, *events) == ["2 r fired"]
    assert fires(by_device, *events) == ["1 r fired"]
    assert fires(by_aisle, alarm(0), alarm(1)) == []


def test_facts_of_one_group_belong_together_by_member() -> None:
    active, quiet = fact("gates", "eas.alarm"), fact("gates", "eas.ended")
    trigger = sequence(active, quiet, within=60.0)
    other = said(1, "eas_back", "eas.ended")
    assert fires(trigger, alarm(0), other) == []
    assert fires(trigger, alarm(0), said(2, "eas_front", "eas.ended")) == ["2 r/eas_front fired"]


def test_a_single_device_completes_for_every_member() -> None:
    trigger = sequence(fact("gates", "eas.alarm"), DOOR, within=60.0)
    events = (alarm(0), alarm(1, "eas_back"), opened(2))
    assert sorted(fires(trigger, *events)) == ["2 r/eas_back fired", "2 r/eas_front fired"]


def test_a_hold_can_be_a_step() -> None:
    trigger = sequence(HELD, ALARM, within=5.0)
    assert fires(trigger, opened(0), alarm(9)) == []
    assert fires(trigger, opened(0), alarm(12)) == ["12 r fired"]
    assert fires(trigger, opened(0), alarm(15)) == []


# --- after and before … without ------------------------------------------------------------------

UNANSWERED = after(DOOR, CLOSED, within=5.0)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([opened(0)], ["5 r fired"]),
        ([opened(0), closed(4.9)], []),
        ([opened(0), closed(5)], ["5 r fired"]),
        ([opened(0), closed(0)], []),
        ([closed(0), opened(0)], ["5 r fired"]),
        ([opened(0), opened(3)], ["5 r fired", "8 r fired"]),
        ([opened(0), opened(3), closed(4)], []),
        ([opened(0), closed(2), opened(3)], ["8 r fired"]),
        ([closed(4), opened(3)], []),
        ([closed(9), opened(3)], ["8 r fired"]),
        ([opened(5), closed(4)], ["10 r fired"]),
    ],
)
def test_after_without(events: list[Event], expected: list[str]) -> None:
    assert fed(engine(rule(UNANSWERED)), *events) == expected


def test_after_a_fact_without_another_of_itself() -> None:
    trigger = after(ALARM, ALARM, within=5.0)
    assert fires(trigger, alarm(0), alarm(3)) == ["8 r fired"]


UNPAID = before(ALARM, fact("eas_back", "eas.deactivated"), within=5.0)


def paid(tick: float) -> Event:
    return said(tick, "eas_back", "eas.deactivated")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([alarm(10)], ["10 r fired"]),
        ([paid(5.1), alarm(10)], []),
        ([paid(5), alarm(10)], ["10 r fired"]),
        ([paid(10), alarm(10)], []),
        ([alarm(10), paid(10)], ["10 r fired"]),
        ([paid(11), alarm(10)], ["10 r fired"]),
    ],
)
def test_before_without(events: list[Event], expected: list[str]) -> None:
    assert fires(UNPAID, *events) == expected


def test_members_answer_for_themselves() -> None:
    trigger = after(fact("gates", "eas.alarm"), fact("gates", "eas.ended"), within=5.0)
    events = (alarm(0), alarm(1, "eas_back"), said(2, "eas_front", "eas.ended"))
    assert fires(trigger, *events) == ["6 r/eas_back fired"]


@pytest.mark.parametrize(
    ("events", "blind"),
    [
        ([opened(0), lost(2), found(3, "open")], True),
        ([lost(-9), found(-1, "open"), opened(0)], False),
        ([lost(-9), found(1, "open"), opened(0)], True),
        ([opened(0), lost(5)], False),
        ([opened(0), lost(4.9)], True),
        ([opened(0)], False),
    ],
)
def test_nobody_knows_what_a_lost_device_would_have_said(events: list[Event], blind: bool) -> None:
    skips, goes_on = rule(UNANSWERED), rule(after(DOOR, CLOSED, within=5.0, blind="fire"))
    expected = "5 r not: door_back could not be heard meanwhile" if blind else "5 r fired"
    assert fed(engine(skips), *events) == [expected]
    assert fed(engine(goes_on), *events) == ["5 r fired"]
    said_so = [d for d in _decide(skips, events) if isinstance(d, NotFired)]
    assert [d.blind for d in said_so] == [True] * blind


def _decide(one: Rule, events: list[Event]) -> list[Any]:
    on = engine(one)
    return far([d for event in events for d in on.feed(event)] + on.advance(1000))


def test_before_is_blind_too() -> None:
    lost_before = (lost(7, "eas_back"), said(8, "eas_back", "link.up"))
    expected = ["10 r not: eas_back could not be heard meanwhile"]
    assert fires(UNPAID, *lost_before, alarm(10)) == expected
    assert fires(UNPAID, *lost_before, alarm(14)) == ["14 r fired"]


def test_who_answers_for_all_is_watched_beside_the_member() -> None:
    one = before(fact("gates", "eas.alarm"), fact("gates", "eas.ended"), within=5.0)
    trigger = dataclasses.replace(one, without=(*one.without, CLOSED))
    door = (lost(1, "door_back"), said(2, "door_back", "link.up"))
    other = (lost(1, "eas_back"), said(2, "eas_back", "link.up"))
    expected = ["3 r/eas_front not: door_back could not be heard meanwhile"]
    assert fires(trigger, *door, alarm(3)) == expected
    assert fires(trigger, *other, alarm(3)) == ["3 r/eas_front fired"]


def test_a_group_that_answers_as_one_is_watched_as_one() -> None:
    ended = fact("gates", "eas.ended", across=True)
    trigger = before(fact("gates", "eas.alarm"), ended, within=5.0)
    other = (lost(1, "eas_back"), said(2, "eas_back", "link.up"))
    expected = ["3 r/eas_front not: eas_back could not be heard meanwhile"]
    assert fires(trigger, *other, alarm(3)) == expected


def test_the_blind_member_alone_is_blind() -> None:
    trigger = after(fact("gates", "eas.alarm"), fact("gates", "eas.ended"), within=5.0)
    events = (alarm(0), alarm(0, "eas_back"), lost(1, "eas_back"))
    assert fires(trigger, *events) == [
        "5 r/eas_front fired",
        "5 r/eas_back not: eas_back could not be heard meanwhile",
    ]
