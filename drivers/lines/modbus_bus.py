"""What carries requests to Modbus modules: a TCP connection of one, or a line shared by several.

The modules on one serial line, or behind one converter, share its connection: RTU knows one
master only, and one request at a time.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from drivers.contract import LinkLost
from drivers.lines.modbus_address import ModbusAddress
from drivers.ports.address import SerialAddress
from drivers.ports.reason import in_words

TIMEOUT = 0.8
"""Seconds that a module has to answer over TCP."""
RTU_TIMEOUT = 0.3
"""Seconds that a module has to answer over RTU, beside the time that the frames take."""
LONG_FRAME = 100
"""Characters of a long request and its answer together."""
CONVERTER_BAUD = 9600
"""The slowest line expected behind a converter."""
SILENCE = 3.5
"""Characters of silence before a request on a serial line, by the standard …"""
LEAST_SILENCE = 0.00175
"""… and in seconds, on fast lines."""

# What it has to say it raises; its own log would say each lost answer a second time.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)

Client = AsyncModbusTcpClient | AsyncModbusSerialClient
Connect = Callable[[], Awaitable[tuple[asyncio.Transport, asyncio.BaseProtocol]]]
_shared: dict[str, Bus] = {}


class Bus:
    """A connection, open while somebody uses it. Never reconnects by itself."""

    def __init__(self, address: ModbusAddress) -> None:
        self.address = address
        self.timeout = TIMEOUT
        self._gap = 0.0
        at = address.at
        if address.rtu:
            character = 11 / (at.baud if isinstance(at, SerialAddress) else CONVERTER_BAUD)
            self.timeout = RTU_TIMEOUT + LONG_FRAME * character
            if isinstance(at, SerialAddress):
                self._gap = max(SILENCE * character, LEAST_SILENCE)
        self.client = _client(address, self.timeout)
        self._why = ""
        self._connect: Connect = self.client.ctx.call_create
        self.client.ctx.call_create = self._noting_why
        self._one_at_a_time = asyncio.Lock()
        self._quiet_until = 0.0
        self._users = 0

    def use(self) -> None:
        """Count in one who will `close` it."""
        self._users += 1

    async def open(self) -> None:
        """Connect, unless somebody has.

        Raises:
            LinkLost: nobody answers there.
        """
        try:
            async with self._one_at_a_time:
                self._why = f"no answer within {self.timeout:.1f} s"
                connected = self.client.connected or await self.client.connect()
        except (ModbusException, ValueError) as error:
            raise LinkLost(f"cannot connect to {self.address}: {error}") from error
        except OSError as error:
            raise LinkLost(f"cannot connect to {self.address}: {in_words(error)}") from error
        if not connected:
            raise LinkLost(f"cannot connect to {self.address}: {self._why}")

    async def _noting_why(self) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect for pymodbus, which keeps the reason of a failure to its log."""
        try:
            return await self._connect()
        except OSError as error:
            held = error.errno == errno.EAGAIN  # what pyserial's exclusive lock fails with
            self._why = "another program has it" if held else in_words(error)
            raise

    def close(self) -> None:
        """Use it no longer; the last one ends the connection."""
        self._users -= 1
        if self._users == 0:
            self.client.close()
            if _shared.get(str(self.address)) is self:
                del _shared[str(self.address)]

    async def exchange(self, ask: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU:
        """Return the answer to one request, when the line is free.

        Raises:
            ModbusException: there is none, or no connection.
        """
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            if (wait := self._quiet_until - loop.time()) > 0:
                await asyncio.sleep(wait)
            answered = False
            try:
                answer = await _heeding_cancellation(ask())
                answered = True
                return answer
            finally:
                self._quiet_until = loop.time() + self._gap
                if not answered:
                    self.keep_quiet()

    def keep_quiet(self) -> None:
        """Let a late answer pass before the next request, where it could be taken for its own."""
        if self.address.rtu:
            self._quiet_until = asyncio.get_running_loop().time() + self.timeout


async def _heeding_cancellation(asking: Awaitable[ModbusPDU]) -> ModbusPDU:
    """Await `asking`; a cancellation in the instant of its answer is not lost.

    pymodbus waits with `asyncio.wait_for`, which up to Python 3.11 returns the answer then.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    answer = await asking
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


def bus_for(address: ModbusAddress) -> Bus:
    """Return a new connection, or the one of all modules on the same line. `close` it once.

    Raises:
        LinkLost: the line is in use with other settings.
    """
    bus = _shared.get(str(address)) if address.rtu else None
    if bus is None:
        bus = Bus(address)
        if address.rtu:
            _shared[str(address)] = bus
    elif bus.address != address:
        raise LinkLost(f"{address}: in use by another module with other line settings")
    bus.use()
    return bus


def _client(address: ModbusAddress, timeout: float) -> Client:
    at = address.at
    if isinstance(at, SerialAddress):
        return AsyncModbusSerialClient(
            at.path,
            framer=FramerType.RTU,
            baudrate=at.baud,
            bytesize=at.bits,
            parity=at.parity,
            stopbits=at.stop,
            timeout=timeout,
            retries=0,
            reconnect_delay=0,
        )
    return AsyncModbusTcpClient(
        at.host,
        port=at.port,
        framer=FramerType.RTU if address.rtu else FramerType.SOCKET,
        timeout=timeout,
        retries=0,
        reconnect_delay=0,
    )
