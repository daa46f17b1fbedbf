"""Plan the requests of one poll, and tell edges from what counters read before and now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drivers.lines.modbus_map import ModuleMap, Place, Table

MOST = {"coil": 2000, "discrete": 2000, "input": 125, "holding": 125}
"""Bits or registers that one request may ask for, by the standard."""
NAMES: dict[Table, str] = {
    "coil": "coil",
    "discrete": "discrete input",
    "input": "input register",
    "holding": "holding register",
}
"""What one place of a table is called."""
WRAP = 1000
"""A counter that fell is taken to have started again at 0 if that makes no more edges than this;
else the module lost it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What one request reads."""

    table: Table
    first: int
    """Zero-based address."""
    count: int

    def places(self) -> Iterator[Place]:
        return ((self.table, self.first + n) for n in range(self.count))

    def __str__(self) -> str:
        if self.count == 1:
            return f"{NAMES[self.table]} {self.first}"
        return f"{NAMES[self.table]}s {self.first} to {self.first + self.count - 1}"


def plan(module: ModuleMap) -> tuple[Span, ...]:
    """Return the fewest requests that read everything and nothing else, counters first.

    A counter read before its level never shows an edge that the level does not show yet.
    Addresses between two lines are not read: many modules refuse those they do not have.
    """
    counters = {
        place for i in module.inputs.values() if i.counter is not None for place in i.counter.places
    }
    spans = spans_over(module.places())
    return tuple(sorted(spans, key=lambda span: counters.isdisjoint(span.places())))


def spans_over(places: Iterable[Place]) -> list[Span]:
    """Return the fewest spans that cover `places` exactly."""
    spans: list[Span] = []
    for table, address in sorted(set(places)):
        last = spans[-1] if spans else None
        if (
            last is not None
            and last.table == table
            and last.first + last.count == address
            and last.count < MOST[table]
        ):
            spans[-1] = Span(table=table, first=last.first, count=last.count + 1)
        else:
            spans.append(Span(table=table, first=address, count=1))
    return spans


def edges_between(before: int, now: int, *, words: int) -> int | None:
    """Return how many edges a counter of `words` registers saw; None when it was cleared."""
    if now >= before:
        return now - before
    edges = now + (1 << 16 * words) - before
    return edges if edges <= WRAP else None


class EdgeCounter:
    """Turn a hardware counter and a level, read one after the other, into edges.

    An edge between the two readings shows in the level first and in the counter at the next
    poll: it is counted once.
    """

    def __init__(self, words: int) -> None:
        self._words = words
        self._before: int | None = None
        self._level: bool | None = None
        self._ahead = 0

    def cleared(self, count: int) -> bool:
        """Return whether the module lost the counter since the last poll."""
        before = self._before
        return before is not None and edges_between(before, count, words=self._words) is None

    def restart(self) -> None:
        """Forget the counter: the next poll gives no edges."""
        self._before, self._ahead = None, 0

    def edges(self, count: int, level: bool) -> int:  # noqa: FBT001 - a level is a bool
        """Return the edges since the last poll; none at the first one."""
        before, self._before = self._before, count
        seen = 0 if before is None else edges_between(before, count, words=self._words) or 0
        edges = max(0, seen - self._ahead)
        rose = level and self._level is False
        self._ahead = int(rose and edges == 0)
        self._level = level
        return edges
