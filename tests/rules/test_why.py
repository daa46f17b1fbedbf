"""What a firing, and what nearly was one, says of why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.commands import OpenIncident, Send
from drivers.event import Event
from rules.engine import Engine
from rules.expressions import compile_condition
from rules.model import Condition, Decision, Escalation, Fired, NotFired, Rule, Trigger
from rules.problems import Problems
from rules.yaml_source import Scalar
from tests.rules.building import (
    MARK,
    after,
    before,
    counted,
    do,
    engine,
    fact,
    play,
    rule,
    said,
    sequence,
    together,
)
from tests.rules.worlds import SHOP

DOOR = fact("door_back", "door.opened")
CLOSED = fact("door_back", "door.closed")
ALARM = fact("eas_front", "eas.alarm")
PANIC = fact("panic_till", "button.pressed")
HELD = fact("door_back", "contact=open", hold=10.0)


def opened(tick: float) -> Event:
    return said(tick, "door_back", "door.opened")


def closed(tick: float) -> Event:
    return said(tick, "door_back", "door.closed")


def alarm(tick: float, device: str = "eas_front", **fields: Any) -> Event:
    return said(tick, device, "eas.alarm", **fields)


def panic(tick: float) -> Event:
    return said(tick, "panic_till", "button.pressed")


def condition(text: str) -> Condition:
    problems = Problems()
    node = Scalar(mark=MARK, text=text, plain=True)
    fields = {"direction": ("in", "out"), "device": ("eas_front",)}
    found = compile_condition(node, SHOP, event_fields=fields, problems=problems)
    assert found is not None, str(problems)
    return found


def first(decisions: list[Decision]) -> Fired:
    return next(d for d in decisions if isinstance(d, Fired))


# --- firings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "events", "matched", "held", "wanted"),
    [
        (ALARM, [alarm(1)], [0], None, None),
        (sequence(DOOR, ALARM, within=5.0), [opened(0), opened(1), alarm(2)], [1, 2], None, 5.0),
        (together(DOOR, ALARM, within=5.0), [alarm(0), opened(1)], [0, 1], None, 5.0),
        (counted(2, ALARM, 9.0), [alarm(0), alarm(8.5), alarm(9)], [0, 1], None, 9.0),
        (after(DOOR, CLOSED, 5.0), [opened(0)], [0], None, 5.0),
        (before(ALARM, DOOR, 5.0), [alarm(0)], [0], None, 5.0),
        (HELD, [opened(0)], [0], 10.0, 10.0),
    ],
)
def test_a_firing_names_the_facts_that_it_matched(
    trigger: Trigger,
    events: list[Event],
    matched: list[int],
    held: float | None,
    wanted: float | None,
) -> None:
    why = first(play(engine(rule(PANIC, trigger)), *events, until=1000)).why
    assert [e.id for e in why.facts] == [events[n].id for n in matched]
    assert (why.trigger, why.held, why.wanted) == (1, held, wanted)


def test_a_count_names_its_latest_sixteen() -> None:
    events = [alarm(float(t)) for t in range(20)]
    why = first(play(engine(rule(counted(20, ALARM, 60.0))), *events)).why
    assert [e.id for e in why.facts] == [e.id for e in events[4:]]


def test_a_firing_says_what_its_condition_read() -> None:
    one = rule(ALARM, condition=condition("event.direction == 'out' and site.open"))
    events = (said(0, "site", "opened"), alarm(1, direction="out"))
    why = first(play(engine(one), *events)).why
    assert why.condition == "event.direction == 'out' and site.open"
    assert (why.answer, dict(why.read)) == ("yes", {"event.direction": "out", "site.open": "yes"})


def test_what_a_short_circuit_left_out_was_not_read() -> None:
    one = rule(ALARM, condition=condition("event.direction == 'out' and site.open"))
    (found,) = play(engine(one), alarm(1, direction="in"))
    assert isinstance(found, NotFired)
    assert (found.miss, found.progress, found.why.answer) == ("if", 1.0, "no")
    assert dict(found.why.read) == {"event.direction": "in"}
    assert found.reason == "if event.direction == 'out' and site.open: event.direction was in"


def test_calls_are_read_with_their_value_then() -> None:
    opened_long_ago = "since('door_back', 'door.opened') > duration('5s')"
    text = f"{opened_long_ago} or count('gates', 'eas.alarm', '1m') > 5"
    one = rule(ALARM, condition=condition(text))
    (found,) = play(engine(one), opened(0), alarm(2))
    assert isinstance(found, NotFired)
    assert dict(found.why.read) == {
        "since('door_back', 'door.opened')": 2.0,
        "count('eas_front', 'eas.alarm', '60s')": 1,
        "count('eas_back', 'eas.alarm', '60s')": 0,
    }


def test_calls_with_fields_are_read_with_the_values_that_were_asked_for() -> None:
    text = (
        "since('gates', 'eas.alarm', direction=event.direction) > 5"
        " or count('eas_front', 'eas.alarm', '1m', aisle=2, changed_while_down='no') > 5"
    )
    one = rule(ALARM, condition=condition(text))
    (found,) = play(engine(one), alarm(2, direction="in", aisle=2))
    assert isinstance(found, NotFired)
    assert dict(found.why.read) == {
        "event.direction": "in",
        "since('eas_front', 'eas.alarm', direction='in')": 0.0,
        "since('eas_back', 'eas.alarm', direction='in')": None,
        "count('eas_front', 'eas.alarm', '60s', aisle=2, changed_while_down='no')": 1,
    }


def test_a_step_of_an_escalation_says_why_its_firing_came_even_after_a_restart() -> None:
    one = rule(
        sequence(DOOR, ALARM, within=5.0),
        condition=condition("event.direction == 'out'"),
        do=(do(OpenIncident(name="gate"), "site"),),
        escalate=(Escalation(after=60.0, do=(do(Send(text="!"), "pager_manager"),)),),
    )
    begun = engine(one)
    fired = first(play(begun, opened(0), alarm(1, direction="out")))
    restarted = Engine([one], SHOP)
    restarted.restore(json.loads(json.dumps(begun.save())))
    step = first(restarted.advance(1000))
    assert (step.step, step.why) == (1, fired.why)


# --- near misses -----------------------------------------------------------------------------


def missed(one: Rule, *events: Event) -> list[tuple[float, str, float, str]]:
    found = play(engine(one), *events, until=1000)
    misses = [d for d in found if isinstance(d, NotFired)]
    assert all(d.why.facts for d in misses)
    return [(d.tick, d.miss, round(d.progress, 2), d.reason) for d in misses]


THREE = sequence(DOOR, ALARM, PANIC, within=30.0)
NO_PANIC = "sequence 2 of 3 within 30 s: no panic_till button.pressed"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([opened(0), alarm(1)], [(30.0, "sequence", 0.67, NO_PANIC)]),
        ([opened(0)], []),
        ([alarm(1)], []),
        ([opened(0), alarm(30)], []),
        ([opened(0), alarm(1), panic(29.9)], []),
        ([opened(0), alarm(1), panic(30)], [(30.0, "sequence", 0.67, NO_PANIC)]),
        ([opened(0), opened(1), alarm(2), alarm(3)], [(31.0, "sequence", 0.67, NO_PANIC)]),
        ([opened(0), alarm(1), panic(2), alarm(3)], []),
        ([opened(0), alarm(1), opened(5), alarm(31)], [(30.0, "sequence", 0.67, NO_PANIC)]),
        (
            [opened(0), alarm(1), opened(40), alarm(41)],
            [(30.0, "sequence", 0.67, NO_PANIC), (70.0, "sequence", 0.67, NO_PANIC)],
        ),
    ],
)
def test_a_sequence_that_was_nearly_complete(events: list[Event], expected: list[Any]) -> None:
    assert missed(rule(THREE), *events) == expected


def test_what_comes_at_the_end_of_a_window_is_too_late_even_if_the_deadline_runs_late() -> None:
    one = engine(rule(THREE))
    for event in (opened(0), alarm(1), panic(30)):
        assert one.feed(event) == []
    assert [d.reason for d in one.advance(99) if isinstance(d, NotFired)] == [NO_PANIC]


def test_a_firing_after_a_window_does_not_take_back_that_it_was_missed() -> None:
    one = engine(rule(sequence(DOOR, ALARM, within=5.0)))
    found = [d for e in (alarm(0), opened(0), opened(1), alarm(5)) for d in one.feed(e)]
    found += one.advance(99)
    assert sorted((d.tick, type(d).__name__) for d in found) == [(5.0, "Fired"), (5.0, "NotFired")]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([opened(0), alarm(4)], []),
        ([opened(0)], []),
        (
            [opened(0), alarm(5.5)],
            [
                (
                    5.5,
                    "sequence",
                    0.91,
                    "sequence: eas_front eas.alarm came after 5.5 s, not within 5 s",
                )
            ],
        ),
        ([opened(0), alarm(6.3)], []),
        (
            [alarm(0), opened(1)],
            [
                (
                    6.0,
                    "sequence",
                    0.5,
                    "sequence 1 of 2 within 5 s: eas_front eas.alarm came before "
                    "door_back door.opened",
                )
            ],
        ),
        ([alarm(0), opened(1), alarm(5.9)], []),
        ([alarm(0), opened(5)], []),
    ],
)
def test_two_facts_are_near_when_the_second_comes_too_late_or_first(
    events: list[Event], expected: list[Any]
) -> None:
    assert missed(rule(sequence(DOOR, ALARM, within=5.0)), *events) == expected


def test_a_together_that_was_nearly_complete() -> None:
    trigger = together(DOOR, ALARM, PANIC, within=30.0)
    assert missed(rule(trigger), panic(0), panic(1), alarm(2)) == [
        (31.0, "sequence", 0.67, "together 2 of 3 within 30 s: no door_back door.opened")
    ]
    assert missed(rule(trigger), panic(0), alarm(2), opened(3)) == []


def test_two_facts_together_are_near_when_one_comes_too_late() -> None:
    trigger = together(DOOR, ALARM, within=5.0)
    late = "together: door_back door.opened came after 6 s, not within 5 s"
    assert missed(rule(trigger), alarm(0), opened(6)) == [(6.0, "sequence", 0.83, late)]
    assert missed(rule(trigger), alarm(0), opened(7)) == []


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0, 10, 20, 30], [(60.0, "count", 0.8, "4 of 5 within 60 s")]),
        ([0, 10], []),
        ([0, 10, 20], [(60.0, "count", 0.6, "3 of 5 within 60 s")]),
        ([0, 10, 20, 30, 59], []),
        ([0, 10, 20, 30, 40, 99, 100], []),
        (
            [0, 10, 20, 75, 76, 77],
            [
                (60.0, "count", 0.6, "3 of 5 within 60 s"),
                (135.0, "count", 0.6, "3 of 5 within 60 s"),
            ],
        ),
    ],
)
def test_a_count_that_was_nearly_reached(ticks: list[float], expected: list[Any]) -> None:
    assert missed(rule(counted(5, ALARM, within=60.0)), *(alarm(t) for t in ticks)) == expected


def test_a_pair_is_near_when_the_second_comes_too_late() -> None:
    late = "count: eas_front eas.alarm came after 70 s, not within 60 s"
    pair = rule(counted(2, ALARM, within=60.0))
    assert missed(pair, alarm(0), alarm(70)) == [(70.0, "count", 0.86, late)]
    assert missed(pair, alarm(0), alarm(76)) == []


def test_a_hold_cut_short_says_how_near_it_was() -> None:
    assert missed(rule(HELD), opened(0), closed(9)) == [(9.0, "hold", 0.9, "held 9 s of 10 s")]


def test_a_hold_that_its_while_cut_short_says_what_while_was_told() -> None:
    quiet = condition("eas_front.alarm == 'quiet'")
    held = rule(fact("door_back", "contact=open", hold=10.0, holding=quiet))
    events = (said(0, "eas_front", "eas.ended"), opened(1), alarm(4), closed(6))
    (found,) = [d for d in play(engine(held), *events, until=99) if isinstance(d, NotFired)]
    assert (found.tick, found.reason) == (4.0, "held 3 s of 10 s")
    assert (found.why.condition, found.why.answer) == ("eas_front.alarm == 'quiet'", "no")
    assert dict(found.why.read) == {"eas_front.alarm": "active"}


def test_what_came_in_time_after_all() -> None:
    came = "door_back door.closed came after 4.5 s of 5 s"
    assert missed(rule(after(DOOR, CLOSED, 5.0)), opened(0), closed(4.5)) == [
        (4.5, "absence", 0.9, came)
    ]
    answered = rule(after(DOOR, CLOSED, 5.0))
    assert missed(answered, opened(0), opened(2), closed(4.5)) == [(4.5, "absence", 0.9, came)]


def test_what_had_come_before() -> None:
    came = "door_back door.opened came 4 s before, within 5 s"
    assert missed(rule(before(ALARM, DOOR, 5.0)), opened(0), alarm(4)) == [
        (4.0, "absence", 0.8, came)
    ]


def test_every_member_misses_for_itself() -> None:
    trigger = counted(4, fact("gates", "eas.alarm"), within=60.0)
    events = (alarm(0), alarm(1), alarm(2, "eas_back"))
    found = [d for d in play(engine(rule(trigger)), *events, until=99) if isinstance(d, NotFired)]
    assert [(d.member, d.reason) for d in found] == [("eas_front", "2 of 4 within 60 s")]


def test_an_until_misses_nothing() -> None:
    one = rule(ALARM, until=(THREE, counted(4, DOOR, within=60.0)))
    assert missed(one, opened(0), alarm(1), opened(2), opened(3)) == []


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_near_miss_is_said_once_whatever_the_restarts(cut: int) -> None:
    one = rule(THREE)
    events = [opened(0), alarm(1), opened(2), alarm(9)]
    begun = engine(one)
    found = play(begun, *events[:cut])
    again = Engine([one], SHOP)
    again.restore(json.loads(json.dumps(begun.save())))
    found += play(again, *events[cut:], until=1000)
    assert [(d.tick, d.reason) for d in found if isinstance(d, NotFired)] == [(30.0, NO_PANIC)]
    assert again.waiting == 0


def test_storms_leave_few_deadlines() -> None:
    one = engine(rule(THREE), rule(counted(50, ALARM, within=600.0)))
    for tick in range(300):
        one.feed(opened(tick))
        one.feed(alarm(tick))
    assert one.waiting <= 2
