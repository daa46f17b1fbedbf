"""One connection to a Modbus module: a request at a time, every failure in our own words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from drivers.contract import LinkLost, WireError
from drivers.lines.modbus_address import ModbusAddress
from drivers.lines.modbus_map import Place
from drivers.lines.modbus_plan import Span
from drivers.ports.address import SerialAddress

TIMEOUT = 0.8
"""Seconds that a module has to answer over TCP."""
RTU_TIMEOUT = 0.3
"""Seconds that a module has to answer over RTU, beside the time the frames take."""
RTU_TRIES = 2
"""A serial line may swallow one request; then the link is lost."""
SILENCE = 3.5
"""Characters of silence before a request on a serial line, by the standard."""
REASONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    6: "device busy",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}

# What it has to say it raises; its own log would say each lost answer a second time.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)


class Refused(WireError):
    """The module answered with an exception code."""


class Link:
    """A connection. Closed by `close`; never reconnects by itself."""

    def __init__(self, address: ModbusAddress, unit: int) -> None:
        self._address, self._unit = address, unit
        self._one_at_a_time = asyncio.Lock()
        self._quiet_until = 0.0
        self._tries = RTU_TRIES if address.rtu else 1
        self._gap = 0.0
        self._timeout = TIMEOUT
        self.doubted = address.rtu
        """Whether an answer may be a late one to an earlier request: read twice before acting.
        Set at the start and after a lost answer of an RTU link; the reader clears it."""
        if isinstance(address.at, SerialAddress):
            character = 11 / address.at.baud
            self._gap = max(SILENCE * character, 0.00175)
            self._timeout = RTU_TIMEOUT + 100 * character
            self._client: AsyncModbusSerialClient | AsyncModbusTcpClient = AsyncModbusSerialClient(
                address.at.path,
                framer=FramerType.RTU,
                baudrate=address.at.baud,
                bytesize=address.at.bits,
                parity=address.at.parity,
                stopbits=address.at.stop,
                timeout=self._timeout,
                retries=0,
                reconnect_delay=0,
            )
        else:
            if address.rtu:
                self._timeout = RTU_TIMEOUT + 100 * 11 / 9600
            self._client = AsyncModbusTcpClient(
                address.at.host,
                port=address.at.port,
                framer=FramerType.RTU if address.rtu else FramerType.SOCKET,
                timeout=self._timeout,
                retries=0,
                reconnect_delay=0,
            )

    async def open(self) -> None:
        """Connect.

        Raises:
            LinkLost: nobody answers there.
        """
        try:
            connected = await self._client.connect()
        except (ModbusException, OSError, ValueError) as error:
            raise LinkLost(f"{self._address}: {error}") from error
        if not connected:
            raise LinkLost(f"{self._address}: no connection")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    async def read(self, span: Span) -> dict[Place, int]:
        """Return what `span` holds, bits as 0 and 1.

        Raises:
            LinkLost: no answer in time, or no connection.
            WireError: the module refused, or answered something else.
        """
        read: dict[str, Callable[..., Awaitable[ModbusPDU]]] = {
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
            "input": self._client.read_input_registers,
            "holding": self._client.read_holding_registers,
        }
        codes = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}

        def ask() -> Awaitable[ModbusPDU]:
            return read[span.table](span.first, count=span.count, device_id=self._unit)

        def fits(answer: ModbusPDU) -> bool:
            bits = span.table in ("coil", "discrete")
            size = (span.count + 7) // 8 * 8 if bits else span.count
            found = answer.bits if bits else answer.registers
            return answer.function_code == codes[span.table] and len(found) == size

        answer = await self._request(ask, fits, str(span), tries=self._tries)
        values = answer.bits if span.table in ("coil", "discrete") else answer.registers
        return dict(zip(span.places(), map(int, values), strict=False))

    async def write_coil(self, address: int, *, on: bool) -> None:
        """Write one coil; return when the module has answered.

        Raises:
            LinkLost: no answer in time, or no connection.
            WireError: the module refused, or answered something else.
        """

        def ask() -> Awaitable[ModbusPDU]:
            return self._client.write_coil(address, on, device_id=self._unit)

        def fits(answer: ModbusPDU) -> bool:
            return (answer.function_code, answer.address, answer.bits) == (5, address, [on])

        await self._request(ask, fits, f"coil {address}", tries=self._tries)

    async def _request(
        self,
        ask: Callable[[], Awaitable[ModbusPDU]],
        fits: Callable[[ModbusPDU], bool],
        what: str,
        *,
        tries: int,
    ) -> ModbusPDU:
        async with self._one_at_a_time:
            for left in reversed(range(tries)):
                try:
                    answer = await self._ask_once(ask)
                except ModbusException as error:
                    if left and self._client.connected:
                        continue
                    raise LinkLost(self._why(what)) from error
                if answer.isError():
                    reason = REASONS.get(answer.exception_code, f"code {answer.exception_code}")
                    raise Refused(f"{what}: the module refuses: {reason}")
                if fits(answer):
                    return answer
                self._doubt()
                if not left:
                    raise WireError(f"{what}: the answer belongs to another request")
        raise AssertionError("unreachable")

    async def _ask_once(self, ask: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU:
        loop = asyncio.get_running_loop()
        if (wait := self._quiet_until - loop.time()) > 0:
            await asyncio.sleep(wait)
        answered = False
        try:
            answer = await ask()
            answered = True
            return answer
        finally:
            self._quiet_until = loop.time() + self._gap
            if not answered:
                self._doubt()

    def _doubt(self) -> None:
        """Wait for a late answer to pass before the next request, where it could be mistaken."""
        if self._address.rtu:
            self.doubted = True
            self._quiet_until = asyncio.get_running_loop().time() + self._timeout

    def _why(self, what: str) -> str:
        if not self._client.connected:
            return f"{self._address}: the connection ended"
        return f"{self._address}: no answer about {what} within {self._timeout:.1f} s"
