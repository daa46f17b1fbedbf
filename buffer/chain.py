"""The hash chain that makes a changed, removed or reordered record visible.

    body hash = SHA-256(body)
    link n    = SHA-256(link n-1 ‖ sequence as u64 big-endian ‖ priority as u8 ‖ body hash)
    link 0    = SHA-256(journal id as 16 bytes)          before the first record of a file

A record whose body was evicted is still checked: its body hash stays. Of old runs of those only the
link of the last stays, with the link before the first and a signature (buffer/folding.py).

A file that took over records of a damaged one has more than one chain, each from the sequence where
it began, and runs of records that are lost: what comes after such a run is checked from its second
record on, for the link before the first is not known.
"""

from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Literal, NamedTuple

_place = Struct(">QB").pack


class Entry(NamedTuple):
    """What the chain needs of one record."""

    sequence: int
    priority: int
    body_hash: bytes
    link: bytes | None
    """As stored; None where only the body's hash was kept."""


class Run(NamedTuple):
    """Records whose hashes are gone too: what stands for all of them."""

    first: int
    last: int
    before: bytes | None
    """Link of the record before the first; None in files that did not keep it."""
    link: bytes
    """Link of the last."""
    signature: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first place where the chain does not hold."""

    sequence: int
    reason: str
    what: Literal["changed", "removed", "added", "reordered", "cut", "remade", "signature"]
    """`cut`: the end is missing; `remade`: the links are other ones than were signed."""
    until: int | None = None
    """The last record that may be meant, where it is not known which."""


def genesis(journal: str) -> bytes:
    """Return what the first record of the journal with this id (32 hex digits) is chained to."""
    return sha256(bytes.fromhex(journal)).digest()


def body_hash(body: bytes) -> bytes:
    """Return the 32 bytes that stand for `body`."""
    return sha256(body).digest()


def link(previous_link: bytes, sequence: int, priority: int, body_hash: bytes) -> bytes:
    """Return the link of a record, given that of the record before it."""
    return sha256(previous_link + _place(sequence, priority) + body_hash).digest()
