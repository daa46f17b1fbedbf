"""What follows from an event: leases, the evacuation latch and people's orders, with real rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.edge.shop import SITE_YAML, Story, asked, ordered, orders, refusals, said, shop


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(shop(tmp_path))


def in_alarm(story: Story, tick: float = 0.0) -> None:
    story.at(said(tick, "fire_main", "link.up"))
    story.at(said(tick, "fire_main", "fire.alarm"))


# --- leases ----------------------------------------------------------------------------------


def test_a_rule_sounds_the_siren_for_ten_seconds_and_then_it_rests(story: Story) -> None:
    turn = story.at(said(0, "eas_front", "eas.alarm"))

    assert orders(turn) == ["siren_front sound by rule", "cam_exit goto gate by rule"]
    assert [w.kind for w in turn.said] == ["incident.opened"]
    assert orders(story.until(9.9)) == []
    assert orders(story.until(10)) == ["siren_front silence by rest"]


def test_a_second_firing_renews_the_lease_and_never_stacks(story: Story) -> None:
    story.at(said(0, "eas_front", "eas.alarm"))
    again = story.at(said(6, "eas_front", "eas.alarm"))

    assert orders(again) == ["cam_exit goto gate by rule"]
    assert orders(story.until(15.9)) == []
    assert orders(story.until(16)) == ["siren_front silence by rest"]


def test_when_the_winner_ends_the_output_returns_to_the_next_lease(story: Story) -> None:
    story.at(said(0, "door_back", "door.opened"))
    assert orders(story.until(20)) == ["siren_back sound by rule"]
    assert orders(story.at(said(25, "panic", "button.pressed"))) == []

    assert orders(story.until(55)) == []
    assert orders(story.at(said(60, "door_back", "door.closed"))) == ["siren_back silence by rest"]


def test_a_silence_from_below_is_refused_and_says_who_holds_it(story: Story) -> None:
    story.at(said(0, "panic", "button.pressed"))
    turn = story.at(ordered(1, "siren_back", "silence", priority="security"))

    assert turn.answer == "rule hold_up holds it at personal_safety"
    assert orders(turn) == []


def test_silence_and_switch_off_are_the_same_to_one_output(story: Story) -> None:
    story.at(ordered(0, "beacon_back", "switch_on"))
    turn = story.at(ordered(1, "beacon_back", "silence"))
    assert (turn.answer, orders(turn)) == ("", ["beacon_back silence by person"])


def test_a_silence_ends_what_is_not_above_it(story: Story) -> None:
    story.at(said(0, "eas_front", "eas.alarm"))
    turn = story.at(ordered(1, "siren_front", "silence", priority="security"))

    assert (turn.answer, orders(turn)) == ("", ["siren_front silence by person"])
    assert orders(story.until(10)) == []


def test_max_on_ends_every_lease_but_evacuations(story: Story) -> None:
    story.at(said(0, "door_back", "door.opened"))
    story.until(20)

    assert orders(story.until(139.9)) == []
    assert orders(story.until(140)) == ["siren_back silence by rest"]
    in_alarm(story, 200)
    assert orders(story.until(5000)) == []
    beacon = story.decider.outputs.leases.showing("beacon_back")
    assert beacon is not None


def test_max_per_hour_is_spent_over_several_orders(story: Story) -> None:
    for tick in (0, 200):
        story.at(ordered(tick, "siren_front", "sound"))
    assert orders(story.until(320)) == ["siren_front silence by rest"]
    story.at(ordered(400, "siren_front", "sound"))
    assert orders(story.until(459.9)) == []
    assert orders(story.until(460)) == ["siren_front silence by rest"]

    refused = story.at(ordered(500, "siren_front", "sound"))
    assert refused.answer == "it was on for 300 s of 300 s in the last hour"
    assert orders(story.at(ordered(3661, "siren_front", "sound"))) == [
        "siren_front sound by person"
    ]


def test_a_siren_is_quiet_at_night_in_local_time(story: Story) -> None:
    night = said(0, "eas_front", "eas.alarm", at=datetime(2026, 7, 1, 21, 30, tzinfo=UTC))

    assert refusals(story.at(night)) == ["siren_front sound: quiet from 22:00 to 07:00"]


def test_no_night_is_quiet_while_the_clock_is_not_trusted(story: Story) -> None:
    night = datetime(2026, 7, 1, 21, 30, tzinfo=UTC)
    turn = story.at(said(0, "eas_front", "eas.alarm", at=night, trusted=False))

    assert refusals(turn) == []


def test_a_new_link_writes_the_live_lease_else_what_at_start_says(story: Story) -> None:
    turn = story.at(said(0, "siren_front", "link.up"))
    assert orders(turn) == ["siren_front silence by start"]
    assert turn.given[0].quiet
    assert orders(story.at(said(0, "lock_exit", "link.up"))) == []

    story.at(said(1, "eas_front", "eas.alarm"))
    assert orders(story.at(said(2, "siren_front", "link.up"))) == ["siren_front sound by rule"]
    assert orders(story.at(said(3, "eas_front", "eas.alarm"))) == ["cam_exit goto gate by rule"]


def test_an_output_that_reads_back_otherwise_is_written_again(story: Story) -> None:
    story.at(said(0, "eas_front", "eas.alarm"))
    mismatch = said(1, "siren_front", "output.mismatch", expected="on", read="off")
    assert orders(story.at(mismatch)) == ["siren_front sound by rule"]

    story.until(10)
    mismatch = said(11, "siren_front", "output.mismatch", expected="off", read="on")
    assert orders(story.at(mismatch)) == ["siren_front silence by rest"]


def test_two_deadlines_in_one_look_are_the_same_as_in_two(tmp_path: Path) -> None:
    one, two = Story(shop(tmp_path)), Story(shop(tmp_path))
    for story in (one, two):
        story.at(ordered(0, "siren_back", "sound", **{"for": 30.0}))
        story.at(said(5, "door_back", "door.opened"))
    two.until(25)
    two.until(30)

    assert orders(one.until(150)) == ["siren_back silence by rest"]
    two.until(150)
    assert one.decider.save()["outputs"] == two.decider.save()["outputs"]


# --- evacuation ------------------------------------------------------------------------------


def test_fire_releases_silences_and_sounds_at_once_above_all(story: Story) -> None:
    story.at(said(0, "eas_front", "eas.alarm"))
    turn = story.at(said(1, "fire_main", "fire.alarm"))

    assert orders(turn) == [
        "lock_exit release by evacuation",
        "lock_back release by evacuation",
        "siren_front silence by evacuation",
        "beacon_back switch_on by evacuation",
        "cam_exit goto evacuation by evacuation",
    ]
    assert {g.priority.name for g in turn.given} == {"life_safety"}
    assert [w.kind for w in turn.said] == ["evacuation.started"]


def test_a_theft_siren_is_refused_while_evacuation_is_on(story: Story) -> None:
    in_alarm(story)
    turn = story.at(said(5, "eas_front", "eas.alarm"))

    assert refusals(turn) == ["siren_front sound: the evacuation keeps it silent"]
    assert orders(turn) == []


def test_the_camera_stays_where_evacuation_sent_it(story: Story) -> None:
    in_alarm(story)
    story.at(said(5, "eas_front", "eas.alarm"))
    assert orders(story.until(66)) == ["siren_back sound by rule"]
    assert orders(story.until(120)) == ["siren_back silence by rest"]


def test_nobody_turns_the_camera_away_from_an_evacuation(story: Story) -> None:
    in_alarm(story)
    turn = story.at(ordered(5, "cam_exit", "goto", parameters={"preset": "till"}))
    assert (turn.answer, orders(turn)) == ("evacuation holds it at life_safety", [])


def test_it_ends_by_a_person_and_not_while_the_panel_is_in_alarm(story: Story) -> None:
    in_alarm(story)
    assert story.at(asked(5, "end")).answer == "fire_main is in alarm"
    assert story.at(asked(5, "end", reason=" ")).answer == (
        "an evacuation is ended only by a person with a reason"
    )

    turn = story.at(asked(6, "end", despite=["fire_main"]))
    assert turn.answer == ""
    assert [w.kind for w in turn.said] == ["evacuation.ended"]
    assert orders(turn) == ["beacon_back switch_off by rest", "cam_exit goto lobby by rest"]


def test_locks_stay_released_until_a_person_relocks_each(story: Story) -> None:
    in_alarm(story)
    assert story.at(ordered(2, "lock_exit", "relock")).answer == (
        "the evacuation keeps it released"
    )
    story.at(said(3, "fire_main", "fire.restored"))
    story.at(asked(4, "end"))
    again = said(5, "lock_exit", "link.up")
    assert orders(story.at(again)) == ["lock_exit release by evacuation"]

    assert orders(story.at(ordered(6, "lock_exit", "relock"))) == ["lock_exit relock by person"]
    assert orders(story.at(said(7, "lock_exit", "link.up"))) == []
    back = story.at(said(8, "lock_back", "link.up"))
    assert orders(back) == ["lock_back release by evacuation"]


def test_a_drill_moves_no_lock_and_a_fire_makes_it_real(story: Story) -> None:
    drill = story.at(asked(0, "drill"))
    assert "lock_exit release by evacuation" not in orders(drill)
    assert "beacon_back switch_on by evacuation" in orders(drill)
    assert story.at(asked(1, "drill")).answer == "the latch is set already"

    real = story.at(said(2, "fire_main", "fire.alarm"))
    assert "lock_exit release by evacuation" in orders(real)


def test_a_site_without_evacuation_says_so(tmp_path: Path) -> None:
    site = "site: shop\nevacuation: {on: []}\n"
    story = Story(shop(tmp_path, site=site))
    assert story.at(asked(0, "end")).answer == "there is no evacuation"


# --- people ----------------------------------------------------------------------------------


def test_a_persons_order_ends_after_its_time_or_the_devices_limit(story: Story) -> None:
    story.at(ordered(0, "siren_back", "sound", **{"for": 5.0}))
    assert orders(story.until(5)) == ["siren_back silence by rest"]

    story.at(ordered(10, "siren_back", "sound", **{"for": 600.0}))
    assert orders(story.until(129.9)) == []
    assert orders(story.until(130)) == ["siren_back silence by rest"]


def test_a_persons_order_is_security_at_most(story: Story) -> None:
    turn = story.at(ordered(0, "siren_back", "sound", priority="life_safety"))
    assert [g.priority.name for g in turn.given] == ["operations"]
    turn = story.at(ordered(1, "siren_front", "sound", priority="security"))
    assert [g.priority.name for g in turn.given] == ["security"]


def test_a_person_records_and_turns_cameras(story: Story) -> None:
    clip = story.at(ordered(0, "film", "record", parameters={"before": 5.0}, **{"for": 9.0}))
    assert orders(clip) == ["film record 5.0 9.0 by person"]
    turned = story.at(ordered(1, "cam_exit", "goto", parameters={"preset": "gate"}))
    assert orders(turned) == ["cam_exit goto gate by person"]
    lasting = ordered(2, "cam_exit", "goto", parameters={"preset": "till"}, **{"for": 9.0})
    assert orders(story.at(lasting)) == ["cam_exit goto till by person"]
    assert orders(story.until(11)) == ["cam_exit goto lobby by rest"]


def test_an_order_to_a_device_that_is_gone_is_answered_and_stops_no_replay(story: Story) -> None:
    assert story.at(ordered(0, "siren_old", "sound")).answer == "siren_old cannot sound"
    assert story.at(ordered(1, "siren_back", "relock")).answer == "siren_back cannot relock"


# --- over a restart --------------------------------------------------------------------------


def test_a_crash_keeps_leases_of_security_for_thirty_seconds(tmp_path: Path) -> None:
    configuration = shop(tmp_path)
    before = Story(configuration)
    before.at(ordered(0, "siren_back", "sound", priority="security"))
    for silent, same_boot, left in ((30.0, True, 1), (30.1, True, 0), (1.0, False, 0)):
        after = Story(configuration)
        after.decider.restore(before.decider.save())
        after.decider.resume(silent, same_boot=same_boot, silent_for=silent)
        assert len(after.decider.outputs.leases.claims()) == left


def test_latch_and_personal_safety_come_back_from_any_restart(tmp_path: Path) -> None:
    configuration = shop(tmp_path)
    before = Story(configuration)
    before.at(said(0, "panic", "button.pressed"))
    in_alarm(before, 1)
    after = Story(configuration)
    after.decider.restore(before.decider.save())
    after.decider.resume(20, same_boot=False, silent_for=9000)

    latch = after.decider.evacuation
    assert latch is not None
    assert latch.active
    back = after.at(said(21, "siren_back", "link.up"))
    assert orders(back) == ["siren_back sound by rule"]
    back = after.at(said(21, "lock_exit", "link.up"))
    assert orders(back) == ["lock_exit release by evacuation"]


def test_after_a_restart_max_on_counts_from_the_first_order(tmp_path: Path) -> None:
    configuration = shop(tmp_path)
    before = Story(configuration)
    before.at(ordered(0, "siren_front", "sound"))
    before.at(ordered(100, "siren_front", "sound"))
    after = Story(configuration)
    after.decider.restore(before.decider.save())
    after.decider.resume(110, same_boot=True, silent_for=10)

    assert orders(after.until(119.9)) == []
    assert orders(after.until(120)) == ["siren_front silence by rest"]


def test_what_a_changed_plan_adds_takes_part_in_an_evacuation_that_is_on(tmp_path: Path) -> None:
    fewer = SITE_YAML.replace("sound: [beacon_back]", "sound: []")
    before = Story(shop(tmp_path / "before", site=fewer))
    in_alarm(before)
    after = Story(shop(tmp_path / "after"))
    after.decider.restore(before.decider.save())
    after.decider.resume(10, same_boot=True, silent_for=1)

    back = after.at(said(11, "beacon_back", "link.up"))
    assert orders(back) == ["beacon_back switch_on by evacuation"]
