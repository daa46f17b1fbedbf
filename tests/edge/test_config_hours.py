"""Opening hours and schedules mean what their words say."""

from datetime import date, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.config.hours import schedule
from rules import yaml_source as ys
from rules.calendar import Schedule
from rules.convert import Context
from rules.problems import Problems


def read(text: str) -> tuple[Schedule, list[str]]:
    problems = Problems()
    node = ys.read_text(text, "site.yaml", problems)
    assert node is not None
    found = schedule(node, Context(problems=problems))
    return found, [f"{p.mark.column}: {p.message}" for p in problems.all]


def test_days_ranges_and_lists_of_ranges() -> None:
    found, said = read('{mon-wed: "09:00-21:00", "thu,sat": ["06:00-08:00", "14:00-15:00"]}')

    assert said == []
    assert found.week == {
        0: ((540, 1260),),
        1: ((540, 1260),),
        2: ((540, 1260),),
        3: ((360, 480), (840, 900)),
        5: ((360, 480), (840, 900)),
    }


def test_a_range_of_days_may_pass_the_end_of_the_week() -> None:
    found, said = read('{sat-mon: "10:00-18:00"}')

    assert said == []
    assert sorted(found.week) == [0, 5, 6]


def test_an_end_at_or_before_the_start_is_on_the_next_day() -> None:
    found, _said = read('{fri: "22:00-06:00", sat: "08:00-08:00", sun: "00:00-24:00"}')

    assert found.week == {4: ((1320, 1800),), 5: ((480, 1920),), 6: ((0, 1440),)}


def test_holidays_differ_and_closed_has_no_hours() -> None:
    found, said = read('{mon: closed, holidays: {2026-12-25: closed, 2026-12-24: "09:00-14:00"}}')

    assert said == []
    assert found.week == {0: ()}
    assert found.holidays == {date(2026, 12, 25): (), date(2026, 12, 24): ((540, 840),)}


def test_ranges_that_overlap_are_refused() -> None:
    _found, said = read('{mon: ["09:00-12:00", "11:00-13:00"]}')

    assert said == ["23: '11:00-13:00' overlaps another range"]


def test_a_day_is_given_once() -> None:
    _found, said = read('{mon-fri: "09:00-12:00", wed: closed}')

    assert said == ["26: wed is given twice"]


def test_ranges_that_touch_are_not_overlapping() -> None:
    found, said = read('{mon: ["12:00-13:00", "09:00-12:00"]}')

    assert said == []
    assert found.week == {0: ((540, 720), (720, 780))}


def test_dates_ranges_of_dates_and_dates_of_every_year() -> None:
    found, said = read(
        """{mon: "09:00-17:00", holidays: {
        12-25: closed, 12-30..01-02: "10:00-12:00",
        2026-12-24..2026-12-26: "08:00-23:00", 2026-12-25: closed, 2027-12-25: "11:00-12:00"}}"""
    )

    assert said == []
    assert [found.ranges(date(2026, 12, day)) for day in (23, 24, 25, 26)] == [
        (),
        ((480, 1380),),
        (),
        ((480, 1380),),
    ]
    assert found.ranges(date(2027, 12, 25)) == ((660, 720),)
    assert found.ranges(date(2028, 12, 25)) == ()
    assert [found.ranges(date(2027, 12, 29)), found.ranges(date(2027, 12, 30))] == [
        (),
        ((600, 720),),
    ]
    assert [found.ranges(date(2028, 1, 2)), found.ranges(date(2028, 1, 3))] == [
        ((600, 720),),
        ((540, 1020),),
    ]


def test_a_leap_day_of_every_year_comes_in_leap_years() -> None:
    found, said = read('{mon-sun: "09:00-17:00", holidays: {02-29: closed}}')

    assert said == []
    assert found.ranges(date(2028, 2, 29)) == ()
    assert found.ranges(date(2027, 3, 1)) == ((540, 1020),)


DATES = st.dates(date(2020, 1, 1), date(2040, 12, 31))


@settings(max_examples=60, deadline=None)
@given(first=DATES, days=st.integers(0, 365), other=DATES, yearly=st.booleans())
@example(first=date(2026, 12, 24), days=9, other=date(2026, 12, 31), yearly=True)
@example(first=date(2028, 2, 28), days=2, other=date(2028, 2, 29), yearly=True)
def test_a_day_is_a_holiday_just_when_it_is_in_the_range(
    first: date, days: int, other: date, yearly: bool
) -> None:
    last = first + timedelta(days=days)
    words = [f"{d:%m-%d}" if yearly else d.isoformat() for d in (first, last)]
    found, said = read(f'{{mon-sun: closed, holidays: {{"{"..".join(words)}": "09:00-17:00"}}}}')

    assert said == []
    within = first <= other <= last
    if yearly:
        start, end, day = words[0], words[1], f"{other:%m-%d}"
        within = start <= day <= end if start <= end else day >= start or day <= end
    assert found.ranges(other) == (((540, 1020),) if within else ())


@settings(max_examples=60, deadline=None)
@given(st.text("0123456789-.mondays,: ", max_size=24))
def test_any_word_in_the_place_of_a_date_is_taken_or_refused(word: str) -> None:
    _found, said = read(f'{{holidays: {{"{word}": closed}}}}')

    assert all(message.split(": ", 1)[0].isdecimal() for message in said)
