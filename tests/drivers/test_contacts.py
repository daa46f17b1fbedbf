"""The inputs of one device: link, faults, and pulses that came while nobody could read."""

import asyncio

from drivers.button import Button
from drivers.contact import Contact
from drivers.fire_panel import FirePanel
from drivers.settings import InputSetting
from drivers.signals import (
    ButtonReleased,
    ContactActive,
    FireAlarm,
    InputFault,
    InputRestored,
    LinkUp,
    Signal,
    StateKnown,
)
from tests import virtual_time
from tests.drivers.watching import watching

FIRST = InputSetting(line="m.di0")
SECOND = InputSetting(line="n.di0")


def test_a_press_that_only_the_counter_saw_while_the_module_was_away_is_found() -> None:
    async def main() -> list[Signal]:
        async with watching(Button(contact=FIRST, kind="panic"), di0=False) as button:
            await asyncio.sleep(1)
            button.house.lose("m")
            await asyncio.sleep(60)
            button.take()
            button.house.pulse_unseen("m.di0")
            await asyncio.sleep(1)
            return button.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        StateKnown(values={"contact": "active"}),
        ButtonReleased(),
    ]


def test_one_of_two_modules_that_is_lost_is_a_fault_and_no_lost_link() -> None:
    async def main() -> tuple[list[Signal], list[tuple[float, str]]]:
        driver = FirePanel(alarm=FIRST, supervisory=SECOND)
        async with watching(driver, di0=False) as panel:
            panel.house.set("n.di0", False)
            await asyncio.sleep(1)
            panel.take()
            panel.house.lose("n", "timed out")
            await asyncio.sleep(1)
            panel.house.set("m.di0", True)
            await asyncio.sleep(1)
            panel.house.set("n.di0", True)
            await asyncio.sleep(1)
            return panel.signals, panel.lost

    said, lost = virtual_time.run(main())
    assert said == [
        InputFault(input="supervisory", reason="timed out", affects=("supervisory",)),
        FireAlarm(),
        InputRestored(input="supervisory"),
        StateKnown(values={"supervisory": "active"}),
    ]
    assert lost == []


def test_a_second_reason_for_a_fault_is_said_and_the_same_one_is_not() -> None:
    async def main() -> list[Signal]:
        async with watching(Contact(contact=FIRST), di0=False) as device:
            device.take()
            for reason in ("loop open", "loop open", "loop short"):
                device.house.fault("m.di0", reason)
                await asyncio.sleep(1)
            return device.signals

    assert virtual_time.run(main()) == [
        InputFault(input="contact", reason="loop open", affects=("contact",)),
        InputFault(input="contact", reason="loop short", affects=("contact",)),
    ]


def test_a_module_that_comes_and_goes_is_lost_each_time_and_never_spins() -> None:
    async def main() -> tuple[list[Signal], int]:
        async with watching(Contact(contact=FIRST), di0=False) as device:
            for _ in range(50):
                device.house.lose("m")
                await asyncio.sleep(0.01)
                device.house.set("m.di0", False)
                await asyncio.sleep(0.01)
            await asyncio.sleep(5)
            device.take()
            device.house.set("m.di0", True)
            await asyncio.sleep(1)
            return device.signals, len(device.lost)

    said, lost = virtual_time.run(main())
    assert said == [ContactActive()]
    assert lost == 1


def test_changes_of_the_reason_while_it_is_away_are_not_said_again() -> None:
    async def main() -> list[tuple[float, str]]:
        async with watching(Contact(contact=FIRST)) as device:
            device.house.lose("m", "no route to host")
            await asyncio.sleep(30)
            device.house.lose("m", "connection refused")
            await asyncio.sleep(30)
            device.house.lose("m", "timed out")
            await asyncio.sleep(3000)
            return device.lost

    assert virtual_time.run(main()) == [(0.001, "m.di0: no route to host")]


def test_a_device_whose_module_was_lost_before_it_began_says_so() -> None:
    async def main() -> list[tuple[float, str]]:
        async with watching(Contact(contact=FIRST)) as device:
            await asyncio.sleep(3000)
            return device.lost

    assert virtual_time.run(main()) == [(10.0, "m.di0: not read yet")]
