"""Which records of one priority the broker does not have yet, as spans of sequence numbers."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

import msgspec

SPARSE = 512
"""A record further than this from the one before it begins a new span, so that finding the
records of a span reads few others."""


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The unsent records of one priority from `first` to `last`, both included."""

    first: int
    last: int
    count: int
    """How many there are; other priorities lie between them."""


class Unsent:
    """The spans of one priority, oldest first, none of them empty."""

    def __init__(self, spans: Iterable[Span] = (), *, sealed: bool = False) -> None:
        self.spans = list(spans)
        self.count = sum(span.count for span in self.spans)
        """How many records are unsent."""
        self.sealed = sealed
        """Whether the next record begins a new span."""

    @property
    def first(self) -> int | None:
        """A sequence that no unsent record is below; None when there is no unsent record."""
        return self.spans[0].first if self.spans else None

    def add(self, sequence: int) -> None:
        """Take a record, newer than all before it."""
        self.extend((sequence,))

    def extend(self, sequences: Sequence[int]) -> None:
        """Take records in their order, newer than all before them."""
        if not sequences:
            return
        if self.spans and not self.sealed:
            tail = self.spans.pop()
            first, last, count = tail.first, tail.last, tail.count
        else:
            first, last, count = sequences[0], sequences[0], 0
        for sequence in sequences:
            if sequence - last > SPARSE:
                self.spans.append(Span(first=first, last=last, count=count))
                first, count = sequence, 0
            last = sequence
            count += 1
        self.spans.append(Span(first=first, last=last, count=count))
        self.sealed = False
        self.count += len(sequences)

    def seal(self) -> None:
        """Let the next record begin a new span."""
        self.sealed = bool(self.spans)

    def remove(self, sequence: int, previous: int | None, count: Callable[[int, int], int]) -> bool:
        """Take `sequence` out; returns whether it was unsent.

        `previous` is the published record of this priority before it; `count(first, last)` counts
        the published records of this priority in that range, and is asked only when one in the
        middle goes.
        """
        index = bisect_right(self.spans, sequence, key=lambda span: span.first) - 1
        if index < 0 or sequence > self.spans[index].last:
            return False
        span = self.spans[index]
        before = 0 if previous is None or previous < span.first else count(span.first, sequence - 1)
        after = span.count - before - 1
        parts = []
        if before:
            parts.append(Span(first=span.first, last=sequence - 1, count=before))
        if after:
            parts.append(Span(first=sequence + 1, last=span.last, count=after))
        if not after and index == len(self.spans) - 1:
            # What comes next must not join what lies before a record that is gone.
            self.sealed = True
        self.spans[index : index + 1] = parts
        self.count -= 1
        return True
