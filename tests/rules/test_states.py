"""What devices are known to be, and what conditions may ask."""

from __future__ import annotations

import json

from rules.event_json import Events
from rules.states import OVERTAKEN, Change, States
from tests.rules.building import said


def test_everything_is_unknown_until_proven() -> None:
    assert States().value("door_front", "contact") == "unknown"
    assert States().at(5).held("door_front", "contact") is None


def test_a_change_says_what_was_before() -> None:
    states = States()
    assert states.apply(said(1, "door_front", "door.opened")) == [
        Change("door_front", "contact", "unknown", "open", False)
    ]
    assert states.apply(said(2, "door_front", "door.opened")) == []
    assert states.apply(said(3, "door_front", "door.closed")) == [
        Change("door_front", "contact", "open", "closed", False)
    ]


def test_the_last_known_value_is_proven_again_and_keeps_its_since() -> None:
    states = States()
    states.apply(said(1, "door_front", "door.opened"))
    lost = states.apply(said(5, "door_front", "state.known", sets={"contact": "unknown"}))
    assert lost == [Change("door_front", "contact", "open", "unknown", False)]
    again = states.apply(said(9, "door_front", "state.known", sets={"contact": "open"}))
    assert again == [Change("door_front", "contact", "unknown", "open", True)]
    assert states.at(11).held("door_front", "contact") == 10.0


def test_another_value_after_unknown_is_not_proven_again() -> None:
    states = States()
    states.apply(said(1, "door_front", "door.opened"))
    states.apply(said(5, "door_front", "state.known", sets={"contact": "unknown"}))
    change = states.apply(said(9, "door_front", "door.closed"))
    assert change == [Change("door_front", "contact", "unknown", "closed", False)]


def test_a_lost_link_makes_every_other_state_unknown() -> None:
    states = States()
    states.apply(said(1, "door_front", "link.up"))
    states.apply(said(1, "door_front", "door.opened"))
    states.apply(said(2, "door_front", "link.down"))
    assert states.value("door_front", "contact") == "unknown"
    assert states.value("door_front", "link") == "down"


def test_an_event_that_was_overtaken_does_not_undo_a_later_one() -> None:
    states = States()
    states.apply(said(3, "panic_till", "button.pressed", sets={"contact": "active"}))
    assert states.apply(said(2, "panic_till", "button.released", sets={"contact": "quiet"})) == []
    assert states.value("panic_till", "contact") == "active"


def test_since_is_counted_from_the_latest() -> None:
    states = States()
    assert states.at(5).since("eas_front", "eas.alarm") is None
    states.apply(said(2, "eas_front", "eas.alarm"))
    states.apply(said(1, "eas_front", "eas.alarm"))
    assert states.at(5).since("eas_front", "eas.alarm") == 3.0


def test_a_count_is_half_open_and_only_kept_where_asked_for() -> None:
    states = States({("eas_front", "eas.alarm"): 10.0})
    for tick in (0, 5, 9, 10):
        states.apply(said(tick, "eas_front", "eas.alarm"))
        states.apply(said(tick, "eas_back", "eas.alarm"))
    assert states.at(10).count("eas_front", "eas.alarm", 10.0) == 3
    assert states.at(10).count("eas_front", "eas.alarm", 5.0) == 2
    assert states.at(10).count("eas_back", "eas.alarm", 10.0) == 0


def test_a_count_keeps_its_window_for_the_latest_question_that_may_come() -> None:
    states = States({("eas_front", "eas.alarm"): 10.0})
    for tick in range(1000):
        states.apply(said(tick, "eas_front", "eas.alarm"))
    assert len(states.times("eas_front", "eas.alarm")) == 10 + OVERTAKEN + 1
    assert states.at(999).count("eas_front", "eas.alarm", 10.0) == 10
    assert states.at(999 - OVERTAKEN).count("eas_front", "eas.alarm", 10.0) == 10


def test_a_device_never_heard_was_down() -> None:
    states = States()
    assert states.was_down(["door_front"], 0, 1) == "door_front"
    states.apply(said(5, "door_front", "link.up"))
    assert states.was_down(["door_front"], 4, 9) == "door_front"
    assert states.was_down(["door_front"], 5, 9) == ""
    assert states.was_down(["site"], 0, 9) == ""


def test_what_is_assumed_was_always_so() -> None:
    states = States()
    states.assume(said(5, "door_front", "state.known", sets={"link": "up", "contact": "open"}))
    assert states.was_down(["door_front"], -100, 9) == ""
    assert states.value("door_front", "contact") == "open"


def test_it_goes_on_from_what_was_saved_as_json() -> None:
    states = States({("eas_front", "eas.alarm"): 10.0})
    states.apply(said(1, "door_front", "link.up"))
    states.apply(said(1, "door_front", "door.opened"))
    states.apply(said(2, "door_front", "link.down"))
    states.apply(said(3, "eas_front", "eas.alarm"))
    again = States({("eas_front", "eas.alarm"): 10.0})
    events, over = Events(), Events()
    saved = states.save(events, since=-10.0)
    table = Events.restore(json.loads(json.dumps(events.save())))
    again.restore(json.loads(json.dumps(saved)), table)
    assert (again.save(over, since=-10.0), over.save()) == (saved, events.save())
    assert again.apply(said(4, "door_front", "door.opened"))[0].proven_again
    assert again.at(4).count("eas_front", "eas.alarm", 10.0) == 1
    assert again.was_down(["door_front"], 2, 3) == "door_front"


def test_what_a_test_says_is_neither_counted_nor_remembered() -> None:
    states = States({("door_front", "door.opened"): 60.0})
    states.apply(said(1, "door_front", "door.opened"))
    states.apply(said(5, "door_front", "door.opened", test=True))
    assert states.at(9).count("door_front", "door.opened", 60.0) == 1
    assert states.at(9).since("door_front", "door.opened") == 8.0
