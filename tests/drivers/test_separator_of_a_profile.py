"""A port without a separator of its own goes by the profile of the device on it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.contract import Driver
from drivers.eas_pedestal import EasPedestal
from drivers.fire_panel import FirePanel
from drivers.ports.text import Text
from drivers.settings import PortName, Seconds
from drivers.signals import EasAlarm, FireAlarm, LinkUp, Signal
from drivers.sim.fire_panel import SimulatedPrinter
from drivers.sim.text import SimulatedSender, simulate
from drivers.wire.text_profile import TextPattern
from edge.house import Wires

PORT = PortName("port")
PANEL = FirePanel(port=PORT, profile="notifier_afp2800")
LDM = EasPedestal(
    port=PORT,
    profile="sensormatic_ldm",
    patterns=(TextPattern(pattern="^ALARM", signal="eas.alarm"),),
)


async def heard(
    device: Driver, port: Text, sim: SimulatedSender, say: Callable[[], None], folder: Path
) -> Signal:
    """Return what `device` says first of what `say` makes `sim` send to its port."""
    Wires({"port": port}).lend("device", device, folder)
    said: asyncio.Queue[Signal] = asyncio.Queue()

    async def ignore(signal: Signal) -> None:
        pass

    running = [
        asyncio.create_task(device.run(said.put)),
        asyncio.create_task(port.run(ignore)),
    ]
    try:
        async with asyncio.timeout(30):
            assert await said.get() == LinkUp()
            await sim.connected.wait()
            say()
            return await said.get()
    finally:
        for each in running:
            each.cancel()
        await asyncio.wait(running)


def test_a_printer_whose_records_end_in_a_semicolon_alarms_on_a_port_that_is_not_told(
    tmp_path: Path,
) -> None:
    async def main() -> Signal:
        async with simulate("pty", separator=b";") as sim:
            printer = SimulatedPrinter(sim)
            port = Text(url=sim.url)
            return await heard(PANEL, port, sim, lambda: printer.event("alarm", 3), tmp_path)

    assert asyncio.run(main()) == FireAlarm(zone="Z003", text="AZF 3 ON MODULE 1")


@pytest.mark.parametrize(
    ("sent", "settings"),
    [
        (b"ALARM|", {}),
        (b"ALARM\x03", {"separator": r"\x03"}),
        (b"ALARM", {"idle_gap": Seconds(0.05)}),
    ],
)
def test_what_the_port_is_told_goes_before_the_profile(
    sent: bytes, settings: dict[str, object], tmp_path: Path
) -> None:
    async def main() -> Signal:
        async with simulate("tcp") as sim:
            port = Text(url=sim.url, **settings)  # type: ignore[arg-type]
            return await heard(LDM, port, sim, lambda: sim.raw(sent), tmp_path)

    assert asyncio.run(main()) == EasAlarm()
