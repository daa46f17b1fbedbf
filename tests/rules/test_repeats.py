"""`quiet`: a storm of one device is one firing, and nobody else's alarm is hidden by it."""

from __future__ import annotations

import json

import pytest

from drivers.priorities import Priority
from rules.engine import Engine
from rules.model import Decision, NotFired, Quiet, Repeated, Rule
from tests.rules.building import (
    RECORD,
    Says,
    engine,
    fact,
    heard,
    play,
    rule,
    said,
    sequence,
    told,
)
from tests.rules.worlds import SHOP

FRONT = fact("eas_front", "eas.alarm")
GATES = fact("gates", "eas.alarm")
ANY_GATE = fact("gates", "eas.alarm", across=True)
QUIET = Quiet(gap=30.0, at_most=100.0)


def alarms(*ticks: float, device: str = "eas_front") -> list[tuple[float, str]]:
    return [(tick, device) for tick in ticks]


def plays(one: Rule, *times: tuple[float, str]) -> list[Decision]:
    events = [said(tick, device, "eas.alarm") for tick, device in sorted(times)]
    return play(engine(one), *events, until=1000)


def decided(one: Rule, *times: tuple[float, str]) -> list[str]:
    """Everything but what was kept quiet."""
    return told([d for d in plays(one, *times) if not isinstance(d, NotFired)])


def test_a_storm_is_over_exactly_a_gap_after_its_last_alarm() -> None:
    one = rule(FRONT, quiet=QUIET)
    assert told(plays(one, *alarms(0, 20, 45, 75))) == [
        "0 r fired",
        "20 r not: quiet: eas_front keeps on, 30 s more",
        "45 r not: quiet: eas_front keeps on, 30 s more",
        "75 r/eas_front repeated 2",
        "75 r fired",
    ]


def test_a_storm_that_does_not_end_fires_again_after_at_most() -> None:
    one = rule(FRONT, quiet=QUIET)
    assert decided(one, *alarms(0, 20, 40, 60, 80, 99.5, 100, 110)) == [
        "0 r fired",
        "100 r/eas_front repeated 5",
        "100 r fired",
        "140 r/eas_front repeated 1",
    ]


@pytest.mark.parametrize(("of", "member"), [(ANY_GATE, ""), (GATES, "/eas_back")])
def test_a_storm_never_hides_another_device(of: object, member: str) -> None:
    one = rule(of, quiet=QUIET)  # type: ignore[arg-type]
    found = decided(one, *alarms(0, 5), (6, "eas_back"), *alarms(7))
    first = "/eas_front" if member else ""
    assert found == [
        f"0 r{first} fired",
        f"6 r{member} fired",
        "37 r/eas_front repeated 2",
    ]


def test_a_storm_of_one_device_does_not_hide_another_member() -> None:
    walks = sequence(GATES, fact("door_back", "door.opened"), within=60.0)
    one = engine(rule(walks, quiet=QUIET))
    events = (
        said(0, "eas_front", "eas.alarm"),
        said(1, "eas_back", "eas.alarm"),
        said(2, "door_back", "door.opened"),
    )
    found = [line for line in told(play(one, *events)) if "fired" in line]
    assert sorted(found) == ["2 r/eas_back fired", "2 r/eas_front fired"]


def test_what_if_forbids_keeps_no_storm_going() -> None:
    one = engine(rule(FRONT, quiet=QUIET, condition=Says("site", "open", "yes")))
    events = (
        said(0, "site", "opened"),
        said(1, "eas_front", "eas.alarm"),
        said(2, "site", "closed"),
        said(25, "eas_front", "eas.alarm"),
        said(26, "site", "opened"),
        said(31, "eas_front", "eas.alarm"),
    )
    found = [line for line in told(play(one, *events)) if "fired" in line]
    assert found == ["1 r fired", "31 r fired"]


def test_a_storm_makes_a_running_recording_longer() -> None:
    found = plays(rule(FRONT, quiet=QUIET, do=(RECORD,)), *alarms(0, 20, 49))
    missed = [d for d in found if isinstance(d, NotFired)]
    assert [(d.miss, [o.device for o in d.orders]) for d in missed] == [
        ("quiet", ["cam_exit"]),
        ("quiet", ["cam_exit"]),
    ]


def test_what_a_cooldown_hides_keeps_the_storm_going_and_is_counted_once() -> None:
    one = rule(FRONT, quiet=Quiet(gap=20.0, at_most=100.0), cooldown=10.0)
    found = plays(one, *alarms(0, 5, 12, 24, 44))
    assert told(found) == [
        "0 r fired",
        "5 r not: cooldown for 5 s more",
        "10 r repeated 1",
        "12 r not: quiet: eas_front keeps on, 20 s more",
        "24 r not: quiet: eas_front keeps on, 20 s more",
        "44 r/eas_front repeated 2",
        "44 r fired",
    ]
    said_so = [(d.because, d.count) for d in found if isinstance(d, Repeated)]
    assert said_so == [("cooldown", 1), ("quiet", 2)]


@pytest.mark.parametrize("priority", [Priority.life_safety, Priority.personal_safety])
def test_what_protects_people_is_never_quiet(priority: Priority) -> None:
    one = rule(FRONT, quiet=QUIET, priority=priority)
    assert decided(one, *alarms(0, 1)) == ["0 r fired", "1 r fired"]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_storm_goes_on_after_a_restart(cut: int) -> None:
    one = rule(FRONT, quiet=QUIET, cooldown=25.0)
    events = [said(tick, "eas_front", "eas.alarm") for tick in (0, 20, 45, 70, 100)]
    whole = told(play(engine(one), *events, until=1000))
    first = engine(one)
    found = play(first, *events[:cut])
    second = Engine([one], SHOP)
    second.restore(json.loads(json.dumps(first.save())))
    assert told([*found, *play(second, *events[cut:], until=1000)]) == whole


def test_a_storm_of_a_rule_that_changed_is_forgotten() -> None:
    first = engine(rule(FRONT, quiet=QUIET))
    play(first, said(0, "eas_front", "eas.alarm"), said(5, "eas_front", "eas.alarm"))
    second = Engine([rule(FRONT, quiet=QUIET, hash="other")], SHOP)
    second.restore(first.save())
    assert told(second.feed(said(6, "eas_front", "eas.alarm"))) == ["6 r fired"]


def test_a_rule_that_stormed_waits_for_nothing_afterwards() -> None:
    one = heard(Engine([rule(FRONT, quiet=QUIET, cooldown=9.0)], SHOP))
    play(one, *(said(t, "eas_front", "eas.alarm") for t in range(300)), until=2000)
    assert (one.waiting, one.next_deadline) == (0, None)


def test_an_alarm_that_was_overtaken_makes_no_storm_shorter() -> None:
    one = engine(rule(FRONT, quiet=QUIET))
    found = [d for t in (0, 20, 15, 47) for d in one.feed(said(t, "eas_front", "eas.alarm"))]
    assert [line for line in told(found) if "fired" in line] == ["0 r fired"]
