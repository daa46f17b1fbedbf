"""Where the wall clock was set, and which of two times was wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from edge.wall import MOST, Found, Wall

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
YEARS = 10 * 365 * 86_400.0
TO_1970 = -(NOON - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


class Watched:
    """A wall that is looked at; its clock stands so many seconds beside the truth."""

    def __init__(self, battery: float | None = None) -> None:
        self.tick = 0.0
        shown = None if battery is None else NOON + timedelta(seconds=battery)
        self.wall = Wall(0.0, shown)

    def at(self, beside: float) -> datetime:
        return NOON + timedelta(seconds=self.tick + beside)

    def after(
        self, seconds: float, beside: float = 0.0, *, trusted: bool = True, server: bool = False
    ) -> Found:
        self.tick += seconds
        return self.wall.look(self.tick, self.at(beside), trusted=trusted, server=server)

    def wrong(
        self, seconds: float, beside: float = 0.0, *, trusted: bool = True, server: bool = False
    ) -> tuple[float, float] | None:
        """Look, and return since when and by how much the clock was wrong."""
        found = self.after(seconds, beside, trusted=trusted, server=server).wrong
        return None if found is None else (found.since, found.seconds)


def test_a_clock_that_goes_on_is_never_wrong() -> None:
    seen = Watched()
    for _ in range(1000):
        assert seen.after(15.0) == Found()


def test_a_step_is_found_with_both_times() -> None:
    seen = Watched()
    seen.after(0.0)
    found = seen.after(15.0, 3600.0)
    assert found == Found(step=3600.0, before=NOON + timedelta(seconds=15))


def test_slewing_and_a_clock_that_runs_wrong_are_no_steps() -> None:
    seen = Watched()
    seen.after(0.0)
    assert seen.after(15.0, 1.9).step == 0.0
    assert seen.after(15.0, 3.8).step == 0.0
    assert seen.after(86_400.0, 14.0).step == 0.0
    assert seen.after(15.0, 18.0).step == 4.0


def test_what_was_never_set_is_wrong_from_the_beginning_once_it_is_set() -> None:
    seen = Watched()
    assert seen.wrong(1.0, TO_1970, trusted=False) is None
    assert seen.wrong(3600.0, TO_1970, trusted=False) is None
    assert seen.wrong(10.0, trusted=True, server=True) == (0.0, TO_1970)
    assert seen.wrong(10.0, trusted=True, server=True) is None


def test_a_clock_that_is_set_before_it_is_trusted_is_wrong_until_it_is() -> None:
    seen = Watched()
    seen.after(1.0, TO_1970, trusted=False)
    assert seen.wrong(10.0, trusted=False) is None
    assert seen.wrong(10.0, trusted=True, server=True) == (0.0, 0.0)


def test_what_lost_its_trust_is_corrected_since_then() -> None:
    seen = Watched()
    seen.after(100.0, server=True)
    seen.after(100.0, trusted=False)
    assert seen.wrong(100.0, server=True) == (100.000001, 0.0)


def test_ten_years_forward_and_back_again_were_wrong() -> None:
    seen = Watched()
    seen.after(10.0)
    assert seen.wrong(10.0, YEARS) is None
    assert seen.wrong(3600.0, YEARS) is None
    assert seen.wrong(10.0) == (10.000001, YEARS)
    assert seen.after(15.0) == Found()


def test_forward_and_back_in_two_steps_was_wrong_since_the_first() -> None:
    seen = Watched()
    seen.after(10.0)
    seen.after(10.0, YEARS)
    seen.after(10.0, 2 * YEARS)
    assert seen.wrong(10.0) == (10.000001, 2 * YEARS)


def test_back_to_another_time_than_before_tells_nothing() -> None:
    seen = Watched()
    seen.after(10.0)
    seen.after(10.0, YEARS)
    assert seen.wrong(10.0, 60.0) is None
    assert seen.wrong(86_400.0, 60.0) is None


def test_a_small_step_forth_is_not_back_where_it_was() -> None:
    seen = Watched()
    seen.after(10.0)
    assert seen.wrong(10.0, 3.0) is None
    assert seen.wrong(10.0, 0.0) == (10.000001, 3.0)


def test_ten_years_back_and_forward_again_were_wrong() -> None:
    seen = Watched()
    seen.after(10.0)
    assert seen.wrong(10.0, -YEARS, trusted=False) is None
    assert seen.wrong(10.0) == (10.000001, -YEARS)


def test_a_time_server_stands_above_a_clock_that_none_has_confirmed() -> None:
    seen = Watched()
    seen.after(10.0, 600.0)
    assert seen.wrong(10.0, server=True) == (0.0, 600.0)


def test_a_time_server_that_comes_after_the_step_confirms_it() -> None:
    seen = Watched()
    seen.after(10.0, 600.0)
    assert seen.wrong(10.0) is None
    assert seen.wrong(10.0, server=True) == (0.0, 600.0)


def test_of_two_times_of_a_time_server_nobody_knows_which_is_wrong() -> None:
    seen = Watched()
    seen.after(10.0, server=True)
    assert seen.wrong(10.0, YEARS, server=True) is None
    assert seen.wrong(15.0, YEARS, server=True) is None


def test_a_time_server_that_goes_mad_and_comes_back_was_wrong() -> None:
    seen = Watched()
    seen.after(10.0, server=True)
    seen.after(10.0, YEARS, server=True)
    assert seen.wrong(10.0, server=True) == (10.000001, YEARS)


def test_what_a_server_confirmed_is_not_wrong_because_somebody_sets_the_clock() -> None:
    seen = Watched(battery=YEARS)
    seen.after(10.0, server=True)
    assert seen.wrong(10.0, YEARS) is None


def test_the_battery_clock_tells_which_was_wrong() -> None:
    seen = Watched(battery=20.0)
    seen.after(10.0, YEARS)
    assert seen.wrong(10.0) == (0.0, YEARS)


def test_the_battery_clock_does_not_make_a_right_time_wrong() -> None:
    seen = Watched(battery=20.0)
    seen.after(10.0)
    assert seen.wrong(10.0, YEARS) is None
    seen = Watched(battery=100.0)
    seen.after(10.0)
    assert seen.wrong(10.0, 30.0) is None


def test_a_time_that_the_battery_clock_hardly_denies_may_have_been_right() -> None:
    seen = Watched(battery=0.0)
    seen.after(10.0, 150.0)
    assert seen.wrong(10.0) is None


def test_a_restart_goes_on_where_it_was() -> None:
    seen = Watched()
    seen.after(10.0)
    seen.after(10.0, YEARS)
    saved = json.loads(json.dumps(seen.wall.save()))
    seen.wall = Wall(seen.tick + 30.0)
    seen.wall.restore(saved)
    assert seen.wrong(60.0) == (10.000001, YEARS)


def test_a_restart_before_the_first_look_knows_where_the_boot_began() -> None:
    saved = Wall(5.0).save()
    seen = Watched()
    seen.wall = Wall(500.0)
    seen.wall.restore(saved)
    seen.after(600.0, TO_1970, trusted=False)
    assert seen.wrong(1.0) == (5.0, TO_1970)


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"began": 0.0},
        {"began": "x", "courses": []},
        {"began": 0.0, "courses": [[1, 2]]},
        {"began": 0.0, "courses": [[0, 0, "noon", True, True]]},
        {"began": 0.0, "courses": [[0, 0, "2026-11-20T12:00:00", True, True]]},
    ],
)
def test_what_was_not_saved_here_is_refused_whole(saved: dict[str, object]) -> None:
    wall = Wall(5.0)
    with pytest.raises((KeyError, TypeError, ValueError)):
        wall.restore(saved)
    assert wall.save() == {"began": 5.0, "courses": []}


def test_a_correction_of_before_a_restart_is_not_made_again() -> None:
    seen = Watched()
    seen.wall.see(1.0, seen.at(TO_1970 + 1), trusted=False)
    seen.wall.see(100.0, seen.at(100), trusted=True)
    seen.wall.corrected(0.0)
    assert seen.wrong(110.0) is None


def test_a_correction_that_was_cut_off_is_made_after_the_restart() -> None:
    seen = Watched()
    seen.wall.see(1.0, seen.at(TO_1970 + 1), trusted=False)
    seen.wall.see(100.0, seen.at(100), trusted=True)
    assert seen.wrong(110.0) == (0.0, TO_1970)


def test_a_record_that_was_overtaken_is_no_step() -> None:
    seen = Watched()
    seen.wall.see(100.0, seen.at(100), trusted=True)
    assert seen.wall.see(99.0, seen.at(3000), trusted=True) == (0.0, None)
    assert seen.after(110.0) == Found()


def test_a_stamp_sees_a_step_and_nothing_else() -> None:
    seen = Watched()
    assert not seen.wall.parted(0.0, seen.at(YEARS))
    seen.after(0.0)
    assert not seen.wall.parted(10.0, seen.at(10))
    assert seen.wall.parted(10.1, seen.at(10.1 + 2.1))
    assert seen.wall.parted(10.1, seen.at(10.1 - 2.1))
    assert not seen.wall.parted(10.2, seen.at(10.2 + 1.9))


def test_what_is_kept_of_a_clock_gone_wild_is_bounded() -> None:
    seen = Watched()
    seen.after(10.0)
    for number in range(1, 100):
        seen.after(10.0, number * 1000.0, trusted=False)
    assert len(seen.wall.save()["courses"]) == MOST
    assert seen.wrong(10.0) == (10.000001, 99_000.0)
