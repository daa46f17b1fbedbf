"""What a Sparkplug host gets, byte by byte and in order."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drivers.event import SITE, Event
from drivers.priorities import Priority
from edge.sparkplug import payload
from edge.sparkplug.node import Node, Told
from edge.sparkplug.payload import REBIRTH, Metric, asks_for_rebirth, encode

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MS = 1795176000000


def read(raw: bytes) -> dict[str, Any]:
    found = payload._payload().FromString(raw)
    metrics: dict[str, Any] = {}
    for one in found.metrics:
        value = one.string_value if one.datatype == 12 else one.long_value or one.boolean_value
        metrics[one.name] = (None if one.is_null else value, one.is_historical)
    seq = found.seq if found.HasField("seq") else None
    return {"seq": seq, "at": found.timestamp, "metrics": metrics}


def node(states: Mapping[str, Mapping[str, str]]) -> Node:
    def of(device: str) -> dict[str, tuple[str, float]]:
        return {name: (value, 0.0) for name, value in states.get(device, {}).items()}

    return Node("retail", "store_0421", "1.0", ("door_front", "siren"), of, lambda: AT)


def event(device: str, kind: str, sets: dict[str, str] | None = None) -> Event:
    return Event(
        id="1" * 32,
        device=device,
        kind=kind,
        priority=Priority.operations,
        tick=1.0,
        at=AT,
        boot="b" * 32,
        trusted=True,
        fields={"why": "tür"},
        sets=sets or {},
    )


def topics(told: list[Told]) -> list[str]:
    return [topic for topic, _ in told]


def test_a_payload_has_the_bytes_that_the_specification_gives() -> None:
    metrics = [
        Metric(name="bdSeq", value=3, at=5),
        Metric(name="x", value=None, at=6, historical=True),
    ]
    made = encode(metrics, at=1000, seq=7)
    assert made.hex() == (
        "08e807120d 0a056264536571 1805 2008 5803120b 0a0178 1806 200c 2801 38011807"
    ).replace(" ", "")


def test_a_connection_begins_with_the_node_and_every_device_that_has_a_link() -> None:
    one = node(
        {
            SITE: {"mode": "normal"},
            "door_front": {"link": "up", "contact": "unknown"},
            "siren": {"link": "unknown"},
        }
    )
    told = one.births(4)
    assert topics(told) == [
        "spBv1.0/retail/NBIRTH/store_0421",
        "spBv1.0/retail/DBIRTH/store_0421/door_front",
    ]
    first, second = (read(raw) for _, raw in told)
    assert first["seq"] == 0
    assert first["at"] == MS
    assert first["metrics"] == {
        "bdSeq": (4, False),
        REBIRTH: (False, False),
        "Properties/Software": ("Storewarden 1.0", False),
        "event": (None, False),
        "mode": ("normal", False),
    }
    assert second["seq"] == 1
    assert second["metrics"] == {
        "event": (None, False),
        "link": ("up", False),
        "contact": (None, False),
    }


def test_the_will_counts_the_births_of_its_connection_and_has_no_place_in_the_order() -> None:
    topic, raw = node({}).death(260)
    assert topic == "spBv1.0/retail/NDEATH/store_0421"
    assert read(raw) == {"seq": None, "at": 0, "metrics": {"bdSeq": (4, False)}}


def test_what_a_device_says_is_data_with_the_states_it_sets() -> None:
    one = node({"door_front": {"link": "up", "contact": "open"}})
    one.births(0)
    told = one.said(event("door_front", "door.opened", {"contact": "open"}), historical=False)
    assert topics(told) == ["spBv1.0/retail/DDATA/store_0421/door_front"]
    found = read(told[0][1])
    assert found["seq"] == 2
    said = '{"signal": "door.opened", "id": "' + "1" * 32 + '", "data": {"why": "tür"}}'
    assert found["metrics"] == {"contact": ("open", False), "event": (said, False)}


def test_what_comes_late_is_marked_so() -> None:
    one = node({"door_front": {"link": "up"}})
    one.births(0)
    told = one.said(event("door_front", "door.opened", {"contact": "open"}), historical=True)
    assert [late for _, late in read(told[0][1])["metrics"].values()] == [True, True]


def test_a_lost_link_is_a_death_and_its_return_a_birth() -> None:
    states = {"door_front": {"link": "up"}}
    one = node(states)
    one.births(0)
    lost = one.said(event("door_front", "link.down", {"link": "down"}), historical=False)
    assert topics(lost) == [
        "spBv1.0/retail/DDATA/store_0421/door_front",
        "spBv1.0/retail/DDEATH/store_0421/door_front",
    ]
    assert one.said(event("door_front", "order.failed"), historical=False) == []
    back = one.said(event("door_front", "link.up", {"link": "up"}), historical=False)
    assert topics(back) == [
        "spBv1.0/retail/DBIRTH/store_0421/door_front",
        "spBv1.0/retail/DDATA/store_0421/door_front",
    ]
    assert [read(raw)["seq"] for _, raw in lost + back] == [2, 3, 4, 5]


def test_what_the_site_says_is_data_of_the_node() -> None:
    one = node({})
    one.births(0)
    told = one.said(event(SITE, "rule.fired"), historical=False)
    assert topics(told) == ["spBv1.0/retail/NDATA/store_0421"]


def test_after_255_comes_0_and_births_begin_again_at_0() -> None:
    one = node({})
    one.births(0)
    seqs = [read(one.said(event(SITE, "daily"), historical=False)[0][1])["seq"] for _ in range(256)]
    assert seqs[253:] == [254, 255, 0]
    assert read(one.births(1)[0][1])["seq"] == 0


def test_only_a_rebirth_is_heard() -> None:
    assert asks_for_rebirth(encode([Metric(name=REBIRTH, value=True, at=1)], at=1))
    assert not asks_for_rebirth(encode([Metric(name=REBIRTH, value=False, at=1)], at=1))
    assert not asks_for_rebirth(encode([Metric(name="siren/output", value=True, at=1)], at=1))


@given(st.binary(max_size=80))
def test_rubbish_asks_for_nothing_and_hurts_nobody(raw: bytes) -> None:
    assert asks_for_rebirth(raw) in (True, False)
