"""An engine that goes on with other rules: what is the same is undisturbed, the rest ends."""

from __future__ import annotations

import json
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import OpenIncident, Send, Sound
from drivers.event import Event
from rules.engine import Engine
from rules.model import Decision, Escalation, Rule
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
    sequence,
    told,
)
from tests.rules.worlds import SHOP

END = 10_000.0
FEW = settings(max_examples=40, deadline=None)
OPENED, CLOSED = fact("door_back", "door.opened"), fact("door_back", "door.closed")
GATES = fact("gates", "eas.alarm")
QUIET = Says("eas_front", "alarm", "quiet")
HELD = rule(
    fact("door_back", "contact=open", hold=3.0, holding=QUIET),
    name="held",
    do=(do(Sound(), "siren_back"),),
    until=(CLOSED,),
)
GATE = rule(
    GATES,
    name="gate",
    cooldown=5.0,
    do=(SOUND, RECORD, do(OpenIncident(name="gate"), "site")),
    escalate=(Escalation(after=6.0, do=(do(Send(text="!"), "pager_manager"),)),),
)
RULES = [
    HELD,
    GATE,
    rule(counted(2, GATES, 6.0), name="twice"),
    rule(after(OPENED, CLOSED, 4.0), name="unanswered", cooldown=3.0),
    rule(sequence(OPENED, GATES, within=5.0), name="walk_out"),
    rule(fact("gates", "alarm=active", hold=4.0, across=True), name="across"),
]
WORDS: list[tuple[str, str, dict[str, str]]] = [
    ("door_back", "door.opened", {"contact": "open"}),
    ("door_back", "door.closed", {"contact": "closed"}),
    ("door_back", "state.known", {"contact": "unknown"}),
    ("door_back", "state.known", {"contact": "open"}),
    ("eas_front", "eas.alarm", {"alarm": "active"}),
    ("eas_front", "eas.ended", {"alarm": "quiet"}),
    ("eas_back", "eas.alarm", {"alarm": "active"}),
]
TIMELINES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(WORDS)), max_size=14)
Words = list[tuple[int, tuple[str, str, dict[str, str]]]]


def timeline(words: Words) -> list[Event]:
    ticks = accumulate(gap for gap, _ in words)
    return [
        said(float(tick), device, kind, sets=sets)
        for tick, (_, (device, kind, sets)) in zip(ticks, words, strict=True)
    ]


def lines(decisions: list[Decision]) -> list[str]:
    return sorted(told(decisions))


@FEW
@given(TIMELINES, st.lists(st.booleans(), min_size=14, max_size=14), st.permutations(RULES))
def test_a_swap_for_the_same_rules_changes_no_decision_whenever_it_is(
    words: Words, cuts: list[bool], shuffled: list[Rule]
) -> None:
    events, one = timeline(words), engine(*RULES)
    found: list[Decision] = []
    for event, cut in zip(events, cuts, strict=False):
        found += one.advance(event.tick) + one.feed(event)
        if cut:
            assert one.swap(shuffled, SHOP, event.tick) == []
    found += one.advance(END)
    assert lines(found) == lines(play(engine(*RULES), *events, until=END))


CHANGED = [
    rule(fact("door_back", "contact=open", hold=2.0), name="held", do=(SOUND,), hash="other"),
    rule(GATES, name="new", do=(RECORD,)),
    rule(counted(3, GATES, 9.0), name="twice", hash="other"),
]


@FEW
@given(TIMELINES, st.integers(0, 14), st.sets(st.sampled_from(range(len(RULES)))))
def test_rules_that_stay_decide_as_if_nothing_had_been_swapped(
    words: Words, cut: int, stay: set[int]
) -> None:
    kept = [RULES[number] for number in stay]
    names = {one.id for one in kept}
    others = [one for one in CHANGED if one.id not in names]
    events, one = timeline(words), engine(*RULES)
    found: list[Decision] = []
    for number, event in enumerate(events):
        if number == cut:
            found += one.advance(event.tick)
            found += one.swap([*others, *kept], SHOP, event.tick)
        found += one.advance(event.tick) + one.feed(event)
    found += one.advance(END)
    alone = play(engine(*kept), *events, until=END)
    assert lines([d for d in found if d.rule in names]) == lines(alone)


@FEW
@given(TIMELINES, TIMELINES, st.sets(st.sampled_from(range(len(RULES)))))
def test_a_swap_is_what_a_restart_with_the_other_rules_would_be(
    words: Words, more: Words, stay: set[int]
) -> None:
    kept = [RULES[number] for number in stay]
    names = {one.id for one in kept}
    rules = [*kept, *(one for one in CHANGED if one.id not in names)]
    swapped = engine(*RULES)
    events = timeline(words)
    play(swapped, *events)
    tick = events[-1].tick if events else 0.0
    swapped.advance(tick)
    restored = Engine(rules, SHOP)
    gone = restored.restore(json.loads(json.dumps(swapped.save())))
    assert lines(swapped.swap(rules, SHOP, tick)) == lines(gone)
    assert swapped.save() == restored.save()
    later = [said(e.tick + tick, e.device, e.kind, sets=dict(e.sets)) for e in timeline(more)]
    assert lines(play(swapped, *later, until=tick + END)) == lines(
        play(restored, *later, until=tick + END)
    )


def test_the_leases_of_a_rule_that_is_gone_or_changed_end_at_the_swap() -> None:
    one = engine(*RULES)
    play(one, said(0.0, "door_back", "door.opened"), said(4.0, "eas_front", "eas.alarm"))
    one.advance(5.0)
    assert lines(one.swap([*RULES[2:], CHANGED[0]], SHOP, 5.0)) == [
        "5 gate/eas_front ended siren_front gone"
    ]
    assert "gate" not in {d.rule for d in one.advance(END)}


def test_a_new_rule_starts_its_hold_at_the_swap_on_what_is_so_already() -> None:
    one = heard(Engine(RULES[:1], SHOP))
    play(one, said(0.0, "door_back", "door.opened"), until=50.0)
    one.swap([CHANGED[0]], SHOP, 60.0)
    assert told(one.advance(END))[0] == "62 held fired"


def test_a_signal_that_a_new_condition_counts_is_counted_from_the_swap() -> None:
    condition = Says("eas_front", "alarm", "active", counts={("eas_front", "eas.alarm"): 60.0})
    one = heard(Engine([GATE], SHOP))
    play(one, said(0.0, "eas_front", "eas.alarm"))
    one.swap([GATE, rule(GATES, name="counts", condition=condition)], SHOP, 1.0)
    play(one, said(2.0, "eas_front", "eas.alarm"))
    assert one.states.times("eas_front", "eas.alarm") == [2.0]
    one.swap([GATE], SHOP, 3.0)
    assert one.states.times("eas_front", "eas.alarm") == []
