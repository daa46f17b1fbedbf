"""What a rule leaves behind that was changed, or begun afresh: no door shuts, no siren stays."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from edge.decide import Decider
from edge.past import Past, replay
from tests.edge.shop import Story, ordered, orders, said, shop

RULES = """
rules:
  call_point:
    priority: life_safety
    when: {panic: button.pressed}
    do: [{release: lock_exit}]
    until: {fire_main: fire.restored}
  hold_up:
    priority: personal_safety
    when: {panic: button.pressed}
    do: [{switch_on: beacon_back, for: 30s}]
  gate:
    when: {eas_front: eas.alarm}
    do: [{switch_on: beacon_back, for: 10s}]
"""
OTHERS = {
    "said otherwise": RULES.replace("call_point:\n", "call_point:\n    description: The exit.\n"),
    "for more doors": RULES.replace("release: lock_exit", "release: [lock_exit, lock_back]"),
    "gone": RULES[: RULES.index("  call_point")] + RULES[RULES.index("  hold_up") :],
    "off": RULES.replace("call_point:\n", "call_point:\n    enabled: no\n"),
    "in the shadow": RULES.replace("call_point:\n", "call_point:\n    enabled: shadow\n"),
}


def pressed(folder: Path) -> Story:
    story = Story(shop(folder, rules=RULES))
    story.at(said(0, "panic", "button.pressed"))
    return story


def held(decider: Decider) -> list[str]:
    return [f"{c.device} by {c.rule}" for c in decider.outputs.leases.claims()]


def again(saved: dict[str, Any], folder: Path, rules: str = RULES) -> Decider:
    decider = Decider(shop(folder, rules=rules))
    decider.restore(json.loads(json.dumps(saved)))
    decider.resume(5.0, same_boot=True, silent_for=4.0)
    return decider


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_door_that_is_released_stays_so_when_its_rule_is_changed(
    tmp_path: Path, other: str
) -> None:
    story = pressed(tmp_path / "old")
    turn = story.decider.swap(shop(tmp_path / "new", rules=other), 2.0, said(2, "site", "time"))
    assert orders(turn) == []
    assert "lock_exit by call_point" in held(story.decider)
    assert orders(story.at(ordered(9, "lock_exit", "relock"))) == ["lock_exit relock by person"]
    assert "lock_exit by call_point" not in held(story.decider)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_and_when_its_rule_is_changed_while_the_daemon_is_down(tmp_path: Path, other: str) -> None:
    saved = pressed(tmp_path / "old").decider.save()
    decider = again(saved, tmp_path / "new", other)
    assert "lock_exit by call_point" in held(decider)
    turn = decider.feed(ordered(9, "lock_exit", "relock"))
    assert orders(turn) == ["lock_exit relock by person"]


def test_the_rule_as_it_is_now_ends_what_it_takes_again(tmp_path: Path) -> None:
    story = pressed(tmp_path / "old")
    other = OTHERS["said otherwise"]
    story.decider.swap(shop(tmp_path / "new", rules=other), 2.0, said(2, "site", "time"))
    story.at(said(3, "panic", "button.pressed"))
    refused = story.at(ordered(4, "lock_exit", "relock"))
    assert refused.answer == "rule call_point holds it at life_safety"
    assert orders(story.at(said(5, "fire_main", "fire.restored"))) == ["lock_exit relock by rest"]


def test_a_rule_that_goes_on_is_not_outdone_by_a_person(tmp_path: Path) -> None:
    story = pressed(tmp_path)
    story.decider.swap(shop(tmp_path, rules=RULES), 2.0, said(2, "site", "time"))
    refused = story.at(ordered(4, "lock_exit", "relock"))
    assert refused.answer == "rule call_point holds it at life_safety"


def test_a_door_that_nothing_else_ends_is_relocked_by_a_person(tmp_path: Path) -> None:
    rules = RULES.replace("    until: {fire_main: fire.restored}\n", "")
    story = Story(shop(tmp_path, rules=rules))
    story.at(said(0, "panic", "button.pressed"))
    assert orders(story.at(ordered(9, "lock_exit", "relock"))) == ["lock_exit relock by person"]
    assert held(again(story.decider.save(), tmp_path, rules)) == ["beacon_back by hold_up"]
    assert orders(story.at(said(10, "panic", "button.pressed")))[0] == "lock_exit release by rule"


@pytest.mark.parametrize("version", [1, 99])
def test_after_an_update_that_reads_no_old_state_only_released_doors_stay(
    tmp_path: Path, version: int
) -> None:
    story = pressed(tmp_path)
    story.at(said(1, "eas_front", "eas.alarm"))
    saved = story.decider.save()
    saved["engine"]["version"] = version
    assert held(again(saved, tmp_path)) == ["lock_exit by call_point"]


@pytest.mark.parametrize("part", ["modes", "engine"])
def test_a_part_that_cannot_be_read_shuts_no_door(
    tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    saved = pressed(tmp_path).decider.save() | {part: {"version": 2, "held": {"mode": "open"}}}
    decider = Decider(shop(tmp_path, rules=RULES))
    with caplog.at_level(logging.CRITICAL):
        replay(Past(state={"decider": saved}), decider)
    decider.resume(5.0, same_boot=True, silent_for=4.0)
    assert held(decider) == ["lock_exit by call_point"]


def test_rules_that_begin_afresh_leave_only_released_doors(tmp_path: Path) -> None:
    decider = pressed(tmp_path).decider
    decider.begin_afresh()
    decider.resume(5.0, same_boot=True, silent_for=4.0)
    assert held(decider) == ["lock_exit by call_point"]
