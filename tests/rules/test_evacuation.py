"""The evacuation latch: what sets it, what it wants, what it refuses, and who ends it."""

from __future__ import annotations

import json

import pytest

from drivers.commands import Evacuate, Goto, Release, Silence, SwitchOn
from drivers.priorities import Priority
from rules.evacuation import RECORD, Evacuation, LatchOrder, LatchSignal, Want
from tests.rules.building import said
from tests.rules.worlds import SHOP

CALM = {"fire_main": "normal"}
NOBODY: frozenset[str] = frozenset()


def latch() -> Evacuation:
    assert SHOP.evacuation is not None
    return Evacuation(SHOP.evacuation, SHOP)


def orders(wants: list[Want]) -> list[tuple[str, object, bool]]:
    return [(w.device, w.command, w.holds) for w in wants if isinstance(w, LatchOrder)]


EVERYTHING = [
    ("lock_exit", Release(), True),
    ("siren_front", Silence(), False),
    ("beacon_back", SwitchOn(), True),
    ("cam_exit", Goto(preset="evacuation"), False),
    ("cam_exit", RECORD, False),
    ("cam_tills", RECORD, False),
]


def test_a_fire_sets_it_and_it_wants_everything_at_life_safety() -> None:
    wants = latch().feed(said(0, "fire_main", "fire.alarm"))
    assert wants[0] == LatchSignal(
        kind="evacuation.started",
        fields={"cause": "fire_main", "drill": False},
        sets={"evacuation": "yes", "drill": "no"},
    )
    assert orders(wants) == EVERYTHING
    assert {w.priority for w in wants} == {Priority.life_safety}


@pytest.mark.parametrize(
    ("device", "kind"),
    [("fire_main", "fire.trouble"), ("fire_other", "fire.alarm"), ("panic_till", "button.pressed")],
)
def test_nothing_else_sets_it(device: str, kind: str) -> None:
    assert latch().feed(said(0, device, kind)) == []


def test_a_rule_sets_it_and_twice_is_once() -> None:
    one = latch()
    assert orders(one.ordered(Evacuate(cause="gas"))) == EVERYTHING
    assert one.ordered(Evacuate(cause="gas")) == []
    assert one.ordered(Silence()) == []
    assert one.cause == "gas"


def test_a_drill_does_what_the_plan_says_of_drills() -> None:
    wants = latch().start("tuesday", drill=True)
    assert isinstance(wants[0], LatchSignal)
    assert wants[0].fields == {"cause": "tuesday", "drill": True}
    assert wants[0].sets == {"evacuation": "yes", "drill": "yes"}
    assert orders(wants) == EVERYTHING[1:]


def test_a_fire_during_a_drill_is_real_at_once() -> None:
    one = latch()
    one.start("tuesday", drill=True)
    wants = one.feed(said(5, "fire_main", "fire.alarm"))
    assert isinstance(wants[0], LatchSignal)
    assert wants[0].fields == {"cause": "fire_main", "drill": False}
    assert wants[0].sets == {"evacuation": "yes", "drill": "no"}
    assert orders(wants) == EVERYTHING


def test_a_real_one_never_becomes_a_drill() -> None:
    one = latch()
    one.start("gas")
    assert one.start("tuesday", drill=True) == []
    assert one.stage == "evacuation"


@pytest.mark.parametrize(
    ("reason", "by", "despite", "panels", "refused"),
    [
        ("", "chief", NOBODY, CALM, "an evacuation is ended only by a person with a reason"),
        ("over", " ", NOBODY, CALM, "an evacuation is ended only by a person with a reason"),
        ("over", "chief", NOBODY, {"fire_main": "active"}, "fire_main is in alarm"),
        ("over", "chief", NOBODY, {"fire_main": "unknown"}, "fire_main is unknown"),
        ("over", "chief", NOBODY, {}, "fire_main is unknown"),
        ("over", "chief", frozenset({"door_front"}), {}, "fire_main is unknown"),
    ],
)
def test_it_does_not_end(
    reason: str, by: str, despite: frozenset[str], panels: dict[str, str], refused: str
) -> None:
    one = latch()
    one.start("gas")
    assert one.end(reason, by, despite, panels) == refused
    assert one.active


def test_a_person_ends_it_with_a_reason() -> None:
    one = latch()
    one.start("gas")
    assert one.end("all clear", "chief", NOBODY, CALM) == [
        LatchSignal(
            kind="evacuation.ended",
            fields={"cause": "gas", "drill": False, "reason": "all clear", "by": "chief"},
            sets={"evacuation": "no", "drill": "no"},
        )
    ]
    assert one.end("again", "chief", NOBODY, CALM) == "there is no evacuation"


def test_a_panel_in_alarm_is_overruled_by_its_name() -> None:
    one = latch()
    one.start("gas")
    wants = one.end("false alarm", "chief", frozenset({"fire_main"}), {"fire_main": "active"})
    assert isinstance(wants[0], LatchSignal)
    assert wants[0].fields["despite"] == "fire_main"


def test_locks_stay_released_until_a_person_relocks_each() -> None:
    one = latch()
    one.start("gas")
    kept = "the evacuation keeps it released"
    assert one.refuses("lock_exit", "relock", Priority.life_safety, by="rule") == kept
    assert one.refuses("lock_exit", "relock", Priority.security, by="person") == kept
    assert not one.relocked("lock_exit")
    one.end("all clear", "chief", NOBODY, CALM)
    after = "after the evacuation only a person locks it again"
    assert one.refuses("lock_exit", "relock", Priority.life_safety, by="rule") == after
    assert one.refuses("lock_exit", "relock", Priority.operations, by="person") == ""
    assert [o.device for o in one.standing()] == ["lock_exit"]
    assert one.relocked("lock_exit")
    assert one.refuses("lock_exit", "relock", Priority.operations, by="rule") == ""
    assert one.standing() == []


@pytest.mark.parametrize(
    ("device", "command", "priority", "refused"),
    [
        ("siren_front", "sound", Priority.security, True),
        ("siren_front", "sound", Priority.personal_safety, True),
        ("siren_front", "sound", Priority.life_safety, False),
        ("siren_front", "silence", Priority.operations, False),
        ("siren_back", "sound", Priority.security, False),
    ],
)
def test_silenced_sirens_stay_silent(
    device: str, command: str, priority: Priority, refused: bool
) -> None:
    one = latch()
    assert one.refuses(device, command, priority) == ""
    one.start("gas")
    assert bool(one.refuses(device, command, priority)) == refused
    one.end("all clear", "chief", NOBODY, CALM)
    assert one.refuses(device, command, priority) == ""


def test_it_goes_on_from_what_was_saved_as_json() -> None:
    one, again = latch(), latch()
    one.start("gas")
    again.restore(json.loads(json.dumps(one.save())))
    assert (again.stage, again.cause, again.released) == ("evacuation", "gas", {"lock_exit"})
    assert [(o.device, o.command) for o in again.standing()] == [
        ("lock_exit", Release()),
        ("beacon_back", SwitchOn()),
    ]
