"""Modbus as a module sees it: requests out of bytes, frames around answers.

Source: MODBUS Application Protocol V1.1b3 and MODBUS over Serial Line V1.02 (modbus.org).
Used by the simulator and the benchmark; the driver speaks through pymodbus, so that a mistake
here can't hide in both ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

LONGEST_PDU = 253
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One request or answer without its wrapping."""

    unit: int
    pdu: bytes
    """Function code and what belongs to it."""
    transaction: int = 0
    """TCP only."""


def crc16(data: bytes) -> int:
    """Return the checksum of the serial line."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def tcp_bytes(frame: Frame) -> bytes:
    """Return `frame` as it goes over TCP."""
    header = struct.pack(">HHHB", frame.transaction, 0, len(frame.pdu) + 1, frame.unit)
    return header + frame.pdu


def rtu_bytes(frame: Frame) -> bytes:
    """Return `frame` as it goes over a serial line."""
    body = bytes([frame.unit]) + frame.pdu
    return body + struct.pack("<H", crc16(body))


def take_tcp(data: bytes) -> tuple[list[Frame], bytes]:
    """Split `data` into whole frames and the unread rest. What can be no header is skipped."""
    frames: list[Frame] = []
    while len(data) >= 8:
        transaction, protocol, length, unit = struct.unpack_from(">HHHB", data)
        if protocol != 0 or not 2 <= length <= LONGEST_PDU + 1:
            data = data[1:]
        elif len(data) < 6 + length:
            break
        else:
            frames.append(Frame(unit=unit, pdu=data[7 : 6 + length], transaction=transaction))
            data = data[6 + length :]
    return frames, data


def take_rtu_requests(data: bytes) -> tuple[list[Frame], bytes]:
    """Split `data` into whole requests and the unread rest. What has no right CRC is skipped."""
    frames: list[Frame] = []
    while len(data) >= 2:
        size = _request_size(data)
        if size is not None and len(data) < size:
            break
        if size is not None and rtu_bytes(found := _body(data[:size])) == data[:size]:
            frames.append(found)
            data = data[size:]
        else:
            data = data[1:]
    return frames, data


def _request_size(data: bytes) -> int | None:
    function = data[1]
    if function in (1, 2, 3, 4, 5, 6):
        return 8
    if function == 43:
        return 7
    if function in (15, 16):
        return 8 if len(data) < 7 else 9 + data[6]
    return None


def _body(frame: bytes) -> Frame:
    return Frame(unit=frame[0], pdu=frame[1:-2])
