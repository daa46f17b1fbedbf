"""Hours, schedules and daily moments in local time, over every change of the clocks."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.calendar import Calendar, Diary, Schedule, instant
from rules.model import Moment

LONDON = ZoneInfo("Europe/London")
NINE_TO_NINE = Schedule(
    week=dict.fromkeys(range(6), ((540, 1260),)) | {6: ((600, 1080),)},
    holidays={date(2026, 12, 25): (), date(2026, 12, 24): ((540, 960),)},
)
SHOP = Calendar(
    zone="Europe/London",
    hours=NINE_TO_NINE,
    schedules={"delivery": Schedule(week={0: ((360, 480), (840, 900))})},
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("day", "minutes", "at"),
    [
        (date(2026, 11, 20), 570, utc(2026, 11, 20, 9, 30)),
        (date(2026, 7, 1), 570, utc(2026, 7, 1, 8, 30)),
        (date(2026, 3, 29), 90, utc(2026, 3, 29, 1, 0)),
        (date(2026, 3, 29), 60, utc(2026, 3, 29, 1, 0)),
        (date(2026, 3, 29), 120, utc(2026, 3, 29, 1, 0)),
        (date(2026, 3, 29), 121, utc(2026, 3, 29, 1, 1)),
        (date(2026, 10, 25), 90, utc(2026, 10, 25, 0, 30)),
        (date(2026, 10, 25), 120, utc(2026, 10, 25, 2, 0)),
        (date(2026, 11, 20), 1500, utc(2026, 11, 21, 1, 0)),
    ],
)
def test_a_local_time_is_one_instant(day: date, minutes: int, at: datetime) -> None:
    assert instant(day, minutes, LONDON) == at


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (utc(2026, 11, 20, 8, 59, 59), "no"),
        (utc(2026, 11, 20, 9), "yes"),
        (utc(2026, 11, 20, 20, 59, 59), "yes"),
        (utc(2026, 11, 20, 21), "no"),
        (utc(2026, 11, 22, 9), "no"),
        (utc(2026, 12, 25, 12), "no"),
        (utc(2026, 12, 24, 17), "no"),
    ],
)
def test_the_site_is_open_in_its_hours(at: datetime, value: str) -> None:
    assert SHOP.states(at)["open"] == value


def test_without_hours_nobody_knows_when_it_is_open() -> None:
    assert Calendar().states(utc(2026, 11, 20, 12)) == {}


def test_edges_come_in_order_with_the_states_they_set() -> None:
    due = SHOP.due(utc(2026, 11, 23), utc(2026, 11, 24))
    assert [(d.at.hour, d.kind, d.sets) for d in due] == [
        (6, "delivery.started", {"delivery": "yes"}),
        (8, "delivery.ended", {"delivery": "no"}),
        (9, "opened", {"open": "yes"}),
        (14, "delivery.started", {"delivery": "yes"}),
        (15, "delivery.ended", {"delivery": "no"}),
        (21, "closed", {"open": "no"}),
    ]


def test_a_window_takes_its_end_and_not_its_begin() -> None:
    nine = utc(2026, 11, 20, 9)
    assert [d.kind for d in SHOP.due(nine - timedelta(seconds=1), nine)] == ["opened"]
    assert SHOP.due(nine, nine + timedelta(hours=1)) == []


def test_a_night_belongs_to_the_day_on_which_it_began() -> None:
    night = Calendar(hours=Schedule(week={4: ((1320, 1800),)}))
    due = night.due(utc(2026, 11, 20), utc(2026, 11, 22))
    assert [(d.at, d.day, d.kind) for d in due] == [
        (utc(2026, 11, 20, 22), date(2026, 11, 20), "opened"),
        (utc(2026, 11, 21, 6), date(2026, 11, 20), "closed"),
    ]


def test_ranges_that_touch_are_one() -> None:
    always = Calendar(hours=Schedule(week=dict.fromkeys(range(7), ((0, 1440),))))
    assert always.due(utc(2026, 11, 20), utc(2026, 12, 20)) == []
    assert always.states(utc(2026, 11, 20))["open"] == "yes"
    assert always.next_due(utc(2026, 11, 20)) is None


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (Moment(key="k", at="21:30"), [utc(2026, 12, 24, 21, 30), utc(2026, 12, 25, 21, 30)]),
        (Moment(key="k", at="21:30", days=frozenset({3})), [utc(2026, 12, 24, 21, 30)]),
        (Moment(key="k", at="opening", offset=-900.0), [utc(2026, 12, 24, 8, 45)]),
        (Moment(key="k", at="closing", offset=1800.0), [utc(2026, 12, 24, 16, 30)]),
    ],
)
def test_daily_moments(moment: Moment, expected: list[datetime]) -> None:
    due = SHOP.due(utc(2026, 12, 24), utc(2026, 12, 26), [moment])
    assert [d.at for d in due if d.kind == "daily"] == expected


def test_the_next_moment_is_found_far_ahead() -> None:
    once = Calendar(hours=Schedule(holidays={date(2027, 6, 1): ((540, 600),)}))
    assert once.next_due(utc(2026, 11, 20)) == utc(2027, 6, 1, 9)


MOMENT = Moment(key="01:30", at="01:30")


def looked(diary: Diary, *at: datetime) -> list[tuple[str, bool]]:
    return [(d.day.isoformat(), late) for one in at for d, late in diary.look(one)[0]]


def test_a_day_with_a_doubled_hour_says_it_once() -> None:
    diary = Diary(calendar=Calendar(zone="Europe/London"), moments=(MOMENT,))
    times = [utc(2026, 10, 25) + timedelta(minutes=n) for n in range(240)]
    assert looked(diary, *times) == [("2026-10-25", False)]


def test_a_day_with_a_missing_hour_says_it_after_the_gap() -> None:
    diary = Diary(calendar=Calendar(zone="Europe/London"), moments=(MOMENT,))
    assert looked(diary, utc(2026, 3, 29, 0, 59, 59), utc(2026, 3, 29, 1)) == [
        ("2026-03-29", False)
    ]


def test_a_step_back_repeats_nothing() -> None:
    diary = Diary(calendar=Calendar(), moments=(MOMENT,))
    day = utc(2026, 11, 20)
    back = [day + timedelta(minutes=m) for m in (89, 90, 30, 89, 91)]
    assert looked(diary, *back) == [("2026-11-20", False)]


@pytest.mark.parametrize(
    ("minutes", "expected", "missed"),
    [(15, [("2026-11-20", True)], 0), (16, [], 1)],
)
def test_what_is_jumped_over_is_late_or_missed(
    minutes: int, expected: list[tuple[str, bool]], missed: int
) -> None:
    diary = Diary(calendar=Calendar(), moments=(MOMENT,))
    diary.look(utc(2026, 11, 20, 1, 29))
    due, gone = diary.look(utc(2026, 11, 20, 1, 30) + timedelta(minutes=minutes))
    assert [(d.day.isoformat(), late) for d, late in due] == expected
    assert len(gone) == missed


def test_a_diary_goes_on_from_what_was_saved_as_json() -> None:
    diary = Diary(calendar=Calendar(), moments=(MOMENT,))
    looked(diary, utc(2026, 11, 20, 1), utc(2026, 11, 20, 1, 30))
    again = Diary(calendar=Calendar(), moments=(MOMENT,))
    again.restore(json.loads(json.dumps(diary.save())))
    assert looked(again, utc(2026, 11, 20, 1), utc(2026, 11, 20, 2)) == []


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Tehran"]),
    st.dates(date(2015, 1, 1), date(2026, 12, 31)),
    st.integers(0, 1439),
)
def test_every_local_time_comes_once_a_day_and_never_before_its_clock(
    zone: str, day: date, minutes: int
) -> None:
    at = instant(day, minutes, ZoneInfo(zone))
    local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wanted = datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)
    wanted += timedelta(minutes=minutes)
    assert timedelta(0) <= local - wanted <= timedelta(hours=1)
    earlier = (at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert earlier < wanted


def test_a_yearly_date_is_open_over_the_hour_that_the_clocks_skip_and_repeat() -> None:
    nights = Schedule(yearly={(3, 28): ((30, 180),), (10, 31): ((30, 180),)})
    calendar = Calendar(zone="Europe/London", hours=nights)
    edges = [(due.at, due.kind) for due in calendar.due(utc(2027, 3, 1), utc(2027, 12, 1))]

    assert edges == [
        (utc(2027, 3, 28, 0, 30), "opened"),
        (utc(2027, 3, 28, 2), "closed"),
        (utc(2027, 10, 30, 23, 30), "opened"),
        (utc(2027, 10, 31, 3), "closed"),
    ]
