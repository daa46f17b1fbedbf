"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.times import moment

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 7, 10, 12, 30, tzinfo=UTC)
"""13:30 in London."""


def read(text: str) -> str:
    return moment(text, NOW, LONDON).isoformat()


def test_a_time_of_day_is_the_last_time_the_sites_clock_showed_it() -> None:
    assert read("13:03") == "2026-07-10T12:03:00+00:00"
    assert read("9:05:07") == "2026-07-10T08:05:07+00:00"
    assert read("13:30") == "2026-07-10T12:30:00+00:00"
    assert read("13:31") == "2026-07-09T12:31:00+00:00"


def test_a_duration_is_so_long_ago() -> None:
    assert read("2h") == "2026-07-10T10:30:00+00:00"
    assert read("90s") == "2026-07-10T12:28:30+00:00"


def test_an_iso_time_without_a_zone_is_the_sites() -> None:
    assert read("2026-01-05T09:00") == "2026-01-05T09:00:00+00:00"
    assert read("2026-07-05T09:00") == "2026-07-05T08:00:00+00:00"
    assert read("2026-07-05T09:00:00Z") == "2026-07-05T09:00:00+00:00"
    assert read("2026-07-05") == "2026-07-04T23:00:00+00:00"


@pytest.mark.parametrize("text", ["noon", "25:00", "17:60", "", "2026-13-01", "h"])
def test_what_is_no_time_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="write 17:03, 2026-11-22T17:03 or 2h for two hours ago"):
        read(text)


@settings(max_examples=60)
@given(st.text(st.sampled_from("0123456789:-+TZhms. "), max_size=20))
@example("0001-01-01T00:00")
@example("9999-12-31T23:59+00:00")
@example("99999999999d")
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        found = moment(text, NOW, LONDON)
    except ValueError:
        return
    assert found.tzinfo is UTC or found.utcoffset() is not None
