"""The text of a receipt is left when the printer's commands are taken out, however it is cut."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.ports.escpos import LONGEST_DATA, EscPos

LEADS = re.compile(rb"[\x10\x1b-\x1d]")
BYTES = st.lists(
    st.sampled_from(
        [b"\x1b", b"\x1d", b"\x1c", b"\x10", b"@", b"k", b"(", b"*", b"D", b"&", b"v0", b"V", b"\0"]
    )
    | st.binary(min_size=1, max_size=5)
    | st.just(b"TOTAL\n"),
    max_size=30,
).map(b"".join)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"TOTAL 12.50\n", b"TOTAL 12.50\n"),
        (b"\x1b@\x1b!\x30SHOP\x1b!\0\n", b"\nSHOP\n"),
        (b"\x1ba\x01MID\x1bE\x01\x1bt\x13\x1bM\x01DLE\x1b-\x02", b"MIDDLE"),
        (b"TOTAL\x1b$\x0a\x0d12.50\x1bd\x03\x1dVA\x0anext", b"TOTAL 12.50\n\nnext"),
        (b"\x1dV\x00next", b"\nnext"),
        (b"\x1bp\x00\x19\xfaDRAWER", b"DRAWER"),
        (b"\x1dw\x02\x1dh\x50\x1dk\x044711\x00END", b"END"),
        (b"\x1dkI\x05\n4711END", b"END"),
        (b"\x1dv0\0\x02\0\x03\0\n\n\n\n\n\nEND", b"END"),
        (b"\x1b*\x21\x02\0\n\n\n\n\n\nEND", b"END"),
        (b"\x1b*\x00\x02\0\n\nEND", b"END"),
        (b"\x1d*\x01\x0212345678abcdefghEND", b"END"),
        (b"\x1d(k\x03\0\x31\x43\x06END", b"END"),
        (b"\x1d8L\x04\0\0\0\n\n\n\nEND", b"END"),
        (b"\x1bD\x08\x10\0END", b"END"),
        (b"\x1b&\x03AB\x01\n\n\n\x02\n\n\n\n\n\nEND", b"END"),
        (b"\x10\x04\x01\x10\x14\x01\0\x01END", b"END"),
        (b"\x1b\x1b@END", b"\nEND"),
        (b"\x1b~END", b"END"),
        (b"\x1b\xe9END", b"\xe9END"),
        (b"\x10END", b"END"),
        (b"\x1dv0\0\xff\xff\xff\xffEND\n", b"END\n"),
        (b"\x1dC0\x01\x02\x1dC1\1\2\3\4\5\6END", b"END"),
        (b"\x1bD" + 32 * b"x" + b"\0END", b"END"),
        (b"\x1bD" + 33 * b"x" + b"\0END", 33 * b"x" + b"\0END"),
        (b"\x1dk\0" + 256 * b"x" + b"\0END", b"END"),
        (b"\x1b&\x20\x20\x7f\xff" + 9000 * b"x", b"\xff" + 9000 * b"x"),
    ],
)
def test_what_is_printed_is_left(sent: bytes, text: bytes) -> None:
    assert EscPos().feed(sent) == text
    slow = EscPos()
    assert b"".join(slow.feed(bytes([byte])) for byte in sent) == text


@settings(max_examples=300)
@given(BYTES, st.lists(st.integers(0, 100), max_size=8))
def test_any_bytes_give_the_same_text_however_they_are_cut(sent: bytes, cuts: list[int]) -> None:
    whole, piece = EscPos(), EscPos()
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [piece.feed(sent[start:end]) for start, end in itertools.pairwise(places)]
    text = whole.feed(sent)
    assert b"".join(pieces) == text
    assert not LEADS.search(text)
    assert len(text) <= len(sent)


@settings(max_examples=100)
@given(st.text(max_size=100).map(lambda text: text.encode()))
def test_text_without_commands_is_left_alone(sent: bytes) -> None:
    plain = LEADS.sub(b"", sent)
    assert EscPos().feed(plain) == plain


def test_an_image_takes_no_more_memory_than_its_head() -> None:
    rows = LONGEST_DATA // 64
    taker = EscPos()
    assert taker.feed(b"\x1dv0\0\x40\0" + bytes([rows & 255, rows >> 8])) == b""
    for _ in range(rows):
        assert taker.feed(b"\n" * 64) == b""
    assert taker.feed(b"END") == b"END"
