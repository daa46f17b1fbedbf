"""GPIO lines through gpiozero, with its own mock factory: the threads' news reach the loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory

from drivers.contract import LinkLost
from drivers.lines import gpio
from drivers.lines.gpio import Gpio
from drivers.lines.gpio_chip import GpioInput, GpioOutput
from drivers.signals import LinkUp, Signal

Pins = Any


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pins]:
    monkeypatch.setattr(gpio, "CHECK_EVERY", 3600.0)
    gpiozero.Device.pin_factory = MockFactory()
    yield gpiozero.Device.pin_factory
    gpiozero.Device.pin_factory.close()
    gpiozero.Device.pin_factory = None


def real(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(within())


@asynccontextmanager
async def running(module: Gpio) -> AsyncIterator["asyncio.Task[None]"]:
    said: asyncio.Queue[Signal] = asyncio.Queue()
    run = asyncio.create_task(module.run(said.put))
    try:
        assert await said.get() == LinkUp()
        yield run
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError, LinkLost):
            await run


def from_a_thread(act: Callable[[], None]) -> None:
    thread = Thread(target=act)
    thread.start()
    thread.join()


def test_a_contact_that_closes_in_another_thread_is_told_on_the_loop(pins: Pins) -> None:
    async def main() -> None:
        module = Gpio(via="gpiozero", input_pins={"door": GpioInput(line="17", pull="up")})
        async with running(module):
            door = module.inputs()["door"]
            assert door.reading.level is False
            with door.watch() as watch:
                from_a_thread(pins.pin(17).drive_low)
                assert (await watch.get()).level is True
                from_a_thread(pins.pin(17).drive_high)
                assert (await watch.get()).level is False
            assert door.reading.count == 1

    real(main)


def test_an_output_keeps_its_level_when_the_daemon_comes_and_goes(pins: Pins) -> None:
    async def main() -> None:
        pin = pins.pin(27)
        pin.function = "output"
        pin.state = 1
        pin.clear_states()
        module = Gpio(via="gpiozero", output_pins={"horn": GpioOutput(line=27)})
        for _ in range(2):
            async with running(module):
                assert module.outputs()["horn"].reading.level is True
        assert [state.state for state in pin.states] == [True]
        assert pin.function == "output"

    real(main)


def test_an_output_is_set_and_read_back(pins: Pins) -> None:
    async def main() -> None:
        module = Gpio(via="gpiozero", output_pins={"horn": GpioOutput(line=27, active_low=True)})
        async with running(module):
            await module.outputs()["horn"].write(on=True)
            assert pins.pin(27).state == 0
            await module.outputs()["horn"].write(on=False)
            assert pins.pin(27).state == 1

    real(main)


def test_one_pin_cannot_be_held_twice(pins: Pins) -> None:
    async def main() -> None:
        first = Gpio(via="gpiozero", input_pins={"door": GpioInput(line=17)})
        second = Gpio(via="gpiozero", input_pins={"gate": GpioInput(line=17)})
        async with running(first):
            with pytest.raises(LinkLost, match="GPIO17 is already in use"):
                await second.run(_deaf)
        async with running(second):
            pass

    real(main)


def test_a_pin_that_does_not_exist_is_a_lost_link(pins: Pins) -> None:
    async def main() -> None:
        module = Gpio(via="gpiozero", input_pins={"door": GpioInput(line=99)})
        with pytest.raises(LinkLost, match="99 is not a valid pin name"):
            await module.run(_deaf)

    real(main)


def test_a_pin_factory_that_does_not_exist_is_a_lost_link() -> None:
    async def main() -> None:
        module = Gpio(via="gpiozero", chip="magic", input_pins={"door": GpioInput(line=17)})
        with pytest.raises(LinkLost, match="magic: gpiozero has no pin factory of this name"):
            await module.run(_deaf)

    real(main)


def test_a_pin_factory_is_taken_by_its_name() -> None:
    async def main() -> None:
        module = Gpio(via="gpiozero", chip="mock", input_pins={"door": GpioInput(line=17)})
        async with running(module):
            assert type(gpiozero.Device.pin_factory).__name__ == "MockFactory"

    try:
        real(main)
    finally:
        gpiozero.Device.pin_factory = None


async def _deaf(signal: Signal) -> None: ...
