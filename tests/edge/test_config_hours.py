"""Opening hours and schedules mean what their words say."""

from datetime import date

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
