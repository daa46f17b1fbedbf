"""What can be told about the records without reading them all, kept on disk at little cost.

Which records the broker lacks is saved when something was sent; the rest now and then. What came
after the last save is found by reading those records again, so appending writes none of it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from buffer.record import PRIORITIES, Kind, Record
from buffer.rows import KINDS
from buffer.unsent import Span, Unsent

SAVE_EVERY = 4096
"""Records after which counters are saved; about as many are read again when opening."""

WEIGHT = 100
"""Bytes that a record takes beside its body, about."""

Spans = dict[int, tuple[Span, ...]]
"""What is unsent, by priority; a priority with nothing unsent is left out."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What is on disk once the transaction that wrote it has been committed."""

    spans: tuple[dict[int, Span], ...]
    """By priority, and by their first sequence."""
    counted: int
    """The sequence that the counters are of."""


class Marks:
    """The marks of one open file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._saved = Saved(tuple({} for _ in PRIORITIES), 0)
        self.unsent = [Unsent() for _ in PRIORITIES]
        self.published: list[int | None] = [None] * len(PRIORITIES)
        """The last sequence with a topic, by priority."""
        self.latest: dict[Kind, int] = {}
        """The last sequence of each kind."""
        self.evicted = 0
        """How many records have lost their body."""
        self.weight = [0] * len(PRIORITIES)
        """Bytes that the kept records take, about, by priority."""
        self.changed = False
        """Whether records were sent since the marks were saved."""
        self.stale = False
        """Whether records were evicted that the counters on disk still count."""

    def start(self, before: int) -> None:
        """Begin a file whose first record comes after `before`."""
        self._saved = Saved(self._saved.spans, before)

    def load(self, first: int) -> None:
        """Read the marks of a file whose first record is `first`."""
        self.changed = self.stale = False
        counters: dict[str, int] = dict(self._db.execute("SELECT name, value FROM counters"))
        counted = counters.get("through", first - 1)
        self.evicted = counters.get("evicted", 0)
        self.published = [counters.get(f"published.{p}") for p in PRIORITIES]
        self.weight = [counters.get(f"weight.{p}", 0) for p in PRIORITIES]
        self.latest = {k: counters[f"latest.{k}"] for k in Kind if f"latest.{k}" in counters}
        spans = [self._stored(priority) for priority in PRIORITIES]
        self._saved = Saved(tuple({s.first: s for s in stored} for stored in spans), counted)
        through = [stored[-1].last if stored else first - 1 for stored in spans]
        full = [[span for span in stored if span.count] for stored in spans]
        self.unsent = [Unsent(f, sealed=len(f) < len(s)) for f, s in zip(full, spans, strict=True)]
        for sequence, priority, kind, topic, size in self._db.execute(
            "SELECT sequence, priority, kind, topic, length(body) FROM records WHERE sequence > ?"
            " ORDER BY sequence",
            (min(counted, *through),),
        ):
            if sequence > counted:
                self.latest[KINDS[kind]] = sequence
                self.weight[priority] += size + WEIGHT
                if topic is not None:
                    self.published[priority] = sequence
            if sequence > through[priority] and topic is not None:
                self.unsent[priority].add(sequence)

    def note(self, records: Sequence[Record]) -> None:
        """Take in the records of a commit, in their order."""
        published: list[list[int]] = [[] for _ in PRIORITIES]
        latest, weight = self.latest, self.weight
        for record in records:
            priority = record.priority
            latest[record.kind] = sequence = record.sequence
            weight[priority] += len(record.body) + WEIGHT
            if record.topic is not None:
                published[priority].append(sequence)
        for priority, sequences in enumerate(published):
            if sequences:
                self.published[priority] = sequences[-1]
                self.unsent[priority].extend(sequences)

    def forget(self, record: Record) -> None:
        """Take `record` out of what is unsent."""

        def count(first: int, last: int) -> int:
            found: tuple[int] = self._db.execute(
                "SELECT count(*) FROM records"
                " WHERE sequence BETWEEN ? AND ? AND priority = ? AND topic IS NOT NULL",
                (first, last, record.priority),
            ).fetchone()
            return found[0]

        if self.unsent[record.priority].remove(record.sequence, record.previous, count):
            self.changed = True

    def due(self, head: int) -> bool:
        """Whether it is time to save the counters."""
        return head - self._saved.counted >= SAVE_EVERY

    def save(self, head: int, *, counters: bool = False) -> Saved:
        """Write the marks as of `head`, inside the caller's transaction.

        `committed` takes what is returned, after the commit.
        """
        spans = tuple(self._write(priority, head) for priority in PRIORITIES)
        if not counters and not self.due(head):
            return Saved(spans, self._saved.counted)
        values: dict[str, int] = {"through": head, "evicted": self.evicted}
        values |= {f"published.{p}": n for p, n in enumerate(self.published) if n is not None}
        values |= {f"weight.{p}": n for p, n in enumerate(self.weight)}
        values |= {f"latest.{kind}": n for kind, n in self.latest.items()}
        self._db.executemany(
            "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", values.items()
        )
        return Saved(spans, head)

    def committed(self, saved: Saved) -> None:
        """Take note that `saved` is on disk."""
        self._saved = saved
        self.changed = self.stale = False

    def _stored(self, priority: int) -> list[Span]:
        rows = self._db.execute(
            "SELECT first, last, count FROM unsent WHERE priority = ? ORDER BY first", (priority,)
        )
        return [Span(first=first, last=last, count=count) for first, last, count in rows]

    def _write(self, priority: int, head: int) -> dict[int, Span]:
        unsent = self.unsent[priority]
        spans = {span.first: span for span in unsent.spans}
        if unsent.spans and not unsent.sealed:
            tail = unsent.spans[-1]
            spans[tail.first] = Span(first=tail.first, last=head, count=tail.count)
        else:
            spans[head + 1] = Span(first=head + 1, last=head, count=0)
        before = self._saved.spans[priority]
        self._db.executemany(
            "DELETE FROM unsent WHERE priority = ? AND first = ?",
            [(priority, first) for first in before.keys() - spans.keys()],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO unsent (priority, first, last, count) VALUES (?, ?, ?, ?)",
            [
                (priority, span.first, span.last, span.count)
                for first, span in spans.items()
                if before.get(first) != span
            ],
        )
        return spans
