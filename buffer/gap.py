"""The record that says what is missing, and why."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from buffer.record import OPERATIONS, Draft, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Records of one priority that were lost before the broker had them."""

    reason: str
    """`quota`, or `disk` for those that never reached it."""
    priority: int
    count: int
    first: int | None = None
    """The first sequence that is missing; None when they never had one."""
    last: int | None = None
    kinds: Mapping[str, int] = field(default_factory=dict)
    """How many of each kind."""


def plain_gap(gap: Gap) -> Draft:
    """Return the record `buffer.gap` as JSON, never published."""
    return Draft(
        id=secrets.token_hex(16),
        kind=Kind.GAP,
        priority=min(gap.priority, OPERATIONS),
        topic=None,
        body=json.dumps({"signal": "buffer.gap"} | asdict(gap)).encode(),
    )
