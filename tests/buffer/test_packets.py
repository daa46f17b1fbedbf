"""PUBLISH and PUBACK as MQTT v5 writes them, and what breaks the standard."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from buffer import packets
from buffer.message import Message
from tests.buffer.fake_broker import encode, parse_publish, puback


def test_a_publish_is_what_the_standard_says() -> None:
    said = packets.properties(Message(topic="a/b", payload=b"", expiry=60, content_type="x"))
    found = packets.publish(packets.topic_name("a/b"), b"hello", said, 258, retain=True)

    assert found.hex(" ") == (
        "33 16 00 03 61 2f 62 01 02 09 02 00 00 00 3c 03 00 01 78 68 65 6c 6c 6f"
    )


def test_properties_are_what_paho_reads() -> None:
    message = Message(
        topic="a", payload=b"", expiry=7, content_type="text/plain", properties={"a": "b", "c": "ä"}
    )
    read = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    read.unpack(packets.properties(message))  # type: ignore[no-untyped-call]

    assert vars(read)["MessageExpiryInterval"] == 7
    assert vars(read)["ContentType"] == "text/plain"
    assert vars(read)["UserProperty"] == [("a", "b"), ("c", "ä")]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 65535), st.binary(max_size=400), st.text(max_size=40))
def test_what_is_written_is_read_again(mid: int, payload: bytes, topic: str) -> None:
    try:
        name = packets.topic_name(topic)
    except ValueError:
        return
    packet = packets.publish(name, payload, b"\0", mid, retain=False)
    head = 2 if packet[1] < 0x80 else 3
    found = parse_publish(packet[head:])

    assert (found.mid, found.topic, found.payload) == (mid, topic, payload)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0b", "a" * 65_536, "\ud800"])
def test_a_topic_that_no_broker_takes_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        packets.topic_name(topic)


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (268_435_455, "ffffff7f")],
)
def test_lengths_are_written_as_the_standard_says(number: int, written: str) -> None:
    assert packets.varint(number).hex() == written


def test_pubacks_of_every_length_are_read() -> None:
    short, code = encode(4, b"\x01\x02"), encode(4, b"\x01\x02\x95")
    more = encode(4, b"\x01\x02\x87\x04\x1f\x00\x01x")

    assert packets.read_puback(short, 0) == (4, 258, 0)
    assert packets.read_puback(code, 0) == (5, 258, 0x95)
    assert packets.read_puback(b"??" + more, 2) == (2 + len(more), 258, 0x87)


@given(st.binary(max_size=12))
def test_any_bytes_are_a_puback_or_incomplete_or_refused(data: bytes) -> None:
    try:
        found = packets.read_puback(b"\x40" + data, 0)
    except ValueError:
        return
    assert found is None or 4 <= found[0] <= len(data) + 1


def test_a_part_of_a_puback_is_not_all_there() -> None:
    whole = puback(7, 0x10)

    assert [packets.read_puback(whole[:n], 0) for n in range(1, len(whole))] == [None] * 5
    assert packets.read_puback(whole, 0) == (6, 7, 0x10)
