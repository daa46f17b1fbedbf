"""The site's mode: the hours say it, people and rules set it for a time, and it ends by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.commands import SetMode
from drivers.event import Event
from drivers.settings import Seconds
from rules.modes import BUILT_IN, REQUESTED, Modes, ModeSignal, spelt
from tests.rules.building import said
from tests.rules.worlds import SHOP

HOUR = 3600.0
EVENING = 9 * HOUR
"""Closing time, as a tick: it begins at noon."""


class Site:
    """A site from a Friday noon on, open until 21:00; shows what it says as words."""

    def __init__(self) -> None:
        self.modes = Modes(BUILT_IN, SHOP.calendar)
        self.clock(0, "state.known", {"open": "yes"})

    def clock(self, tick: float, kind: str, sets: dict[str, str]) -> tuple[Event, list[str]]:
        """Say something as the clock does; return it as it was amended, and what followed."""
        before = self.until(tick)
        event = self.modes.amended(said(tick, "site", kind, sets=sets))
        return event, [*before, *shown(self.modes.feed(event))]

    def closes(self, tick: float = EVENING) -> tuple[str, list[str]]:
        event, after = self.clock(tick, "closed", {"open": "no"})
        return event.kind, after

    def asked(self, tick: float, action: str, **fields: Any) -> list[str] | str:
        before = self.until(tick)
        given = {"by": "Ann", "reason": "r", **fields}
        found = self.modes.requested(said(tick, "site", REQUESTED, action=action, **given))
        return found if isinstance(found, str) else [*before, *shown(found)]

    def sets(self, tick: float, mode: str, **fields: Any) -> list[str] | str:
        return self.asked(tick, "set", mode=mode, **fields)

    def ordered(self, tick: float, mode: str, lasts: float | None = None) -> list[str]:
        duration = None if lasts is None else Seconds(lasts)
        command = SetMode(name=mode, duration=duration)
        return shown(self.modes.ordered(command, "night", tick, said(tick, "site", "time")))

    def until(self, tick: float) -> list[str]:
        return shown(self.modes.advance(tick, said(tick, "site", "time")))


def shown(signals: list[ModeSignal]) -> list[str]:
    """Return `mode.changed stock_take by Ann until 14:00, open=no`."""
    found = []
    for one in signals:
        words = [one.kind, str(one.fields.get("mode", "")), f"by {one.fields['by']}"]
        if "until" in one.fields:
            words.append(f"until {one.fields['until'][11:16]}")
        sets = "".join(f", {k}={v}" for k, v in one.sets.items() if k != "mode")
        found.append(" ".join(w for w in words if w) + sets)
    return found


def test_the_hours_say_the_mode_while_nobody_sets_one() -> None:
    site = Site()

    assert site.modes.mode == "open"
    event, after = site.clock(EVENING, "closed", {"open": "no"})
    assert event.sets == {"open": "no", "mode": "closed"}
    assert after == ["mode.changed closed by hours"]
    assert site.modes.shown(EVENING) == {"mode": "closed", "by": "hours"}


def test_nobody_knows_the_mode_while_the_clock_is_not_trusted() -> None:
    site = Site()

    event, _ = site.clock(1, "clock.untrusted", {"open": "unknown", "delivery": "unknown"})
    assert event.sets == {"open": "unknown", "delivery": "unknown", "mode": "unknown"}
    event, _ = site.clock(2, "clock.trusted", {"open": "yes"})
    assert event.sets == {"open": "yes", "mode": "open"}


def test_without_hours_the_mode_is_unknown() -> None:
    modes = Modes(BUILT_IN, type(SHOP.calendar)())

    assert modes.amended(said(0, "site", "state.known", sets={})).sets == {"mode": "unknown"}


def test_a_mode_ends_after_its_time() -> None:
    site = Site()

    assert site.sets(0, "stock_take", **{"for": 2 * HOUR}) == [
        "mode.changed stock_take by Ann until 14:00"
    ]
    assert site.modes.next_deadline == 2 * HOUR
    assert site.until(2 * HOUR - 1) == []
    assert site.until(2 * HOUR) == ["mode.changed open by hours"]
    assert site.modes.next_deadline is None


def test_what_is_said_names_the_mode_before_who_and_why() -> None:
    site = Site()
    site.sets(0, "stock_take")
    site.closes()
    (signal,) = site.modes.advance(12 * HOUR, said(12 * HOUR, "site", "time"))

    assert signal.fields == {
        "mode": "closed",
        "before": "stock_take",
        "by": "hours",
        "reason": "stock_take of Ann is over",
    }
    assert signal.sets == {"mode": "closed"}


def test_without_for_a_mode_lasts_as_long_as_it_may() -> None:
    site = Site()

    assert site.sets(0, "delivery") == ["mode.changed delivery by Ann until 14:00"]
    assert site.ordered(1, "delivery") == ["mode.refused delivery by night"]


def test_nobody_sets_a_mode_for_longer_than_it_may_last() -> None:
    site = Site()

    refused = site.sets(0, "maintenance", **{"for": 4 * HOUR + 1})
    assert refused == "maintenance lasts 4h at most"
    assert site.sets(0, "party") == "this site has no mode 'party'"
    assert site.ordered(0, "maintenance", 9 * HOUR) == [
        "mode.changed maintenance by night until 16:00"
    ]


def test_the_latest_wins_but_no_rule_replaces_what_a_person_set() -> None:
    site = Site()

    assert site.ordered(0, "delivery") == ["mode.changed delivery by night until 14:00"]
    assert site.ordered(1, "maintenance") == ["mode.changed maintenance by night until 16:00"]
    assert site.sets(2, "stock_take") == ["mode.changed stock_take by Ann until 00:00"]
    assert site.ordered(3, "delivery") == ["mode.refused delivery by night"]
    assert site.ordered(3, "hours") == ["mode.refused hours by night"]
    assert site.sets(4, "delivery", by="Bo") == ["mode.changed delivery by Bo until 14:00"]


def test_a_person_ends_any_mode_and_a_rule_its_own() -> None:
    site = Site()

    assert site.asked(0, "end") == "no mode is set"
    assert site.ordered(0, "hours") == []
    site.ordered(1, "delivery")
    assert site.asked(2, "end") == ["mode.changed open by Ann"]
    site.ordered(3, "delivery")
    assert site.ordered(4, "hours") == ["mode.changed open by night"]


def test_open_set_by_a_person_keeps_the_site_open_past_closing_time() -> None:
    site = Site()
    site.sets(8 * HOUR, "open", **{"for": 2 * HOUR})

    assert site.closes() == ("hours.closed", [])
    assert site.until(10 * HOUR) == [
        "closed by hours, open=no",
        "mode.changed closed by hours, open=no",
    ]


def test_closed_set_by_a_person_closes_at_once() -> None:
    site = Site()

    assert site.sets(0, "closed", **{"for": HOUR}) == [
        "closed by Ann, open=no",
        "mode.changed closed by Ann until 13:00, open=no",
    ]
    assert site.until(HOUR) == ["opened by hours, open=yes", "mode.changed open by hours, open=yes"]
    assert site.closes() == ("closed", ["mode.changed closed by hours"])


def test_an_exception_that_ends_at_closing_time_closes_once() -> None:
    site = Site()
    site.sets(8 * HOUR, "open", **{"for": HOUR})

    event, after = site.clock(EVENING, "closed", {"open": "no"})
    assert after == ["closed by hours, open=no", "mode.changed closed by hours, open=no"]
    assert (event.kind, event.sets) == ("hours.closed", {})


def test_the_same_word_a_minute_later_is_news() -> None:
    site = Site()
    site.sets(8 * HOUR, "open", **{"for": HOUR})
    site.until(EVENING)

    assert site.closes(EVENING + 60)[0] == "closed"


def test_other_modes_leave_the_hours_alone() -> None:
    site = Site()
    site.sets(8 * HOUR, "stock_take")

    event, after = site.clock(EVENING, "closed", {"open": "no"})
    assert (event.kind, event.sets, after) == ("closed", {"open": "no", "mode": "stock_take"}, [])


def test_what_is_found_at_a_start_does_not_undo_a_mode() -> None:
    site = Site()
    site.sets(8 * HOUR, "open", **{"for": 2 * HOUR})

    event, _ = site.clock(EVENING, "state.known", {"open": "no", "delivery": "no"})
    assert event.sets == {"open": "yes", "delivery": "no", "mode": "open"}


def test_from_open_to_stock_take_the_hours_speak_again() -> None:
    site = Site()
    site.sets(8 * HOUR, "open", **{"for": 3 * HOUR})
    site.closes()

    assert site.sets(EVENING + 60, "stock_take") == [
        "closed by Ann, open=no",
        "mode.changed stock_take by Ann until 09:01, open=no",
    ]


@pytest.mark.parametrize("at", [0.5, 1.0, 1.5])
def test_a_restart_changes_nothing(at: float) -> None:
    site = Site()
    site.sets(0, "closed", **{"for": HOUR})
    site.until(at * HOUR)
    saved = json.loads(json.dumps(site.modes.save()))
    again = Modes(BUILT_IN, SHOP.calendar)
    again.restore(saved)

    assert again.save() == site.modes.save()
    stamp = said(2 * HOUR, "site", "time")
    assert shown(again.advance(2 * HOUR, stamp)) == shown(site.modes.advance(2 * HOUR, stamp))


def test_a_restart_with_a_shorter_limit_ends_it_sooner_and_a_mode_that_is_gone_is_over() -> None:
    site = Site()
    site.sets(0, "delivery")
    saved = site.modes.save()
    shorter = Modes({**BUILT_IN, "delivery": HOUR}, SHOP.calendar)
    shorter.restore(saved)
    without = Modes({"open": HOUR}, SHOP.calendar)
    without.restore(saved)

    assert shorter.next_deadline == HOUR
    assert without.held is None
    event = without.amended(said(1, "site", "state.known", sets={"open": "yes"}))
    assert event.sets["mode"] == "open"


def test_what_is_left_of_a_mode_is_shown() -> None:
    site = Site()
    site.sets(0, "maintenance", **{"for": HOUR})

    assert site.modes.shown(600.0) == {
        "mode": "maintenance",
        "by": "Ann",
        "reason": "r",
        "ends_in": 3000.0,
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(43200.0, "12h"), (5400.0, "90m"), (604800.0, "7d"), (45.0, "45s")]
)
def test_durations_are_spelt_as_people_write_them(seconds: float, text: str) -> None:
    assert spelt(seconds) == text


def test_a_rule_that_sets_its_mode_again_makes_it_longer_and_tells_nobody() -> None:
    site = Site()
    assert site.ordered(0, "delivery", HOUR) == ["mode.changed delivery by night until 13:00"]
    assert site.ordered(1800, "delivery", HOUR) == []
    assert site.until(HOUR) == []
    assert site.until(1.5 * HOUR) == ["mode.changed open by hours"]
