"""The record that says what is missing, and why."""

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from buffer.record import OPERATIONS, Draft, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Records of one priority that were lost before the broker had them."""

    reason: str
    """`quota`: others needed the room. `age`: kept too long. `disk`: it never took them."""
    priority: int
    count: int
    first: int | None = None
    """The first sequence that is missing; None when they never had one."""
    last: int | None = None
    """The last one; what lies between and is there was not lost."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """How many of each kind."""


class Losses:
    """Gathers what is lost into one gap for each priority."""

    def __init__(self) -> None:
        self._kinds: dict[int, Counter[str]] = {}
        self._ends: dict[int, tuple[int, int]] = {}

    def add(self, priority: int, kind: Kind, sequence: int) -> None:
        """Take in one record."""
        self._kinds.setdefault(priority, Counter())[kind.value] += 1
        first, last = self._ends.get(priority, (sequence, sequence))
        self._ends[priority] = min(first, sequence), max(last, sequence)

    def gaps(self, reason: str) -> list[Gap]:
        """Return the gaps, highest priority first."""
        return [
            Gap(
                reason=reason,
                priority=priority,
                count=kinds.total(),
                first=self._ends[priority][0],
                last=self._ends[priority][1],
                kinds=dict(kinds),
            )
            for priority, kinds in sorted(self._kinds.items())
        ]


def refused_by_disk(lost: Counter[tuple[int, Kind]]) -> list[Gap]:
    """Return a gap for each priority of what was lost, counted by priority and kind."""
    gaps: list[Gap] = []
    for priority in sorted({p for p, _ in lost}):
        kinds = {kind.value: n for (p, kind), n in lost.items() if p == priority}
        count = sum(kinds.values())
        gaps.append(Gap(reason="disk", priority=priority, count=count, kinds=kinds))
    return gaps


def said(gaps: Sequence[Gap]) -> str:
    """Return how many records are missing, by priority, in words."""
    parts = ", ".join(f"{gap.count} of priority {gap.priority}" for gap in gaps)
    return f"{sum(gap.count for gap in gaps)} records ({parts})"


def plain_gap(gap: Gap) -> Draft:
    """Return the record `buffer.gap` as JSON, never published."""
    return Draft(
        id=secrets.token_hex(16),
        kind=Kind.GAP,
        priority=min(gap.priority, OPERATIONS),
        topic=None,
        body=json.dumps({"signal": "buffer.gap"} | asdict(gap)).encode(),
    )
