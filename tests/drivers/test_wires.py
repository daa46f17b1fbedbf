"""The house of wires in memory: it does what real wires do, and misbehaves when told."""

import asyncio
from pathlib import Path

import pytest

from drivers.contract import CommandFailed
from drivers.lines.line import Quality
from drivers.ports.port import BadBytes, PortEvent, TextRecord
from drivers.sim.wires import MemoryHouse
from tests import virtual_time


def test_lines_are_the_same_by_the_same_name_and_unread_until_set() -> None:
    async def main() -> None:
        house = MemoryHouse()
        assert house.input("m.di0") is house.input("m.di0")
        assert house.input("m.di0").reading.quality is Quality.unknown
        house.set("m.di0", True)
        assert house.input("m.di0").reading.level is True
        house.pulse_unseen("m.di0", 2)
        assert house.input("m.di0").reading.count == 2
        house.lose("other")
        assert house.input("m.di0").reading.quality is Quality.good
        house.lose("m", "gone")
        assert house.input("m.di0").reading.reason == "gone"

    virtual_time.run(main())


def test_an_output_is_written_only_while_it_can_be_read_back() -> None:
    async def main() -> None:
        house = MemoryHouse()
        output = house.output("m.do0")
        with pytest.raises(CommandFailed, match=r"m\.do0: not read yet"):
            await output.write(on=True)
        house.set("m.do0", False)
        await output.write(on=True)
        assert (output.on, output.written) == (True, [(0.0, True)])

    virtual_time.run(main())


def test_bytes_become_records_wherever_they_are_cut() -> None:
    async def main() -> None:
        house = MemoryHouse()
        script = house.text("gate", b"|")
        with house.port("gate").listen() as heard:
            script.up()
            for piece in (b"AL", b"ARM 1|AL", b"ARM 2|", b"half"):
                script.raw(piece)
            script.down("unplugged")
            script.bad("too long", 9)
            script.say("x")
            taken = [heard.get_nowait() for _ in range(heard.qsize())]
        assert taken == [
            PortEvent(link="up"),
            TextRecord(text="ALARM 1"),
            TextRecord(text="ALARM 2"),
            PortEvent(link="down", reason="unplugged"),
            BadBytes(reason="too long", size=9),
            TextRecord(text="x"),
        ]

    asyncio.run(main())


def test_folders_are_made_where_there_is_a_root(tmp_path: Path) -> None:
    assert MemoryHouse(tmp_path).folder("clips").is_dir()
    with pytest.raises(ValueError, match="no folders"):
        MemoryHouse().folder("clips")
