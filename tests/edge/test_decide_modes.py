"""Modes in the decider: what rules and people set, what the clock says meanwhile, any restart."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event import SITE, Event
from edge.config.model import Configuration
from edge.decide import Decider
from edge.past import Past, replay
from edge.turn import Turn
from rules.modes import REQUESTED
from tests.edge.shop import RULES_YAML, SITE_YAML, Story, said, shop

RULES = (
    RULES_YAML
    + """
  counts:
    priority: operations
    when: {panic: button.pressed}
    do: [{mode: stock_take, for: 10m}]
  late:
    priority: operations
    when: {door_back: open, for: 5m, while: site.mode != 'stock_take'}
    do: [{mode: hours}]
"""
)
SITE_WITH_MODES = SITE_YAML + "modes: {stock_take: {longest: 1h}, night_work: {longest: 8h}}\n"
CLOSING = 9 * 3600.0


@functools.cache
def configuration() -> Configuration:
    return shop(Path(tempfile.mkdtemp()), site=SITE_WITH_MODES, rules=RULES)


def asked(tick: float, action: str, **fields: Any) -> Event:
    return said(tick, SITE, REQUESTED, action=action, by="Ann", reason="r", **fields)


def words(turn: Turn) -> list[str]:
    """Return what the site says of modes: `mode.changed stock_take`, `closed`."""
    kinds = ("opened", "closed", "mode.changed", "mode.refused")
    return [f"{w.kind} {w.fields.get('mode', '')}".strip() for w in turn.said if w.kind in kinds]


class Shop(Story):
    """A story whose site says what follows from its turns, as the pipeline lets it."""

    def __init__(self) -> None:
        super().__init__(configuration())
        self.journal: list[Event] = []
        self.at(said(0, SITE, "state.known", values={}, sets={"open": "yes"}))

    def at(self, event: Event) -> Turn:
        before = self.until(event.tick)
        event = self.decider.modes.amended(event)
        turn = super().at(event)
        turn.said[:0] = before.said
        self.journal.append(event)
        for word in turn.said:
            fields = {"sets": dict(word.sets), **word.fields}
            self.at(said(event.tick, SITE, word.kind, **fields))
        return turn

    def state(self, name: str) -> str:
        return self.decider.engine.states.value(SITE, name)


def test_a_person_sets_a_mode_and_no_rule_replaces_it() -> None:
    store = Shop()

    assert words(store.at(asked(1, "set", mode="night_work"))) == ["mode.changed night_work"]
    assert store.state("mode") == "night_work"
    assert words(store.at(said(2, "panic", "button.pressed"))) == ["mode.refused stock_take"]
    assert store.at(asked(3, "end")).answer == ""
    assert store.state("mode") == "open"


def test_what_is_refused_is_answered() -> None:
    store = Shop()

    assert store.at(asked(1, "set", mode="stock_take", **{"for": 3601.0})).answer == (
        "stock_take lasts 1h at most"
    )
    assert store.at(asked(2, "end")).answer == "no mode is set"
    assert store.state("mode") == "open"


def test_a_mode_of_a_rule_ends_by_itself() -> None:
    store = Shop()

    assert words(store.at(said(0, "panic", "button.pressed"))) == ["mode.changed stock_take"]
    assert store.decider.next_deadline() == 30.0
    assert words(store.until(599)) == []
    assert words(store.until(600)) == ["mode.changed open"]


def test_a_hold_waits_while_the_mode_forbids_it() -> None:
    store = Shop()
    store.at(said(0, "panic", "button.pressed"))
    store.at(said(10, "door_back", "door.opened"))
    store.at(said(600, SITE, "time"))

    assert [d.rule for d in store.until(899).decisions if hasattr(d, "orders")] == []
    assert [d.rule for d in store.until(900).decisions if hasattr(d, "orders")] == ["late"]


def test_open_past_closing_time_keeps_what_rules_see_open() -> None:
    store = Shop()
    store.at(asked(CLOSING - 60, "set", mode="open", **{"for": 120.0}))
    store.at(said(CLOSING, SITE, "closed", sets={"open": "no"}))

    assert (store.state("open"), store.journal[-1].kind) == ("yes", "hours.closed")
    turn = store.at(said(CLOSING + 60, SITE, "time"))
    assert words(turn) == ["closed", "mode.changed closed"]
    assert (store.state("open"), store.state("mode")) == ("no", "closed")


MAKE = (
    lambda tick: asked(tick, "set", mode="stock_take", **{"for": 20.0}),
    lambda tick: asked(tick, "set", mode="open", **{"for": 40.0}),
    lambda tick: asked(tick, "set", mode="closed"),
    lambda tick: asked(tick, "end"),
    lambda tick: said(tick, "panic", "button.pressed"),
    lambda tick: said(tick, "door_back", "door.opened"),
    lambda tick: said(tick, SITE, "closed", sets={"open": "no"}),
    lambda tick: said(tick, SITE, "opened", sets={"open": "yes"}),
    lambda tick: said(tick, SITE, "clock.untrusted", sets={"open": "unknown"}, trusted=False),
    lambda tick: said(tick, SITE, "state.known", sets={"open": "no"}),
)
STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 20.0, 40.0, 700.0]), st.integers(0, len(MAKE) - 1)),
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 10))
def test_a_snapshot_and_the_replay_since_are_an_uninterrupted_run(
    steps: list[tuple[float, int]], cut: int
) -> None:
    store, tick = Shop(), 0.0
    snapshot, kept = store.decider.save(), len(store.journal)
    for number, (delay, what) in enumerate(steps):
        tick += delay
        store.at(MAKE[what](tick))
        if number == cut:
            snapshot, kept = store.decider.save(), len(store.journal)
    after = Decider(configuration())
    state = json.loads(json.dumps({"decider": snapshot}))
    replay(Past(state=state, steps=tuple(store.journal[kept:])), after)

    assert json.loads(json.dumps(after.save())) == json.loads(json.dumps(store.decider.save()))


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_site_is_in_the_mode_that_it_has_said(steps: list[tuple[float, int]]) -> None:
    store, tick = Shop(), 0.0
    for delay, what in steps:
        tick += delay
        store.at(MAKE[what](tick))

        assert store.state("mode") == store.decider.modes.mode
        held = store.decider.modes.held
        if held is not None:
            assert store.state("mode") == held.mode
        if store.state("mode") in ("open", "closed"):
            assert store.state("open") == ("yes" if store.state("mode") == "open" else "no")
