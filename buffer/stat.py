"""How a journal stands, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """How the journal stands."""

    journal: str
    records: int
    """Those whose body is kept."""
    evicted: int
    bytes: int
    """What the file and all that belongs to it take on disk."""
    first: int
    """The first sequence of this file."""
    last: int
    """The last one committed."""
    link: str
    """The link of the last record, 64 hex digits."""
    unsent: tuple[int, ...]
    """How many published records the broker does not have, by priority."""
    refused: int = 0
    """How many of those are set aside, because the broker will never take them as they are."""
