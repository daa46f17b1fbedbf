"""Lines and ports are lent under their whole names, and what goes wrong with them says so."""

import asyncio
from pathlib import Path

import pytest

from drivers.contract import CommandFailed, LinkLost
from drivers.door import Door
from drivers.fire_panel import FirePanel
from drivers.lines.modbus import Modbus
from drivers.ports.text import Text
from drivers.settings import InputSetting, PortName
from drivers.signals import Signal
from edge.house import Wires
from tests import virtual_time


async def nobody(signal: Signal) -> None:
    pass


def test_a_line_that_cannot_be_read_is_said_with_its_module(tmp_path: Path) -> None:
    annex = Modbus(url="tcp://127.0.0.1:9", profile="moxa_e1214")
    wires = Wires({"annex": annex})
    door = Door(contact=InputSetting(line="annex.di1"))
    wires.lend("door_front", door, tmp_path)

    async def main() -> str:
        annex.inputs()["di1"].lost("the cable is out")
        with pytest.raises(LinkLost) as lost:
            await door.run(nobody)
        with pytest.raises(CommandFailed, match=r"^annex\.do0: the module is not connected$"):
            await wires.output("annex.do0").write(on=True)
        return str(lost.value)

    assert virtual_time.run(main()) == "annex.di1: the cable is out"


def test_a_port_that_cannot_be_opened_is_said_with_its_name_and_why(tmp_path: Path) -> None:
    printer = Text(url="serial:/dev/storewarden-has-no-such-port")
    wires = Wires({"printer": printer})
    panel = FirePanel(port=PortName("printer"), profile="notifier_afp2800")
    wires.lend("fire_text", panel, tmp_path)

    async def main() -> str:
        with pytest.raises(LinkLost):
            await printer.run(nobody)
        with pytest.raises(LinkLost) as lost:
            async with asyncio.timeout(30):
                await panel.run(nobody)
        return str(lost.value)

    assert asyncio.run(main()) == (
        "printer: /dev/storewarden-has-no-such-port: No such file or directory"
    )
