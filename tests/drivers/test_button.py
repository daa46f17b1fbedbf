"""Buttons: pressed, let go, and as urgent as their kind."""

import asyncio
from typing import Literal

import pytest

from drivers.button import Button
from drivers.priorities import Priority
from drivers.settings import InputSetting
from drivers.signals import ButtonPressed, ButtonReleased, LinkDown, LinkUp, Signal, StateKnown
from drivers.sim.button import SimulatedButton
from tests import virtual_time
from tests.drivers.watching import Said, watching

CONTACT = InputSetting(line="m.di0")
Kind = Literal["panic", "medical", "call_point", "acknowledge"]


def test_a_press_is_said_at_once_and_so_is_its_end() -> None:
    async def main() -> Said:
        async with watching(Button(contact=CONTACT, kind="panic"), di0=False) as button:
            await asyncio.sleep(1)
            await SimulatedButton(button.house, "m.di0").press(0.3)
            await asyncio.sleep(1)
            return button.said

    assert virtual_time.run(main()) == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"contact": "quiet"})),
        (1.001, ButtonPressed()),
        (1.301, ButtonReleased()),
    ]


def test_a_press_between_two_polls_is_a_press() -> None:
    async def main() -> list[Signal]:
        async with watching(Button(contact=CONTACT, kind="panic"), di0=False) as button:
            button.take()
            button.house.pulse_unseen("m.di0")
            await asyncio.sleep(1)
            return button.signals

    assert virtual_time.run(main()) == [ButtonPressed(), ButtonReleased()]


@pytest.mark.parametrize(
    ("kind", "priority", "said_without_history"),
    [
        ("panic", Priority.personal_safety, {("contact", "active")}),
        ("medical", Priority.personal_safety, {("contact", "active")}),
        ("call_point", Priority.life_safety, {("contact", "active")}),
        ("acknowledge", Priority.operations, set()),
    ],
)
def test_its_urgency_follows_from_its_kind(
    kind: Kind, priority: Priority, said_without_history: set[tuple[str, str]]
) -> None:
    button = Button(contact=CONTACT, kind=kind)
    assert button.priority_of(ButtonPressed()) is priority
    assert button.priority_of(ButtonReleased()) is priority
    assert button.priority_of(LinkDown(reason="gone")) is Priority.operations
    assert button.alarms_without_history() == said_without_history
    assert button.signal_for("contact", "active") == ButtonPressed()
