"""The engine: facts, conditions, cooldown, orders and leases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.commands import Goto, OpenIncident, RecordClip, Send, Silence, Sound
from drivers.priorities import Priority
from rules.engine import Engine
from rules.model import Escalation, Fired, NotFired, Quiet, Rule
from tests.rules.building import (
    RECORD,
    SOUND,
    Says,
    after,
    counted,
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


def test_an_acknowledgement_stops_only_what_fired_before_it() -> None:
    events = (
        said(0, "site", "incident.acknowledged", name="gate"),
        said(1, "eas_front", "eas.alarm"),
    )
    assert fires(ESCALATES, *events) == ["1 r fired", "61 r fired step 1"]


# --- saved and restored ------------------------------------------------------------------------


def restored(saved: Any, *rules: Rule) -> tuple[Engine, list[str]]:
    fresh = Engine(rules, SHOP)
    return fresh, told(fresh.restore(saved))


def test_a_rule_that_changed_starts_fresh_and_its_lease_is_over() -> None:
    one = engine(rule(ALARM, do=(do(Sound(), "siren_back"),), cooldown=50.0))
    play(one, said(0, "eas_front", "eas.alarm"), until=5)
    changed = rule(ALARM, do=(SOUND,), cooldown=50.0, hash="other")
    fresh, ended = restored(one.save(), changed)
    assert ended == ["5 r ended siren_back gone"]
    assert told(fresh.feed(said(6, "eas_front", "eas.alarm"))) == ["6 r fired"]


def test_what_is_saved_says_an_event_once() -> None:
    held = fact("door_back", "contact=open", hold=60.0)
    rules = [rule(held, name=name) for name in ("a", "b", "c")]
    steps = (Escalation(after=60.0, do=()),)
    one = engine(*rules, rule(fact("door_back", "door.opened"), name="d", escalate=steps))
    opened = said(0, "door_back", "door.opened")
    play(one, opened)
    assert one.waiting == 4
    assert json.dumps(one.save()).count(opened.id) == 1


def test_what_is_over_is_not_saved() -> None:
    one = engine(
        rule(ALARM, cooldown=30.0, do=(SOUND, RECORD), quiet=Quiet(gap=5.0, at_most=50.0)),
        rule(fact("door_back", "contact=open", hold=10.0), name="held"),
        rule(counted(3, ALARM, within=60.0), name="thrice"),
        rule(after(ALARM, fact("eas_front", "eas.ended"), 30.0), name="stays"),
    )
    events = (said(0, "eas_front", "eas.alarm"), said(1, "door_back", "door.opened"))
    play(one, *events, said(9, "door_back", "door.closed"), until=200)
    assert one.save()["rules"] == {}
    assert one.save()["deadlines"] == []


def test_a_cooldown_without_repeats_waits_for_nothing() -> None:
    one = engine(rule(ALARM, cooldown=30.0))
    play(one, said(0, "eas_front", "eas.alarm"))
    assert one.next_deadline is None
    fresh, _ = restored(one.save(), rule(ALARM, cooldown=30.0))
    again = fresh.feed(said(29, "eas_front", "eas.alarm"))
    assert told(again) == ["29 r not: cooldown for 1 s more"]


def test_what_another_version_saved_is_left_alone() -> None:
    one = engine(rule(ALARM))
    fresh, ended = restored({**one.save(), "version": 0, "states": None}, rule(ALARM))
    assert ended == []
    assert told(fresh.feed(said(6, "eas_front", "eas.alarm"))) == ["6 r fired"]


def test_a_fresh_rule_holds_from_when_it_was_loaded() -> None:
    one = engine()
    play(one, said(0, "door_back", "door.opened"), until=100)
    fresh, _ = restored(one.save(), rule(fact("door_back", "contact=open", hold=10.0)))
    assert told(fresh.advance(1000)) == ["110 r fired"]


def test_what_fell_due_while_down_fires_at_its_own_tick_and_is_late() -> None:
    hold = rule(fact("door_back", "contact=open", hold=60.0))
    one = engine(hold)
    play(one, said(0, "door_back", "door.opened"), until=5)
    fresh, _ = restored(one.save(), hold)
    assert told(fresh.resume(500.0, crashed=False)) == []
    assert told(fresh.advance(500)) == ["60 r fired late"]


def test_with_late_it_fires_at_the_restart_and_its_orders_last_from_then() -> None:
    hold = rule(
        fact("door_back", "contact=open", hold=60.0),
        do=(do(Sound(), "siren_back", lasts=20.0),),
        after_restart="late",
    )
    one = engine(hold)
    play(one, said(0, "door_back", "door.opened"), until=5)
    fresh, _ = restored(one.save(), hold)
    assert told(fresh.resume(500.0, crashed=False)) == []
    assert told(fresh.advance(600)) == [
        "500 r fired late",
        "520 r ended siren_back for",
    ]


def test_with_late_what_is_not_due_yet_runs_its_remaining_time() -> None:
    hold = rule(fact("door_back", "contact=open", hold=60.0), after_restart="late")
    one = engine(hold)
    play(one, said(0, "door_back", "door.opened"), until=5)
    fresh, _ = restored(one.save(), hold)
    fresh.resume(50.0, crashed=False)
    assert told(fresh.advance(600)) == ["60 r fired"]


def test_with_late_a_lease_that_was_over_ends_when_it_was_over() -> None:
    lasting = rule(
        fact("door_back", "door.opened"),
        do=(do(Sound(), "siren_back", lasts=20.0),),
        priority=Priority.life_safety,
        after_restart="late",
    )
    one = engine(lasting)
    play(one, said(0, "door_back", "door.opened"), until=5)
    fresh, _ = restored(one.save(), lasting)
    fresh.resume(500.0, crashed=False)
    assert told(fresh.advance(600)) == ["20 r ended siren_back for"]


def test_with_late_what_fell_due_first_fires_first() -> None:
    long = rule(fact("door_back", "contact=open", hold=60.0), name="a", after_restart="late")
    short = rule(fact("door_back", "contact=open", hold=30.0), name="b", after_restart="late")
    one = engine(long, short)
    play(one, said(0, "door_back", "door.opened"), until=5)
    one.resume(500.0, crashed=False)
    assert told(one.advance(600)) == ["500 b fired late", "500 a fired late"]


def test_what_waits_expires_at_a_restart_where_the_rule_says_so() -> None:
    hold = rule(fact("door_back", "contact=open", hold=60.0), after_restart="expire")
    one = engine(hold)
    play(one, said(0, "door_back", "door.opened"), until=5)
    fresh, _ = restored(one.save(), hold)
    fresh.resume(500.0, crashed=False)
    assert told(fresh.advance(1000)) == ["560 r fired"]


@pytest.mark.parametrize(
    ("priority", "crashed", "expected"),
    [
        (Priority.security, True, ["110 r ended siren_back for"]),
        (Priority.security, False, ["20 r ended siren_back gone"]),
        (Priority.life_safety, False, ["110 r ended siren_back for"]),
    ],
)
def test_leases_outlive_a_crash_and_those_of_life_safety_everything(
    priority: Priority, crashed: bool, expected: list[str]
) -> None:
    sounds = rule(ALARM, do=(do(Sound(), "siren_back", lasts=100.0),), priority=priority)
    one = engine(sounds)
    play(one, said(10, "eas_front", "eas.alarm"))
    fresh, _ = restored(one.save(), sounds)
    assert told(fresh.resume(20.0, crashed=crashed) + fresh.advance(1000)) == expected


def test_nothing_waits_for_ever() -> None:
    one = heard(Engine([ESCALATES, rule(ALARM, name="c", cooldown=9.0, do=(SOUND,))], SHOP))
    play(one, *(said(t, "eas_front", "eas.alarm") for t in range(50)), until=1000)
    assert (one.waiting, one.next_deadline) == (0, None)
