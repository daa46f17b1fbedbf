"""What is sent next, without a broker, a disk or a clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.lanes import HELD, Lanes, TokenBucket, spread
from buffer.marks import Spans
from buffer.record import LIFE_SAFETY, PRIORITIES, SECURITY, TELEMETRY, Kind, Record
from buffer.unsent import SPARSE, Span, Unsent


def record(sequence: int, priority: int) -> Record:
    return Record(
        sequence=sequence,
        id=str(sequence),
        kind=Kind.EVENT,
        priority=priority,
        topic="t",
        body=b"",
        link=b"",
        previous=None,
    )


def spans(records: list[Record]) -> Spans:
    unsent = [Unsent() for _ in PRIORITIES]
    for r in records:
        unsent[r.priority].add(r.sequence)
    return {p: tuple(u.spans) for p, u in enumerate(unsent) if u.spans}


def drain(lanes: Lanes, disk: list[Record]) -> list[tuple[int, bool]]:
    """Send all, reading from `disk` when asked; returns sequences and whether they were live."""
    sent: list[tuple[int, bool]] = []
    while lanes.waiting(live=True) + lanes.waiting(live=False):
        while (fetch := lanes.wanted()) is not None:
            found = [
                r
                for r in disk
                if r.priority == fetch.priority and fetch.first <= r.sequence <= fetch.last
            ]
            lanes.fetched(fetch, found[: fetch.limit])
        picked = lanes.urgent() or lanes.other(0.0)
        assert picked is not None
        sent.append((picked[0].sequence, picked[1]))
    return sent


def test_the_order_is_life_safety_then_live_then_backlog() -> None:
    backlog = [record(n + 1, p) for n, p in enumerate((4, 3, 2, 1, 0, 4))]
    live = [record(n + 11, p) for n, p in enumerate((4, 3, 2, 1, 0, 4))]
    lanes = Lanes(spans(backlog), 10, TokenBucket(None))
    for r in live:
        lanes.committed(r)
    assert drain(lanes, backlog + live) == [
        *((5, False), (15, True), (14, True), (13, True), (12, True), (11, True), (16, True)),
        *((4, False), (3, False), (2, False), (1, False), (6, False)),
    ]


def test_records_of_the_backlog_are_not_taken_twice() -> None:
    backlog = [record(1, SECURITY)]
    lanes = Lanes(spans(backlog), 1, TokenBucket(None))
    lanes.committed(backlog[0])
    assert drain(lanes, backlog) == [(1, False)]


def test_more_live_records_than_memory_holds_are_read_again_in_order() -> None:
    live = [record(n, TELEMETRY) for n in range(1, 3 * HELD)]
    lanes = Lanes({}, 0, TokenBucket(None))
    for r in live:
        lanes.committed(r)
    assert drain(lanes, live) == [(n, True) for n in range(1, 3 * HELD)]


def test_the_drain_rate_caps_the_backlog_below_life_safety_only() -> None:
    backlog = [record(n, TELEMETRY) for n in range(1, 101)]
    fires = [record(n, LIFE_SAFETY) for n in range(101, 201)]
    bucket = TokenBucket(10)
    bucket.ready(100.0)
    lanes = Lanes(spans(backlog + fires), 200, bucket)
    while (fetch := lanes.wanted()) is not None:
        lanes.fetched(fetch, fires if fetch.priority == LIFE_SAFETY else backlog)
    assert all(lanes.urgent() for _ in fires)
    sent = 0
    for tenth in range(51):
        while lanes.other(100.0 + tenth / 10):
            sent += 1
    assert sent == 51
    assert 0.0 < lanes.pause(105.0) < 0.11
    lanes.committed(record(201, TELEMETRY))
    assert lanes.other(105.0) == (record(201, TELEMETRY), True)


def test_a_lane_that_the_disk_does_not_give_holds_nobody_up() -> None:
    lanes = Lanes(spans([record(1, LIFE_SAFETY)]), 1, TokenBucket(None))
    lanes.committed(record(2, TELEMETRY))
    assert lanes.urgent() is None
    assert lanes.other(0.0) is None
    fetch = lanes.wanted()
    assert fetch is not None
    lanes.stalled(fetch)
    assert lanes.urgent() is None
    picked = lanes.other(0.0)
    assert picked is not None
    assert picked[0].sequence == 2


@given(
    st.lists(st.sampled_from(PRIORITIES), max_size=60),
    st.lists(st.sampled_from(PRIORITIES), max_size=60),
)
def test_everything_is_sent_once_and_in_order_within_its_lane(
    before: list[int], after: list[int]
) -> None:
    disk = [record(n + 1, p) for n, p in enumerate(before + after)]
    lanes = Lanes(spans(disk[: len(before)]), len(before), TokenBucket(None))
    for r in disk[len(before) :]:
        lanes.committed(r)
    sent = drain(lanes, disk)
    assert sorted(s for s, _ in sent) == [r.sequence for r in disk]
    for priority in PRIORITIES:
        for live in (True, False):
            lane = [s for s, was in sent if was is live and disk[s - 1].priority == priority]
            assert lane == sorted(lane)


def test_far_apart_records_of_one_priority_lie_in_different_spans() -> None:
    unsent = Unsent()
    for sequence in (1, 5, 6 + SPARSE, 7 + SPARSE):
        unsent.add(sequence)
    assert unsent.spans == [
        Span(first=1, last=5, count=2),
        Span(first=6 + SPARSE, last=7 + SPARSE, count=2),
    ]
    assert unsent.count == 4


def test_before_the_bucket_opens_only_a_few_go() -> None:
    bucket = TokenBucket(None)
    bucket.begin(100.0, wait=4.0, early=2)
    given = []
    for now in (100.0, 100.0, 100.0, 103.5, 104.0):
        given.append(bucket.ready(now))
        if not given[-1]:
            bucket.take()

    assert given == [0.0, 0.0, 4.0, 0.5, 0.0]


def test_without_a_wait_a_bucket_gives_as_ever() -> None:
    bucket = TokenBucket(10.0)
    bucket.begin(5.0, wait=0.0, early=20)

    assert bucket.ready(5.0) == 0.0
    bucket.take()
    assert bucket.ready(5.0) == pytest.approx(0.1)


def test_the_sites_of_a_region_are_spread_evenly_and_each_anew_every_time() -> None:
    sites = sorted(spread(f"store_{number:04}", 1) for number in range(500))

    assert all(0.0 <= place < 1.0 for place in sites)
    assert max(b - a for a, b in pairwise(sites)) < 0.03
    assert spread("store_0421", 1) == spread("store_0421", 1) != spread("store_0421", 2)


def test_what_was_not_taken_goes_back_to_its_place() -> None:
    lanes = Lanes({}, 0, TokenBucket(None))
    for sequence in range(1, 5):
        lanes.committed(record(sequence, SECURITY))
    first = [lanes.urgent() for _ in range(3)]
    for found in (first[1], first[0]):
        assert found is not None
        lanes.put_back(found[0], live=found[1])

    again = [lanes.urgent() for _ in range(3)]
    assert [found[0].sequence for found in again if found] == [1, 2, 4]
