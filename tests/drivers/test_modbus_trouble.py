"""The Modbus driver against a module and a line that misbehave."""

import asyncio
from collections import Counter

import pytest

from drivers.contract import LinkLost, WireError
from drivers.lines.line import Quality
from drivers.settings import Seconds
from drivers.signals import LinkUp, ModuleRestarted
from drivers.sim.modbus import Kind, simulate
from tests import virtual_time
from tests.drivers.modbus_rig import Heard, failure, module, readings, running

KINDS: list[Kind] = ["tcp", "rtu", "rtu+tcp"]


@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_read_and_written_over_every_kind_of_wire(kind: Kind) -> None:
    async def main() -> None:
        async with simulate(kind=kind, unit=17) as sim, asyncio.timeout(20):
            driver = module(sim, unit=17, poll=Seconds(0.02))
            async with running(driver) as heard:
                sim.set("di4", True)
                await heard.until_edge("di4", True)
                await driver.outputs()["do5"].write(on=True)
                assert sim.outputs["do5"]
                await sim.pulse("di0", 0.001)
                await heard.until_edge("di0", True)

    asyncio.run(main())


def test_answers_in_pieces_are_answers() -> None:
    async def main() -> None:
        async with simulate() as sim:
            sim.faults.split = True
            driver = module(sim)
            async with running(driver) as heard:
                await sim.pulse("di0")
                await heard.until_edge("di0", True)

    virtual_time.run(main())


def test_a_mute_module_is_noticed_within_a_second_of_its_poll() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim, poll=Seconds(0.1))
            heard = Heard()
            task = asyncio.create_task(failure(driver, heard))
            await heard.until(LinkUp)
            sim.faults.silent = True
            before = asyncio.get_running_loop().time()
            reason = await task
            assert asyncio.get_running_loop().time() - before < 1.0
            assert "no answer of unit 1 about input registers 16 to 27 within 0.8 s" in reason
            for reading in readings(driver):
                assert (reading.quality, reading.reason) == (Quality.unknown, reason)
            assert heard.edges()[-6:] == [(f"di{n}", None) for n in range(6)]

    virtual_time.run(main())


def test_a_module_that_hangs_up_is_lost() -> None:
    async def main() -> None:
        async with simulate() as sim:
            heard = Heard()
            task = asyncio.create_task(failure(module(sim), heard))
            await heard.until(LinkUp)
            sim.hang_up()
            assert (await task).endswith("the connection ended")

    virtual_time.run(main())


def test_nobody_there_is_a_lost_link() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
        assert await failure(driver) == f"cannot connect to {sim.url[6:]}: Connection refused"
        gone = module(sim, url="rtu:/dev/storewarden-has-no-such-port")
        assert await failure(gone) == (
            "cannot connect to /dev/storewarden-has-no-such-port: No such file or directory"
        )

    asyncio.run(main())


def test_of_a_module_that_was_never_reached_nothing_is_said() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
        heard = Heard()
        assert "cannot connect" in await failure(driver, heard)
        assert heard.signals == []

    virtual_time.run(main())


def test_a_module_that_takes_one_connection_serves_the_first() -> None:
    async def main() -> None:
        async with simulate() as sim:
            sim.faults.connections = 1
            driver = module(sim)
            async with running(driver):
                assert "the connection ended" in await failure(module(sim))
                await driver.outputs()["do0"].write(on=True)

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("code", "reason"),
    [(2, "illegal data address"), (6, "device busy"), (77, "code 77")],
)
def test_a_module_that_refuses_to_be_read_says_what_and_why(code: int, reason: str) -> None:
    async def main() -> None:
        async with simulate("adam_6050") as sim:
            sim.faults.exception = code
            driver = module(sim, profile="adam_6050")
            assert f"coils 0 to 11: the module refuses: {reason}" in await failure(
                driver, raises=WireError
            )

    virtual_time.run(main())


def test_a_wrong_unit_is_refused() -> None:
    async def main() -> None:
        async with simulate("adam_6050", unit=2) as sim:
            driver = module(sim, profile="adam_6050")
            assert "gateway target failed" in await failure(driver, raises=WireError)

    virtual_time.run(main())


def test_a_minute_of_random_answers_makes_no_edge_and_no_other_error() -> None:
    async def main() -> None:
        async with simulate() as sim:
            sim.faults.garbage = True
            heard, reasons = Heard(), Counter[str]()
            driver = module(sim, poll=Seconds(0.02))
            loop = asyncio.get_running_loop()
            while loop.time() < 60:
                try:
                    await driver.run(heard.emit)
                except (LinkLost, WireError) as error:
                    reasons[type(error).__name__] += 1
                await asyncio.sleep(0.5)
            assert not any(isinstance(s, LinkUp) for s in heard.signals)
            assert all(level is None for _, level in heard.edges())
            assert reasons.total() > 30
            sim.faults.garbage = False
            async with running(driver):
                pass

    virtual_time.run(main())


def test_noise_that_nobody_asked_for_disturbs_no_poll() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim, poll=Seconds(0.1))
            async with running(driver) as heard:
                await asyncio.sleep(0.05)
                for size in range(1, 40):
                    sim.noise(size)
                    await asyncio.sleep(0.1)
                await sim.pulse("di0")
                await heard.until_edge("di0", True)
                assert driver.inputs()["di0"].reading.count == 1

    virtual_time.run(main())


