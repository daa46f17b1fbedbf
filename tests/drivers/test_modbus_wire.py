"""Modbus frames and the simulated module's memory, however the bytes come."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.modbus_memory import Memory, pack_bits
from drivers.wire.modbus import (
    Frame,
    crc16,
    rtu_bytes,
    take_rtu_requests,
    take_tcp,
    tcp_bytes,
)

SHORT = st.integers(0, 0xFFFF)
READS = st.builds(
    lambda unit, code, a, n: Frame(unit=unit, pdu=struct.pack(">BHH", code, a, n)),
    st.integers(0, 255),
    st.sampled_from([1, 2, 3, 4, 5, 6]),
    SHORT,
    SHORT,
)
WRITES = st.builds(
    lambda unit, a, words: Frame(
        unit=unit,
        pdu=struct.pack(f">BHHB{len(words)}H", 16, a, len(words), 2 * len(words), *words),
    ),
    st.integers(0, 255),
    SHORT,
    st.lists(SHORT, min_size=1, max_size=5),
)
REQUESTS = st.lists(READS | WRITES, max_size=5)


def test_the_checksum_is_the_one_of_the_standards_examples() -> None:
    assert rtu_bytes(Frame(unit=1, pdu=bytes.fromhex("0300000001"))).hex() == "010300000001840a"
    assert crc16(b"123456789") == 0x4B37


def test_a_tcp_frame_is_the_one_of_the_standard() -> None:
    frame = Frame(unit=1, pdu=bytes.fromhex("0100000006"), transaction=0x1501)
    assert tcp_bytes(frame).hex() == "150100000006010100000006"


@given(REQUESTS, st.data())
def test_it_does_not_matter_how_the_line_cuts_rtu_requests(
    frames: list[Frame], data: st.DataObject
) -> None:
    wire = b"".join(map(rtu_bytes, frames))
    cut = data.draw(st.integers(0, len(wire)))
    first, rest = take_rtu_requests(wire[:cut])
    second, rest = take_rtu_requests(rest + wire[cut:])
    assert (first + second, rest) == (frames, b"")


@given(REQUESTS, st.data())
def test_it_does_not_matter_how_the_network_cuts_tcp_requests(
    frames: list[Frame], data: st.DataObject
) -> None:
    wire = b"".join(map(tcp_bytes, frames))
    cut = data.draw(st.integers(0, len(wire)))
    first, rest = take_tcp(wire[:cut])
    second, rest = take_tcp(rest + wire[cut:])
    assert (first + second, rest) == (frames, b"")


@given(st.binary(max_size=600))
def test_noise_never_raises_and_never_piles_up(noise: bytes) -> None:
    assert len(take_tcp(noise)[1]) < 260
    assert len(take_rtu_requests(noise)[1]) < 264


def memory() -> Memory:
    found = Memory(lambda _place, value: value)
    found.values |= {("coil", n): 0 for n in range(10)}
    found.values |= {("discrete", n): n % 3 == 0 for n in range(10)}
    found.values |= {("input", 16): 0x1234, ("input", 17): 0x5678, ("holding", 0): 0}
    return found


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("0200000a", "8203"),
        ("020000000a", "02024902"),
        ("0400100002", "040412345678"),
        ("0400100003", "8402"),
        ("0100000000", "8103"),
        ("010000000b", "8102"),
        ("050003ff00", "050003ff00"),
        ("0500030000", "0500030000"),
        ("0500035500", "8503"),
        ("0500400000", "8502"),
        ("0600000007", "0600000007"),
        ("0f0000000a02ff03", "0f0000000a"),
        ("0f0000000a01ff", "8f03"),
        ("1000000001020007", "1000000001"),
        ("1000000001030007", "9003"),
        ("2b00000000", "ab01"),
        ("2b", "ab01"),
    ],
)
def test_requests_are_answered_as_the_standard_says(asked: str, answered: str) -> None:
    assert memory().answer(bytes.fromhex(asked)).hex() == answered


@given(st.binary(min_size=1, max_size=260))
def test_any_request_has_an_answer(asked: bytes) -> None:
    assert memory().answer(asked)[0] & 0x7F == asked[0] & 0x7F


@given(st.lists(st.integers(0, 1), max_size=40))
def test_bits_are_packed_lowest_first(bits: list[int]) -> None:
    packed = pack_bits(bits)
    assert [packed[n // 8] >> n % 8 & 1 for n in range(len(bits))] == bits
    assert sum(byte.bit_count() for byte in packed) == sum(bits)
