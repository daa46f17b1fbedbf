"""When an X.509 certificate ends, and who signed it: the few fields of RFC 5280 that are needed.

Python's ssl module tells them of a peer that it has verified only, and of a file not at all.
"""

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

_PEM = re.compile(
    "-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----",
)
_SEQUENCE, _INTEGER, _VERSION, _UTC_TIME, _TIME = 0x30, 0x02, 0xA0, 0x17, 0x18


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of one."""

    issuer: bytes
    """Whose name signed it, DER."""
    subject: bytes
    """Whose name it is, DER."""
    ends: float
    """`notAfter`, Unix time."""


def read(der: bytes) -> Certificate:
    """Return what a certificate in DER says.

    Raises:
        ValueError: it is none.
    """
    whole = _inside(der, 0, len(der), _SEQUENCE)
    at, end = _inside(der, *whole, _SEQUENCE)
    tag, _, after = _element(der, at, end)
    if tag == _VERSION:
        at = after
    fields: list[tuple[int, int, int]] = []
    for wanted in (_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE):
        tag, start, after = _element(der, at, end)
        if tag != wanted:
            raise ValueError(f"a field of kind {tag:#x}, where {wanted:#x} belongs")
        fields.append((at, start, after))
        at = after
    issuer, validity, subject = fields[2], fields[3], fields[4]
    _, _, second = _element(der, validity[1], validity[2])
    tag, start, after = _element(der, second, validity[2])
    return Certificate(
        der[issuer[0] : issuer[2]], der[subject[0] : subject[2]], _time(tag, der[start:after])
    )


def read_pem(text: str) -> list[Certificate]:
    """Return the certificates of a PEM file, in its order; keys and remarks are passed over.

    Raises:
        ValueError: one of them is broken.
    """
    return [read(ssl.PEM_cert_to_DER_cert(found[0])) for found in _PEM.finditer(text)]


def _time(tag: int, text: bytes) -> float:
    if tag not in {_UTC_TIME, _TIME} or not text.isascii():
        raise ValueError(f"no time: {text!r}")
    digits = text.decode()
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits are of 1950 to 2049.
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _inside(der: bytes, at: int, end: int, wanted: int) -> tuple[int, int]:
    tag, start, after = _element(der, at, end)
    if tag != wanted:
        raise ValueError(f"a field of kind {tag:#x}, where {wanted:#x} belongs")
    return start, after


def _element(der: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return the tag of the element at `at`, where its content starts and where it ends."""
    if at + 2 > end:
        raise ValueError("cut off")
    tag, size, start = der[at], der[at + 1], at + 2
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or start + count > end:
            raise ValueError("a length that is none")
        size = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + size > end:
        raise ValueError("cut off")
    return tag, start, start + size
