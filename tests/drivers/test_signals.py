"""The vocabulary of signals: whole, consistent, and as urgent as the contract says."""

import dataclasses
import re

import pytest

from drivers import signals
from drivers.priorities import Priority
from drivers.signals import (
    ButtonPressed,
    DoorClosed,
    DoorHeld,
    EasAlarm,
    FireAlarm,
    InputFault,
    Signal,
    StateKnown,
)

each_signal = pytest.mark.parametrize("kind", sorted(signals.by_kind()))


@each_signal
def test_its_word_and_its_documentation_are_there(kind: str) -> None:
    signal = signals.by_kind()[kind]
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind)
    assert signal.__doc__
    assert not signal.__doc__.startswith(f"{signal.__name__}(")
    assert isinstance(signal.priority, Priority)


@each_signal
def test_it_is_frozen_slotted_and_given_by_name(kind: str) -> None:
    signal = signals.by_kind()[kind]
    assert "__slots__" in signal.__dict__
    assert all(each.kw_only for each in dataclasses.fields(signal))
    parameters = signal.__dataclass_params__  # type: ignore[attr-defined]
    assert parameters.frozen


def test_no_two_signals_share_a_word() -> None:
    assert len(signals.by_kind()) == len({each.__name__ for each in Signal.__subclasses__()})


def test_urgency_is_as_the_contract_says() -> None:
    kinds = signals.by_kind()
    urgency = {kind: signal.priority for kind, signal in kinds.items()}
    life_safety = {kind for kind, priority in urgency.items() if priority is Priority.life_safety}
    assert life_safety == {kind for kind in kinds if kind.startswith("fire.")}
    for kind in ("eas.alarm", "eas.metal", "eas.jammer", "door.forced", "door.held", "input.stuck"):
        assert urgency[kind] is Priority.security
    for kind in ("door.opened", "door.closed", "link.up", "link.down", "order.done", "input.fault"):
        assert urgency[kind] is Priority.operations
    for kind in ("eas.visitors", "eas.deactivated", "input.edge"):
        assert urgency[kind] is Priority.telemetry


def test_fields_leave_out_what_is_not_known() -> None:
    assert FireAlarm().fields() == {}
    assert FireAlarm(zone="Z1").fields() == {"zone": "Z1"}
    assert EasAlarm(aisle=2, direction="out").fields() == {"aisle": 2, "direction": "out"}
    assert DoorClosed().fields() == {}
    assert ButtonPressed(changed_while_down=True).fields() == {"changed_while_down": True}


def test_states_follow_from_a_signal() -> None:
    assert EasAlarm().states() == {"alarm": "active"}
    assert DoorHeld(stage="warning", open_for=20.0).states() == {"held": "warning"}
    assert DoorClosed().states() == {"contact": "closed", "forced": "no", "held": "no"}
    assert StateKnown(values={"lock": "locked"}).states() == {"lock": "locked"}
    assert InputFault(input="alarm", reason="x", affects=("alarm", "input")).states() == {
        "alarm": "unknown",
        "input": "unknown",
    }


def test_what_any_device_may_say_is_in_the_vocabulary() -> None:
    known = set(signals.by_kind().values())
    assert known >= signals.SAID_BY_ALL | signals.SAID_OF_ORDERS
    assert not signals.SAID_BY_ALL & signals.SAID_OF_ORDERS