def test_a_restarted_module_is_said_and_gets_its_outputs_back_and_no_alarm_is_invented() -> None:
    async def main() -> None:
        async with simulate(kind="rtu") as sim, asyncio.timeout(20):
            driver = module(sim, poll=Seconds(0.02))
            async with running(driver) as heard:
                await driver.outputs()["do1"].write(on=True)
                await sim.pulse("di0", 0.001)
                await heard.until_edge("di0", True)
                sim.reboot()
                sim.set_count("di3", 2)
                assert not sim.outputs["do1"]
                await heard.until(ModuleRestarted)
                await sim.wait_output("do1", True)
                assert sim.outputs == {f"do{n}": n == 1 for n in range(6)}
                assert driver.inputs()["di0"].reading.count == 1
                assert driver.inputs()["di3"].reading.count == 0
                await sim.pulse("di3", 0.001)
                await heard.until_edge("di3", True)
                assert driver.inputs()["di3"].reading.count == 1

    asyncio.run(main())


def test_pulses_while_the_link_was_lost_do_count() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver):
                pass
            assert driver.inputs()["di0"].reading.quality is Quality.unknown
            await sim.pulse("di0")
            await sim.pulse("di0")
            async with running(driver) as heard:
                await heard.until_edge("di0", False)
                assert driver.inputs()["di0"].reading.count == 2
                assert ("di0", True) in heard.edges()

    virtual_time.run(main())


def test_a_module_restarted_while_the_link_was_lost_invents_no_alarm() -> None:
    async def main() -> None:
        async with simulate() as sim:
            driver = module(sim)
            async with running(driver):
                await sim.pulse("di0")
                await asyncio.sleep(1)
                assert driver.inputs()["di0"].reading.count == 1
            sim.reboot()
            async with running(driver) as heard:
                await heard.until(ModuleRestarted)
                assert driver.inputs()["di0"].reading.count == 1
                assert ("di0", True) not in heard.edges()

    virtual_time.run(main())


def test_a_late_answer_on_a_serial_line_is_taken_for_no_other() -> None:
    """Without the quiet time, the late answer about the coils would be read as the inputs'."""

    async def main() -> None:
        async with simulate("waveshare_io_8ch", kind="rtu+tcp") as sim:
            sim.force_output("do0", True)
            driver = module(sim, profile="waveshare_io_8ch", poll=Seconds(0.1))
            async with running(driver) as heard:
                for delay in (0.3, 0.45, 0.6, 0.7, 0.85):
                    sim.faults.delay = delay
                    await asyncio.sleep(0.2)
                    sim.faults.delay = 0.0
                    await asyncio.sleep(3)
                assert all(level is not True for _, level in heard.edges())
                sim.set("di0", True)
                await heard.until_edge("di0", True)

    virtual_time.run(main())


def test_a_serial_line_may_swallow_one_request() -> None:
    async def main() -> None:
        async with simulate("waveshare_io_8ch", kind="rtu+tcp") as sim:
            driver = module(sim, profile="waveshare_io_8ch", poll=Seconds(0.1))
            async with running(driver) as heard:
                sim.faults.silent = True
                await asyncio.sleep(0.2)
                sim.faults.silent = False
                sim.set("di7", True)
                await heard.until_edge("di7", True)
            assert [s for s in heard.signals if isinstance(s, LinkUp)] == [LinkUp()]

    virtual_time.run(main())


def test_a_mute_module_on_a_serial_line_is_lost() -> None:
    async def main() -> None:
        async with simulate(kind="rtu") as sim, asyncio.timeout(20):
            heard = Heard()
            task = asyncio.create_task(failure(module(sim, poll=Seconds(0.05)), heard))
            await heard.until(LinkUp)
            sim.faults.silent = True
            assert "no answer" in await task

    asyncio.run(main())


def test_on_a_serial_line_two_readings_must_agree_before_they_are_believed() -> None:
    async def main() -> None:
        async with simulate("waveshare_io_8ch", kind="rtu+tcp") as sim:
            sim.faults.late = {4: bytes.fromhex("0201ff")}
            async with running(module(sim, profile="waveshare_io_8ch")) as heard:
                await asyncio.sleep(3)
                assert heard.edges() == [(f"di{n}", False) for n in range(8)]

    virtual_time.run(main())


def test_a_serial_line_that_contradicts_itself_is_given_up() -> None:
    async def main() -> None:
        async with simulate("waveshare_io_8ch", kind="rtu+tcp") as sim:
            sim.faults.late = {4 * n: bytes.fromhex("0201ff") for n in range(1, 10)}
            driver = module(sim, profile="waveshare_io_8ch")
            assert "its answers contradict one another" in await failure(driver, raises=WireError)

    virtual_time.run(main())


def test_an_answer_to_another_question_is_refused() -> None:
    async def main() -> None:
        async with simulate("waveshare_io_8ch") as sim:
            sim.faults.late = {2: bytes.fromhex("0101ff")}
            driver = module(sim, profile="waveshare_io_8ch")
            assert "discrete inputs 0 to 7: the answer belongs to another" in await failure(
                driver, raises=WireError
            )

    virtual_time.run(main())


def test_a_lost_input_is_said_once_however_often_its_module_is_tried() -> None:
    async def main() -> None:
        heard = Heard()
        async with simulate() as sim:
            driver = module(sim)
            task = asyncio.create_task(failure(driver, heard))
            await heard.until(LinkUp)
            sim.faults.silent = True
            assert "no answer" in await task
        assert "cannot connect" in await failure(driver, heard)
        assert [level for line, level in heard.edges() if line == "di0"] == [False, None]

    virtual_time.run(main())
