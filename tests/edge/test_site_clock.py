"""Hours, daily moments, steps of the wall clock and its trust."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.event import Event
from edge.clock import Clock
from edge.site_clock import SiteClock
from edge.speaker import Speaker
from rules.calendar import Calendar, Diary
from rules.model import Moment
from tests import virtual_time
from tests.edge.shop import said, shop

RULES = """
rules:
  close:
    when: {daily: "21:30"}
    do: [{sound: siren_back, for: 1s}]
  gap:
    when: {daily: "01:30"}
    do: [{sound: siren_back, for: 1s}]
"""


class Wall:
    """A site clock whose times a test sets."""

    def __init__(self, folder: Path, now: str, *, trusted: bool = True) -> None:
        configuration = shop(folder, rules=RULES)
        site = configuration.site
        self.now, self.seconds, self.trust = datetime.fromisoformat(now), 0.0, trusted
        self.clock = Clock(
            seconds=lambda: self.seconds,
            now=lambda: self.now,
            boot="b",
            follows_server=lambda: self.trust,
            battery=lambda: False,
        )
        self.events: list[Event] = []
        speaker = Speaker(self.clock, self.events.append)
        calendar = Calendar(zone=site.timezone, hours=site.hours, schedules=site.schedules)
        self.diary = Diary(calendar=calendar, moments=configuration.rules.moments)
        self.site_clock = SiteClock(self.clock, speaker, calendar, self.diary)

    def said(self) -> list[tuple[str, bool]]:
        found = [(e.kind, bool(e.fields.get("late"))) for e in self.events]
        self.events.clear()
        return found

    def passes(self, seconds: float) -> list[tuple[str, bool]]:
        """Let both times go on, then look."""
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds
        self.site_clock.look()
        return self.said()

    def steps(self, seconds: float) -> list[tuple[str, bool]]:
        """Set the wall clock, then look."""
        self.now += timedelta(seconds=seconds)
        self.site_clock.look()
        return self.said()


def begun(folder: Path, now: str, *, trusted: bool = True) -> Wall:
    wall = Wall(folder, now, trusted=trusted)
    wall.site_clock.begin()
    wall.events.clear()
    return wall


def test_it_begins_with_the_states_as_they_are(tmp_path: Path) -> None:
    wall = Wall(tmp_path, "2026-11-20T12:00:00+00:00")
    wall.site_clock.begin()
    assert [(e.kind, e.sets) for e in wall.events] == [("state.known", {"open": "yes"})]


def test_hours_and_moments_are_said_at_their_local_time(tmp_path: Path) -> None:
    wall = begun(tmp_path, "2027-07-01T19:59:59+00:00")  # 20:59:59 in London
    assert wall.passes(0.5) == []
    assert wall.passes(0.6) == [("closed", False)]
    assert wall.passes(1800) == [("daily", False)]


def test_a_step_back_repeats_nothing_and_is_said(tmp_path: Path) -> None:
    wall = begun(tmp_path, "2026-11-20T20:59:59+00:00")
    assert wall.passes(2) == [("closed", False)]
    assert wall.steps(-60) == [("clock.stepped", False), ("state.known", False)]
    assert wall.passes(120) == []


def test_what_a_step_jumps_over_is_late_and_beyond_15_minutes_missed(tmp_path: Path) -> None:
    wall = begun(tmp_path, "2026-11-20T20:55:00+00:00")
    assert wall.steps(40 * 60) == [
        ("clock.stepped", False),
        ("daily", True),
        ("state.known", False),
    ]


def test_an_hour_that_comes_twice_says_its_moment_once(tmp_path: Path) -> None:
    wall = begun(tmp_path, "2027-10-31T00:29:00+00:00")  # 01:29 summer time
    assert wall.passes(61) == [("daily", False)]
    assert wall.passes(3600) == []


def test_a_moment_in_the_lost_hour_is_said_at_the_end_of_it(tmp_path: Path) -> None:
    wall = begun(tmp_path, "2027-03-28T00:59:00+00:00")
    assert wall.passes(61) == [("daily", False)]


def test_an_untrusted_clock_says_no_moments_and_knows_no_hours(tmp_path: Path) -> None:
    wall = Wall(tmp_path, "2026-11-20T20:59:00+00:00", trusted=False)
    wall.site_clock.begin()
    assert [(e.kind, e.sets) for e in wall.events] == [
        ("clock.untrusted", {}),
        ("state.known", {"open": "unknown"}),
    ]
    wall.events.clear()
    assert wall.passes(120) == []
    wall.trust = True
    wall.site_clock.look()
    _corrected, event = wall.events
    assert (event.kind, event.sets, event.trusted) == ("clock.trusted", {"open": "no"}, True)
    wall.events.clear()
    wall.trust = False
    wall.site_clock.look()
    assert [(e.kind, e.sets) for e in wall.events] == [("clock.untrusted", {"open": "unknown"})]


def test_what_fell_into_a_short_restart_is_said_late(tmp_path: Path) -> None:
    before = begun(tmp_path, "2026-11-20T20:59:00+00:00")
    after = Wall(tmp_path, "2026-11-20T21:05:00+00:00")
    after.diary.restore(before.diary.save())
    after.site_clock.begin()
    assert after.said() == [("closed", True), ("state.known", False)]


@pytest.mark.parametrize("kind", ["closed", "hours.closed"])
def test_what_was_said_after_the_last_snapshot_is_not_said_again(tmp_path: Path, kind: str) -> None:
    before = begun(tmp_path, "2026-11-20T20:59:00+00:00")
    after = Wall(tmp_path, "2026-11-20T21:05:00+00:00")
    after.diary.restore(before.diary.save())
    at = datetime(2026, 11, 20, 21, 0, 0, 500, tzinfo=UTC)
    after.site_clock.replayed(said(0, "site", kind, at=at))
    after.site_clock.begin()
    assert after.said() == [("state.known", False)]


def test_a_new_moment_is_said_to_the_second_by_a_clock_that_was_asleep(tmp_path: Path) -> None:
    async def main() -> list[tuple[str, float]]:
        wall = begun(tmp_path, "2026-11-20T12:00:00+00:00")
        loop = asyncio.get_running_loop()
        noon, began = wall.now, loop.time()
        wall.clock.now = lambda: noon + timedelta(seconds=loop.time() - began)
        wall.clock.seconds = lambda: loop.time() - began
        running = asyncio.create_task(wall.site_clock.run())
        await asyncio.sleep(1.0)
        wall.events.clear()
        wall.site_clock.moments((Moment(key="lunch", at="12:00", offset=0.0),))
        wall.site_clock.moments((Moment(key="soon", at="opening", offset=3 * 3600 + 4.0),))
        await asyncio.sleep(9.0)
        running.cancel()
        return [(str(e.fields["moment"]), e.tick) for e in wall.events if e.kind == "daily"]

    assert [(moment, round(tick)) for moment, tick in virtual_time.run(main())] == [("soon", 4)]
