"""Beacons: switched or sounded, which is the same to them."""

import asyncio

from drivers.beacon import Beacon
from drivers.commands import Command, Silence, Sound, SwitchOff, SwitchOn
from drivers.settings import OutputSetting, Seconds
from drivers.signals import OutputOff, OutputOn, Signal
from drivers.sim.beacon import SimulatedBeacon
from tests import virtual_time
from tests.drivers.watching import watching

OUTPUT = OutputSetting(line="m.do0")


def test_sound_and_switch_on_both_light_it() -> None:
    commands: list[Command] = [SwitchOn(), SwitchOff(), Sound(), Silence()]

    async def main() -> list[Signal]:
        async with watching(Beacon(output=OUTPUT), do0=False) as beacon:
            beacon.take()
            for command in commands:
                await beacon.driver.perform(command)
                await asyncio.sleep(1)
            return beacon.signals

    assert virtual_time.run(main()) == [OutputOn(), OutputOff(), OutputOn(), OutputOff()]


def test_it_has_no_limit_of_its_own_unless_one_is_set() -> None:
    assert Beacon(output=OUTPUT).longest(SwitchOn()) is None
    assert Beacon(output=OUTPUT, max_on=Seconds(60)).longest(Sound()) == 60.0
    assert Beacon(output=OUTPUT).rest() == SwitchOff()
    assert Beacon(output=OUTPUT, start_as="on").at_start() == SwitchOn()


def test_the_simulated_beacon_is_lit_while_its_relay_is_on() -> None:
    beacon = SimulatedBeacon()
    beacon.relay(True, at=1.0)
    assert beacon.on
    beacon.relay(False, at=3.0)
    assert (beacon.on, beacon.seconds(9.0)) == (False, 2.0)
