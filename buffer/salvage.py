"""Take over what a broken journal still has, newest first, while the new one goes on.

The numbers that the broken one had begin as lost. What is read of it is put where it was, with its
old sequence and link, so it stays in order, is sent as it would have been, and is verified by its
own chain. One step is one transaction: what is cut off goes on at the next start.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from buffer import chain
from buffer.gap import Losses
from buffer.marks import WEIGHT, Marks
from buffer.opening import Salvaged
from buffer.record import PRIORITIES, Draft, Kind
from buffer.rows import COLUMNS, KINDS
from buffer.runs import Run, remaining, settled
from buffer.unsent import SPARSE, Span, Unsent
from buffer.wreck import Entry, Wreck

_BLOCK = 4096
_PUNCH = 3
"""FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE."""


class Salvage:
    """From one broken file into the open one: `next`, `take`, `committed`, again; then `finish`."""

    def __init__(
        self,
        db: sqlite3.Connection,
        marks: Marks,
        wreck: Wreck,
        source: Path,
        *,
        topic_of: Callable[[Kind, bytes], str | None],
        keep: bool = False,
    ) -> None:
        """`topic_of` tells the topic of a record where the file does not tell it any more.

        `keep` leaves the file as it is; else what was taken over leaves it, so that both together
        take little more than one.
        """
        self._db = db
        self._marks = marks
        self._wreck = wreck
        self.source = source
        self._topic_of = topic_of
        self._keep = keep
        self._chunks = wreck.entries()
        self._chunk: tuple[list[Entry], list[int]] | None = None
        self._done: list[int] = []
        self._over = bytearray(wreck.pages)
        self._front = [True] * len(PRIORITIES)
        """Whether the oldest published record taken over so far is unsent, by priority."""
        self._front_then = self._front
        self._counts = (0, 0)
        self._topics: dict[str, int] = {}
        self._unsent_of = _unsent(wreck.small.unsent)
        self._oldest_unsent = min((first for _, first, _ in wreck.small.unsent), default=0)
        self.least = PRIORITIES[-1]
        """The lowest priority that there is still room for."""
        self.below: int | None = None
        """Nothing from here on is left to be read; None before the first stretch."""
        self.left = Losses()
        """What the broker does not have, and there was no room for."""
        self._left_then: list[tuple[int, Kind, int]] = []
        self.records = self.unsent = 0
        self.last: int | None = None

    @property
    def unsent_known(self) -> bool:
        """Whether all is taken over that the broker may not have."""
        return self.below is not None and self.below <= self._oldest_unsent

    def next(self) -> list[Draft] | None:
        """Return the records of the next stretch, for which there must be room; None: no more."""
        if self._chunk is None:
            self._chunk = next(self._chunks, None)
        if self._chunk is None:
            return None
        return [_draft(entry) for entry in self._missing()[0] if entry.table == "records"]

    def take(self) -> None:
        """Take over the stretch, inside the caller's transaction; of what is below `least`, hashes.

        May be tried again when the transaction failed.
        """
        self._topics = {}
        self._front_then, self._counts, self._left_then = list(self._front), (0, 0), []
        missing, runs = self._missing()
        if missing:
            self._take(missing, runs)

    def committed(self) -> None:
        """Take note that the transaction was synced; the disk gets back what is safe now."""
        assert self._chunk is not None  # noqa: S101
        entries, done = self._chunk
        if entries:
            self.last = entries[-1].last if self.last is None else self.last
            self.below = entries[0].first
        self._front = self._front_then
        self.records += self._counts[0]
        self.unsent += self._counts[1]
        for lost in self._left_then:
            self.left.add(*lost)
        # The lowest of a stretch comes with the one below it, so its page is not done with yet.
        self._give_back()
        self._chunk, self._done = None, done

    def result(self) -> Salvaged:
        """Return what became of the file, once there is no more of it."""
        before, begun = self._lost_before(), self._begun()
        runs = self._still_lost()
        # The newest numbers are those that may have been used; those before them were.
        known = max(self.last or 0, runs[-1].first - 1 if runs else 0)
        lost = [
            (run.first, min(run.last, known))
            for run in runs
            if begun <= run.last
            and run.first <= known
            and not any(b.first <= run.first and run.last <= b.last for b in before)
        ]
        return Salvaged(
            file=self.source.name,
            records=self.records,
            unsent=self.unsent,
            lost=tuple((max(first, begun), last) for first, last in lost),
            last=self.last,
        )

    def settle(self) -> None:
        """Settle what stays lost, inside the caller's transaction; nothing more is to be read."""
        small = self._wreck.small
        for table in ("refused", "hours", "checkpoints"):
            for row in small.rows.get(table, ()):
                self._copy(table, row)
        name = self.source.name if self._keep else None
        self._db.execute("UPDATE lost SET file = ? WHERE file = ?", (name, self.source.name))
        for run in self._lost_before():
            if run.file is not None:
                self._found_yet(run)
        self._name_chains(small.journals)
        self._marks.stale = True

    def close(self) -> None:
        """Close the file."""
        self._wreck.close()

    def summary(self) -> str:
        """Say in words how far it has come."""
        return f"{self.records} records taken over, {self.unsent} of them unsent"

    def ended(self) -> None:
        """Take note that the last transaction was synced too."""
        self._give_back()
        self._wreck.close()

    def _give_back(self) -> None:
        """Give the disk back what is safe in the new file: whole blocks of pages done with."""
        if self._keep or not self._done:
            return
        size = self._wreck.page_size
        for page in self._done:
            self._over[page] = 1
        blocks = {page * size // _BLOCK for page in self._done}
        each = max(1, _BLOCK // size)
        whole = [b for b in sorted(blocks) if all(self._over[b * each : (b + 1) * each])]
        if size <= _BLOCK and whole:
            _punch(self.source, whole)

    def _still_lost(self) -> list[Run]:
        query = "SELECT first, last, file FROM lost WHERE file = ? ORDER BY first"
        return [Run(*row) for row in self._db.execute(query, (self.source.name,))]

    def _lost_before(self) -> list[Run]:
        """Return what the file itself had lost already."""
        rows = self._wreck.small.rows.get("lost", ())
        return sorted(
            Run(int(str(first)), int(str(last)), None if file is None else str(file))
            for first, file, last in rows
        )

    def _begun(self) -> int:
        """Return the first number that the file and those before it ever gave; 1: not known."""
        journals = self._wreck.small.journals
        lowest = min(journals, default=1)
        return lowest if journals.get(lowest) else 1

    def _found_yet(self, other: Run) -> None:
        """Note that what `other` had may be found in its file yet."""
        rows = self._db.execute(
            "SELECT first, last, file FROM lost WHERE last >= ? AND first <= ?",
            (other.first, other.last),
        ).fetchall()
        for row in rows:
            self._db.execute("DELETE FROM lost WHERE first = ?", (row[0],))
            for run in settled(Run(*row), [other]):
                self._store(run)

    def _missing(self) -> tuple[list[Entry], list[Run]]:
        """Return what of the stretch is not here yet, and the runs that it lies in."""
        entries = self._chunk[0] if self._chunk else []
        if not entries:
            return [], []
        rows = self._db.execute(
            "SELECT first, last, file FROM lost WHERE last >= ? AND first <= ? ORDER BY first",
            (entries[0].first, entries[-1].last),
        )
        runs = [Run(*row) for row in rows]
        return [
            e for e in entries if any(r.first <= e.first <= e.last <= r.last for r in runs)
        ], runs

    def _take(self, missing: list[Entry], runs: list[Run]) -> None:
        records = [e for e in missing if e.table == "records" and _priority(e) <= self.least]
        kept = {entry.first for entry in records}
        self._db.executemany(
            f"INSERT INTO records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [self._row(entry) for entry in records],
        )
        for entry in missing:
            if entry.table == "folded":
                columns = ("first", "last", "link", "before", "signature")[: len(entry.columns)]
                places = ", ".join("?" * len(columns))
                self._db.execute(
                    f"INSERT INTO folded ({', '.join(columns)}) VALUES ({places})",  # noqa: S608
                    entry.columns,
                )
            elif entry.first not in kept:
                if entry.table == "records" and self._owed(entry):
                    kind = KINDS[int(str(entry.columns[2]))]
                    self._left_then.append((_priority(entry), kind, entry.first))
                self._db.execute(
                    "INSERT INTO evicted (sequence, priority, hash) VALUES (?, ?, ?)",
                    _evicted(entry),
                )
        self._mark(records, missing)
        for run in runs:
            self._db.execute("DELETE FROM lost WHERE first = ?", (run.first,))
        for run in remaining(runs, [(entry.first, entry.last) for entry in missing]):
            self._store(run)

    def _owed(self, entry: Entry) -> bool:
        published = entry.columns[3] is not None
        return published and self._unsent_of(_priority(entry), entry.first)

    def _row(self, entry: Entry) -> tuple[object, ...]:
        sequence, priority, kind, topic, previous, own, link, body = entry.columns
        name = None
        if topic is not None:
            name = self._wreck.small.topics.get(int(str(topic)))
            if name is None:
                assert isinstance(body, bytes)  # noqa: S101
                name = self._topic_of(KINDS[int(str(kind))], body)
        number = None if name is None else self._number(name)
        return sequence, priority, kind, number, previous, own, link, body

    def _number(self, name: str) -> int:
        number = self._topics.get(name)
        if number is None:
            row = self._db.execute("SELECT topic FROM topics WHERE name = ?", (name,)).fetchone()
            if row is None:
                made = self._db.execute("INSERT INTO topics (name) VALUES (?)", (name,))
                row = (made.lastrowid,)
            number = self._topics[name] = int(row[0])
        return number

    def _mark(self, records: list[Entry], missing: list[Entry]) -> None:
        marks = self._marks
        found = [Unsent() for _ in PRIORITIES]
        joins: list[bool | None] = [None] * len(PRIORITIES)
        for entry in records:
            priority, kind = _priority(entry), KINDS[int(str(entry.columns[2]))]
            body = entry.columns[7]
            marks.weight[priority] += (len(body) if isinstance(body, bytes) else 0) + WEIGHT
            marks.latest[kind] = max(entry.first, marks.latest.get(kind, 0))
            if entry.columns[3] is None:
                continue
            marks.published[priority] = max(entry.first, marks.published[priority] or 0)
            unsent = self._owed(entry)
            if joins[priority] is None:
                joins[priority] = unsent
            if unsent:
                found[priority].add(entry.first)
            else:
                found[priority].seal()
        for priority, some in enumerate(found):
            if joins[priority] is not None:
                last_unsent = bool(some.spans) and not some.sealed
                joined = last_unsent and self._front_then[priority]
                _put_before(marks.unsent[priority], some, joined=joined)
                self._front_then[priority] = bool(joins[priority])
        self._counts = len(records), sum(some.count for some in found)
        marks.evicted += sum(e.last - e.first + 1 for e in missing) - len(records)
        marks.stale = True

    def _store(self, run: Run) -> None:
        self._db.execute(
            "INSERT INTO lost (first, file, last) VALUES (?, ?, ?)", (run.first, run.file, run.last)
        )

    def _copy(self, table: str, row: tuple[object, ...]) -> None:
        places = ", ".join("?" * len(row))
        if len(row) == len(self._db.execute(f"PRAGMA table_info({table})").fetchall()):
            self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)  # noqa: S608

    def _name_chains(self, journals: dict[int, str]) -> None:
        """Put the chains of the source into the new file; before the first there was nothing."""
        known = {first for (first,) in self._db.execute("SELECT first FROM journal WHERE id <> ''")}
        for first, name in journals.items():
            if name and first not in known:
                self._db.execute("DELETE FROM journal WHERE first = ?", (first,))
                self._db.execute("INSERT INTO journal (id, first) VALUES (?, ?)", (name, first))
        begun = self._begun()
        if begun > min(known, default=begun) or not journals.get(begun):
            return
        self._db.execute("DELETE FROM journal WHERE id = '' AND first < ?", (begun,))
        for first, last, file in self._db.execute(
            "SELECT first, last, file FROM lost WHERE first < ?", (begun,)
        ).fetchall():
            self._db.execute("DELETE FROM lost WHERE first = ?", (first,))
            if last >= begun:
                self._store(Run(begun, last, file))


def _unsent(spans: list[tuple[int, int, int]]) -> Callable[[int, int], bool]:
    """Return what tells whether a published record was unsent. All are, where no mark is left."""
    by_priority: dict[int, list[tuple[int, int]]] = {}
    for priority, first, last in spans:
        by_priority.setdefault(priority, []).append((first, last))
    for some in by_priority.values():
        some.sort()
        for n in range(1, len(some)):  # of one that was written anew the older may be found too
            (first, last), before = some[n], some[n - 1][1]
            some[n] = first, max(last, before if first <= before else 0)
    ends = {p: max(last for _, last in some) for p, some in by_priority.items()}

    def unsent(priority: int, sequence: int) -> bool:
        if priority not in ends or sequence > ends[priority]:
            return True
        runs = by_priority[priority]
        at = bisect_right(runs, (sequence, ends[priority])) - 1
        return at >= 0 and sequence <= runs[at][1]

    return unsent


def _put_before(unsent: Unsent, older: Unsent, *, joined: bool) -> None:
    """Put spans of older records before those of `unsent`."""
    spans = list(older.spans)
    unsent.count += older.count
    if joined and spans and unsent.spans and unsent.spans[0].first - spans[-1].last <= SPARSE:
        tail, front = spans.pop(), unsent.spans.pop(0)
        spans.append(Span(first=tail.first, last=front.last, count=tail.count + front.count))
    elif spans and not unsent.spans:
        unsent.sealed = True
    unsent.spans[:0] = spans


def _priority(entry: Entry) -> int:
    return int(str(entry.columns[1]))


def _draft(entry: Entry) -> Draft:
    body = entry.columns[7]
    assert isinstance(body, bytes)  # noqa: S101
    kind = KINDS[int(str(entry.columns[2]))]
    return Draft(id="", kind=kind, priority=_priority(entry), topic=None, body=body)


def _evicted(entry: Entry) -> tuple[object, ...]:
    if entry.table == "evicted":
        return entry.columns
    body = entry.columns[7]
    assert isinstance(body, bytes)  # noqa: S101
    return entry.first, entry.columns[1], chain.body_hash(body)


def _punch(path: Path, blocks: list[int]) -> None:
    """Give `blocks` of the file back to the disk, where the file system can do that."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fallocate: Callable[..., int] = ctypes.CDLL(None, use_errno=True).fallocate
        start = at = blocks[0]
        for block in [*blocks[1:], -1]:
            if block != at + 1:
                length = (at + 1 - start) * _BLOCK
                fallocate(fd, _PUNCH, ctypes.c_long(start * _BLOCK), ctypes.c_long(length))
                start = block
            at = block
    finally:
        os.close(fd)
