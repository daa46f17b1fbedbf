"""Modules on one serial line take turns, and come back when its adapter was pulled."""

import asyncio
import fcntl
import os
from pathlib import Path

from drivers.contract import LinkLost
from drivers.settings import Seconds
from drivers.signals import LinkUp
from drivers.sim.modbus import simulate
from tests import virtual_time
from tests.drivers.modbus_rig import Heard, failure, module, running


def test_modules_on_one_serial_line_share_it() -> None:
    async def main() -> None:
        async with simulate(kind="rtu") as sim, asyncio.timeout(20):
            one = module(sim, poll=Seconds(0.01))
            other = module(sim, poll=Seconds(0.01))
            async with running(one) as heard:
                async with running(other) as heard_too:
                    for number in range(6):
                        sim.set(f"di{number}", True)
                        await one.outputs()[f"do{number}"].write(on=True)
                        await heard.until_edge(f"di{number}", True)
                        await heard_too.until_edge(f"di{number}", True)
                assert all(sim.outputs.values())
                heard.signals.clear()
                sim.set("di0", False)
                await heard.until_edge("di0", False)

    asyncio.run(main())


def test_modules_behind_one_converter_share_its_connection() -> None:
    async def main() -> None:
        async with simulate(kind="rtu+tcp") as sim:
            sim.faults.connections = 1
            async with running(module(sim)), running(module(sim)):
                assert sim.connected == 1

    virtual_time.run(main())


def test_a_line_has_one_speed() -> None:
    async def main() -> None:
        async with simulate(kind="rtu") as sim, asyncio.timeout(20):
            async with running(module(sim)):
                faster = module(sim, url=sim.url.replace("9600", "19200"))
                reason = await failure(faster, raises=LinkLost)
                assert reason.endswith("in use by another module with other line settings")
            async with running(module(sim, url=sim.url.replace("9600", "19200"))):
                pass

    asyncio.run(main())


def test_an_adapter_that_was_pulled_is_lost_and_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        link = tmp_path / "rs485"
        async with asyncio.timeout(20):
            heard = Heard()
            async with simulate(kind="rtu", link=link) as sim:
                driver = module(sim, poll=Seconds(0.02))
                task = asyncio.create_task(failure(driver, heard))
                await heard.until(LinkUp)
            assert str(link) in await task
            assert str(link) in await failure(driver)
            async with simulate(kind="rtu", link=link) as sim, running(driver) as again:
                sim.set("di5", True)
                await again.until_edge("di5", True)

    asyncio.run(main())


def test_a_unit_that_was_never_there_keeps_the_line_for_one_question_only() -> None:
    async def main() -> tuple[str, int]:
        async with simulate(kind="rtu+tcp") as sim, running(module(sim)):
            before = len(sim.asked_others)
            reason = await failure(module(sim, unit=9), raises=LinkLost)
            return reason, len(sim.asked_others) - before

    reason, asked = virtual_time.run(main())
    assert "no answer of unit 9" in reason
    assert asked == 1


def test_a_line_that_another_program_has_is_left_to_it() -> None:
    async def main() -> str:
        async with simulate(kind="rtu") as sim, asyncio.timeout(20):
            path = sim.url.removeprefix("rtu:").partition("?")[0]
            held = os.open(path, os.O_RDWR | os.O_NOCTTY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                return (await failure(module(sim))).replace(path, "PORT")
            finally:
                os.close(held)

    assert asyncio.run(main()) == "cannot connect to PORT: another program has it"
