"""Devices on a real Modbus link: the scripts that move wires in memory move a module's too."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.commands import Release, Sound
from drivers.contract import Driver, Emit, LinkLost, WireError
from drivers.eas_pedestal import EasPedestal
from drivers.fire_panel import FirePanel
from drivers.lines.line import InputLine, OutputLine
from drivers.lines.modbus import Modbus
from drivers.lock import Lock
from drivers.ports.port import TextPort
from drivers.settings import InputSetting, OutputSetting, Seconds
from drivers.signals import (
    EasAlarm,
    EasEnded,
    FireAlarm,
    LinkUp,
    LockReleased,
    OutputOn,
    Signal,
    StateKnown,
)
from drivers.sim.eas_pedestal import SimulatedPedestal
from drivers.sim.fire_panel import SimulatedRelays
from drivers.sim.modbus import ModbusSimulator, simulate
from drivers.siren import Siren


class OneModule:
    """A house with one I/O module, `annex`."""

    def __init__(self, module: Modbus) -> None:
        self._module = module

    def input(self, line: str) -> InputLine:
        return self._module.inputs()[line.removeprefix("annex.")]

    def output(self, line: str) -> OutputLine:
        return self._module.outputs()[line.removeprefix("annex.")]

    def port(self, name: str) -> TextPort:
        raise LookupError(name)

    def folder(self, name: str) -> Path:
        raise LookupError(name)


async def heard(
    device: Driver, play: Callable[[ModbusSimulator], object], last: type[Signal]
) -> list[Signal]:
    """Run `device` on a simulated module, let `play` begin, and return all up to `last`."""
    said: list[Signal] = []
    ready, done = asyncio.Event(), asyncio.Event()

    async def hear(signal: Signal) -> None:
        said.append(signal)
        if isinstance(signal, StateKnown):
            ready.set()
        if isinstance(signal, last):
            done.set()

    async def nobody(signal: Signal) -> None:
        """Leave what the module itself says."""

    async def keep_running(driver: Driver, emit: Emit) -> None:
        """Run it again after a lost link, as the host does."""
        while True:
            with suppress(LinkLost, WireError):
                await driver.run(emit)
            await asyncio.sleep(0.1)

    async with asyncio.timeout(20), simulate("moxa_e1214") as sim:
        module = Modbus(url=sim.url, profile="moxa_e1214", poll=Seconds(0.02))
        sim.set("di4", True)
        device.attach(OneModule(module))
        tasks = [
            asyncio.create_task(keep_running(module, nobody)),
            asyncio.create_task(keep_running(device, hear)),
        ]
        try:
            await ready.wait()
            playing = play(sim)
            if asyncio.iscoroutine(playing):
                await playing
            await done.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return said


def test_a_burst_of_short_pulses_on_the_wire_is_one_alarm() -> None:
    pedestal = EasPedestal(alarm=InputSetting(line="annex.di0"), merge=Seconds(0.5))

    async def play(sim: ModbusSimulator) -> None:
        await SimulatedPedestal(sim, "di0").retrigger(4, width=0.003, gap=0.05)

    said = asyncio.run(heard(pedestal, play, EasEnded))
    assert said[:3] == [
        LinkUp(),
        StateKnown(values={"alarm": "quiet", "input": "ok"}),
        EasAlarm(),
    ]
    ended = said[3]
    assert isinstance(ended, EasEnded)
    assert ended.count == 4


def test_a_fire_relay_on_the_wire_is_a_fire_alarm() -> None:
    panel = FirePanel(alarm=InputSetting(line="annex.di3"), trouble=InputSetting(line="annex.di4"))

    def play(sim: ModbusSimulator) -> None:
        SimulatedRelays(sim, "di3", "di4", "di5").alarm()

    assert asyncio.run(heard(panel, play, FireAlarm)) == [
        LinkUp(),
        StateKnown(values={"alarm": "normal", "trouble": "normal"}),
        FireAlarm(),
    ]


@pytest.mark.parametrize(
    ("device", "command", "state", "said"),
    [
        (Siren(output=OutputSetting(line="annex.do0")), Sound(), {"output": "off"}, OutputOn()),
        (
            Lock(output=OutputSetting(line="annex.do0"), energised="released", fail="secure"),
            Release(),
            {"lock": "locked"},
            LockReleased(),
        ),
    ],
)
def test_an_output_on_the_wire_follows_and_is_read_back(
    device: Driver, command: Sound | Release, state: dict[str, str], said: Signal
) -> None:
    async def play(sim: ModbusSimulator) -> None:
        await device.perform(command)
        assert sim.outputs["do0"] is True

    assert asyncio.run(heard(device, play, type(said))) == [
        LinkUp(),
        StateKnown(values=state),
        said,
    ]
