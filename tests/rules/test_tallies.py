"""What `since` and `count` know of a signal by its fields, beside a plain list of all events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event import Event
from rules.event_json import Events
from rules.states import OVERTAKEN, States
from rules.tallies import SAID_AT_MOST, VALUES_AT_MOST, Tally
from rules.ticks import LONG_AGO
from tests.rules.building import said

GATE = ("eas_front", "eas.alarm")
WITHIN = 8.0
ASKED = {
    GATE: WITHIN,
    (*GATE, "direction"): 0.0,
    (*GATE, "aisle", "direction"): WITHIN,
    (*GATE, "late"): WITHIN,
}
DIRECTIONS = st.sampled_from(["in", "out", None])
ALARMS = st.fixed_dictionaries(
    {"direction": DIRECTIONS, "aisle": st.sampled_from([1, 2])},
    optional={"late": st.booleans(), "test": st.booleans()},
)
HISTORIES = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 7.5, 30.0]), ALARMS), max_size=30)
QUESTIONS: list[dict[str, Any]] = [
    {"direction": "in"},
    {"direction": "out"},
    {"aisle": 2, "direction": "out"},
    {"late": True},
    {"late": False},
]


def history(words: list[tuple[float, dict[str, Any]]]) -> list[Event]:
    ticks = accumulate(gap for gap, _ in words)
    return [said(tick, *GATE, **fields) for tick, (_, fields) in zip(ticks, words, strict=True)]


def heard(events: list[Event], tick: float, fields: Mapping[str, Any]) -> list[float]:
    """Return when it was said with these fields until `tick`: all events looked at, one by one."""
    found = []
    for event in events:
        if event.fields.get("test") or event.tick > tick:
            continue
        if all((event.fields.get(n) or None) == (value or None) for n, value in fields.items()):
            found.append(event.tick)
    return sorted(found)


def same(states: States, events: list[Event], tick: float) -> None:
    for fields in QUESTIONS:
        ticks = heard(events, tick, fields)
        if "aisle" in fields or "late" in fields:
            counted = sum(one > tick - WITHIN for one in ticks)
            assert states.at(tick).count(*GATE, WITHIN, fields) == counted, (tick, fields)
        ago = tick - ticks[-1] if ticks else None
        assert states.at(tick).since(*GATE, fields) == ago, (tick, fields)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(0, 30))
def test_counts_and_times_by_fields_are_those_of_a_list_of_all_events(
    words: list[tuple[float, dict[str, Any]]], cut: int
) -> None:
    states, events = States(ASKED), history(words)
    for number, event in enumerate(events):
        if number == cut:
            states = restored(states)
        states.apply(event)
        same(states, events[: number + 1], event.tick)
        same(states, events[: number + 1], event.tick + 3.0)
    for event in events[-1:]:
        same(states, events, event.tick - OVERTAKEN)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.data())
def test_an_event_that_was_overtaken_counts_in_its_place(
    words: list[tuple[float, dict[str, Any]]], data: st.DataObject
) -> None:
    events = history(words)
    late = [data.draw(st.sampled_from([0.0, 4.0, OVERTAKEN])) for _ in events]
    arrivals = sorted(zip(events, late, strict=True), key=lambda one: one[0].tick + one[1])
    states = States(ASKED)
    for event, _ in arrivals:
        states.apply(event)
    if events:
        same(states, events, events[-1].tick)
        same(states, events, events[-1].tick - OVERTAKEN)


def restored(states: States, asked: Mapping[tuple[str, ...], float] = ASKED) -> States:
    events, again = Events(), States(asked)
    saved = json.loads(json.dumps(states.save(events, since=-1e9)))
    again.restore(saved, Events.restore(json.loads(json.dumps(events.save()))))
    return again


def test_a_state_that_was_saved_without_fields_knows_nothing_of_them() -> None:
    states, again, events = States({GATE: WITHIN}), States(ASKED), Events()
    states.apply(said(1.0, *GATE, direction="in"))
    saved = states.save(events, since=-1e9)
    del saved["apart"]
    again.restore(saved, Events.restore(events.save()))
    assert again.at(2.0).since(*GATE) == 1.0
    assert again.at(2.0).count(*GATE, WITHIN) == 1
    assert again.at(2.0).since(*GATE, {"direction": "in"}) is None


def test_other_rules_keep_what_they_ask_for_too_and_forget_the_rest() -> None:
    states, by_direction = States(ASKED), (*GATE, "direction")
    states.apply(said(1.0, *GATE, direction="in", aisle=2))
    states.count({by_direction: WITHIN})
    assert states.at(2.0).count(*GATE, WITHIN, {"direction": "in"}) == 1
    assert states.at(2.0).count(*GATE, WITHIN, {"aisle": 2, "direction": "in"}) == 0
    assert states.save(Events(), since=0.0)["apart"] == [
        [list(by_direction), [[["in"], [1.0]]], LONG_AGO]
    ]


def test_what_no_rule_asks_for_is_not_kept() -> None:
    states = States()
    states.apply(said(1.0, *GATE, direction="in"))
    assert states.at(2.0).since(*GATE, {"direction": "in"}) is None
    assert "direction" not in json.dumps(states.save(Events(), since=0.0)["apart"])


def test_of_too_many_values_the_least_recently_said_are_forgotten() -> None:
    tally = Tally(("receipt",), 60.0)
    tally.take(said(0.0, "till_1", "pos.refund", receipt="kept"))
    for number in range(VALUES_AT_MOST):
        tally.take(said(number, "till_1", "pos.refund", receipt=str(number)))
        tally.take(said(number, "till_1", "pos.refund", receipt="kept"))
    assert tally.ticks({"receipt": "0"}) == []
    assert tally.ticks({"receipt": "1"}) == [1.0]
    assert tally.ticks({"receipt": "kept"})[-1] == VALUES_AT_MOST - 1
    assert len(tally.save()) == VALUES_AT_MOST


def test_however_often_it_is_said_memory_is_bounded() -> None:
    tally = Tally(("cashier",), 1e9)
    for number in range(SAID_AT_MOST + 100):
        tally.take(said(number, "till_1", "pos.no_sale", cashier=str(number % 2)))
    assert sum(len(ticks) for _, ticks, _ in tally.save()) == SAID_AT_MOST
    assert tally.ticks({"cashier": "1"})[-1] == SAID_AT_MOST + 99
    assert [tally.gap({"cashier": who}) for who in "012"] == [98.0, 99.0, LONG_AGO]


def test_what_may_be_forgotten_is_not_counted_as_never_said() -> None:
    asked = ("till_1", "pos.refund", "receipt")
    states = States({asked: 5000.0})
    for number in range(VALUES_AT_MOST + 2):
        states.apply(said(number, "till_1", "pos.refund", receipt=str(number)))
    states = restored(states, {asked: 5000.0})

    def count(receipt: str, within: float) -> int | None:
        return states.at(1002.0).count("till_1", "pos.refund", within, {"receipt": receipt})

    assert [count(receipt, 1001.0) for receipt in ("0", "1", "2", "new")] == [0, 0, 1, 0]
    assert [count(receipt, 1002.0) for receipt in ("0", "1", "2", "new")] == [None, None, 1, None]
    states.apply(said(1002.0, "till_1", "pos.refund", receipt="1"))
    assert (count("1", 1000.0), count("1", 1002.0)) == (1, None)


def test_a_value_that_can_not_be_compared_is_as_if_it_were_not_said() -> None:
    tally = Tally(("cashier",), 60.0)
    tally.take(said(1.0, "till_1", "pos.no_sale", cashier=["7"]))
    assert tally.save() == [[[None], [1.0]]]
