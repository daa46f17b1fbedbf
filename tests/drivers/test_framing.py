"""Bytes become the same records however the wire cuts them, and junk never piles up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.ports.framing import Encoding, Framer, Framing, separator_bytes
from drivers.ports.port import BadBytes, Heard, TextRecord

PIPES = Framing(separator=b"|", max_record=16)
SHORT_LINES = Framing(max_record=8, encoding="ascii")
FRAMINGS = [
    PIPES,
    SHORT_LINES,
    Framing(separator=b"\r\n", max_record=4, encoding="utf-8"),
    Framing(separator=b"aab", max_record=5),
    Framing(by_gap=True, max_record=6),
    Framing(separator=b";", by_gap=True, max_record=6, encoding="cp437"),
]
BYTES = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"a", b"b", b"|", b"\r", b"\n", b";", b"\xff", b"\0"]), max_size=60
).map(b"".join)


def said(framing: Framing, *chunks: bytes) -> list[str]:
    framer = Framer(framing)
    heard = [one for chunk in chunks for one in framer.feed(chunk)]
    return [one.text for one in heard if isinstance(one, TextRecord)]


def test_each_of_cr_lf_and_crlf_ends_a_line_by_default() -> None:
    assert said(Framing(), b"one\rtwo\nthree\r\nfour\r\n") == ["one", "two", "three", "four"]


def test_a_crlf_cut_in_two_makes_no_empty_line() -> None:
    assert said(Framing(), b"one\r", b"\ntwo\r\n") == ["one", "two"]


def test_a_pipe_separates_the_records_of_an_eas_gateway() -> None:
    assert said(PIPES, b"ALARM 1|COUNT 7|") == ["ALARM 1", "COUNT 7"]


def test_line_ends_page_breaks_and_nuls_around_a_record_are_taken_off() -> None:
    framing = Framing(separator=b";")
    assert said(framing, b"\r\n:ALARM Z001;\r\n\f\0:FAULT Z002;") == [":ALARM Z001", ":FAULT Z002"]


def test_half_a_record_waits_for_its_other_half() -> None:
    framer = Framer(Framing())
    assert framer.feed(b"ALA") == []
    assert framer.pending
    assert framer.feed(b"RM\n") == [TextRecord(text="ALARM")]
    assert not framer.pending


def test_half_a_record_at_the_end_of_the_stream_is_no_record() -> None:
    framer = Framer(Framing())
    framer.feed(b"FIRE AL")
    assert framer.end() == [BadBytes(reason="cut off by the end of the connection", size=7)]
    assert framer.feed(b"ARM\n") == [TextRecord(text="ARM")]


def test_a_pause_ends_a_record_where_the_sender_has_no_separator() -> None:
    framer = Framer(Framing(by_gap=True))
    assert framer.feed(b"TOTAL 12.40\r\nCASH 20.00\r\n") == []
    assert framer.gap() == [TextRecord(text="TOTAL 12.40\r\nCASH 20.00")]
    assert framer.gap() == []


def test_a_sender_that_hangs_up_ends_its_record_where_pauses_do() -> None:
    framer = Framer(Framing(by_gap=True))
    framer.feed(b"MOTION")
    assert framer.end() == [TextRecord(text="MOTION")]


def test_a_record_as_long_as_the_limit_is_taken_and_a_longer_one_is_not() -> None:
    assert said(SHORT_LINES, b"12345678\n") == ["12345678"]
    assert Framer(SHORT_LINES).feed(b"123456789\nnext\n") == [
        BadBytes(reason="longer than 8 bytes without a separator", size=8),
        BadBytes(reason="longer than 8 bytes without a separator", size=1),
        TextRecord(text="next"),
    ]


def test_a_line_of_code_page_437_is_read_as_a_till_prints_it() -> None:
    assert said(Framing(encoding="cp437"), b"CAF\x90 \x9c 2.50\n") == ["CAFÉ £ 2.50"]


def test_a_spoiled_byte_is_reported_and_does_not_hide_the_record() -> None:
    assert Framer(Framing(encoding="ascii")).feed(b"ALARM Z0\xff1\n") == [
        BadBytes(reason="byte 0xff is not ascii", size=10),
        TextRecord(text="ALARM Z0\ufffd1"),
    ]


def test_a_record_knows_who_sent_it() -> None:
    assert Framer(Framing(), peer="10.0.4.31").feed(b"x\n") == [
        TextRecord(text="x", peer="10.0.4.31")
    ]


@pytest.mark.parametrize(
    ("written", "encoding", "expected"),
    [
        ("|", "ascii", b"|"),
        (r"\r\n", "ascii", b"\r\n"),
        (r"\x03", "utf-8", b"\x03"),
        (r"\xFF;", "ascii", b"\xff;"),
        (r"\\", "ascii", b"\\"),
        ("£", "cp437", b"\x9c"),
    ],
)
def test_a_separator_is_written_with_escapes(
    written: str, encoding: Encoding, expected: bytes
) -> None:
    assert separator_bytes(written, encoding) == expected


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "a separator has at least one character"),
        (r"\q", r"'\\\\q' is no escape of a separator"),
        (r"\x3", r"'\\\\x' is no escape of a separator"),
        ("£", "can't encode character"),
    ],
)
def test_a_separator_that_cannot_be_is_refused(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        separator_bytes(written, "ascii")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FRAMINGS), BYTES, st.data())
def test_it_does_not_matter_how_the_wire_cuts_the_bytes(
    framing: Framing, wire: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    whole, pieces = Framer(framing), Framer(framing)
    expected = [*whole.feed(wire), *whole.end()]
    heard: list[Heard] = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        heard += pieces.feed(wire[start:end])
    assert [*heard, *pieces.end()] == expected


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FRAMINGS), st.lists(BYTES, max_size=8))
def test_junk_never_raises_and_never_piles_up(framing: Framing, noise: list[bytes]) -> None:
    framer, held = Framer(framing), 0
    for chunk in noise:
        for heard in [*framer.feed(chunk), *(framer.gap() if chunk[:1] == b"a" else [])]:
            if isinstance(heard, TextRecord):
                assert 0 < len(heard.text) <= framing.max_record
        held = len(framer._rest)
        assert held < framing.max_record + 3
    framer.end()
    assert not framer.pending


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abcé ", min_size=1, max_size=8), max_size=8))
def test_what_was_printed_is_read(records: list[str]) -> None:
    wire = b"".join(record.encode("latin-1") + b"|" for record in records)
    assert said(PIPES, wire) == records
