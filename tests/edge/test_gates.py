"""When a gate was proven is known over restarts, corrected, and for gates only."""

import json
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from drivers.event import Event
from edge import gates
from edge.gates import Alarm
from edge.true_time import Correction, Corrections
from tests.edge.shop import BEGAN, said, shop

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def test_an_alarm_since_the_snapshot_takes_the_place_of_the_one_in_it() -> None:
    state = {"gates": {"eas_front": ["b", 1.0, 100.0], "eas_back": ["b", 2.0, 200.0]}}
    since: list[Event | float] = [
        said(7.0, "eas_front", "eas.alarm"),
        8.0,
        said(9.0, "eas_back", "eas.ended"),
    ]

    found = gates.known(state, since)

    assert found["eas_front"].at == BEGAN.timestamp() + 7.0
    assert found["eas_back"] == Alarm("b", 2.0, 200.0)


def test_what_is_saved_is_known_again() -> None:
    alarms = {"eas_front": Alarm("b", 1.5, 100.25)}

    assert gates.known(json.loads(json.dumps({"gates": gates.save(alarms)})), ()) == alarms


@given(JSON)
def test_a_snapshot_of_another_version_is_no_trouble(saved: object) -> None:
    for alarm in gates.known({"gates": saved}, ()).values():
        assert isinstance(alarm.at, float)


def test_a_gate_with_contacts_that_never_alarmed_is_at_0_and_other_devices_are_not_there(
    tmp_path: Path,
) -> None:
    devices = shop(tmp_path).devices
    assert "door_back" in devices

    assert gates.times({}, devices, Corrections()) == {"eas_front": 0.0}


def test_the_time_of_an_alarm_under_a_wrong_clock_is_corrected(tmp_path: Path) -> None:
    right = datetime(2026, 11, 20, 9, tzinfo=UTC)
    wrong = Correction(boot="b", since=0.0, tick=60.0, at=right)

    found = gates.times(
        {"eas_front": Alarm("b", 50.0, 12.0)}, shop(tmp_path).devices, Corrections([wrong])
    )

    assert found == {"eas_front": right.timestamp() - 10.0}
