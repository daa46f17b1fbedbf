"""Text ports hear what simulated senders say, however badly they behave, and never answer."""

import ast
import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drivers.contract import LinkLost, SettingError
from drivers.ports import port as ports
from drivers.ports.port import BadBytes, Heard, PortEvent, TextPort, TextRecord
from drivers.ports.text import MOST_SENDERS, Text
from drivers.settings import Seconds
from drivers.signals import LinkDown, LinkUp, Signal
from drivers.sim.text import Kind, SimulatedSender, simulate
from tests import virtual_time

UP = PortEvent(link="up")
LONG = 30.0


class Running:
    """A port that runs, and what it told."""

    def __init__(self, driver: Text, ear: "asyncio.Queue[Heard]", run: "asyncio.Task[None]"):
        self.driver, self.ear, self.run = driver, ear, run
        self.signals: asyncio.Queue[Signal] = asyncio.Queue()

    async def hear(self) -> Heard:
        async with asyncio.timeout(LONG):
            return await self.ear.get()

    async def text(self) -> str:
        while True:
            heard = await self.hear()
            if isinstance(heard, TextRecord):
                return heard.text


@asynccontextmanager
async def running(driver: Text) -> AsyncIterator[Running]:
    with driver.port.listen() as ear:
        signals: asyncio.Queue[Signal] = asyncio.Queue()
        run = asyncio.create_task(driver.run(signals.put))
        found = Running(driver, ear, run)
        found.signals = signals
        try:
            yield found
        finally:
            run.cancel()
            with suppress(asyncio.CancelledError, LinkLost):
                await run


@asynccontextmanager
async def called(**settings: Any) -> AsyncIterator[tuple[SimulatedSender, Running]]:
    """A gateway that is a TCP server, and the port that has called it."""
    async with simulate("tcp") as sim, running(Text(url=sim.url, **settings)) as port:
        await sim.connected.wait()
        yield sim, port


@asynccontextmanager
async def listening(scheme: str, **settings: Any) -> AsyncIterator[tuple[Running, int]]:
    async with running(Text(url=f"{scheme}://127.0.0.1:0", **settings)) as port:
        if settings.get("silence") is None:
            assert await port.hear() == UP
        while port.driver.bound is None:
            await asyncio.sleep(0)
        yield port, port.driver.bound


def test_records_of_a_gateway_that_is_called_are_told_in_order() -> None:
    async def main() -> None:
        async with called(separator="|") as (sim, port):
            sim.raw(b"ALARM 1|COUNT ")
            assert [await port.hear(), await port.hear()] == [UP, TextRecord(text="ALARM 1")]
            sim.raw(b"7|")
            assert await port.hear() == TextRecord(text="COUNT 7")
            assert port.signals.get_nowait() == LinkUp()
            assert port.driver.port.up

    virtual_time.run(main())


def test_a_gateway_that_hangs_up_is_a_lost_link() -> None:
    async def main() -> None:
        async with called() as (sim, port):
            assert await port.hear() == UP
            sim.hang_up()
            with pytest.raises(LinkLost, match=r"127\.0\.0\.1:\d+ closed the connection"):
                await port.run
            assert await port.hear() == PortEvent(
                link="down", reason=f"{sim.url[6:]} closed the connection"
            )
            assert not port.driver.port.up

    virtual_time.run(main())


def test_half_a_record_and_a_hang_up_is_no_record() -> None:
    async def main() -> None:
        async with called() as (sim, port):
            assert await port.hear() == UP
            await sim.half("FIRE ALARM ZONE 3")
            assert await port.hear() == BadBytes(
                reason="cut off by the end of the connection", size=8
            )

    virtual_time.run(main())


def test_a_gateway_that_is_not_there_is_a_lost_link_and_says_why() -> None:
    async def main() -> None:
        async with simulate("tcp") as sim:
            url = sim.url
        async with running(Text(url=url)) as port:
            with pytest.raises(LinkLost, match=r"cannot connect to 127\.0\.0\.1:\d+: Connection"):
                await port.run
            assert port.ear.empty()
            assert port.signals.empty()

    virtual_time.run(main())


def test_a_gateway_that_goes_quiet_is_a_lost_link() -> None:
    async def main() -> float:
        async with called(silence=Seconds(30.0)) as (sim, port):
            await asyncio.sleep(10)
            sim.say("OK")
            with pytest.raises(LinkLost, match="silent for 30 s"):
                await port.run
            return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == pytest.approx(40, abs=0.1)


def test_where_silence_means_lost_the_link_is_up_with_the_first_byte_only() -> None:
    async def main() -> None:
        async with called(silence=Seconds(30.0)) as (sim, port):
            await asyncio.sleep(29)
            assert port.signals.empty()
            assert not port.driver.port.up
            sim.raw(b".")
            assert await port.hear() == UP
            assert await port.signals.get() == LinkUp()

    virtual_time.run(main())


