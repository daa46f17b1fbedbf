"""The bytes of PUBLISH and PUBACK in MQTT v5: the two packets that each record costs."""

from buffer.message import Message

PUBLISH, PUBACK = 0x30, 0x40
_QOS_1 = 0x02
_EXPIRY, _CONTENT_TYPE, _USER_PROPERTY = 0x02, 0x03, 0x26
_LONGEST_TEXT, _LONGEST_PACKET = 0xFFFF, 0x0FFF_FFFF


def varint(number: int) -> bytes:
    """Return a Variable Byte Integer (1.5.5)."""
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def text(value: str) -> bytes:
    """Return a UTF-8 Encoded String (1.5.4).

    Raises:
        ValueError: it is too long, or not text.
    """
    raw = value.encode()
    if len(raw) > _LONGEST_TEXT or b"\0" in raw:
        raise ValueError(f"{len(raw)} bytes are too long, or there is a NUL")
    return len(raw).to_bytes(2, "big") + raw


def topic_name(topic: str) -> bytes:
    """Return a topic to publish to (4.7).

    Raises:
        ValueError: no broker takes it.
    """
    if not topic or "+" in topic or "#" in topic:
        raise ValueError(f"{topic!r} is empty, or has a wildcard")
    return text(topic)


def properties(message: Message) -> bytes:
    """Return the properties of a PUBLISH (3.3.2.3), with their length before them.

    Raises:
        ValueError: one of them is too long.
    """
    found = b""
    if message.expiry is not None:
        found += bytes((_EXPIRY,)) + message.expiry.to_bytes(4, "big")
    if message.content_type is not None:
        found += bytes((_CONTENT_TYPE,)) + text(message.content_type)
    for name, value in message.properties.items():
        found += bytes((_USER_PROPERTY,)) + text(name) + text(value)
    return varint(len(found)) + found


def publish(topic: bytes, payload: bytes, said: bytes, mid: int, *, retain: bool) -> bytes:
    """Return a PUBLISH at QoS 1 (3.3); `topic` and `said` are as the functions above make them."""
    size = len(topic) + 2 + len(said) + len(payload)
    head = bytes((PUBLISH | _QOS_1 | retain,))
    return b"".join((head, varint(size), topic, mid.to_bytes(2, "big"), said, payload))


def publish_unconfirmed(topic: bytes, payload: bytes, said: bytes, *, retain: bool) -> bytes:
    """Return a PUBLISH at QoS 0, likewise."""
    size = len(topic) + len(said) + len(payload)
    return b"".join((bytes((PUBLISH | retain,)), varint(size), topic, said, payload))


def fits(size: int) -> bool:
    """Whether MQTT has packets of that size."""
    return size <= _LONGEST_PACKET


def read_puback(data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
    """Return where the PUBACK (3.4) at `at` ends, its packet identifier and its reason code.

    None when it is not all there yet.

    Raises:
        ValueError: it breaks the standard.
    """
    size = shift = 0
    start = at + 1
    while True:
        if start == len(data):
            return None
        digit = data[start]
        start += 1
        size |= (digit & 0x7F) << shift
        if digit < 0x80:
            break
        shift += 7
        if shift > 21:
            raise ValueError("a length of more than 4 bytes")
    if len(data) < start + size:
        return None
    if size < 2:
        raise ValueError(f"a PUBACK of {size} bytes")
    mid = data[start] << 8 | data[start + 1]
    return start + size, mid, data[start + 2] if size > 2 else 0
