"""Switches: on and off, and nothing else."""

import asyncio

import pytest

from drivers.commands import Sound, SwitchOff, SwitchOn
from drivers.contract import CommandFailed
from drivers.settings import OutputSetting
from drivers.signals import OutputOff, OutputOn, Signal
from drivers.sim.switch import SimulatedSwitch
from drivers.switch import Switch
from tests import virtual_time
from tests.drivers.watching import watching

OUTPUT = OutputSetting(line="m.do0")


def test_it_switches_and_refuses_to_sound() -> None:
    async def main() -> list[Signal]:
        async with watching(Switch(output=OUTPUT), do0=False) as switch:
            switch.take()
            await switch.driver.perform(SwitchOn())
            await asyncio.sleep(1)
            await switch.driver.perform(SwitchOff())
            await asyncio.sleep(1)
            with pytest.raises(CommandFailed, match="a switch cannot sound"):
                await switch.driver.perform(Sound())
            return switch.signals

    assert virtual_time.run(main()) == [OutputOn(), OutputOff()]


def test_what_is_kept_is_not_written() -> None:
    kept = Switch(output=OUTPUT, start_as="keep", stop_as="keep")
    assert (kept.at_start(), kept.at_stop(), kept.rest()) == (None, None, SwitchOff())


def test_the_simulated_load_counts_how_often_it_was_switched() -> None:
    load = SimulatedSwitch()
    for second in range(6):
        load.relay(second % 2 == 0, at=float(second))
    assert (load.switched_on, load.seconds(10.0)) == (3, 3.0)
