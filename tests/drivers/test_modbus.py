"""The Modbus driver reads every edge once, and writes at once."""

import asyncio

import pytest

from drivers.contract import CommandFailed
from drivers.lines.conditioned import ConditionedInput
from drivers.lines.modbus_map import CounterMap, InputMap, ModuleMap, OutputMap
from drivers.settings import Seconds
from drivers.signals import ModuleRestarted
from drivers.sim.modbus import simulate
from tests import virtual_time
from tests.drivers.modbus_rig import module, running


def test_a_pulse_between_two_polls_is_one_alarm() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver) as heard:
                alarm = ConditionedInput(driver.inputs()["di0"], active="on")
                with alarm.watch() as changes:
                    await asyncio.sleep(0.3)
                    await sim.pulse("di0", 0.1)
                    first, second = await changes.get(), await changes.get()
                    assert (first.active, first.count) == (True, 1)
                    assert (second.active, second.count) == (False, 1)
                    await asyncio.sleep(5)
                    assert changes.get_nowait() is None
                assert heard.edges()[-2:] == [("di0", True), ("di0", False)]

    virtual_time.run(main())


def test_levels_found_at_the_start_are_no_edges() -> None:
    async def main() -> None:
        async with simulate() as sim:
            sim.set("di1", True)
            sim.set_count("di0", 4711)
            driver = module(sim)
            async with running(driver) as heard:
                await asyncio.sleep(2.5)
                assert driver.inputs()["di0"].reading.count == 0
                assert driver.inputs()["di1"].reading.level is True
                assert driver.inputs()["di1"].reading.count == 0
                assert heard.edges() == [(f"di{n}", n == 1) for n in range(6)]

    virtual_time.run(main())


def test_one_poll_takes_three_requests() -> None:
    async def main() -> None:
        async with simulate() as sim, running(module(sim)):
            await asyncio.sleep(0.5)
            sim.asked.clear()
            await asyncio.sleep(1)
            assert [pdu.hex() for pdu in sim.asked] == ["040010000c", "0100000006", "0200000006"]

    virtual_time.run(main())


def test_polls_do_not_drift_however_slow_the_answers() -> None:
    async def main() -> None:
        async with simulate() as sim, running(module(sim)):
            sim.faults.delay = 0.1
            await asyncio.sleep(0.5)
            sim.asked.clear()
            await asyncio.sleep(100)
            assert len(sim.asked) == 300

    virtual_time.run(main())


def test_polls_that_take_too_long_are_left_out_and_not_made_up_for() -> None:
    async def main() -> None:
        async with simulate() as sim, running(module(sim)):
            sim.faults.delay = 0.5
            await asyncio.sleep(20.5)
            sim.asked.clear()
            sim.faults.delay = 0.0
            await asyncio.sleep(10)
            assert 27 <= len(sim.asked) <= 33

    virtual_time.run(main())


def test_a_counter_that_wraps_is_no_restart() -> None:
    async def main() -> None:
        async with simulate() as sim:
            sim.set_count("di0", 0xFFFF_FFFF)
            driver = module(sim)
            async with running(driver) as heard:
                await sim.pulse("di0", 0.1)
                await asyncio.sleep(2)
                assert driver.inputs()["di0"].reading.count == 1
                assert not any(isinstance(s, ModuleRestarted) for s in heard.signals)

    virtual_time.run(main())


def test_a_chattering_input_counts_every_edge() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver):
                await sim.chatter("di0", times=401, every=0.01)
                await asyncio.sleep(1.5)
                reading = driver.inputs()["di0"].reading
                assert (reading.level, reading.count) == (True, 201)

    virtual_time.run(main())


def test_a_stuck_input_stays_and_the_others_do_not_mind() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver) as heard:
                sim.stick("di2", True)
                await sim.pulse("di2", 1)
                await sim.pulse("di3", 2)
                await heard.until_edge("di3", True)
                reading = driver.inputs()["di2"].reading
                assert (reading.level, reading.count) == (True, 1)
                sim.free("di2")
                sim.set("di2", False)
                await asyncio.sleep(2)
                assert driver.inputs()["di2"].reading.level is False

    virtual_time.run(main())


