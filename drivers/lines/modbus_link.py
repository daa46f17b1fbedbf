"""One Modbus module on its bus: reads and writes, every failure in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from drivers.contract import LinkLost, WireError
from drivers.lines.modbus_address import ModbusAddress
from drivers.lines.modbus_bus import Client, bus_for
from drivers.lines.modbus_map import Place, Table
from drivers.lines.modbus_plan import Span

RTU_TRIES = 2
"""A serial line may swallow one request; then the link is lost. A module that has not answered yet
is asked once: each lost answer keeps the other modules of its line waiting."""
CODES: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""Function codes that read a table."""
REASONS = {
    1: "illegal function",
    2: "illegal data address (addresses are zero-based here)",
    3: "illegal data value",
    4: "device failure",
    6: "device busy",
    10: "gateway path unavailable",
    11: "gateway target failed to respond (is the unit right?)",
}


class Refused(WireError):
    """The module answered with an exception code."""


class Link:
    """The connection of one module. Never reconnects by itself; each one needs its `close`."""

    def __init__(self, address: ModbusAddress, unit: int) -> None:
        """Raise LinkLost if the line is in use with other settings."""
        self._questions: dict[Span, _Question] = {}
        self._bus = bus_for(address)
        self._client = self._bus.client
        self._address, self._unit = address, unit
        self._tries = 1
        self.doubted = address.rtu
        """Whether an answer may be a late one to an earlier request: read twice before acting.
        Set at the start and after a lost answer of an RTU link; the reader clears it."""

    async def open(self) -> None:
        """Connect.

        Raises:
            LinkLost: nobody answers there.
        """
        await self._bus.open()

    def close(self) -> None:
        """End the connection, unless other modules on the line use it."""
        self._bus.close()

    async def read(self, span: Span) -> dict[Place, int]:
        """Return what `span` holds, bits as 0 and 1.

        Raises:
            LinkLost: no answer in time, or no connection.
            WireError: the module refused, or answered something else.
        """
        question = self._questions.get(span)
        if question is None:
            question = self._questions[span] = _Question(self._client, self._unit, span)
        answer = await self._request(question.ask, question.fits, span)
        return dict(zip(question.places, question.values(answer), strict=False))

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

        await self._request(ask, fits, Span(table="coil", first=address, count=1))

    async def _request(
        self,
        ask: Callable[[], Awaitable[ModbusPDU]],
        fits: Callable[[ModbusPDU], bool],
        what: Span,
    ) -> ModbusPDU:
        why: LinkLost | WireError = LinkLost(f"{self._address}: the connection ended")
        for _ in range(self._tries):
            try:
                answer = await self._bus.exchange(ask)
            except ModbusException:
                _stay_cancelled()
                self._doubt()
                if not self._client.connected:
                    raise LinkLost(f"{self._address}: the connection ended") from None
                about = f"no answer of unit {self._unit} about {what}"
                why = LinkLost(f"{self._address}: {about} within {self._bus.timeout:.1f} s")
                continue
            if self._address.rtu:
                self._tries = RTU_TRIES
            if answer.isError():
                reason = REASONS.get(answer.exception_code, f"code {answer.exception_code}")
                raise Refused(f"{what}: the module refuses: {reason}")
            if fits(answer):
                return answer
            self._doubt()
            self._bus.keep_quiet()
            why = WireError(f"{what}: the answer belongs to another request")
        raise why

    def _doubt(self) -> None:
        self.doubted = self._address.rtu


class _Question:
    """One read that is asked again and again."""

    def __init__(self, client: Client, unit: int, span: Span) -> None:
        read: dict[Table, Callable[..., Awaitable[ModbusPDU]]] = {
            "coil": client.read_coils,
            "discrete": client.read_discrete_inputs,
            "input": client.read_input_registers,
            "holding": client.read_holding_registers,
        }
        self.places = tuple(span.places())
        self._read, self._unit, self._span = read[span.table], unit, span
        self._code, self._bits = CODES[span.table], span.table in ("coil", "discrete")
        self._size = (span.count + 7) // 8 * 8 if self._bits else span.count

    def ask(self) -> Awaitable[ModbusPDU]:
        return self._read(self._span.first, count=self._span.count, device_id=self._unit)

    def fits(self, answer: ModbusPDU) -> bool:
        return answer.function_code == self._code and len(self.values(answer)) == self._size

    def values(self, answer: ModbusPDU) -> Sequence[int]:
        return answer.bits if self._bits else answer.registers


def _stay_cancelled() -> None:
    """Go on being cancelled: pymodbus turns a cancelled request into an error of its own."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
