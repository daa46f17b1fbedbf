"""Sirens: on and off as read back, never without an end, and honest about what does not obey."""

import asyncio

import pytest

from drivers.commands import Release, Silence, Sound
from drivers.contract import CommandFailed, SettingError
from drivers.settings import OutputSetting, Seconds
from drivers.signals import LinkUp, OutputMismatch, OutputOff, OutputOn, Signal, StateKnown
from drivers.sim.siren import SimulatedSiren
from drivers.siren import Siren
from tests import virtual_time
from tests.drivers.watching import Said, watching

OUTPUT = OutputSetting(line="m.do0")


def test_it_sounds_and_falls_silent_and_says_what_was_read_back() -> None:
    async def main() -> Said:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            await asyncio.sleep(1)
            await siren.driver.perform(Sound())
            assert siren.house.output("m.do0").on is True
            await asyncio.sleep(1)
            await siren.driver.perform(Sound())
            await siren.driver.perform(Silence())
            assert siren.house.output("m.do0").on is False
            await asyncio.sleep(1)
            return siren.said

    assert virtual_time.run(main()) == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"output": "off"})),
        (1.001, OutputOn()),
        (2.001, OutputOff()),
    ]


def test_an_output_that_works_the_other_way_round_is_one_setting() -> None:
    async def main() -> tuple[list[Signal], bool | None]:
        driver = Siren(output=OutputSetting(line="m.do0", active="off"))
        async with watching(driver, do0=True) as siren:
            await siren.driver.perform(Sound())
            await asyncio.sleep(1)
            return siren.signals, siren.house.output("m.do0").on

    said, level = virtual_time.run(main())
    assert said == [LinkUp(), StateKnown(values={"output": "off"}), OutputOn()]
    assert level is False


def test_somebody_who_switches_it_by_hand_is_a_mismatch_after_a_moment() -> None:
    async def main() -> Said:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            await siren.driver.perform(Silence())
            siren.take()
            siren.house.set("m.do0", True)
            await asyncio.sleep(0.2)
            siren.house.set("m.do0", False)
            await asyncio.sleep(1)
            siren.house.set("m.do0", True)
            await asyncio.sleep(100)
            siren.house.set("m.do0", False)
            await asyncio.sleep(1)
            return siren.said

    assert virtual_time.run(main()) == [
        (0.001, OutputOn()),
        (0.201, OutputOff()),
        (1.201, OutputOn()),
        (1.451, OutputMismatch(expected="off", read="on")),
        (101.201, OutputOff()),
    ]


def test_an_output_that_nobody_wrote_can_not_mismatch() -> None:
    async def main() -> list[Signal]:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            siren.take()
            siren.house.set("m.do0", True)
            await asyncio.sleep(10)
            return siren.signals

    assert virtual_time.run(main()) == [OutputOn()]


def test_a_write_without_effect_is_a_mismatch() -> None:
    async def main() -> Said:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            siren.take()
            siren.house.output("m.do0").stuck = True
            await siren.driver.perform(Sound())
            await asyncio.sleep(10)
            return siren.said

    assert virtual_time.run(main()) == [(0.251, OutputMismatch(expected="on", read="off"))]


def test_a_slow_module_is_no_mismatch() -> None:
    async def main() -> Said:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            siren.take()
            siren.house.output("m.do0").delay = 3.0
            await siren.driver.perform(Sound())
            await asyncio.sleep(10)
            return siren.said

    assert virtual_time.run(main()) == [(3.001, OutputOn())]


def test_while_a_write_is_on_its_way_nothing_is_a_mismatch() -> None:
    async def main() -> Said:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            siren.take()
            siren.house.output("m.do0").delay = 3.0
            writing = asyncio.create_task(siren.driver.perform(Sound()))
            await asyncio.sleep(1)
            siren.house.set("m.do0", True)
            await asyncio.sleep(0.1)
            siren.house.set("m.do0", False)
            await writing
            await asyncio.sleep(10)
            return siren.said

    assert virtual_time.run(main()) == [
        (1.001, OutputOn()),
        (1.101, OutputOff()),
        (3.001, OutputOn()),
    ]


def test_a_refused_write_is_a_failed_command() -> None:
    async def main() -> None:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            siren.house.output("m.do0").refuses = "exception 4: device failure"
            with pytest.raises(CommandFailed, match="exception 4: device failure"):
                await siren.driver.perform(Sound())
            with pytest.raises(CommandFailed, match="a siren cannot release"):
                await siren.driver.perform(Release())

    virtual_time.run(main())


def test_a_lost_module_is_a_lost_link_and_the_siren_is_back_with_it() -> None:
    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(Siren(output=OUTPUT), do0=False) as siren:
            await siren.driver.perform(Sound())
            await asyncio.sleep(1)
            siren.take()
            siren.house.lose("m", "connection reset")
            await asyncio.sleep(3600)
            with pytest.raises(CommandFailed, match="connection reset"):
                await siren.driver.perform(Sound())
            siren.house.set("m.do0", False)
            await asyncio.sleep(10)
            return siren.said, siren.lost

    said, lost = virtual_time.run(main())
    assert said == [
        (3601.001, LinkUp()),
        (3601.001, StateKnown(values={"output": "off"})),
    ]
    assert lost == [(1.001, "m.do0: connection reset")]


def test_what_the_host_writes_follows_from_the_settings() -> None:
    plain = Siren(output=OUTPUT)
    assert (plain.at_start(), plain.at_stop(), plain.rest()) == (Silence(), Silence(), Silence())
    loud = Siren(output=OUTPUT, start_as="on", stop_as="keep")
    assert (loud.at_start(), loud.at_stop(), loud.rest()) == (Sound(), None, Silence())
    assert plain.longest(Sound()) == 120.0
    assert plain.longest(Silence()) is None
    assert plain.signal_for("output", "on") == OutputOn()
    assert plain.lines() == {"output": "m.do0"}


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match="max_on is more than 0 s"):
        Siren(output=OUTPUT, max_on=Seconds(0))
    with pytest.raises(SettingError, match="max_per_hour is more than 0 s"):
        Siren(output=OUTPUT, max_per_hour=Seconds(-1))


def test_the_simulated_siren_knows_how_long_it_sounded() -> None:
    siren = SimulatedSiren(limit=120.0)
    siren.relay(True, at=10.0)
    siren.relay(True, at=20.0)
    siren.relay(False, at=40.0)
    siren.relay(True, at=100.0)
    assert (siren.on, siren.seconds(160.0), siren.switched_on) == (True, 90.0, 2)
    assert not siren.overheated(220.0)
    assert siren.overheated(220.1)
