"""The engine against a slow reference, and what must never make a difference."""

from __future__ import annotations

import json
from itertools import accumulate

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from drivers.commands import OpenIncident, Send, Sound
from drivers.event import Event
from rules.engine import Engine
from rules.model import Absence, Decision, Escalation, Fact, Fired, Trigger
from rules.trigger_windows import SLACK
from tests.rules import reference
from tests.rules.building import (
    RECORD,
    SOUND,
    Says,
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
    told,
)
from tests.rules.worlds import SHOP

END = 10_000.0
FEW = settings(max_examples=40, deadline=None)

WORDS: list[tuple[str, str, dict[str, str]]] = [
    ("door_back", "door.opened", {"contact": "open"}),
    ("door_back", "door.closed", {"contact": "closed"}),
    ("door_back", "state.known", {"contact": "unknown"}),
    ("door_back", "state.known", {"contact": "open"}),
    ("eas_front", "eas.alarm", {"alarm": "active"}),
    ("eas_front", "eas.ended", {"alarm": "quiet"}),
    ("eas_back", "eas.alarm", {"alarm": "active"}),
    ("site", "closed", {"open": "no"}),
    ("site", "opened", {"open": "yes"}),
]

SAID = st.tuples(st.integers(0, 4), st.sampled_from(WORDS))
TIMELINES = st.lists(SAID, max_size=14)

SIGNALS = [
    fact("door_back", "door.opened"),
    fact("door_back", "door.closed"),
    fact("eas_front", "eas.alarm"),
]
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from(
        [*SIGNALS, fact("door_back", "contact=open"), fact("eas_front", "alarm=quiet")]
    ),
    st.builds(lambda d: fact("door_back", "contact=open", hold=float(d)), st.integers(1, 6)),
)
SECONDS = st.integers(1, 8).map(float)
TRIGGERS: st.SearchStrategy[Trigger] = st.one_of(
    FACTS,
    st.builds(
        lambda facts, d: sequence(*facts, within=d),
        st.lists(FACTS, min_size=2, max_size=3),
        SECONDS,
    ),
    st.builds(
        lambda facts, d: together(*facts, within=d),
        st.lists(FACTS, min_size=2, max_size=3),
        SECONDS,
    ),
    st.builds(counted, st.integers(2, 3), FACTS, SECONDS),
    st.builds(after, FACTS, FACTS, SECONDS),
    st.builds(before, FACTS, FACTS, SECONDS),
)


def timeline(
    words: list[tuple[int, tuple[str, str, dict[str, str]]]], *, begin: int = 0
) -> list[Event]:
    ticks = accumulate((gap for gap, _ in words), initial=begin)
    next(ticks)
    return [
        said(float(tick), device, kind, sets=sets)
        for tick, (_, (device, kind, sets)) in zip(ticks, words, strict=True)
    ]


def fired(decisions: list[Decision]) -> list[float]:
    return sorted(d.tick for d in decisions if isinstance(d, Fired))


@settings(max_examples=150, deadline=None)
@given(TRIGGERS, TIMELINES)
def test_it_fires_when_the_reference_does(
    trigger: Trigger, words: list[tuple[int, tuple[str, str, dict[str, str]]]]
) -> None:
    events = timeline(words)
    expected = reference.firings(trigger, events)
    assert fired(play(engine(rule(trigger)), *events, until=END)) == expected


@FEW
@given(TRIGGERS, TIMELINES)
def test_deadlines_that_run_late_change_nothing(
    trigger: Trigger, words: list[tuple[int, tuple[str, str, dict[str, str]]]]
) -> None:
    assume(not isinstance(trigger, Absence) or trigger.waits)
    one, events = engine(rule(trigger)), timeline(words)
    found: list[Decision] = []
    for event in events:
        found += one.advance(event.tick - SLACK)
        found += one.feed(event)
    assert fired(found + one.advance(END)) == reference.firings(trigger, events)


SIGNAL = st.sampled_from(SIGNALS)
ANY_ORDER: st.SearchStrategy[Trigger] = st.one_of(
    st.builds(
        lambda facts, d: sequence(*facts, within=d),
        st.lists(SIGNAL, min_size=2, max_size=3),
        SECONDS,
    ),
    st.builds(
        lambda facts, d: together(*facts, within=d),
        st.lists(SIGNAL, min_size=2, max_size=3),
        SECONDS,
    ),
    st.builds(counted, st.integers(2, 3), SIGNAL, SECONDS),
    st.builds(after, SIGNAL, SIGNAL, SECONDS),
)


@FEW
@given(
    ANY_ORDER,
    st.permutations(range(10)),
    st.lists(st.sampled_from(WORDS), min_size=10, max_size=10),
)
def test_events_that_overtake_each_other_count_where_they_belong(
    trigger: Trigger, order: list[int], words: list[tuple[str, str, dict[str, str]]]
) -> None:
    events = [said(float(t), device, kind, sets=s) for t, (device, kind, s) in enumerate(words)]
    one = engine(rule(trigger))
    found = [d for place in order for d in one.feed(events[place])] + one.advance(END)
    assert fired(found) == reference.firings(trigger, events)