def test_inputs_without_a_profile_are_read_where_the_map_says() -> None:
    inputs = {
        "button": InputMap(discrete=7, debounce=Seconds(0.03)),
        "door": InputMap(holding=48, bit=5, counter=CounterMap(holding=50, order="low_first")),
        "flow": InputMap(coil=3, counter=CounterMap(input=0, words=1)),
    }
    outputs = {"horn": OutputMap(coil=100)}

    async def main() -> None:
        async with simulate(ModuleMap(inputs=inputs, outputs=outputs)) as sim:
            driver = module(sim, profile=None, input_maps=inputs, output_maps=outputs)
            async with running(driver):
                sim.set("door", True)
                sim.set_count("door", 0x1_0001)
                await sim.pulse("flow", 0.1)
                await asyncio.sleep(2)
                lines = driver.inputs()
                found = {n: (i.reading.level, i.reading.count) for n, i in lines.items()}
                assert found == {"button": (False, 0), "door": (True, 0x1_0001), "flow": (False, 1)}
                assert lines["button"].debounce == 0.03
                await driver.outputs()["horn"].write(on=True)
                assert sim.outputs == {"horn": True}

    virtual_time.run(main())


def test_a_write_does_not_wait_for_the_poll() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim, poll=Seconds(60))
            async with running(driver):
                before = asyncio.get_running_loop().time()
                await driver.outputs()["do2"].write(on=True)
                assert asyncio.get_running_loop().time() - before < 0.05
                assert [(w.output, w.on) for w in sim.writes] == [("do2", True)]
                assert sim.outputs["do2"]
                assert driver.outputs()["do2"].reading.level is True
                await driver.outputs()["do2"].write(on=False)
                assert not sim.outputs["do2"]

    virtual_time.run(main())


def test_a_write_in_the_middle_of_a_poll_is_not_undone_by_what_the_poll_read_before() -> None:
    inputs = {f"di{n}": InputMap(discrete=2 * n) for n in range(8)}
    outputs = {"do0": OutputMap(coil=0)}

    async def main() -> None:
        async with simulate(ModuleMap(inputs=inputs, outputs=outputs)) as sim:
            driver = module(sim, profile=None, input_maps=inputs, output_maps=outputs)
            async with running(driver):
                relay = driver.outputs()["do0"]
                with relay.watch() as watch:
                    sim.faults.delay = 0.05
                    for turn in range(20):
                        await asyncio.sleep(0.5)
                        sim.asked.clear()
                        while not sim.asked or sim.asked[-1].hex() != "0200000001":
                            await asyncio.sleep(0.01)
                        await relay.write(on=turn % 2 == 0)
                    await asyncio.sleep(3)
                    levels = []
                    while (reading := watch.get_nowait()) is not None:
                        levels.append(reading.level)
                assert levels == [True, False] * 10

    virtual_time.run(main())


def test_a_coil_that_does_not_follow_fails_the_write() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver):
                sim.faults.deaf.add("do0")
                with pytest.raises(CommandFailed, match="do0: told on, reads back off"):
                    await driver.outputs()["do0"].write(on=True)
                assert driver.outputs()["do0"].reading.level is False

    virtual_time.run(main())


def test_an_output_turned_by_somebody_else_is_read_back() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver):
                await asyncio.sleep(0.5)
                with driver.outputs()["do3"].watch() as watch:
                    sim.force_output("do3", True)
                    assert (await watch.get()).level is True

    virtual_time.run(main())


def test_a_refused_or_unconnected_write_says_why() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            with pytest.raises(CommandFailed, match="do0: the module is not connected"):
                await driver.outputs()["do0"].write(on=True)
            async with running(driver):
                sim.faults.exception = 4
                with pytest.raises(CommandFailed, match="do0: coil 0: the module refuses: device"):
                    await driver.outputs()["do0"].write(on=True)
                sim.faults.exception = None

    virtual_time.run(main())
