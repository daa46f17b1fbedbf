"""What a recorder knows of its segments, and how a clip is written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wire import segments
from drivers.wire.clips import write_clip
from drivers.wire.segments import Entry, Ring, Segment, Stretch


def ring_of(*ends: tuple[float, float, float], begins: float = 0.0) -> tuple[Ring, Stretch]:
    """Return a ring of (first, last, heard at)."""
    ring, stretch = Ring(), Stretch(begins=begins)
    for n, (first, last, now) in enumerate(ends):
        found = Entry(name=f"{n}.ts", first=first, last=last)
        ring.add(found, stretch, Path("/x"), now, datetime(2026, 11, 20, tzinfo=UTC))
    return ring, stretch


def test_the_least_delayed_segment_tells_the_time_of_all() -> None:
    ring, _ = ring_of((0, 2, 104.9), (2, 4, 105.0), (4, 6, 107.2))
    assert [(s.start, s.end) for s in ring.segments] == [(101, 103), (103, 105), (105, 107)]


def test_the_first_segment_begins_where_the_stream_was_made_to_begin() -> None:
    ring, _ = ring_of((0, 502, 102), begins=500.0)
    assert (ring.segments[0].start, ring.segments[0].end) == (100, 102)


def test_a_span_takes_every_segment_it_touches_and_no_other() -> None:
    ring, _ = ring_of((0, 2, 2), (2, 4, 4), (4, 6, 6), (6, 8, 8))
    assert [s.path.name for s in ring.between(2, 4.1)] == ["1.ts", "2.ts"]
    assert [s.path.name for s in ring.between(1.9, 4)] == ["0.ts", "1.ts"]
    assert (ring.reaches(8), ring.reaches(8.1), Ring().reaches(0)) == (True, False, False)
    assert [p.name for p in ring.drop_before(4.0)] == ["0.ts"]
    assert [s.path.name for s in ring.segments] == ["1.ts", "2.ts", "3.ts"]


def test_what_is_missing_is_said_in_seconds() -> None:
    ring, _ = ring_of((0, 2, 12), (2, 4, 14))
    other, _ = ring_of((0, 3, 20))
    kept: list[Segment] = [*ring.segments, *other.segments]
    assert segments.missing([], 0, 9) == "no video of that time"
    assert segments.missing(kept[:2], 10.4, 14) == ""
    assert segments.missing(kept[:2], 9.6, 14) == ""
    assert segments.missing(kept, 9, 21) == (
        "the first 1.0 s are missing, 3.0 s within are missing, the last 1.0 s are missing"
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9./-]{0,9}\.ts,-?[0-9.]{0,9},[0-9.]{0,9}"))
def test_a_line_is_an_entry_with_a_plain_name_or_none(line: str) -> None:
    found = segments.entry(line)
    if found is not None:
        assert "/" not in found.name
        assert 0 <= found.first <= found.last


def test_a_line_of_the_list_is_read() -> None:
    assert segments.entry("a1b2-000007.ts,1006.933333,1007.933333\n") == Entry(
        name="a1b2-000007.ts", first=1006.933333, last=1007.933333
    )
    assert segments.entry("progress=continue\n") is None


def test_a_clip_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_clip(tmp_path / "a.ts", [tmp_path / "none.ts"], "{}")
    assert list(tmp_path.iterdir()) == []
