"""Random rules and random histories of a small shop, for hypothesis."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, count
from typing import Any

from hypothesis import strategies as st

from drivers.commands import OpenIncident, Send, Sound
from drivers.event import Event
from rules.model import Absence, Escalation, Fact, Quiet, Rule, Sequence, Trigger
from tests.rules.building import (
    Says,
    after,
    before,
    counted,
    do,
    fact,
    rule,
    said,
    sequence,
    together,
)

Word = tuple[str, str, dict[str, str]]
NUMBERS = count(10**9)

SIGNALS: list[Word] = [
    ("door_back", "door.opened", {"contact": "open"}),
    ("door_back", "door.closed", {"contact": "closed"}),
    ("eas_front", "eas.alarm", {"alarm": "active"}),
    ("eas_front", "eas.ended", {"alarm": "quiet"}),
    ("eas_back", "eas.alarm", {"alarm": "active"}),
    ("eas_back", "eas.ended", {"alarm": "quiet"}),
]
OTHERS: list[Word] = [
    ("door_back", "state.known", {"contact": "unknown"}),
    ("door_back", "state.known", {"contact": "open"}),
    ("door_back", "link.down", {"link": "down"}),
    ("door_back", "link.up", {"link": "up"}),
    ("eas_front", "link.down", {"link": "down"}),
    ("eas_front", "link.up", {"link": "up"}),
    ("site", "closed", {"open": "no"}),
    ("site", "opened", {"open": "yes"}),
    ("site", "incident.acknowledged", {}),
]


@st.composite
def histories(draw: st.DrawFn, most: int = 14) -> list[Event]:
    """Return events in the order of ticks; several may have the same one."""
    words = st.one_of(st.sampled_from(SIGNALS), st.sampled_from(SIGNALS + OTHERS))
    said_so = draw(st.lists(st.tuples(st.integers(0, 4), words), max_size=most))
    ticks = list(accumulate(gap for gap, _ in said_so))
    return [
        _event(float(tick), word, draw(st.integers(1, 2)))
        for tick, (_, word) in zip(ticks, said_so, strict=True)
    ]


def _event(tick: float, word: Word, aisle: int) -> Event:
    device, kind, sets = word
    fields: dict[str, Any] = {"aisle": aisle} if kind.startswith("eas.") else {}
    if kind == "incident.acknowledged":
        fields = {"name": "gate"}
    return said(tick, device, kind, sets=sets, **fields)


def shifted(events: list[Event], seconds: float) -> list[Event]:
    return [replace(event, tick=event.tick + seconds) for event in events]


SECONDS = st.integers(1, 8).map(float)
DOOR = [fact("door_back", "door.opened"), fact("door_back", "door.closed")]
GATE = [fact("eas_front", "eas.alarm"), fact("eas_front", "eas.ended")]
GATES = [fact("gates", "eas.alarm"), fact("gates", "eas.ended")]
AS_ONE = [fact("gates", "eas.alarm", across=True), fact("gates", "eas.ended", across=True)]
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from([*DOOR, *GATE, *GATES, *AS_ONE]),
    st.sampled_from(
        [
            fact("door_back", "contact=open"),
            fact("eas_front", "alarm=quiet"),
            fact("gates", "alarm=active"),
            fact("gates", "alarm=active", across=True),
        ]
    ),
    st.builds(lambda d: fact("door_back", "contact=open", hold=d), SECONDS),
    st.builds(lambda d: fact("gates", "alarm=active", hold=d), SECONDS),
    st.builds(
        lambda d, w: fact("door_back", "contact=open", hold=d, holding=w),
        st.one_of(st.none(), SECONDS),
        st.sampled_from([Says("eas_front", "alarm", "quiet"), Says("site", "open", "no")]),
    ),
    st.builds(lambda d: fact("gates", "alarm=active", hold=d, across=True), SECONDS),
)
FEW_FACTS = st.lists(FACTS, min_size=2, max_size=3)
SAME = st.sampled_from([None, None, "device"])
"""`by:` for facts that always have it."""
BY = st.sampled_from([None, None, "device", "aisle"])


TRIGGERS: st.SearchStrategy[Trigger] = st.one_of(
    FACTS,
    st.builds(lambda fs, d, by: sequence(*fs, within=d, by=by), FEW_FACTS, SECONDS, BY),
    st.builds(lambda fs, d, by: together(*fs, within=d, by=by), FEW_FACTS, SECONDS, BY),
    st.builds(counted, st.integers(2, 4), FACTS, SECONDS, BY),
    st.builds(lambda f, w, d, by: after(f, w, d, by=by), FACTS, FACTS, SECONDS, SAME),
    st.builds(lambda f, w, d, by: before(f, w, d, by=by), FACTS, FACTS, SECONDS, SAME),
)
CONDITIONS = st.sampled_from(
    [None, None, Says("site", "open", "yes"), Says("eas_back", "alarm", "active")]
)
QUIETS = st.one_of(st.none(), st.builds(lambda g, m: Quiet(gap=g, at_most=g + m), SECONDS, SECONDS))
COOLDOWNS = st.sampled_from([0.0, 0.0, 3.0, 7.0])
PAGE = do(Send(text="!"), "pager_manager")


@st.composite
def rules(draw: st.DrawFn, name: str = "r") -> Rule:
    """Return a rule that sounds until something comes, and escalates."""
    until = draw(st.lists(st.sampled_from([*DOOR, *GATES]), max_size=1))
    return rule(
        draw(TRIGGERS),
        *draw(st.lists(st.sampled_from([*DOOR, *GATE]), max_size=1)),
        name=name,
        condition=draw(CONDITIONS),
        cooldown=draw(COOLDOWNS),
        quiet=draw(QUIETS),
        do=(do(Sound(), "siren_back"), do(OpenIncident(name="gate"), "site")),
        until=tuple(until),
        escalate=draw(st.sampled_from([(), (Escalation(after=6.0, do=(PAGE,)),)])),
    )


def overtakes_well(one: Rule) -> bool:
    """Return whether it decides the same when events of other devices overtake.

    What fires at once can't know what is still to come: that the door of `before` was opened, or
    that what cools down began earlier.
    """
    at_once = any(isinstance(t, Absence) and not t.waits for t in one.when)
    if one.cooldown or one.quiet is not None or at_once:
        return False
    across = [f for t in one.when for f in _facts(t) if f.across and f.state is not None]
    return not across


def asked_devices(one: Rule) -> set[str]:
    """Return the devices whose states `if` and `while` read."""
    whiles = [f.holding for t in one.when for f in _facts(t)]
    conditions = [c for c in (one.condition, *whiles) if c is not None]
    return {device for c in conditions for device, _ in c.reads}


def _facts(trigger: Trigger) -> list[Fact]:
    if isinstance(trigger, Fact):
        return [trigger]
    if isinstance(trigger, Sequence):
        return [f for step in trigger.facts for f in step]
    if isinstance(trigger, Absence):
        return [*trigger.fact, *trigger.without]
    return list(trigger.of)
