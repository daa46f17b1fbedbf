"""What a restart knows: snapshots and replay, over a real journal."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buffer.record import Draft, Kind
from buffer.writer import Writer
from drivers.event import Event
from drivers.priorities import Priority
from edge.config.model import Configuration
from edge.decide import Decider
from edge.encode import Encoder
from edge.inbox import Inbox
from edge.past import Past, about_to_say, read, replay
from tests.edge.shop import BEGAN, RULES_YAML, asked, ordered, said, shop

ENCODER = Encoder("storewarden", "shop", "abcdef012345")
WORDS = [
    ("eas_front", "eas.alarm"),
    ("door_back", "door.opened"),
    ("door_back", "door.closed"),
    ("door_back", "link.down"),
    ("fire_main", "fire.alarm"),
    ("fire_main", "fire.restored"),
    ("panic", "button.pressed"),
    ("siren_back", "link.up"),
]


@functools.cache
def configuration() -> Configuration:
    return shop(Path(tempfile.mkdtemp()))


def told(tick: float, number: int) -> Event:
    if number < len(WORDS):
        return said(tick, *WORDS[number])
    made = [
        ordered(tick, "siren_front", "sound", **{"for": 7.0}),
        ordered(tick, "siren_front", "silence", priority="security"),
        ordered(tick, "lock_exit", "relock"),
        asked(tick, "end", despite=["fire_main"]),
        asked(tick, "drill"),
    ]
    return made[number - len(WORDS)]


def lived(decider: Decider, batches: Sequence[Sequence[Event]]) -> list[Event]:
    """Handle batches of events as the pipeline does; return them as they were journaled."""
    journal, inbox = [], Inbox()
    for batch in batches:
        for event in batch:
            inbox.put(event)
        while len(inbox):
            event = inbox.take()
            oldest = inbox.oldest_tick()
            decider.advance(event.tick if oldest is None else min(event.tick, oldest), event)
            decider.feed(event)
            journal.append(event)
    return journal


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


DELAYS = st.sampled_from([0.0, 0.5, 4.0, 9.0, 21.0, 70.0])
BATCHES = st.lists(
    st.lists(st.tuples(DELAYS, st.integers(0, len(WORDS) + 4)), min_size=1, max_size=3), max_size=7
)


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(0, 7))
def test_a_snapshot_and_the_replay_since_are_an_uninterrupted_run(
    batches: list[list[tuple[float, int]]], cut: int
) -> None:
    tick, made = 0.0, []
    for batch in batches:
        events = []
        for delay, number in batch:
            tick += delay
            events.append(told(tick, number))
        made.append(events)
    running = Decider(configuration())
    lived(running, made[:cut])
    snapshot = as_json({"decider": running.save()})
    since = lived(running, made[cut:])

    after = Decider(configuration())
    replay(Past(state=snapshot, steps=tuple(since)), after)
    assert as_json(after.save()) == as_json(running.save())


def test_a_replay_goes_on_only_as_far_as_time_had_gone() -> None:
    """The fire overtook the alarm of 0.1 s before; a deadline between them came after both."""
    events = [said(20.05, "fire_main", "fire.alarm"), said(19.95, "eas_front", "eas.alarm")]
    running, after = Decider(configuration()), Decider(configuration())
    opened = said(0, "door_back", "door.opened")
    for decider in (running, after):
        lived(decider, [[opened]])
    lived(running, [events])
    replay(Past(steps=tuple(events)), after)
    assert as_json(after.save()) == as_json(running.save())


def test_what_time_alone_did_before_a_crash_is_not_done_again() -> None:
    decider = Decider(configuration())
    steps = (said(0, "door_back", "door.opened"), 20.0)
    replay(Past(steps=steps), decider)
    decider.resume(25, same_boot=True, silent_for=5)
    due = decider.next_deadline()
    assert due == 140.0  # the siren's own limit, nothing of the rule's 20 s


# --- the journal -------------------------------------------------------------------------------


def kept(folder: Path, *drafts: Draft) -> Past:
    async def main() -> Past:
        async with Writer.open(folder / "journal.db") as writer:
            for draft in drafts:
                writer.keep(draft)
            await writer.flush()
            return await read(writer)

    return asyncio.run(main())


def foreign(kind: Kind) -> Draft:
    return Draft(id="f" * 32, kind=kind, priority=3, topic=None, body=b'{"signal": "x"}')


def test_an_empty_journal_has_no_past(tmp_path: Path) -> None:
    past = kept(tmp_path)
    assert (past.last, past.state, past.steps) == (None, None, ())


def test_it_knows_the_last_snapshot_and_what_came_since(tmp_path: Path) -> None:
    old, new = said(1, "door_back", "door.opened"), said(9, "door_back", "door.closed")
    past = kept(
        tmp_path,
        ENCODER.snapshot(said(0, "site", "snapshot"), {"offset": 1.0}),
        ENCODER.event(old),
        ENCODER.snapshot(said(5, "site", "snapshot"), {"offset": -7.5}),
        ENCODER.event(new),
        ENCODER.event(said(9.5, "annex", "input.edge")),
        ENCODER.decision(said(10, "site", "time"), "rule.ended", {}, Priority.security),
    )
    assert past.state == {"offset": -7.5}
    assert past.steps == (new, 10.0)
    assert past.last is not None
    assert (past.last.tick, past.last.boot, past.last.offset) == (10.0, "b" * 32, -7.5)
    assert past.last.at == BEGAN + timedelta(seconds=10)


def test_a_record_of_another_version_hides_neither_time_nor_events(tmp_path: Path) -> None:
    event = said(9, "door_back", "door.closed")
    past = kept(tmp_path, ENCODER.event(event), foreign(Kind.EVENT), foreign(Kind.GAP))
    assert past.steps == (event,)
    assert past.last is not None
    assert past.last.tick == 9.0


def test_the_tick_of_an_overtaken_record_takes_no_time_back(tmp_path: Path) -> None:
    fire, late = said(9, "fire_main", "fire.alarm"), said(8.9, "door_back", "door.closed")
    past = kept(tmp_path, ENCODER.event(fire), ENCODER.event(late))
    assert past.last is not None
    assert past.last.tick == 9.0


def test_a_snapshot_of_another_version_is_left_alone(tmp_path: Path) -> None:
    past = kept(tmp_path, foreign(Kind.SNAPSHOT), ENCODER.event(said(9, "panic", "link.up")))
    assert past.state is None
    assert len(past.steps) == 1


@pytest.mark.parametrize("broken", ["engine", "outputs"])
def test_a_state_that_cannot_be_used_keeps_the_latch_and_starts_the_rules_afresh(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = Decider(configuration())
    before.feed(said(0, "fire_main", "fire.alarm"))
    state = as_json({"decider": before.save()})
    state["decider"][broken] = {"version": 1, "claims": "what?"}

    after = Decider(configuration())
    replay(Past(state=state), after)
    assert after.evacuation is not None
    assert after.evacuation.active
    assert after.feed(said(1, "panic", "button.pressed")).given != []
    assert "the rules begin afresh" in caplog.text or broken == "engine"


def test_what_the_site_was_about_to_say_at_a_kill_is_said_after_it() -> None:
    alarm = said(1, "eas_front", "eas.alarm")
    cut_off = replay(Past(steps=(alarm,)), Decider(configuration()))
    assert [(w.kind, w.fields["name"]) for w in cut_off] == [("incident.opened", "gate_activation")]
    word = cut_off[0]
    told = said(1.1, "site", word.kind, **word.fields)
    assert replay(Past(steps=(alarm, told)), Decider(configuration())) == []


def test_the_latch_is_told_of_by_its_own_state() -> None:
    fire = said(1, "fire_main", "fire.alarm")
    assert replay(Past(steps=(fire,)), Decider(configuration())) == []


def test_what_waits_to_be_said_at_a_snapshot_is_said_after_a_kill() -> None:
    inbox = Inbox()
    for event in (
        said(1, "site", "incident.opened", name="gate_activation", rule="gate_alarm"),
        said(1, "site", "uplink.connected"),
        said(1, "eas_front", "eas.alarm"),
        ordered(1, "siren_front", "sound"),
    ):
        inbox.put(event)
    state = as_json({"decider": Decider(configuration()).save(), "unsaid": about_to_say(inbox)})
    (word,) = replay(Past(state=state), Decider(configuration()))
    assert (word.kind, word.fields["name"]) == ("incident.opened", "gate_activation")
    told = said(2, "site", "incident.opened", **word.fields)
    assert replay(Past(state=state, steps=(told,)), Decider(configuration())) == []


def test_a_rule_that_is_new_at_a_start_does_nothing_of_what_was_before_it(tmp_path: Path) -> None:
    old = Decider(configuration())
    saved = as_json(old.save())
    events = lived(old, [[said(1, "eas_front", "eas.alarm"), said(2, "door_back", "door.opened")]])
    rules = RULES_YAML.replace("for: 10s", "for: 60s").replace("for: 20s", "for: 21s")
    new = Decider(shop(tmp_path, rules=rules))
    replay(Past(state={"decider": saved}, steps=tuple(events)), new)
    new.resume(40.0, same_boot=True, silent_for=38.0)
    assert new.outputs.leases.claims() == []
    assert new.next_deadline() == 40.0 + 21.0
    assert new.engine.states.value("door_back", "contact") == "open"


@pytest.mark.parametrize("offset", ['"soon"', "[]", "1e999"])
def test_a_snapshot_that_holds_nonsense_keeps_no_box_from_starting(
    tmp_path: Path, offset: str
) -> None:
    snapshot = ENCODER.snapshot(said(0, "site", "snapshot"), {"offset": 1.0})
    body = snapshot.body.replace(b'"offset":1.0', b'"offset":' + offset.encode())
    assert body != snapshot.body
    broken = Draft(id="a" * 32, kind=Kind.SNAPSHOT, priority=4, topic=None, body=body)
    past = kept(tmp_path, broken, ENCODER.event(said(9, "panic", "link.up")))
    assert past.steps == () or past.last is not None
