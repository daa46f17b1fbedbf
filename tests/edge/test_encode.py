"""Records of events and CloudEvents of records, checked by the official library."""

from __future__ import annotations

import json
import string
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from buffer.journal import Journal
from buffer.record import Draft, Kind, Record
from drivers.commands import Goto
from drivers.event import Event
from drivers.priorities import Priority
from edge.dispatch import Given
from edge.encode import CONTENT_TYPE, Encoder, body_of, cloud_event, event_of, message_of, utc
from edge.true_time import Correction, Corrections
from tests.edge.shop import said

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
ENCODER = Encoder("storewarden", "shop", "abcdef012345")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), TEXT, st.floats(-1e9, 1e9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
WORD = st.text(string.ascii_lowercase, min_size=1, max_size=6)
EVENTS = st.builds(
    Event,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    device=WORD,
    kind=WORD,
    priority=st.sampled_from(Priority),
    tick=st.integers(0, 10**9).map(lambda n: n / 64),
    at=st.integers(0, 2**41).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    boot=st.text("0123456789abcdef", min_size=32, max_size=32),
    trusted=st.booleans(),
    fields=st.dictionaries(TEXT, VALUES, max_size=3),
    sets=st.dictionaries(WORD, WORD, max_size=3),
)


def kept(draft: Draft, previous: int | None = None) -> Record:
    return Record(
        sequence=7,
        id=draft.id,
        kind=draft.kind,
        priority=draft.priority,
        topic=draft.topic,
        body=draft.body,
        link=bytes(32),
        previous=previous,
    )


@settings(max_examples=60)
@given(EVENTS)
def test_an_event_comes_back_from_its_record_as_it_was(event: Event) -> None:
    assert event_of(kept(ENCODER.event(event))) == event


@settings(max_examples=60)
@given(EVENTS)
def test_the_official_library_reads_every_cloud_event(event: Event) -> None:
    message = message_of(kept(ENCODER.event(event)), "shop", replayed=False)
    found = JSONFormat().read(CloudEvent, message.payload)
    assert found.get_id() == event.id
    assert found.get_type() == f"storewarden.{event.kind}"
    assert found.get_time() == event.at
    data: Any = found.get_data()
    assert data == event.fields


def test_the_attributes_are_those_of_the_contract() -> None:
    event = said(12.5, "eas_front", "eas.alarm", aisle=1, direction="out")
    record = kept(ENCODER.event(event), previous=3)
    assert cloud_event(record, "shop", replayed=True) == {
        "specversion": "1.0",
        "id": event.id,
        "source": "/site/shop/device/eas_front",
        "type": "storewarden.eas.alarm",
        "time": "2026-11-20T12:00:12.500000Z",
        "subject": "eas_front",
        "datacontenttype": "application/json",
        "sequence": "7",
        "previous": "3",
        "priority": "security",
        "bootid": "b" * 32,
        "tick": "12.500000",
        "clock": "trusted",
        "config": "abcdef012345",
        "replayed": True,
        "data": {"aisle": 1, "direction": "out"},
    }
    message = message_of(record, "shop", replayed=False)
    assert message.topic == "storewarden/shop/event/eas_front/eas.alarm"
    assert message.content_type == CONTENT_TYPE == "application/cloudevents+json"
    assert json.loads(message.payload)["replayed"] is False


def test_a_corrected_time_stands_beside_the_one_that_was_recorded() -> None:
    event = said(12.5, "eas_front", "eas.alarm", aisle=1)
    record = kept(ENCODER.event(event))
    truth = datetime(2026, 11, 22, 8, tzinfo=UTC)
    wrong = Correction(boot=event.boot, since=0.0, tick=3612.5, at=truth + timedelta(hours=1))
    known = Corrections([wrong])
    found = cloud_event(record, "shop", replayed=True, corrections=known)
    plain = cloud_event(record, "shop", replayed=True)
    assert found == plain | {
        "time": "2026-11-22T08:00:00.000000Z",
        "recordedtime": "2026-11-20T12:00:12.500000Z",
    }
    message = message_of(record, "shop", replayed=True, corrections=known)
    read = JSONFormat().read(CloudEvent, message.payload)
    assert read.get_time() == truth
    assert read.get_extension("recordedtime") == "2026-11-20T12:00:12.500000Z"


def test_the_first_of_a_priority_has_no_previous() -> None:
    assert "previous" not in cloud_event(
        kept(ENCODER.event(said(0, "d", "x"))), "s", replayed=False
    )


def test_edges_and_snapshots_stay_on_the_box() -> None:
    edge = ENCODER.event(said(0, "annex", "input.edge", line="di0"))
    assert (edge.kind, edge.topic) == (Kind.EDGE, None)
    snapshot = ENCODER.snapshot(said(0, "site", "snapshot"), {"a": 1})
    assert (snapshot.kind, snapshot.topic) == (Kind.SNAPSHOT, None)


def test_old_snapshots_go_before_what_the_broker_does_not_have(tmp_path: Path) -> None:
    """A thousand rules make 190 kB a minute: 512 MB would be full in two days."""
    with Journal.open(tmp_path / "j.db", max_size=4 << 20) as journal:
        for minute in range(400):
            opened = ENCODER.event(said(minute * 60, "door_back", "door.opened"))
            state = {"saved": token_hex(15_000)}
            snapshot = ENCODER.snapshot(said(minute * 60 + 1, "site", "snapshot"), state)
            journal.append([opened, snapshot])
        kinds = Counter(record.kind for record in journal.since(1))
        last = journal.latest(Kind.SNAPSHOT)
    assert kinds[Kind.EVENT] == 400
    assert kinds[Kind.SNAPSHOT] < 200
    assert last is not None
    assert body_of(last).tick == 399 * 60 + 1


def test_outcomes_and_orders_stand_under_their_device_and_decisions_under_site() -> None:
    cause = said(1, "eas_front", "eas.alarm")
    given_ = Given(
        device="cam_exit",
        command=Goto(preset="gate"),
        by="rule",
        priority=Priority.security,
        rule="gate_alarm",
    )
    order = ENCODER.order(cause, given_)
    assert (order.kind, order.topic) == (
        Kind.ORDER,
        "storewarden/shop/event/cam_exit/order.given",
    )
    assert body_of(kept(order)).data == {
        "command": "goto",
        "by": "rule",
        "cause": cause.id,
        "preset": "gate",
        "rule": "gate_alarm",
    }
    decision = ENCODER.decision(cause, "rule.fired", {"rule": "r"}, Priority.security)
    assert (decision.kind, decision.topic) == (
        Kind.DECISION,
        "storewarden/shop/event/site/rule.fired",
    )
    assert decision.priority == 2
    assert ENCODER.event(said(2, "cam_exit", "order.done")).kind is Kind.OUTCOME


def test_half_a_character_or_a_huge_number_stops_nothing() -> None:
    event = said(0, "door", "x", reason="a\ud800b", size=2**70, more=[{"k": "\udfff"}])
    data = body_of(kept(ENCODER.event(event))).data
    assert data == {"reason": "a?b", "size": str(2**70), "more": [{"k": "?"}]}


def test_times_are_utc_with_microseconds() -> None:
    at = datetime.fromisoformat("2026-07-01T13:00:00.5+01:00")
    assert utc(at) == "2026-07-01T12:00:00.500000Z"