DOOR = fact("door_back", "contact=open", hold=3.0, holding=Says("eas_front", "alarm", "quiet"))
RULES = [
    rule(DOOR, name="held", do=(do(Sound(), "siren_back"),), until=(SIGNALS[1],)),
    rule(
        fact("gates", "eas.alarm"),
        name="gate",
        cooldown=5.0,
        do=(SOUND, RECORD, do(OpenIncident(name="gate"), "site")),
        escalate=(Escalation(after=6.0, do=(do(Send(text="!"), "pager_manager"),)),),
    ),
    rule(counted(2, fact("gates", "eas.alarm"), 6.0), name="twice"),
    rule(after(SIGNALS[0], SIGNALS[1], 4.0), name="unanswered", cooldown=3.0),
    rule(before(SIGNALS[2], SIGNALS[0], 4.0), name="unpaid"),
    rule(sequence(SIGNALS[0], fact("gates", "eas.alarm"), within=5.0), name="walk_out"),
    rule(together(SIGNALS[1], SIGNALS[2], within=5.0), name="both", do=(SOUND,)),
    rule(fact("gates", "alarm=active", hold=4.0, across=True), name="across"),
]
WAKES = st.lists(st.integers(0, 60), max_size=12)


def lines(decisions: list[Decision]) -> list[str]:
    return sorted(told(decisions))


def all_of_it(events: list[Event]) -> list[str]:
    return lines(play(engine(*RULES), *events, until=END))


def once(told: list[str]) -> list[str]:
    """Leave out repeated ends.

    A lease whose end is handled before a renewal that is due at the same tick ends twice.
    """
    return sorted({line for line in told if " ended " in line}) + [
        line for line in told if " ended " not in line
    ]


@FEW
@given(TIMELINES, WAKES)
def test_extra_wake_ups_change_nothing(
    words: list[tuple[int, tuple[str, str, dict[str, str]]]], wakes: list[int]
) -> None:
    events, one = timeline(words), engine(*RULES)
    found: list[Decision] = []
    steps: list[tuple[float, Event | None]] = [(e.tick, e) for e in events]
    steps += [(float(w), None) for w in wakes]
    for tick, event in sorted(steps, key=lambda step: (step[0], step[1] is not None)):
        found += one.advance(tick - SLACK)
        found += one.feed(event) if event else one.advance(tick)
    assert once(lines(found + one.advance(END))) == once(all_of_it(events))


@FEW
@given(TIMELINES, st.integers(1, 10**6))
def test_the_start_time_does_not_matter(
    words: list[tuple[int, tuple[str, str, dict[str, str]]]], begin: int
) -> None:
    def ticks(start: int) -> list[tuple[float, str]]:
        found = play(engine(*RULES), *timeline(words, begin=start), until=start + END)
        return [(d.tick - start, f"{type(d).__name__} {d.rule} {d.member}") for d in found]

    assert ticks(begin) == ticks(0)


@FEW
@given(TIMELINES)
def test_nothing_pends_for_ever(words: list[tuple[int, tuple[str, str, dict[str, str]]]]) -> None:
    one = engine(*RULES)
    play(one, *timeline(words), until=END)
    assert (one.waiting, one.next_deadline) == (0, None)


@FEW
@given(TIMELINES, st.lists(st.booleans(), min_size=14, max_size=14))
def test_a_restart_at_any_point_changes_nothing(
    words: list[tuple[int, tuple[str, str, dict[str, str]]]], cuts: list[bool]
) -> None:
    events, one = timeline(words), engine(*RULES)
    found: list[Decision] = []
    for event, cut in zip(events, cuts, strict=False):
        found += one.advance(event.tick)
        found += one.feed(event)
        if cut:
            saved = json.loads(json.dumps(one.save()))
            one = Engine(RULES, SHOP)
            found += one.restore(saved)
            assert one.save() == saved
    assert lines(found + one.advance(END)) == all_of_it(events)


@FEW
@given(TIMELINES, st.lists(st.booleans(), min_size=14, max_size=14))
def test_a_restart_between_feeds_without_advance_changes_nothing(
    words: list[tuple[int, tuple[str, str, dict[str, str]]]], cuts: list[bool]
) -> None:
    events, one, plain = timeline(words), engine(*RULES), engine(*RULES)
    found: list[Decision] = []
    for event, cut in zip(events, cuts, strict=False):
        found += one.feed(event)
        if cut:
            saved = json.loads(json.dumps(one.save()))
            one = Engine(RULES, SHOP)
            found += one.restore(saved)
    expected = [d for event in events for d in plain.feed(event)] + plain.advance(END)
    assert lines(found + one.advance(END)) == lines(expected)
