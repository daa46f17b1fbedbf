"""The engine: facts, states, conditions and cooldown."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.commands import OpenIncident, RecordClip, Send
from drivers.priorities import Priority
from rules.engine import Engine
from rules.model import Escalation, Fired, NotFired, Rule
from tests.rules.building import (
    RECORD,
    SOUND,
    Says,
    do,
    engine,
    fact,
    heard,
    play,
    rule,
    said,
    told,
)
from tests.rules.worlds import SHOP

ALARM = fact("eas_front", "eas.alarm")
GATES = fact("gates", "eas.alarm")


def fires(one: Rule, *events: Any, until: float = 1000.0) -> list[str]:
    return told(play(engine(one), *events, until=until))


def test_a_signal_fires_at_its_own_tick() -> None:
    assert fires(rule(ALARM), said(5, "eas_front", "eas.alarm")) == ["5 r fired"]


def test_another_device_or_signal_does_not_fire() -> None:
    events = (said(5, "eas_back", "eas.alarm"), said(6, "eas_front", "eas.metal"))
    assert fires(rule(ALARM), *events) == []


def test_every_field_must_match() -> None:
    one = rule(fact("eas_front", "eas.alarm", fields={"direction": ("out", "unknown")}))
    assert fires(one, said(1, "eas_front", "eas.alarm", direction="in")) == []
    assert fires(one, said(1, "eas_front", "eas.alarm", direction="out")) == ["1 r fired"]
    assert fires(one, said(1, "eas_front", "eas.alarm")) == []


def test_a_number_is_not_a_yes() -> None:
    one = rule(fact("eas_front", "eas.alarm", fields={"aisle": (1,)}))
    assert fires(one, said(1, "eas_front", "eas.alarm", aisle=True)) == []


def test_what_was_not_changed_while_down_matches_a_fact_that_says_so() -> None:
    one = rule(fact("door_front", "door.opened", fields={"changed_while_down": (False,)}))
    assert fires(one, said(1, "door_front", "door.opened")) == ["1 r fired"]
    assert fires(one, said(1, "door_front", "door.opened", changed_while_down=True)) == []


def test_a_test_event_matches_only_a_fact_that_asks_for_it() -> None:
    asks = rule(fact("eas_front", "eas.alarm", fields={"test": (True,)}))
    assert fires(rule(ALARM), said(1, "eas_front", "eas.alarm", test=True)) == []
    assert fires(asks, said(1, "eas_front", "eas.alarm", test=True)) == ["1 r fired"]


def test_two_triggers_of_one_rule_fire_once_on_one_event() -> None:
    one = rule(fact("door_front", "door.opened"), fact("door_front", "contact=open"))
    assert fires(one, said(1, "door_front", "door.opened")) == ["1 r fired"]


def test_two_triggers_of_one_rule_are_one_repeat_and_one_refusal() -> None:
    both = (fact("door_front", "door.opened"), fact("door_front", "contact=open"))
    events = (
        said(1, "door_front", "door.opened"),
        said(2, "door_front", "door.closed"),
        said(3, "door_front", "door.opened"),
    )
    assert fires(rule(*both, cooldown=30.0), *events)[-1] == "31 r repeated 1"
    shut = rule(*both, condition=Says("site", "open", "yes"))
    reason = "if site.open == 'yes': site.open was unknown"
    assert fires(shut, *events) == [f"1 r not: {reason}", f"3 r not: {reason}"]


def test_rules_decide_in_their_order() -> None:
    rules = [rule(ALARM, name=name) for name in ("b", "a", "c")]
    found = told(play(engine(*rules), said(1, "eas_front", "eas.alarm")))
    assert found == ["1 b fired", "1 a fired", "1 c fired"]


def test_a_disabled_or_inactive_rule_decides_nothing() -> None:
    assert fires(rule(ALARM, enabled="no"), said(1, "eas_front", "eas.alarm")) == []
    assert fires(rule(ALARM, inactive="no door"), said(1, "eas_front", "eas.alarm")) == []


def test_a_shadow_decides_and_marks_its_orders() -> None:
    shadow = engine(rule(ALARM, enabled="shadow", do=(SOUND,)))
    fired = play(shadow, said(1, "eas_front", "eas.alarm"))[0]
    assert isinstance(fired, Fired)
    assert fired.shadow
    assert fired.orders[0].shadow


# --- entering a state ----------------------------------------------------------------------


def test_a_state_fires_when_it_is_entered_and_not_while_it_stays() -> None:
    one = rule(fact("door_front", "contact=open"))
    events = (
        said(1, "door_front", "door.opened"),
        said(2, "door_front", "door.opened"),
        said(3, "door_front", "door.closed"),
        said(4, "door_front", "door.opened"),
    )
    assert fires(one, *events) == ["1 r fired", "4 r fired"]


def test_a_state_proven_again_is_not_entered() -> None:
    one = rule(fact("door_front", "contact=open"))
    events = (
        said(1, "door_front", "door.opened"),
        said(2, "door_front", "link.down", sets={"link": "down", "contact": "unknown"}),
        said(3, "door_front", "state.known", sets={"contact": "open"}),
    )
    assert fires(one, *events) == ["1 r fired"]


def test_a_state_that_changed_while_unknown_is_entered() -> None:
    one = rule(fact("door_front", "contact=open"))
    events = (
        said(1, "door_front", "door.closed"),
        said(2, "door_front", "link.down"),
        said(3, "door_front", "door.opened", changed_while_down=True),
    )
    assert fires(one, *events) == ["3 r fired"]


def test_a_group_as_one_is_entered_with_its_first_member() -> None:
    one = rule(fact("gates", "alarm=active", across=True))
    events = (said(1, "eas_front", "eas.alarm"), said(2, "eas_back", "eas.alarm"))
    assert fires(one, *events) == ["1 r fired"]


# --- if --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "if_unknown", "expected"),
    [
        ("yes", "skip", ["5 r fired"]),
        ("no", "skip", ["5 r not: if site.open == 'yes': site.open was no"]),
        ("no", "fire", ["5 r not: if site.open == 'yes': site.open was no"]),
        ("unknown", "fire", ["5 r fired"]),
        ("unknown", "skip", ["5 r not: if site.open == 'yes': site.open was unknown"]),
    ],
)
def test_if_is_asked_when_the_trigger_is_complete(
    value: str, if_unknown: str, expected: list[str]
) -> None:
    one = rule(ALARM, condition=Says("site", "open", "yes"), if_unknown=if_unknown)
    site = said(1, "site", "state.known", sets={"open": value})
    decisions = play(engine(one), site, said(5, "eas_front", "eas.alarm"))
    assert told(decisions) == expected
    blind = [d for d in decisions if isinstance(d, NotFired) and d.blind]
    assert bool(blind) == (value == "unknown" and if_unknown == "skip")


CLOSED = Says("site", "open", "no")
LEFT_OPEN = fact("door_back", "contact=open", hold=10.0)


def handled(one: Rule, *steps: Any) -> list[str]:
    """Feed events and advance to ticks as they come, then to the end."""
    on = engine(one)
    on.feed(said(-5, "site", "closed"))
    found = [d for s in steps for d in (on.advance(s) if isinstance(s, int) else on.feed(s))]
    return told(found + on.advance(1000))


def test_a_deadline_that_runs_late_sees_what_was_so_when_it_fell_due() -> None:
    door, opens = said(0, "door_back", "door.opened"), said(12, "site", "opened")
    one = rule(LEFT_OPEN, condition=CLOSED)
    assert handled(one, door, opens) == ["10 r fired"]
    assert handled(one, door, opens, said(11, "door_front", "door.opened")) == ["10 r fired"]


def test_what_changes_at_the_tick_of_a_deadline_comes_after_it() -> None:
    door, opens = said(0, "door_back", "door.opened"), said(10, "site", "opened")
    assert handled(rule(LEFT_OPEN, condition=CLOSED), door, opens) == ["10 r fired"]


def test_an_event_that_was_overtaken_sees_what_was_so_at_its_tick() -> None:
    opens, late = said(12, "site", "opened"), said(8, "door_back", "door.opened")
    fires_at_8 = rule(fact("door_back", "door.opened"), condition=CLOSED)
    assert handled(fires_at_8, 8, opens, 8, late) == ["8 r fired"]


def test_a_while_that_ended_before_an_overtaken_event_was_handled_has_ended() -> None:
    opens, late = said(12, "site", "opened"), said(8, "door_back", "door.opened")
    short = rule(fact("door_back", "contact=open", hold=3.0, holding=CLOSED))
    long = rule(fact("door_back", "contact=open", hold=5.0, holding=CLOSED))
    assert handled(short, 8, opens, 8, late) == ["11 r fired"]
    assert handled(long, 8, opens, 8, late) == ["12 r not: held 4 s of 5 s"]


def test_what_fell_due_while_down_sees_what_was_known_before() -> None:
    one = rule(LEFT_OPEN, condition=CLOSED)
    first = engine(one)
    play(first, said(-5, "site", "closed"), said(0, "door_back", "door.opened"))
    second = Engine([one], SHOP)
    second.restore(first.save())
    second.resume(500.0, crashed=False)
    second.feed(said(500, "site", "state.known", sets={"open": "yes"}))
    assert told(second.advance(600)) == ["10 r fired late"]


# --- cooldown --------------------------------------------------------------------------------


def test_a_cooldown_is_over_exactly_at_its_end() -> None:
    one = rule(ALARM, cooldown=30.0)
    alarms = [said(t, "eas_front", "eas.alarm") for t in (0, 10, 29.5, 30, 31)]
    assert fires(one, *alarms) == [
        "0 r fired",
        "10 r not: cooldown for 20 s more",
        "29.5 r not: cooldown for 0.5 s more",
        "30 r repeated 2",
        "30 r fired",
        "31 r not: cooldown for 29 s more",
        "60 r repeated 1",
    ]


def test_a_cooldown_ends_the_same_when_nobody_advanced_to_its_end() -> None:
    one = engine(rule(ALARM, cooldown=30.0))
    found = [d for t in (0, 10, 30) for d in one.feed(said(t, "eas_front", "eas.alarm"))]
    assert told(found + one.advance(100)) == [
        "0 r fired",
        "10 r not: cooldown for 20 s more",
        "30 r fired",
        "30 r repeated 1",
    ]


def test_every_member_of_a_group_cools_down_for_itself() -> None:
    one = rule(GATES, cooldown=30.0)
    events = (said(0, "eas_front", "eas.alarm"), said(1, "eas_back", "eas.alarm"))
    assert fires(one, *events) == ["0 r/eas_front fired", "1 r/eas_back fired"]


def test_a_group_as_one_cools_down_as_one() -> None:
    one = rule(fact("gates", "eas.alarm", across=True), cooldown=30.0)
    events = (said(0, "eas_front", "eas.alarm"), said(1, "eas_back", "eas.alarm"))
    assert fires(one, *events) == [
        "0 r fired",
        "1 r not: cooldown for 29 s more",
        "30 r repeated 1",
    ]


@pytest.mark.parametrize("priority", [Priority.life_safety, Priority.personal_safety])
def test_what_protects_people_never_cools_down(priority: Priority) -> None:
    one = rule(ALARM, cooldown=30.0, priority=priority)
    alarms = [said(t, "eas_front", "eas.alarm") for t in (0, 1)]
    assert fires(one, *alarms) == ["0 r fired", "1 r fired"]


def test_what_if_forbids_is_no_repeat() -> None:
    one = rule(ALARM, cooldown=30.0, condition=Says("site", "open", "yes"))
    events = (
        said(0, "site", "opened"),
        said(1, "eas_front", "eas.alarm"),
        said(2, "site", "closed"),
        said(3, "eas_front", "eas.alarm"),
    )
    expected = ["1 r fired", "3 r not: if site.open == 'yes': site.open was no"]
    assert fires(one, *events) == expected


def test_a_repeat_makes_a_running_recording_longer_and_no_other() -> None:
    one = engine(rule(ALARM, cooldown=100.0, do=(RECORD, SOUND)))
    alarms = [said(t, "eas_front", "eas.alarm") for t in (0, 20, 49, 80)]
    again = [d.orders for d in play(one, *alarms) if isinstance(d, NotFired)]
    assert [[(o.device, o.command) for o in orders] for orders in again] == [
        [("cam_exit", RecordClip(duration=RECORD.lasts))],  # type: ignore[arg-type]
        [("cam_exit", RecordClip(duration=RECORD.lasts))],  # type: ignore[arg-type]
        [],
    ]


# --- nothing pends ---------------------------------------------------------------------------


ESCALATES = rule(
    ALARM,
    do=(do(OpenIncident(name="gate"), "site"),),
    escalate=(Escalation(after=60.0, do=(do(Send(text="unanswered"), "pager_manager"),)),),
)


def test_nothing_waits_for_ever() -> None:
    one = heard(Engine([ESCALATES, rule(ALARM, name="c", cooldown=9.0, do=(SOUND,))], SHOP))
    play(one, *(said(t, "eas_front", "eas.alarm") for t in range(50)), until=1000)
    assert (one.waiting, one.next_deadline) == (0, None)
