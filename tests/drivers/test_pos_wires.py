"""Tills over real wires: receipts for a printer, lines over TCP, UDP and a serial cable."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.ports.framing import Encoding
from drivers.ports.text import Text
from drivers.pos import Pos
from drivers.settings import PortName
from drivers.signals import LinkUp, PosNoSale, PosRefund, PosSale, PosVoid, Signal
from drivers.sim.pos import SimulatedReceipts, SimulatedTill
from drivers.sim.text import SimulatedSender, simulate
from drivers.wire.text_profile import TextPattern
from edge.house import Wires

PORT = PortName("till_feed")
LIMIT = 30.0


async def heard(
    device: Pos,
    port: Text,
    sim: SimulatedSender,
    say: Callable[[], None],
    last: type[Signal],
    at: Path,
) -> list[Signal]:
    """Return what `device` says, up to a `last`, of what `say` makes `sim` send to its port."""
    Wires({"till_feed": port}).lend("till_3", device, at)
    said: asyncio.Queue[Signal] = asyncio.Queue()

    async def ignore(signal: Signal) -> None:
        pass

    running = [asyncio.create_task(device.run(said.put)), asyncio.create_task(port.run(ignore))]
    try:
        async with asyncio.timeout(LIMIT):
            assert await said.get() == LinkUp()
            await sim.connected.wait()
            say()
            all_said = [await said.get()]
            while not isinstance(all_said[-1], last):
                all_said.append(await said.get())
            return all_said
    finally:
        for each in running:
            each.cancel()
        await asyncio.wait(running)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
def test_lines_are_read_from_a_cable_that_cuts_them_anywhere(kind: str, tmp_path: Path) -> None:
    async def main() -> list[Signal]:
        async with simulate("tcp" if kind == "tcp" else "pty") as sim:
            till = SimulatedTill(sim)
            device = Pos(port=PORT, profile="generic_lines")
            pieces: list[asyncio.Task[None]] = []

            def say() -> None:
                pieces.append(asyncio.create_task(till.in_pieces(9.99, pause=0.0)))

            said = await heard(device, Text(url=sim.url), sim, say, PosSale, tmp_path)
            await asyncio.gather(*pieces)
            return said

    assert asyncio.run(main()) == [PosSale(till="3", receipt="4711", amount=9.99, cashier="17")]


def test_lines_are_read_from_datagrams_with_a_printers_commands(tmp_path: Path) -> None:
    async def main() -> list[Signal]:
        port = Text(url="udp-listen://127.0.0.1:0", strip="escpos")
        device = Pos(port=PORT, profile="generic_lines", till="3")
        Wires({"till_feed": port}).lend("till_3", device, tmp_path)
        said: asyncio.Queue[Signal] = asyncio.Queue()
        up = asyncio.Event()

        async def is_up(signal: Signal) -> None:
            up.set()

        running = [asyncio.create_task(device.run(said.put)), asyncio.create_task(port.run(is_up))]
        try:
            async with asyncio.timeout(LIMIT):
                await up.wait()
                assert port.bound is not None
                async with simulate("udp", to=("127.0.0.1", port.bound)) as sim:
                    assert await said.get() == LinkUp()
                    sim.raw(b"\x1bE\x01NOSALE till=3 cashier=17\x1bE\x00\n")
                    return [await said.get()]
        finally:
            for each in running:
                each.cancel()
            await asyncio.wait(running)

    assert asyncio.run(main()) == [PosNoSale(till="3", cashier="17")]


@pytest.mark.parametrize("page", ["cp437", "cp850", "cp858"])
def test_receipts_are_read_as_their_printer_gets_them(page: Encoding, tmp_path: Path) -> None:
    café = TextPattern(pattern="^CAFÉ AU LAIT", signal="pos.no_sale")

    async def main() -> list[Signal]:
        async with simulate("pty") as sim:
            receipts = SimulatedReceipts(sim)
            receipts.code_page = page
            port = Text(url=sim.url, strip="escpos", encoding=page)
            device = Pos(port=PORT, profile="generic_receipt", patterns=(café,))

            def say() -> None:
                receipts.heartbeat()
                receipts.card()
                receipts.drawer_open()
                receipts.sale(12.5, 4)
                receipts.refund(80)
                receipts.void(20, "sale")

            return await heard(device, port, sim, say, PosVoid, tmp_path)

    assert asyncio.run(main()) == [
        PosNoSale(till="3", cashier="17"),
        PosSale(till="3", receipt="4711", amount=12.5, items=4, cashier="17"),
        PosRefund(till="3", receipt="4712", original="", amount=80.0, cashier="17"),
        PosVoid(till="3", receipt="4713", what="sale", cashier="17"),
    ]
