"""The watch over applied rules: what counts, what is too much, and what chance may do."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.priorities import Priority
from edge.watch import PARTS, Plan, Watch, allowed, counted, span

PLAN = Plan(
    config="new",
    before="old",
    began=1000.0,
    lasts=1800.0,
    expected={"alarms": 5.0, "blind": 0.0, "order_failures": 0.1},
    limits={"alarms": 0.2, "blind": 1.0, "order_failures": 0.5},
)
SECURITY = Priority.security


def fires(watch: Watch, tick: float, **data: Any) -> None:
    watch.see(tick, "site", "rule.fired", {"rule": "gate_alarm", **data}, SECURITY)


def spread(watch: Watch, count: int) -> None:
    """Let the rules fire, evenly over the whole watch."""
    for number in range(count):
        fires(watch, 1000.0 + 1799.0 * number / count)


def test_what_chance_may_bring_is_no_reason_to_go_back() -> None:
    watch = Watch(plan=PLAN)
    assert PLAN.at_most("alarms") == 16
    spread(watch, 16)
    assert (watch.counts["alarms"], watch.too_much) == (16, "")


def test_one_more_than_that_is() -> None:
    watch = Watch(plan=PLAN)
    spread(watch, 17)
    assert watch.too_much == "17 alarms within 30 min, at most 16 are allowed (usual are 5.0)"


def test_a_second_alarm_in_a_quiet_store_trips_nothing_and_a_fourth_does() -> None:
    watch = Watch(plan=dataclasses.replace(PLAN, expected={"alarms": 0.01}))
    spread(watch, 3)
    assert watch.too_much == ""
    fires(watch, 2799.5)
    assert watch.too_much.startswith("4 alarms within 30 min, at most 3 are allowed")


def test_a_storm_is_noticed_in_the_tenth_of_the_watch_in_which_it_is() -> None:
    busy = dataclasses.replace(PLAN, lasts=36_000.0, expected={"alarms": 100.0})
    watch = Watch(plan=busy)
    assert (busy.at_most("alarms"), busy.at_most_in_part("alarms")) == (155, 32)
    for number in range(33):
        assert watch.too_much == ""
        fires(watch, 1000.0 + number)
    assert watch.too_much == "33 alarms within 1 h, at most 32 are allowed (usual are 10.0)"


def test_alarms_of_two_tenths_are_not_put_together() -> None:
    watch = Watch(plan=dataclasses.replace(PLAN, lasts=36_000.0, expected={"alarms": 100.0}))
    for tenth in (0, 1):
        for number in range(30):
            fires(watch, 1000.0 + 3600.0 * tenth + number)
    assert watch.too_much == ""


def test_without_a_history_an_alarm_a_minute_is_usual() -> None:
    watch = Watch(plan=dataclasses.replace(PLAN, expected=None))
    spread(watch, 45)
    assert watch.too_much == ""
    for number in range(20):
        fires(watch, 2700.0 + number)
    assert "(nothing to compare with)" in watch.too_much


@pytest.mark.parametrize(
    ("signal", "data", "priority", "word"),
    [
        ("rule.fired", {"rule": "r"}, SECURITY, "alarms"),
        ("rule.fired", {"rule": "r", "shadow": True}, SECURITY, None),
        ("rule.fired", {"rule": "r", "step": 1}, SECURITY, None),
        ("rule.fired", {"rule": "r"}, Priority.life_safety, None),
        ("rule.fired", {"rule": "r"}, Priority.personal_safety, "alarms"),
        ("rule.blind", {"rule": "r"}, SECURITY, "blind"),
        ("order.failed", {"by": "rule"}, SECURITY, "order_failures"),
        ("order.failed", {"by": "person"}, SECURITY, None),
        ("order.failed", {"by": "rest"}, SECURITY, None),
        ("order.done", {"by": "rule"}, SECURITY, None),
        ("rule.ended", {"rule": "r"}, SECURITY, None),
    ],
)
def test_what_counts(
    signal: str, data: dict[str, Any], priority: Priority, word: str | None
) -> None:
    assert counted(signal, data, priority) == word


def test_nothing_counts_before_the_watch_after_it_or_in_an_evacuation() -> None:
    watch = Watch(plan=PLAN)
    fires(watch, 999.9)
    fires(watch, 2800.0)
    watch.see(1100.0, "site", "evacuation.started", {"drill": True}, Priority.life_safety)
    fires(watch, 1110.0)
    watch.see(1120.0, "site", "evacuation.requested", {"action": "end"}, Priority.life_safety)
    fires(watch, 1130.0)
    watch.see(1200.0, "site", "evacuation.ended", {}, Priority.life_safety)
    assert watch.counts["alarms"] == 0
    fires(watch, 1210.0)
    assert watch.counts["alarms"] == 1


def test_it_is_over_exactly_at_its_end() -> None:
    watch = Watch(plan=PLAN)
    assert [watch.over(tick) for tick in (1000.0, 2799.999, 2800.0)] == [False, False, True]


def test_it_knows_whether_the_journal_says_that_it_began() -> None:
    watch = Watch(plan=PLAN)
    watch.see(990.0, "site", "config.applied", {"config": "older"}, Priority.operations)
    assert not watch.applied
    watch.see(1000.0, "site", "config.applied", {"config": "new"}, Priority.operations)
    assert watch.applied


@pytest.mark.parametrize("usual", [0.05, 1.0, 5.0, 40.0])
def test_what_stays_as_it_was_is_hardly_ever_gone_back_on(usual: float) -> None:
    chance = random.Random(1)
    plan = dataclasses.replace(PLAN, expected={"alarms": usual}, limits={"alarms": 0.0})
    tripped = 0
    for _ in range(400):
        watch, tick = Watch(plan=plan), 1000.0
        while (tick := tick + chance.expovariate(usual / 1800.0)) < 2800.0:
            fires(watch, tick)
        tripped += bool(watch.too_much)
    assert tripped <= 2


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1e5), st.floats(-1, 5), st.integers(0, 20))
def test_more_is_allowed_where_more_is_usual_and_never_less_than_the_slack(
    usual: float, limit: float, slack: int
) -> None:
    most = allowed(usual, limit, slack, 3.0)
    assert most >= slack
    assert most <= allowed(usual * 1.5 + 1, limit + 0.1, slack, 3.0)
    assert PARTS * allowed(usual / PARTS, limit, slack, 3.0) >= most - PARTS


def test_spans_are_said_in_words() -> None:
    assert [span(s) for s in (10.0, 90.0, 60.0, 1800.0, 5400.0, 36_000.0, 86_400.0)] == [
        "10 s",
        "90 s",
        "1 min",
        "30 min",
        "90 min",
        "10 h",
        "1 d",
    ]