def test_a_pause_ends_a_record_of_a_till_without_separators() -> None:
    async def main() -> None:
        async with called(idle_gap=Seconds(0.05)) as (sim, port):
            sim.raw(b"TOTAL 12.40\r\n")
            await asyncio.sleep(0.02)
            sim.raw(b"CASH 20.00\r\n")
            await asyncio.sleep(1)
            sim.raw(b"NO SALE\r\n")
            assert await port.text() == "TOTAL 12.40\r\nCASH 20.00"
            assert await port.text() == "NO SALE"

    virtual_time.run(main())


def test_a_record_in_pieces_is_one_record() -> None:
    async def main() -> None:
        async with called() as (sim, port):
            await sim.say_in_pieces("ALARM Z001", [1, 3, 4, 9, 11], pause=0.2)
            assert await port.text() == "ALARM Z001"

    virtual_time.run(main())


def test_after_noise_the_next_whole_record_is_read() -> None:
    async def main() -> None:
        async with called(encoding="ascii", max_record=64) as (sim, port):
            sim.noise(5000, seed=7)
            sim.raw(b"\r\n")
            sim.say("ALARM Z001")
            while await port.text() != "ALARM Z001":
                pass

    virtual_time.run(main())


def test_a_port_sends_nothing_ever() -> None:
    async def main() -> None:
        async with called() as (sim, port):
            sim.say("ENQ \x05")
            await port.text()
            port.run.cancel()
            await asyncio.sleep(1)
            assert sim.received == b""
            assert not sim.connected.is_set()

    virtual_time.run(main())


def test_no_code_of_the_ports_could_send_anything() -> None:
    sending = {"write", "writelines", "write_eof", "send", "sendall", "sendto", "sendmsg", "pwrite"}
    assert ports.__file__ is not None
    for module in Path(ports.__file__).parent.glob("*.py"):
        names = {
            n.attr for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.Attribute)
        }
        assert not names & sending, module.name


def test_several_senders_call_a_port_that_listens_and_are_told_apart_from_half_records() -> None:
    async def main() -> None:
        async with (
            listening("tcp-listen") as (port, number),
            simulate("tcp-client", to=("127.0.0.1", number)) as one,
            simulate("tcp-client", to=("127.0.0.1", number)) as two,
        ):
            one.raw(b"MOT")
            await one.sent()
            two.say("FORCED")
            assert await port.hear() == TextRecord(text="FORCED", peer="127.0.0.1")
            one.raw(b"ION\r\n")
            assert await port.text() == "MOTION"
            one.hang_up()
            two.say("STILL HEARD")
            assert await port.text() == "STILL HEARD"
            assert not port.run.done()

    virtual_time.run(main())


def test_a_sender_too_many_takes_the_place_of_the_oldest() -> None:
    async def main() -> None:
        async with listening("tcp-listen") as (port, number):
            connections = []
            for _ in range(MOST_SENDERS + 1):
                reader, writer = await asyncio.open_connection("127.0.0.1", number)
                writer.write(b"hello\n")
                assert await port.text() == "hello"
                connections.append((reader, writer))
            with suppress(ConnectionError):
                assert await connections[0][0].read() == b""
            connections[1][1].write(b"second\n")
            assert await port.text() == "second"
            connections[-1][1].write(b"newest\n")
            assert await port.text() == "newest"
            for _, writer in connections:
                writer.close()

    virtual_time.run(main())


