"""What is handed to the journal, and what the journal made of it.

There is one of each for every record, so they are msgspec's, made in a tenth of a dataclass's time.
"""

from enum import StrEnum

import msgspec

LIFE_SAFETY, PERSONAL_SAFETY, SECURITY, OPERATIONS, TELEMETRY = PRIORITIES = range(5)
"""The ladder, highest first. The numbers are on disk and under the hash chain: never renumber."""


class Kind(StrEnum):
    """What a record is about. Edges, traces and snapshots are never published."""

    EVENT = "event"
    EDGE = "edge"
    DECISION = "decision"
    ORDER = "order"
    OUTCOME = "outcome"
    TRACE = "trace"
    SNAPSHOT = "snapshot"
    GAP = "gap"


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record to be: everything but its place in the journal.

    Raises:
        ValueError: the priority is not on the ladder.
    """

    id: str
    """Random, never used again; receivers drop repeats by it. `uuid4().hex` takes 16 bytes."""
    kind: Kind
    priority: int
    """0 life_safety, 1 personal_safety, 2 security, 3 operations, 4 telemetry."""
    topic: str | None
    """Where the uplink sends it; None is never sent."""
    body: bytes

    def __post_init__(self) -> None:
        if self.priority not in PRIORITIES:
            raise ValueError(f"a priority is 0 to 4, not {self.priority}")


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record as committed."""

    sequence: int
    """Its place: increasing without gaps within a file, and never reused by a later one."""
    id: str
    kind: Kind
    priority: int
    topic: str | None
    body: bytes
    """As it was handed over; never changes."""
    link: bytes
    """32 bytes that stand for this record and all before it (see `buffer.chain`)."""
    previous: int | None
    """The sequence of the record of this priority that was to be sent before it, or None."""
