"""The Modbus driver ends when it is told to, whatever arrives in that instant."""

import asyncio

from pymodbus.pdu import ModbusPDU

from drivers.lines.modbus_address import parse
from drivers.lines.modbus_bus import Bus
from tests import virtual_time


def test_a_cancellation_in_the_instant_of_an_answer_is_not_lost() -> None:
    async def main() -> None:
        bus = Bus(parse("tcp://127.0.0.1:502"))
        answer: asyncio.Future[ModbusPDU] = asyncio.get_running_loop().create_future()

        async def ask() -> ModbusPDU:
            return await asyncio.wait_for(answer, 10)

        task = asyncio.create_task(bus.exchange(ask))
        await asyncio.sleep(0.1)
        answer.set_result(ModbusPDU())
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    virtual_time.run(main())
