"""The true time of records, out of the corrections in their stream."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from buffer.journal import Journal
from edge.encode import Encoder
from edge.true_time import (
    MOST,
    SAVED,
    Correction,
    Corrections,
    correction_of,
    corrections_in,
    newest_corrections,
    said_by,
)
from tests.edge.shop import said

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BODY: dict[str, Any] = {
    "signal": "clock.corrected",
    "device": "site",
    "at": "2026-11-20T12:00:00.000000Z",
    "tick": 3600.0,
    "boot": "one",
    "data": {"since": 0.5, "seconds": -1.7e9, "reason": "a time server has set the clock"},
}


def wrong(since: float, tick: float, at: datetime = NOON, boot: str = "one") -> Correction:
    return Correction(boot=boot, since=since, tick=tick, at=at)


def test_a_record_of_the_wrong_time_is_corrected_by_its_tick() -> None:
    known = Corrections([wrong(10.0, 3610.0)])
    assert known.true_time("one", 10.0) == NOON - timedelta(hours=1)
    assert known.true_time("one", 3609.5) == NOON - timedelta(seconds=0.5)


def test_what_came_before_since_after_and_in_another_boot_stays_as_recorded() -> None:
    known = Corrections([wrong(10.0, 3610.0)])
    assert known.true_time("one", 9.999999) is None
    assert known.true_time("one", 3610.0) is None
    assert known.true_time("other", 100.0) is None
    assert Corrections().true_time("one", 100.0) is None


def test_of_several_the_latest_counts() -> None:
    known = Corrections([wrong(300.0, 400.0, NOON + 9 * MINUTE), wrong(100.0, 500.0)])
    assert known.true_time("one", 350.0) == NOON - timedelta(seconds=150)
    later = Corrections([wrong(100.0, 500.0), wrong(300.0, 600.0, NOON + 9 * MINUTE)])
    assert later.true_time("one", 299.0) == NOON - timedelta(seconds=201)
    assert later.true_time("one", 300.0) == NOON + 9 * MINUTE - timedelta(seconds=300)
    assert later.true_time("one", 599.0) == NOON + 9 * MINUTE - timedelta(seconds=1)
    assert later.true_time("one", 600.0) is None


def test_between_two_corrections_the_clock_was_right() -> None:
    known = Corrections([wrong(0.0, 10.0), wrong(20.0, 30.0)])
    assert known.true_time("one", 15.0) is None
    assert known.true_time("one", 25.0) == NOON - timedelta(seconds=5)


TICKS = st.integers(0, 20).map(float)


@settings(max_examples=100)
@given(st.lists(st.tuples(TICKS, TICKS), max_size=6), TICKS)
def test_the_latest_that_speaks_of_a_tick_counts(
    spans: list[tuple[float, float]], at: float
) -> None:
    found = {
        tick: wrong(since, tick, NOON + n * MINUTE)
        for n, (since, tick) in enumerate(spans)
        if since < tick
    }
    speaking = [c for c in found.values() if c.since <= at < c.tick]
    latest = max(speaking, key=lambda c: c.tick, default=None)
    expected = None if latest is None else latest.at + timedelta(seconds=at - latest.tick)
    assert Corrections(found.values()).true_time("one", at) == expected


def test_the_body_of_a_record_tells_one() -> None:
    known = Corrections()
    known.heard(BODY)
    known.heard(BODY | {"signal": "clock.stepped"})
    known.heard(BODY)
    assert len(known) == 1
    assert known.true_time("one", 3540.0) == datetime(2026, 11, 20, 11, 59, tzinfo=UTC)


def test_what_is_no_correction_is_not_one() -> None:
    strange: tuple[dict[str, Any], ...] = (
        {"signal": "clock.stepped"},
        {"device": "door_front"},
        {"at": "2026-11-20T12:00:00"},
        {"at": 5},
        {"tick": "soon"},
        {"tick": float("nan")},
        {"tick": 1e300},
        {"tick": 0.5},
        {"at": "0001-01-01T00:30:00Z"},
        {"boot": None},
        {"boot": ["one"]},
        {"data": {}},
        {"data": None},
    )
    assert [part for part in strange if correction_of(BODY | part) is not None] == []


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(BODY)), JSON))
def test_no_body_is_too_strange(strange: dict[str, Any]) -> None:
    found = correction_of(BODY | strange)
    if found is not None:
        assert Corrections([found]).true_time(found.boot, found.since) is not None


@settings(max_examples=100)
@given(st.lists(JSON, max_size=3))
def test_no_saved_value_is_too_strange(strange: list[Any]) -> None:
    try:
        Corrections.restored(strange)
    except (TypeError, ValueError):
        return


def test_it_is_saved_and_restored_through_json() -> None:
    known = Corrections([wrong(10.0, 3610.123456), wrong(0.0, 5.0, NOON + MINUTE, "two")])
    again = Corrections.restored(json.loads(json.dumps(known.save())))
    assert again.true_time("one", 3610.0) == known.true_time("one", 3610.0)
    assert again.true_time("two", 1.0) == NOON + timedelta(seconds=56)
    assert len(again) == 2


def test_many_are_bounded_and_the_newest_kept() -> None:
    known = Corrections(wrong(2.0 * n, 2.0 * n + 1) for n in range(MOST + 500))
    assert len(known) == MOST
    assert known.true_time("one", 0.5) is None
    assert known.true_time("one", 2.0 * (MOST + 499) + 0.5) == NOON - timedelta(seconds=0.5)
    assert len(known.save()) == SAVED
    assert known.save()[-1][2] == 2.0 * (MOST + 499) + 1


def test_a_journal_file_tells_all_also_those_that_only_a_snapshot_knows(tmp_path: Path) -> None:
    encoder = Encoder("storewarden", "shop", "")
    gone = Corrections([wrong(0.0, 5.0, boot="b" * 32)])
    with Journal.open(tmp_path / "journal.db") as journal:
        early = said(20, "door_back", "door.opened")
        corrected = said(30, "site", "clock.corrected", since=10.0, seconds=5.0, reason="x")
        state = {"clock": {"corrections": gone.save()}}
        snapshot = encoder.snapshot(said(8, "site", "snapshot"), state)
        journal.append([snapshot, encoder.event(early), encoder.event(corrected)])
        known = corrections_in(tmp_path / "journal.db")
        newest = newest_corrections(tmp_path / "journal.db")
    assert newest.save() == known.save()
    assert len(known) == 2
    assert known.true_time("b" * 32, 1.0) == NOON - timedelta(seconds=4)
    assert known.true_time("b" * 32, 20.0) == NOON + timedelta(seconds=20)
    found = said_by(corrected)
    assert found == Correction(
        boot="b" * 32, since=10.0, tick=30.0, at=NOON + timedelta(seconds=30)
    )
    assert said_by(early) is None


def test_the_newest_are_those_of_the_last_snapshot_and_since(tmp_path: Path) -> None:
    encoder = Encoder("storewarden", "shop", "")
    with Journal.open(tmp_path / "journal.db") as journal:
        first = said(30, "site", "clock.corrected", since=10.0, seconds=5.0, reason="x")
        second = said(60, "site", "clock.corrected", since=40.0, seconds=5.0, reason="x")
        snapshot = encoder.snapshot(said(50, "site", "snapshot"), {"clock": {"corrections": []}})
        journal.append([encoder.event(first), snapshot, encoder.event(second)])
        assert [c[2] for c in corrections_in(journal.path).save()] == [30.0, 60.0]
        assert [c[2] for c in newest_corrections(journal.path).save()] == [60.0]
