"""Orders on their way to devices, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.commands import Command, Goto, RecordClip, Silence, Sound, SwitchOn
from drivers.contract import CommandFailed
from drivers.priorities import Priority
from drivers.signals import Signal
from edge.dispatch import WAITING, Dispatch, Given
from tests import virtual_time
from tests.edge.plain import Plain

OPERATIONS, LIFE = Priority.operations, Priority.life_safety


class Room:
    """A dispatcher with one device, and what was said of it."""

    def __init__(self, driver: Plain) -> None:
        self.driver = driver
        self.said: list[tuple[float, str, Any]] = []
        self.firings: list[Any] = []
        self.dispatch = Dispatch({"siren": driver}, self.tell, self.now)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def tell(self, _device: str, signal: Signal, _priority: Priority) -> None:
        fields = signal.fields()
        self.firings.append(fields.get("firing"))
        self.said.append((round(self.now(), 3), signal.kind, fields.get("reason")))

    def give(self, command: Command, priority: Priority = OPERATIONS, **more: Any) -> None:
        given = Given(device="siren", command=command, by="rule", priority=priority, **more)
        self.dispatch.give(given)


def play(driver: Plain, story: Callable[[Room], Awaitable[None]]) -> Room:
    room = Room(driver)

    async def main() -> None:
        task = asyncio.create_task(room.dispatch.run())
        await story(room)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_time.run(main())
    return room


async def slowly(_command: Command) -> None:
    await asyncio.sleep(1)


def preset(name: str) -> Goto:
    return Goto(preset=name)


def test_one_order_at_a_time_is_performed() -> None:
    async def story(room: Room) -> None:
        for name in "abc":
            room.give(preset(name))
        await asyncio.sleep(2.5)
        assert room.driver.performed == [preset("a"), preset("b")]
        await asyncio.sleep(1)

    room = play(Plain(performs=slowly), story)
    assert room.said == [(1, "order.done", None), (2, "order.done", None), (3, "order.done", None)]


def test_an_outcome_names_the_firing_that_its_order_came_from() -> None:
    async def story(room: Room) -> None:
        room.give(preset("a"), firing="f1")
        room.give(SwitchOn(), firing="f2")  # it cannot do that
        await asyncio.sleep(1.5)

    assert play(Plain(performs=slowly), story).firings == ["f2", "f1"]


def test_what_waits_is_performed_by_urgency() -> None:
    async def story(room: Room) -> None:
        room.give(preset("first"), LIFE)
        await asyncio.sleep(0.1)
        room.give(preset("slow"))
        room.give(preset("urgent"), Priority.security)
        await asyncio.sleep(5)

    room = play(Plain(performs=slowly), story)
    assert room.driver.performed == [preset("first"), preset("urgent"), preset("slow")]


def test_of_equals_a_recording_does_not_wait_for_the_camera_to_turn() -> None:
    async def story(room: Room) -> None:
        room.give(preset("gate"), lasting=True)
        room.give(RecordClip())
        await asyncio.sleep(5)

    driver = Plain(performs=slowly)
    play(driver, story)
    assert [command.kind for command in driver.performed] == ["record", "goto"]


def test_an_order_that_is_not_confirmed_by_the_deadline_has_failed() -> None:
    async def never(_command: Command) -> None:
        await asyncio.Event().wait()

    async def story(room: Room) -> None:
        room.give(preset("a"))
        await asyncio.sleep(6)

    room = play(Plain(performs=never), story)
    assert room.said == [(5, "order.failed", "not confirmed within 5 s")]


def test_a_lasting_order_is_tried_until_it_is_so_and_its_failure_said_once() -> None:
    fails = [CommandFailed("not connected")] * 4

    async def at_last(_command: Command) -> None:
        if fails:
            raise fails.pop()

    async def story(room: Room) -> None:
        room.give(Sound(), lasting=True)
        await asyncio.sleep(60)

    room = play(Plain(performs=at_last), story)
    # 0, then after 0.5, 1, 2 and 4 s
    assert room.said == [(0, "order.failed", "not connected"), (7.5, "order.done", None)]


def test_a_newer_lasting_order_takes_the_place_of_one_that_fails() -> None:
    async def only_silence(command: Command) -> None:
        if isinstance(command, Sound):
            raise CommandFailed("not connected")

    async def story(room: Room) -> None:
        room.give(Sound(), lasting=True)
        await asyncio.sleep(0.2)
        room.give(Silence(), lasting=True)
        await asyncio.sleep(60)

    room = play(Plain(performs=only_silence), story)
    assert room.said == [(0, "order.failed", "not connected"), (0.2, "order.done", None)]


def test_a_more_urgent_order_overtakes_the_one_being_performed() -> None:
    async def goto_hangs(command: Command) -> None:
        if isinstance(command, Goto):
            await asyncio.sleep(4)

    async def story(room: Room) -> None:
        room.give(preset("a"))
        await asyncio.sleep(1)
        room.give(Sound(), LIFE, lasting=True)
        await asyncio.sleep(10)

    room = play(Plain(performs=goto_hangs), story)
    assert room.said == [
        (1, "order.failed", "overtaken by a more urgent order"),
        (1, "order.done", None),
    ]


def test_a_lasting_order_that_was_overtaken_is_performed_afterwards() -> None:
    async def story(room: Room) -> None:
        room.give(Sound(), lasting=True)
        await asyncio.sleep(0.5)
        room.give(preset("fire"), LIFE)
        await asyncio.sleep(10)

    room = play(Plain(performs=slowly), story)
    assert room.driver.performed == [preset("fire"), Sound()]


def test_what_waits_is_bounded_and_the_least_urgent_is_refused() -> None:
    async def story(room: Room) -> None:
        room.give(preset("0"))
        await asyncio.sleep(0)
        for number in range(WAITING + 1):
            room.give(preset(str(number)))
        room.give(preset("urgent"), Priority.security)

    room = play(Plain(performs=slowly), story)
    reason = "50 orders wait for it already"
    assert room.said[:2] == [(0, "order.failed", reason), (0, "order.failed", reason)]


def test_a_bug_in_perform_is_a_failed_order() -> None:
    async def stumbles(_command: Command) -> None:
        raise KeyError("x")

    async def story(room: Room) -> None:
        room.give(preset("a"))
        await asyncio.sleep(1)
        room.driver.performs = slowly
        room.give(preset("b"))
        await asyncio.sleep(2)

    room = play(Plain(performs=stumbles), story)
    assert room.said == [(0, "order.failed", "bug: KeyError"), (2, "order.done", None)]


def test_what_a_device_cannot_do_fails_at_once() -> None:
    async def story(room: Room) -> None:
        room.give(SwitchOn())
        room.dispatch.give(Given(device="nobody", command=Sound(), by="rule", priority=OPERATIONS))

    room = play(Plain(), story)
    assert [reason for _, _, reason in room.said] == [
        "siren cannot switch_on",
        "nobody cannot sound",
    ]


def test_it_ends_although_a_device_swallows_the_cancellation() -> None:
    async def swallows(_command: Command) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def story(room: Room) -> None:
        room.give(Sound(), lasting=True)
        await asyncio.sleep(1)

    play(Plain(performs=swallows), story)


def test_the_success_of_a_quiet_order_is_no_news() -> None:
    async def story(room: Room) -> None:
        room.give(Silence(), lasting=True, quiet=True)
        await asyncio.sleep(1)

    room = play(Plain(), story)
    assert (room.said, room.driver.performed) == ([], [Silence()])
