"""A time server's answer is a time, or refused; the offset is that of a real exchange."""

import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor.clock import asked, server_time

MARK = b"12345678"
NTP_2026 = 3_976_300_800


def answer(*, leap: int = 0, mode: int = 4, stratum: int = 2, seconds: int = NTP_2026) -> bytes:
    head = bytes((leap << 6 | 4 << 3 | mode, stratum)) + b"\0" * 22
    return head + MARK + struct.pack(">IIII", seconds, 0, seconds, 1 << 31)


def test_the_time_is_the_middle_between_received_and_sent() -> None:
    assert server_time(answer(), MARK) == NTP_2026 - 2_208_988_800 + 0.25


def test_seconds_that_have_begun_anew_are_of_the_next_era() -> None:
    assert server_time(answer(seconds=1), MARK) == 2**32 - 2_208_988_800 + 1.25


@pytest.mark.parametrize(
    "told",
    [
        answer(leap=3),
        answer(stratum=0),
        answer(stratum=16),
        answer(mode=3),
        answer().replace(MARK, b"another!"),
        answer()[:47],
    ],
)
def test_a_server_that_does_not_know_or_is_not_asked_tells_no_time(told: bytes) -> None:
    with pytest.raises(ValueError, match="time"):
        server_time(told, MARK)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_time_or_refused(told: bytes) -> None:
    try:
        found = server_time(told, MARK)
    except ValueError:
        return
    assert -3e9 < found < 5e9


def test_the_offset_to_a_server_that_is_an_hour_behind_is_an_hour() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)

        def serve() -> None:
            question, who = server.recvfrom(100)
            now = int(time.time() - 3600) + 2_208_988_800
            head = bytes((0x24, 2)) + b"\0" * 22
            server.sendto(head + question[40:] + struct.pack(">IIII", now, 0, now, 0), who)

        thread = threading.Thread(target=serve)
        thread.start()
        off = asked("127.0.0.1", server.getsockname()[1])
        thread.join()
    assert 3590 < off < 3610
