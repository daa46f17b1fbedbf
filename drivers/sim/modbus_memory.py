"""The four tables of a simulated Modbus module, and how it answers requests about them.

Source: MODBUS Application Protocol V1.1b3, sections 6.1 to 6.12 and 7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from drivers.lines.modbus_map import Place, Table

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
BIT_TABLES: dict[int, Table] = {1: "coil", 2: "discrete"}
WORD_TABLES: dict[int, Table] = {3: "holding", 4: "input"}

Written = Callable[[Place, int], int]
"""Called with a place and what is to be written there; returns what the place then holds."""


class Refused(Exception):
    """The module answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception code {code}")
        self.code = code


class Memory:
    """What a module holds. An address that was never set does not exist."""

    def __init__(self, written: Written) -> None:
        self.values: dict[Place, int] = {}
        self._written = written

    def answer(self, pdu: bytes) -> bytes:
        """Return the answer to a request, an exception answer if it can't be met."""
        try:
            return self._answer(pdu)
        except Refused as refused:
            return refusal(pdu, refused.code)

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if len(pdu) < 5:
            raise Refused(ILLEGAL_VALUE if function in (1, 2, 3, 4, 5, 6, 15, 16) else 1)
        address, number = struct.unpack_from(">HH", pdu, 1)
        if function in BIT_TABLES:
            bits = self._read(BIT_TABLES[function], address, number, 2000)
            return bytes([function, (number + 7) // 8]) + pack_bits(bits)
        if function in WORD_TABLES:
            words = self._read(WORD_TABLES[function], address, number, 125)
            return bytes([function, 2 * number]) + struct.pack(f">{number}H", *words)
        if function == 5:
            if number not in (0x0000, 0xFF00):
                raise Refused(ILLEGAL_VALUE)
            self._write("coil", address, [int(number == 0xFF00)])
        elif function == 6:
            self._write("holding", address, [number])
        elif function == 15:
            data = pdu[6:]
            if not 1 <= number <= 1968 or not len(data) == pdu[5] == (number + 7) // 8:
                raise Refused(ILLEGAL_VALUE)
            self._write("coil", address, [data[n // 8] >> n % 8 & 1 for n in range(number)])
        elif function == 16:
            data = pdu[6:]
            if not 1 <= number <= 123 or not len(data) == pdu[5] == 2 * number:
                raise Refused(ILLEGAL_VALUE)
            self._write("holding", address, list(struct.unpack(f">{number}H", data)))
        else:
            raise Refused(ILLEGAL_FUNCTION)
        return pdu[:5]

    def _read(self, table: Table, address: int, number: int, most: int) -> list[int]:
        if not 1 <= number <= most:
            raise Refused(ILLEGAL_VALUE)
        places: list[Place] = [(table, address + n) for n in range(number)]
        if not all(place in self.values for place in places):
            raise Refused(ILLEGAL_ADDRESS)
        return [self.values[place] for place in places]

    def _write(self, table: Table, address: int, values: list[int]) -> None:
        self._read(table, address, len(values), len(values))
        for n, value in enumerate(values):
            place: Place = (table, address + n)
            self.values[place] = self._written(place, value)


def refusal(pdu: bytes, code: int) -> bytes:
    """Return the exception answer to the request `pdu`."""
    return bytes([(pdu[0] | 0x80) & 0xFF, code])


def pack_bits(bits: list[int]) -> bytes:
    """Return bits as bytes, the first bit lowest in the first byte."""
    packed = bytearray((len(bits) + 7) // 8)
    for n, bit in enumerate(bits):
        packed[n // 8] |= bit << n % 8
    return bytes(packed)
