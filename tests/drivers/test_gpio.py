"""GPIO lines against a simulated chip: edges, pulses, lost edges, outputs, a chip that goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import CommandFailed, LinkLost, SettingError
from drivers.lines.gpio import Gpio
from drivers.lines.gpio_chip import GpioInput, GpioOutput, rises_missed
from drivers.lines.line import Quality, Reading
from drivers.settings import Seconds
from drivers.signals import BadRecord, InputEdge, LinkUp, Signal
from drivers.sim.gpio import SimulatedChip
from edge.house import Wires
from tests import virtual_time

DOOR = {"door": GpioInput(line=17, pull="up")}
GATE = {"gate": GpioInput(line=4)}
HORN = {"horn": GpioOutput(line=27)}


class Running:
    def __init__(self, module: Gpio, run: "asyncio.Task[None]", said: "asyncio.Queue[Signal]"):
        self.module, self.run, self.said = module, run, said

    def reading(self, line: str) -> Reading:
        return self.module.inputs()[line].reading

    async def edge(self) -> tuple[str, bool | None, int]:
        signal = await self.said.get()
        assert isinstance(signal, InputEdge)
        return signal.line, signal.level, signal.count


@asynccontextmanager
async def running(
    chip: SimulatedChip, *, up: bool = True, **settings: Any
) -> AsyncIterator[Running]:
    module = Gpio(chip="pinctrl-rp1", **settings)
    module.open_chip = chip.open
    said: asyncio.Queue[Signal] = asyncio.Queue()
    run = asyncio.create_task(module.run(said.put))
    try:
        if up:
            assert await said.get() == LinkUp()
        yield Running(module, run, said)
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError, LinkLost):
            await run


def test_lines_exist_before_anything_runs_and_nobody_knows_what_they_read() -> None:
    module = Gpio(chip="/dev/gpiochip0", input_pins=DOOR, output_pins=HORN)
    assert module.inputs()["door"].reading.quality is Quality.unknown
    assert module.outputs()["horn"].reading.quality is Quality.unknown
    assert not module.failsafe()


def test_a_contact_that_closes_to_ground_under_a_pull_up_reads_on() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=DOOR) as gpio:
            assert await gpio.edge() == ("door", False, 0)
            chip.close_contact("door")
            assert await gpio.edge() == ("door", True, 1)
            chip.open_contact("door")
            assert await gpio.edge() == ("door", False, 1)

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("pin", "on_when_high"),
    [
        (GpioInput(line=1), True),
        (GpioInput(line=1, pull="down"), True),
        (GpioInput(line=1, pull="up"), False),
        (GpioInput(line=1, pull="up", active_low=False), True),
        (GpioInput(line=1, active_low=True), False),
    ],
)
def test_which_level_is_on_follows_the_pull_unless_it_is_said(
    pin: GpioInput, on_when_high: bool
) -> None:
    async def main() -> None:
        chip = SimulatedChip()
        chip.put("line", high=True)
        async with running(chip, input_pins={"line": pin}) as gpio:
            assert gpio.reading("line").level is on_when_high

    virtual_time.run(main())


def test_a_pulse_between_two_turns_of_the_loop_is_told_as_two_changes() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=GATE) as gpio:
            assert await gpio.edge() == ("gate", False, 0)
            with gpio.module.inputs()["gate"].watch() as watch:
                chip.put("gate", high=True)
                chip.put("gate", high=False)
                assert [(await watch.get()).level, (await watch.get()).level] == [True, False]
            assert await gpio.edge() == ("gate", True, 1)
            assert await gpio.edge() == ("gate", False, 1)

    virtual_time.run(main())


def test_a_change_is_dated_when_the_chip_saw_it() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=GATE) as gpio:
            await asyncio.sleep(5.25)
            chip.late = 0.5
            chip.put("gate", high=True)
            await asyncio.sleep(0.6)
            assert gpio.reading("gate").level is True
            assert gpio.reading("gate").since == pytest.approx(5.25)

    virtual_time.run(main())


def test_a_bouncing_contact_is_one_change_with_debounce_and_many_without() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        pins = {
            "calm": GpioInput(line=1, debounce=Seconds(0.02)),
            "raw": GpioInput(line=2),
        }
        async with running(chip, input_pins=pins) as gpio:
            await chip.bounce("calm", 21)
            await chip.bounce("raw", 21)
            await asyncio.sleep(1)
            assert (gpio.reading("calm").count, gpio.reading("calm").level) == (1, True)
            assert (gpio.reading("raw").count, gpio.reading("raw").level) == (11, True)
            assert gpio.module.inputs()["calm"].debounce == 0, "debounced already, by the kernel"

    virtual_time.run(main())


def test_lost_edges_are_counted_and_said() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=GATE) as gpio:
            for _ in range(100):
                chip.put("gate", high=True)
                chip.put("gate", high=False)
            await asyncio.sleep(1)
            assert gpio.reading("gate").count == 100
            assert gpio.reading("gate").level is False
            lost = [s for s in drained(gpio.said) if isinstance(s, BadRecord)]
            reason = "edges were lost, more came than could be kept"
            assert lost == [BadRecord(reason=reason, count=136)]

    virtual_time.run(main())


def test_lost_edges_are_said_once_a_minute_at_most() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=GATE) as gpio:
            for _ in range(3):
                for _ in range(100):
                    chip.put("gate", high=True)
                    chip.put("gate", high=False)
                await asyncio.sleep(10)
            await asyncio.sleep(60)
            lost = [s.count for s in drained(gpio.said) if isinstance(s, BadRecord)]
            assert lost == [136, 272]

    virtual_time.run(main())


def drained(said: "asyncio.Queue[Signal]") -> list[Signal]:
    return [said.get_nowait() for _ in range(said.qsize())]


def test_a_chattering_line_is_read_in_batches_with_rests_and_keeps_no_other_waiting() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins={**GATE, **DOOR}) as gpio:
            chatter = asyncio.create_task(_chatter(chip))
            await asyncio.sleep(0.1)
            with gpio.module.inputs()["door"].watch() as watch:
                chip.close_contact("door")
                at = asyncio.get_running_loop().time()
                assert (await watch.get()).level is True
                assert asyncio.get_running_loop().time() - at < 1.1
            chatter.cancel()
            assert any(isinstance(s, BadRecord) for s in drained(gpio.said))

    virtual_time.run(main())


async def _chatter(chip: SimulatedChip) -> None:
    while True:
        for _ in range(64):
            chip.put("gate", high=not chip.wires["gate"])
        await asyncio.sleep(0.001)


def test_an_output_is_set_and_read_back() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, output_pins=HORN) as gpio:
            horn = gpio.module.outputs()["horn"]
            await horn.write(on=True)
            assert chip.wires["horn"] is True
            assert horn.reading.level is True
            await horn.write(on=False)
            assert chip.driven == [("horn", True), ("horn", False)]

    virtual_time.run(main())


def test_an_output_that_the_house_has_given_its_whole_name_is_set_too() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, output_pins=HORN) as gpio:
            Wires({"pi": gpio.module})
            horn = gpio.module.outputs()["horn"]
            await horn.write(on=True)
            assert horn.line == "pi.horn"
            assert chip.wires["horn"] is True
            assert horn.reading.level is True

    virtual_time.run(main())


def test_an_output_that_is_on_when_the_low_level_is_drives_low() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        chip.wires["horn"] = True
        pins = {"horn": GpioOutput(line=27, active_low=True)}
        async with running(chip, output_pins=pins) as gpio:
            horn = gpio.module.outputs()["horn"]
            assert horn.reading.level is False
            await horn.write(on=True)
            assert chip.wires["horn"] is False

    virtual_time.run(main())


def test_connecting_leaves_an_output_as_it_is() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        chip.wires["horn"] = True
        async with running(chip, output_pins=HORN) as gpio:
            assert gpio.module.outputs()["horn"].reading.level is True
            await asyncio.sleep(5)
        assert chip.driven == []
        assert chip.wires["horn"] is True

    virtual_time.run(main())


def test_an_output_that_stays_as_it_was_has_failed() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        chip.stuck.add("horn")
        async with running(chip, output_pins=HORN) as gpio:
            with pytest.raises(CommandFailed, match="horn: set on, reads off"):
                await gpio.module.outputs()["horn"].write(on=True)
            assert gpio.module.outputs()["horn"].reading.level is False

    virtual_time.run(main())


def test_an_output_that_somebody_else_changes_is_noticed() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, output_pins=HORN) as gpio:
            with gpio.module.outputs()["horn"].watch() as watch:
                chip.wires["horn"] = True
                assert (await watch.get()).level is True

    virtual_time.run(main())


def test_a_chip_that_is_unplugged_is_a_lost_link_and_its_lines_are_unknown() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=DOOR, output_pins=HORN) as gpio:
            chip.unplug()
            with pytest.raises(LinkLost, match="pinctrl-rp1: No such device"):
                await gpio.run
            for line in (gpio.module.inputs()["door"], gpio.module.outputs()["horn"]):
                assert line.reading.quality is Quality.unknown
                assert line.reading.reason == "pinctrl-rp1: No such device"
            with pytest.raises(CommandFailed, match="horn: not connected"):
                await gpio.module.outputs()["horn"].write(on=True)
            assert not chip.held

    virtual_time.run(main())


def test_a_chip_that_vanished_in_silence_is_found_out_by_the_next_order() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, output_pins=HORN) as gpio:
            chip.present = False
            with pytest.raises(CommandFailed, match="horn: No such device"):
                await gpio.module.outputs()["horn"].write(on=True)
            with pytest.raises(LinkLost, match="No such device"):
                await gpio.run

    virtual_time.run(main())


def test_a_chip_that_vanished_in_silence_is_found_out_within_a_second() -> None:
    async def main() -> float:
        chip = SimulatedChip()
        async with running(chip, input_pins=DOOR) as gpio:
            await asyncio.sleep(0.5)
            chip.present = False
            with pytest.raises(LinkLost, match="No such device"):
                await gpio.run
            return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(1.0, abs=0.1)


def test_after_a_new_start_the_count_goes_on_and_no_edge_is_taken_for_lost() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=GATE) as gpio:
            await chip.bounce("gate", 4)
            await asyncio.sleep(1)
            gpio.run.cancel()
            with suppress(asyncio.CancelledError):
                await gpio.run
            assert gpio.reading("gate").reason == "the module stopped"
            again = asyncio.create_task(gpio.module.run(gpio.said.put))
            await chip.opened.wait()
            await asyncio.sleep(1)
            await chip.bounce("gate", 2)
            await asyncio.sleep(1)
            assert gpio.reading("gate").count == 3
            assert not [s for s in drained(gpio.said) if isinstance(s, BadRecord)]
            again.cancel()
            with suppress(asyncio.CancelledError):
                await again

    virtual_time.run(main())


def test_a_line_that_another_program_holds_is_a_lost_link_that_names_it() -> None:
    async def main() -> None:
        chip = SimulatedChip()
        chip.busy.add("horn")
        async with running(chip, up=False, output_pins=HORN) as gpio:
            with pytest.raises(LinkLost, match="horn: line is held by another program"):
                await gpio.run

    virtual_time.run(main())


def test_a_chip_that_is_not_there_is_a_lost_link_with_the_kernel_s_own_words() -> None:
    async def main() -> None:
        module = Gpio(chip="/dev/gpiochip99", input_pins=DOOR)
        with pytest.raises(LinkLost, match="/dev/gpiochip99: No such file or directory"):
            await module.run(_deaf)
        module = Gpio(chip="no-such-label", input_pins=DOOR)
        with pytest.raises(LinkLost, match="no-such-label: no chip has this label"):
            await module.run(_deaf)

    virtual_time.run(main())


async def _deaf(signal: Signal) -> None: ...


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=6))
def test_every_rise_is_counted_however_many_edges_were_lost(bursts: list[int]) -> None:
    async def main() -> None:
        chip = SimulatedChip()
        async with running(chip, input_pins=GATE) as gpio:
            rises = 0
            for burst in bursts:
                for _ in range(burst):
                    rises += not chip.wires["gate"]
                    chip.put("gate", high=not chip.wires["gate"])
                await asyncio.sleep(0.5)
                assert gpio.reading("gate").level is chip.wires["gate"]
            assert gpio.reading("gate").count == rises

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("before", "lost", "level", "rises"),
    [
        (False, 0, True, 0),
        (False, 1, False, 1),
        (False, 2, True, 2),
        (True, 1, True, 1),
        (True, 2, False, 1),
        (True, 3, True, 2),
        (None, 1, False, 1),
    ],
)
def test_lost_edges_alternate(before: bool | None, lost: int, level: bool, rises: int) -> None:
    assert rises_missed(before, lost, level) == rises


@pytest.mark.parametrize(
    ("settings", "setting", "message"),
    [
        ({"input_pins": DOOR}, "chip", "no chip is named"),
        ({"chip": "pinctrl-rp1"}, "inputs", "neither inputs nor outputs are named"),
        (
            {"chip": "x", "input_pins": {"door": GpioInput(line=1, debounce=Seconds(1.5))}},
            "inputs",
            "door: debounce is not from 0 to 1 s",
        ),
        (
            {"chip": "x", "input_pins": {"a": GpioInput(line="17"), "b": GpioInput(line=17)}},
            "inputs",
            "b: line 17 is a already",
        ),
        (
            {
                "chip": "x",
                "input_pins": {"a": GpioInput(line=4)},
                "output_pins": {"b": GpioOutput(line=4)},
            },
            "outputs",
            "b: line 4 is a already",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(
    settings: dict[str, Any], setting: str, message: str
) -> None:
    with pytest.raises(SettingError, match=message) as refused:
        Gpio(**settings)
    assert refused.value.setting == setting
