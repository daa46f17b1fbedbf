"""Doors: opened, closed, held, and forced only where that can be known."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import SettingError
from drivers.door import Door, _Door
from drivers.lines.conditioned import Change
from drivers.lines.line import Quality
from drivers.settings import InputSetting, Seconds
from drivers.signals import (
    DoorClosed,
    DoorForced,
    DoorHeld,
    DoorOpened,
    DoorRequestToExit,
    DoorRequestToExitEnded,
    InputFault,
    InputRestored,
    LinkUp,
    Signal,
    StateKnown,
)
from drivers.sim.door import SimulatedDoor
from tests import virtual_time
from tests.drivers.watching import Said, watching

CONTACT = InputSetting(line="m.di0")
REQUEST = InputSetting(line="m.di1")


def test_a_door_is_closed_while_its_contact_is_on() -> None:
    async def main() -> Said:
        async with watching(Door(contact=CONTACT), di0=True) as door:
            sim = SimulatedDoor(door.house, "m.di0")
            await asyncio.sleep(1)
            sim.open()
            await asyncio.sleep(5)
            sim.close()
            await asyncio.sleep(100)
            return door.said

    assert virtual_time.run(main()) == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"contact": "closed", "forced": "no", "held": "no"})),
        (1.001, DoorOpened()),
        (6.001, DoorClosed(open_for=5.0)),
    ]


def test_a_cut_wire_reads_as_an_opened_door() -> None:
    async def main() -> list[Signal]:
        async with watching(Door(contact=CONTACT), di0=True) as door:
            door.take()
            SimulatedDoor(door.house, "m.di0").cut()
            await asyncio.sleep(1)
            return door.signals

    assert virtual_time.run(main()) == [DoorOpened()]


def test_a_contact_that_is_off_while_closed_is_one_setting() -> None:
    contact = InputSetting(line="m.di0", active="off")

    async def main() -> list[Signal]:
        async with watching(Door(contact=contact), di0=False) as door:
            door.take()
            SimulatedDoor(door.house, "m.di0", closed_level=False).open()
            await asyncio.sleep(1)
            return door.signals

    assert virtual_time.run(main()) == [DoorOpened()]


def test_an_open_door_is_warned_of_and_then_held() -> None:
    async def main() -> Said:
        async with watching(Door(contact=CONTACT, held_after=Seconds(30)), di0=True) as door:
            door.take()
            await SimulatedDoor(door.house, "m.di0").prop(100)
            await asyncio.sleep(100)
            return door.said

    assert virtual_time.run(main()) == [
        (0.001, DoorOpened()),
        (20.001, DoorHeld(stage="warning", open_for=20.0)),
        (30.001, DoorHeld(stage="held", open_for=30.0)),
        (100.001, DoorClosed(open_for=100.0)),
    ]


def test_a_door_that_closes_exactly_when_it_would_be_held_was_held() -> None:
    driver = Door(contact=CONTACT, held_after=Seconds(30), held_warning=Seconds(25))

    async def main() -> list[Signal]:
        async with watching(driver, di0=True) as door:
            door.take()
            await SimulatedDoor(door.house, "m.di0").prop(30)
            await SimulatedDoor(door.house, "m.di0").prop(24)
            await asyncio.sleep(100)
            return door.signals

    assert virtual_time.run(main()) == [
        DoorOpened(),
        DoorHeld(stage="warning", open_for=25.0),
        DoorHeld(stage="held", open_for=30.0),
        DoorClosed(open_for=30.0),
        DoorOpened(),
        DoorClosed(open_for=24.0),
    ]


def test_a_door_found_open_is_held_from_then_on_and_its_opening_is_not_claimed() -> None:
    async def main() -> Said:
        async with watching(Door(contact=CONTACT, held_after=Seconds(30)), di0=False) as door:
            await asyncio.sleep(40)
            SimulatedDoor(door.house, "m.di0").close()
            await asyncio.sleep(1)
            return door.said

    assert virtual_time.run(main()) == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"contact": "open", "held": "no"})),
        (20.0, DoorHeld(stage="warning", open_for=20.0)),
        (30.0, DoorHeld(stage="held", open_for=30.0)),
        (40.001, DoorClosed()),
    ]


def test_a_door_without_a_request_to_exit_is_never_forced() -> None:
    async def main() -> list[Signal]:
        async with watching(Door(contact=CONTACT), di0=True) as door:
            door.take()
            await SimulatedDoor(door.house, "m.di0").walk_out(asks=False)
            await asyncio.sleep(1)
            return door.signals

    assert virtual_time.run(main()) == [DoorOpened(), DoorClosed(open_for=3.0)]


def test_a_door_opened_without_a_request_to_exit_is_forced() -> None:
    async def main() -> list[Signal]:
        driver = Door(contact=CONTACT, request_to_exit=REQUEST)
        async with watching(driver, di0=True, di1=False) as door:
            sim = SimulatedDoor(door.house, "m.di0", "m.di1")
            await asyncio.sleep(1)
            await sim.walk_out(asks=False)
            await asyncio.sleep(10)
            await sim.walk_out()
            await asyncio.sleep(1)
            return door.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        StateKnown(
            values={"request_to_exit": "quiet", "contact": "closed", "forced": "no", "held": "no"}
        ),
        DoorOpened(),
        DoorForced(),
        DoorClosed(open_for=3.0),
        DoorRequestToExit(),
        DoorOpened(),
        DoorRequestToExitEnded(),
        DoorClosed(open_for=3.0),
    ]


@pytest.mark.parametrize(
    ("later", "said"), [(4.9, [DoorOpened()]), (5.0, [DoorOpened(), DoorForced()])]
)
def test_a_request_to_exit_holds_for_five_seconds(later: float, said: list[Signal]) -> None:
    logic = _Door(Door(contact=CONTACT, request_to_exit=REQUEST))
    logic.found("request_to_exit", _change(1.0, active=True))
    logic.found("contact", _change(1.0, active=True))
    logic.changed("request_to_exit", _change(2.0, active=False))
    assert logic.changed("contact", _change(2.0 + later, active=False)) == said


def test_a_request_to_exit_in_the_same_poll_as_the_opening_counts() -> None:
    async def main() -> list[Signal]:
        driver = Door(contact=CONTACT, request_to_exit=REQUEST)
        async with watching(driver, di0=True, di1=False) as door:
            await asyncio.sleep(10)
            door.take()
            door.house.set("m.di0", False)
            door.house.set("m.di1", True)
            await asyncio.sleep(1)
            return door.signals

    assert virtual_time.run(main()) == [DoorRequestToExit(), DoorOpened()]


def test_while_the_request_to_exit_is_broken_no_door_is_forced() -> None:
    async def main() -> list[Signal]:
        driver = Door(contact=CONTACT, request_to_exit=REQUEST)
        async with watching(driver, di0=True, di1=False) as door:
            await asyncio.sleep(10)
            door.take()
            door.house.fault("m.di1", "loop open")
            SimulatedDoor(door.house, "m.di0").open()
            await asyncio.sleep(1)
            door.house.set("m.di1", False)
            await asyncio.sleep(1)
            return door.signals

    assert virtual_time.run(main()) == [
        InputFault(input="request_to_exit", reason="loop open", affects=("request_to_exit",)),
        DoorOpened(),
        InputRestored(input="request_to_exit"),
        StateKnown(values={"request_to_exit": "quiet"}),
    ]


def test_a_contact_that_bounces_opens_the_door_once_with_a_debounce() -> None:
    contact = InputSetting(line="m.di0", debounce=Seconds(0.05))

    async def main() -> Said:
        async with watching(Door(contact=contact), di0=True) as door:
            await asyncio.sleep(1)
            door.take()
            await SimulatedDoor(door.house, "m.di0").bounce(to_open=True)
            await asyncio.sleep(1)
            return door.said

    assert virtual_time.run(main()) == [(1.001, DoorOpened())]


@pytest.mark.parametrize(
    ("given_settings", "setting", "message"),
    [
        ({"held_after": 0.0}, "held_after", "held_after is more than 0 s"),
        ({"request_for": -1.0}, "request_for", "request_for is 0 s or more"),
        (
            {"held_warning": 30.0},
            "held_warning",
            "held_warning is more than 0 s and less than held_after, 30 s",
        ),
    ],
)
def test_settings_that_no_door_can_have_are_refused(
    given_settings: dict[str, Seconds], setting: str, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        Door(contact=CONTACT, **given_settings)  # type: ignore[arg-type]
    assert (refused.value.setting, str(refused.value)) == (setting, message)


@settings(max_examples=60)
@given(st.lists(st.floats(0.01, 60), min_size=1, max_size=20))
def test_opening_and_closing_alternate_and_holding_is_said_in_its_order(gaps: list[float]) -> None:
    logic, now, closed = _Door(Door(contact=CONTACT)), 0.0, True
    logic.found("contact", _change(0.0, active=True))
    said: list[str] = []
    for gap in gaps:
        now, closed = now + gap, not closed
        while logic.deadline is not None and logic.deadline <= now:
            said += [str(signal.fields()["stage"]) for signal in logic.advance(logic.deadline)]
        said += [signal.kind for signal in logic.changed("contact", _change(now, active=closed))]
    words = " ".join(said) + " "
    for run in ("warning held ", "warning "):
        words = words.replace("door.opened " + run, "door.opened ")
    assert words.split() == (["door.opened", "door.closed"] * len(gaps))[: len(gaps)]


def _change(since: float, *, active: bool) -> Change:
    return Change(active=active, quality=Quality.good, since=since, count=0)
