"""The hash chain that makes a changed, removed or reordered record visible.

    body hash = SHA-256(body)
    link n    = SHA-256(link n-1 ‖ sequence as u64 big-endian ‖ priority as u8 ‖ body hash)
    link 0    = SHA-256(journal id as 16 bytes)          before the first record of a file

A record whose body was evicted is still checked: its body hash stays. Of old runs of those only the
link of the last stays, so the chain goes on from there but the run itself is not checked any more.

A file that took over records of a damaged one has more than one chain, each from the sequence where
it began, and runs of records that are lost: what comes after such a run is checked from its second
record on, for the link before the first is not known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

_SEQUENCE_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What the chain needs of one record."""

    sequence: int
    priority: int
    body_hash: bytes
    """Empty of a folded run, and of lost records."""
    link: bytes | None
    """As stored; None where only the body hash was kept, and of lost records."""
    folded: int = 0
    """How many more records this stands for: of a folded run, the link is that of the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first place where the chain does not hold."""

    sequence: int
    reason: str


def genesis(journal: str) -> bytes:
    """Return what the first record of the journal with this id (32 hex digits) is chained to."""
    return sha256(bytes.fromhex(journal)).digest()


def body_hash(body: bytes) -> bytes:
    """Return the 32 bytes that stand for `body`."""
    return sha256(body).digest()


def link(previous_link: bytes, sequence: int, priority: int, body_hash: bytes) -> bytes:
    """Return the link of a record, given that of the record before it."""
    place = sequence.to_bytes(_SEQUENCE_BYTES, "big") + bytes((priority,))
    return sha256(previous_link + place + body_hash).digest()


def verify(
    start: bytes | None,
    first: int,
    records: Iterable[Proved],
    *,
    others: Mapping[int, bytes | None] = MappingProxyType({}),
) -> Break | None:
    """Check `records`, of which the first must be number `first`, from the link before them on.

    `others` are the chains that begin later: the link before their first record by its sequence;
    None where it is not known.

    Returns None when each follows from the one before. Can't see a cut tail: compare the last link
    with one that was published.
    """
    head, expected = start, first
    for record in records:
        if record.sequence > expected:
            return Break(sequence=expected, reason="removed")
        if record.sequence < expected:
            return Break(sequence=record.sequence, reason="out of order")
        head = others.get(record.sequence, head)
        if not record.body_hash or (head is None and record.link is not None):
            head = record.link
        elif head is not None:
            head = link(head, record.sequence, record.priority, record.body_hash)
            if record.link is not None and record.link != head:
                return Break(sequence=record.sequence, reason="changed, moved or added")
        expected += 1 + record.folded
    return None