@pytest.mark.parametrize("scheme", ["tcp-listen", "udp-listen"])
def test_a_stranger_is_not_heard_where_peers_are_named(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        kind: Kind = "udp" if scheme == "udp-listen" else "tcp-client"
        async with listening(scheme, peers=("10.0.4.0/24", "127.0.0.2")) as (port, number):
            for _ in range(2):
                with suppress(OSError):
                    async with simulate(kind, to=("127.0.0.1", number)) as stranger:
                        stranger.say("PANIC")
            await asyncio.sleep(1)
            assert port.ear.empty()

    virtual_time.run(main())
    assert [r.getMessage() for r in caplog.records] == [
        f"port {scheme}://127.0.0.1:0: 127.0.0.1 is none of its peers and is not heard"
    ]


def test_a_network_of_peers_lets_its_members_in() -> None:
    async def main() -> None:
        async with (
            listening("tcp-listen", peers=("127.0.0.0/8",)) as (port, number),
            simulate("tcp-client", to=("127.0.0.1", number)) as sim,
        ):
            sim.say("hello")
            assert await port.text() == "hello"

    virtual_time.run(main())


def test_a_sender_that_left_may_call_again() -> None:
    async def main() -> None:
        async with (
            listening("tcp-listen") as (port, number),
            simulate("tcp-client", to=("127.0.0.1", number)) as sim,
        ):
            sim.hang_up()
            await sim.come_back()
            sim.say("back")
            assert await port.text() == "back"

    virtual_time.run(main())


@pytest.mark.parametrize("scheme", ["tcp-listen", "udp-listen"])
def test_a_port_nobody_calls_for_too_long_is_a_lost_link_that_goes_on_listening(
    scheme: str,
) -> None:
    kind: Kind = "udp" if scheme == "udp-listen" else "tcp-client"
    silent = LinkDown(reason="silent for 60 s")

    async def main() -> list[tuple[Signal, int]]:
        clock, said = asyncio.get_running_loop().time, list[tuple[Signal, int]]()
        async with listening(scheme, silence=Seconds(60.0)) as (port, number):
            said.append((await port.signals.get(), round(clock())))
            await asyncio.sleep(1000)
            async with simulate(kind, to=("127.0.0.1", number)) as sim:
                sim.say("TAG")
                assert await port.hear() == UP
                assert await port.text() == "TAG"
                said.append((await port.signals.get(), round(clock())))
                await asyncio.sleep(40)
                sim.say("TAG")
                said.append((await port.signals.get(), round(clock())))
            assert await port.text() == "TAG"
            assert await port.hear() == PortEvent(link="down", reason="silent for 60 s")
            await asyncio.sleep(1000)
            assert port.signals.empty()
        return said

    assert virtual_time.run(main()) == [(silent, 60), (LinkUp(), 1060), (silent, 1160)]


def test_an_address_that_is_taken_is_a_lost_link() -> None:
    async def main() -> None:
        async with (
            listening("tcp-listen") as (_, number),
            running(Text(url=f"tcp-listen://127.0.0.1:{number}")) as second,
        ):
            with pytest.raises(LinkLost, match="Address already in use"):
                await second.run

    virtual_time.run(main())


def test_a_datagram_is_a_record_with_or_without_a_separator() -> None:
    async def main() -> None:
        async with (
            listening("udp-listen") as (port, number),
            simulate("udp", to=("127.0.0.1", number)) as sim,
        ):
            sim.raw(b"TAG 1")
            sim.say("TAG 2")
            sim.raw(b"TAG 3\nTAG 4\n")
            assert [await port.text() for _ in range(4)] == ["TAG 1", "TAG 2", "TAG 3", "TAG 4"]

    virtual_time.run(main())


def test_a_sender_that_floods_is_read_at_a_rate_and_keeps_nobody_waiting() -> None:
    async def main() -> None:
        async with called() as (flood, flooded), called() as (quiet, other):
            flood.raw((b"x" * 63 + b"\n") * 16 * 1024)
            counting = asyncio.create_task(_count(flooded))
            for number in range(20):
                quiet.say(f"record {number}")
                said_at = asyncio.get_running_loop().time()
                assert await other.text() == f"record {number}"
                assert asyncio.get_running_loop().time() - said_at < 0.1
                await asyncio.sleep(0.1)
            counting.cancel()
            with suppress(asyncio.CancelledError):
                await counting
            assert 64 * counted[-1] == pytest.approx(256 * 1024 + 2 * 128 * 1024, rel=0.1)

    counted = [0]

    async def _count(port: Running) -> None:
        while True:
            counted[-1] += isinstance(await port.ear.get(), TextRecord)

    virtual_time.run(main())


def test_a_device_that_does_not_read_costs_a_bounded_number_of_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports, "LONGEST_WAIT", 3)

    async def main() -> None:
        port = TextPort("printer")
        with port.listen() as ear:
            for number in range(5):
                port.tell(TextRecord(text=f"line {number}"))
            port.tell(PortEvent(link="down", reason="unplugged"))
            port.tell(PortEvent(link="up"))
            assert ear.qsize() == 4
            heard = [ear.get_nowait() for _ in range(5)]
            assert heard == [
                TextRecord(text="line 0"),
                TextRecord(text="line 1"),
                TextRecord(text="line 2"),
                PortEvent(link="up"),
                BadBytes(reason="2 records dropped, as they were not read in time", size=12),
            ]
            port.tell(TextRecord(text="line 5"))
            assert await ear.get() == TextRecord(text="line 5")
            assert ear.empty()

    virtual_time.run(main())


def real(main: Callable[[], Any]) -> None:
    """Run in real time, as ptys need."""

    async def within() -> None:
        async with asyncio.timeout(LONG):
            await main()

    asyncio.run(within())


