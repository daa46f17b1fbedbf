"""The engine saved, restored and resumed: what goes on, what is over, what is not kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.commands import Sound
from drivers.priorities import Priority
from rules.engine import Engine
from rules.expressions import compile_condition
from rules.model import Escalation, Fired, NotFired, Quiet, Rule
from rules.problems import Problems
from rules.yaml_source import Scalar
from tests.rules.building import (
    MARK,
    RECORD,
    SOUND,
    after,
    counted,
    do,
    engine,
    fact,
    play,
    rule,
    said,
    told,
)
from tests.rules.worlds import SHOP

ALARM = fact("eas_front", "eas.alarm")


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


def test_what_was_said_with_a_field_is_known_after_a_restart_and_not_from_an_older_save() -> None:
    problems = Problems()
    text = Scalar(mark=MARK, text="since('gates', 'eas.alarm', direction='in') < 60", plain=True)
    asked = compile_condition(text, SHOP, event_fields=None, problems=problems)
    one = engine(rule(fact("door_back", "door.opened"), condition=asked, if_unknown="skip"))
    play(one, said(1, "eas_back", "eas.alarm", direction="in"))
    saved = json.loads(json.dumps(one.save()))
    older = json.loads(json.dumps(saved))
    del older["states"]["apart"]
    found = []
    for kept in (saved, older):
        fresh, _ = restored(kept, *(run.rule for run, _ in one.at_work()))
        (decision,) = fresh.feed(said(9, "door_back", "door.opened"))
        found.append(decision.why.answer if isinstance(decision, Fired | NotFired) else "")
    assert found == ["yes", "unknown"]


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