def test_a_printer_on_a_serial_line_is_read_and_cannot_be_written_to() -> None:
    async def main() -> None:
        async with simulate("pty") as sim, running(Text(url=sim.url)) as port:
            assert await port.hear() == UP
            sim.say("FIRE ALARM ZONE 3")
            assert await port.text() == "FIRE ALARM ZONE 3"
            assert sim.received == b""
            for descriptor in Path("/proc/self/fdinfo").iterdir():
                with suppress(OSError):
                    if (Path("/proc/self/fd") / descriptor.name).readlink() == sim.path:
                        flags = descriptor.read_text().split("flags:")[1].split()[0]
                        modes.append(int(flags, 8) & os.O_ACCMODE)

    modes: list[int] = []
    real(main)
    assert sorted(modes) == [os.O_RDONLY, os.O_RDWR], "the port's end, and the simulator's"


def test_a_serial_cable_that_is_pulled_is_a_lost_link_and_can_be_plugged_in_again(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with simulate("pty", link=tmp_path / "printer") as sim:
            async with running(Text(url=sim.url)) as port:
                assert await port.hear() == UP
                sim.hang_up()
                with pytest.raises(LinkLost, match=r"printer: unplugged|Input/output error"):
                    await port.run
            await sim.come_back()
            async with running(port.driver) as port:
                assert await port.hear() == UP
                sim.say("SYSTEM NORMAL")
                assert await port.text() == "SYSTEM NORMAL"

    real(main)


def test_a_serial_port_that_another_program_has_is_refused() -> None:
    async def main() -> None:
        async with simulate("pty") as sim, running(Text(url=sim.url)) as first:
            assert await first.hear() == UP
            async with running(Text(url=sim.url)) as second:
                with pytest.raises(LinkLost, match="another program has it"):
                    await second.run

    real(main)


def test_a_serial_port_that_is_not_there_is_a_lost_link() -> None:
    async def main() -> None:
        async with running(Text(url="serial:/dev/serial/by-id/nothing")) as port:
            with pytest.raises(LinkLost, match="/dev/serial/by-id/nothing: No such file"):
                await port.run

    real(main)


def test_no_descriptor_stays_open_when_a_port_stops_even_while_it_is_opening() -> None:
    async def main() -> None:
        async with simulate("pty") as sim:
            before = descriptors()
            for _ in range(2):
                async with running(Text(url=sim.url)) as port:
                    assert await port.hear() == UP
            run = asyncio.create_task(Text(url=sim.url).run(_deaf))
            await asyncio.sleep(0)
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run
            await asyncio.get_running_loop().shutdown_default_executor()
            await asyncio.sleep(0)
            assert descriptors() == before

    real(main)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _deaf(signal: Signal) -> None: ...


@pytest.mark.parametrize(
    ("settings", "setting", "message"),
    [
        ({"url": "10.0.4.31:4055"}, "url", "'10.0.4.31:4055' is no url of a text port"),
        ({"url": "tcp://10.0.4.31"}, "url", "'tcp://10.0.4.31' is not tcp://host:port"),
        ({"url": "tcp://10.0.4.31:70000"}, "url", "Port out of range 0-65535"),
        ({"url": "tcp://10.0.4.31:0"}, "url", "nobody can be called at port 0"),
        ({"url": "tcp://u@10.0.4.31:1"}, "url", "is not tcp://host:port"),
        ({"url": "tcp-listen://shop:1"}, "url", "'shop' is no address to listen on"),
        ({"url": "tcp://[::1:1"}, "url", "is no url"),
        ({"url": "serial:ttyUSB0"}, "url", "'serial:ttyUSB0' names no serial device"),
        ({"url": "serial:/dev/t?baud=fast"}, "url", "baud=fast is not a number from 50 to"),
        ({"url": "serial:/dev/t?bits=9"}, "url", "bits=9 is not a number from 5 to 8"),
        ({"url": "serial:/dev/t?parity=X"}, "url", "parity=X is not one of N, E, O, M, S"),
        ({"url": "serial:/dev/t?speed=9600"}, "url", "unknown serial setting 'speed'"),
        ({"separator": r"\q"}, "separator", "is no escape of a separator"),
        ({"max_record": 8}, "max_record", "8 is not from 16 to 65536 bytes"),
        ({"idle_gap": Seconds(0.0)}, "idle_gap", "a time above zero is wanted"),
        ({"silence": Seconds(-1.0)}, "silence", "a time above zero is wanted"),
        ({"peers": ("10.0.4.31",)}, "peers", "only a port that listens can choose who calls"),
        (
            {"url": "udp-listen://0.0.0.0:1", "peers": ("till",)},
            "peers",
            "'till' is no address",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(
    settings: dict[str, Any], setting: str, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        Text(**{"url": "tcp://10.0.4.31:4055", **settings})
    assert refused.value.setting == setting
    assert message in str(refused.value)
