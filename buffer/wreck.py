"""What can still be read of a broken journal, newest first, each record checked by its link.

Rows of the journal never change, so one found on any page is right if its link fits; which tables
and pages SQLite would have found them by does not matter. A record whose link cannot be checked,
for the one before it is gone, is returned too: verifying names no record after a loss as proven.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

from buffer import chain
from buffer.pages import INDEX, TABLE, Cell, Pages, Value, cell, kind_of, places, values
from buffer.record import PRIORITIES, Record
from buffer.rows import KINDS, Row, to_record

HIGHEST = 1 << 39
"""Sequence numbers above cannot be."""
TOGETHER = 512 << 10
"""Bytes of pages read at a time, where nobody wants less."""
_IMAGE_BITS = 24
_HASH = 76
"""The serial type of 32 bytes."""
_SIGNATURE = 140
_is_id = re.compile("[0-9a-f]{32}").fullmatch


class Entry(NamedTuple):
    """One step of the chain: a record, or what stays of records that were evicted."""

    first: int
    last: int
    """The same, but of a folded run."""
    table: str
    """`records`, `evicted` or `folded`."""
    columns: tuple[Value, ...]
    """As in the schema; a folded run of schema 1 lacks its last two."""


@dataclass(slots=True)
class Small:
    """The tables that are small, as far as they can be read."""

    journals: dict[int, str]
    """Ids of chains by their first sequence."""
    topics: dict[int, str]
    unsent: list[tuple[int, int, int]]
    """Priority, first, last."""
    rows: dict[str, list[tuple[Value, ...]]]
    """Rows of other tables, to be copied as they are."""


class Wreck:
    """A broken file and its log. `with Wreck(path) as wreck:` closes them."""

    def __init__(self, path: Path, *, below: int = HIGHEST) -> None:
        """Look at every page of `path` once; sequences from `below` on are taken for damage.

        Raises:
            OSError: it cannot be opened.
        """
        self._pages = Pages(path)
        self.small = Small({}, {}, [], {})
        self._lowest = array("q", bytes(8 * len(self._pages)))
        self._order = array("Q")
        self._active: list[int] = []
        self._carried: list[Entry] = []
        self.together = TOGETHER
        """Bytes of pages that make one stretch."""
        self._below = min(below, HIGHEST)
        self._folded: list[tuple[int, int]] = []
        self.rejected = 0
        """Records whose link does not fit."""
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        self._pages.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def entries(self) -> Iterator[tuple[list[Entry], list[int]]]:
        """Yield stretches of entries, newest first, each in order and below the one before.

        With each come the pages of the main file of which nothing more will be asked.
        """
        below, at = self._below, 0
        while at < len(self._order) or self._active or self._carried:
            end = min(at + max(1, self.together // self._pages.size), len(self._order))
            self._active += [self._image(n) for n in range(at, end)]
            at = end
            floor = (self._order[at] >> _IMAGE_BITS) + 1 if at < len(self._order) else 0
            found: dict[int, list[Entry]] = {}
            for entry in self._carried:
                found[entry.first] = [entry]
            done: list[int] = []
            for image in self._active:
                whole = self._rows(image, floor, below, found)
                if whole and self._lowest[image] >= floor and image < self._pages.in_main:
                    done.append(image)
            self._active = [i for i in self._active if self._lowest[i] < floor]
            below = floor
            entries = self._checked(found, last=at >= len(self._order) and not self._active)
            if entries or done:
                yield entries, done

    @property
    def pages(self) -> int:
        """How many pages there are, those of the log included."""
        return len(self._pages)

    @property
    def page_size(self) -> int:
        """Bytes of a page."""
        return self._pages.size

    def newest(self) -> Entry | None:
        """Return the last entry that can be read."""
        for entries, _ in self.entries():
            if entries:
                self.restart()
                return entries[-1]
        self.restart()
        return None

    def restart(self) -> None:
        """Let `entries` begin with the newest again."""
        self._active, self._carried, self.rejected = [], [], 0

    def _look(self) -> None:
        order: list[int] = []
        for image, page in self._pages.images(0, len(self._pages)):
            first = image == 0 and self._pages.in_main > 0
            kind = kind_of(page, first=first)
            if not kind or (first and kind == TABLE):
                continue
            span = self._span(page, first=first) if kind == TABLE else None
            if span is None:
                self._collect(page, kind)
            else:
                order.append(span[1] << _IMAGE_BITS | image)
                self._lowest[image] = span[0]
                if span[2]:
                    self._note_folded(page, first=first)
        self._folded = _joined(self._folded)
        order.sort(reverse=True)
        self._order = array("Q", order)

    def _span(self, page: bytes, *, first: bool) -> tuple[int, int, bool] | None:
        """Return the lowest and the highest number on a page of the chain's tables, else None.

        And whether it has others than records.
        """
        ats = places(page, first=first)
        ends = [cell(page, at, first=first) for at in (ats[:1] + ats[-1:])]
        if any(c is None or not self._of_chain(c) for c in ends):
            ends = [c for at in ats if (c := cell(page, at, first=first)) and self._of_chain(c)]
        numbers = [c.number for c in ends if c is not None and 0 < c.number < self._below]
        others = any(c is not None and len(c.types) < 8 for c in ends)
        return (min(numbers), max(numbers), others) if numbers else None

    def _note_folded(self, page: bytes, *, first: bool) -> None:
        rows = [cell(page, at, first=first) for at in places(page, first=first)]
        if _of_folded(rows):
            for row in rows:
                if row is not None and 0 < row.number <= (last := _integer(row, 1)) < self._below:
                    self._folded.append((row.number, last))

    def _within_folded(self, number: int) -> bool:
        """Return whether `number` was folded into a run that begins before it."""
        at = bisect_right(self._folded, (number, 0)) - 1
        return at >= 0 and self._folded[at][0] < number <= self._folded[at][1]

    @staticmethod
    def _of_chain(row: Cell) -> bool:
        types = row.types
        if len(types) == 8:
            return types[0] == 0 and types[6] == _HASH and types[7] >= 12 and types[7] % 2 == 0
        return len(types) in {3, 5} and types[0] == 0 and types[2] == _HASH and 0 < types[1] < 10

    def _image(self, n: int) -> int:
        return self._order[n] & (1 << _IMAGE_BITS) - 1

    def _rows(self, image: int, floor: int, below: int, found: dict[int, list[Entry]]) -> bool:
        """Put what the page has from `floor` to `below` into `found`; returns whether it has all.

        Where all of a page is understood, nothing is left on it that somebody could want.
        """
        page = self._pages.image(image)
        rows = [cell(page, at, first=False) for at in places(page, first=False)]
        folded = _of_folded(rows)
        whole = True
        for row in rows:
            if row is None or not self._of_chain(row):
                whole = False
            elif floor <= row.number < below and not self._within_folded(row.number):
                entry = self._entry(row, folded=folded)
                if entry is None:
                    whole = False
                elif entry not in (others := found.setdefault(row.number, [])):
                    others.append(entry)
            elif not 0 < row.number < self._below:
                whole = False
        return whole

    def _entry(self, row: Cell, *, folded: bool) -> Entry | None:
        payload = self._pages.payload(row)
        columns = None if payload is None else values(row.types, row.header, payload)
        if columns is None:
            return None
        made = (row.number, *columns[1:])
        if len(row.types) == 8:
            _, priority, kind, topic, previous, own, _, _ = made
            fits = (
                priority in PRIORITIES
                and kind in range(len(KINDS))
                and isinstance(topic, int | None)
                and isinstance(previous, int | None)
                and isinstance(own, bytes | str)
            )
            return Entry(row.number, row.number, "records", made) if fits else None
        if folded:
            last = made[1]
            fits = isinstance(last, int) and row.number <= last < self._below
            return Entry(row.number, int(str(last)), "folded", made) if fits else None
        return Entry(row.number, row.number, "evicted", made) if made[1] in PRIORITIES else None

    def _checked(self, found: dict[int, list[Entry]], *, last: bool) -> list[Entry]:
        """Return what fits, in order. The lowest are kept until what lies before is known."""
        kept: list[Entry] = []
        link = b""
        """What the next has to follow; empty where that is not known."""
        unproven = True
        for first in sorted(found):
            choices = sorted(found[first], key=_rank)
            if not kept or kept[-1].last != first - 1:
                link = b""
            own = self.small.journals.get(first)
            if own and _is_id(own):
                link = chain.genesis(own)
            fitting = [entry for entry in choices if _follows(link, entry)]
            if not fitting and kept and kept[-1].table == "evicted":
                # One of the hashes since the last link is wrong, or this is: hashes prove nothing.
                while kept and kept[-1].table == "evicted":
                    kept.pop()
                    self.rejected += 1
                fitting, link = choices, b""
            elif not fitting and unproven and _goes_on(choices[0], found.get(first + 1, ())):
                # The next one proves the link of this, and nothing that of the one before.
                kept.pop()
                self.rejected += 1
                fitting, link = choices, b""
            unproven = not link
            if fitting:
                kept.append(fitting[0])
                link = _link_after(link, fitting[0])
            else:
                self.rejected += 1
        lowest = [] if last else kept[: _until_link(kept)]
        self._carried = lowest
        return kept[len(lowest) :]

    def _collect(self, page: bytes, kind: int) -> None:
        for at in places(page, first=False):
            row = cell(page, at, first=False)
            columns = None
            if row is not None and not row.next:
                columns = values(row.types, row.header, row.local)
            if row is None or columns is None:
                continue
            if kind == INDEX:
                if len(columns) == 4 and all(isinstance(value, int) for value in columns):
                    priority, first, last, _ = columns
                    self.small.unsent.append((int(str(priority)), int(str(first)), int(str(last))))
            else:
                self._sort(row, columns)

    def _sort(self, row: Cell, columns: list[Value]) -> None:
        """Put a row of a small table where it belongs: no two of them have columns alike."""
        rest = columns[1:]
        made = (row.number, *rest)
        table = ""
        match columns:
            case [str() as name, int() as first] if len(name) in {0, 32}:
                self.small.journals.setdefault(first, name)
            case [None, str() as name] if name not in KINDS:
                self.small.topics.setdefault(row.number, name)
            case [None, str(), int()]:
                table = "lost"
            case [None, int(), str()]:
                table = "refused"
            case [None, int() | float()]:
                table = "hours"
            case [None, bytes() as link, str(), *_, bytes() as signature] if (
                len(link) == 32 and len(signature) == 64
            ):
                table = "checkpoints"
        if table and 0 < row.number < self._below:
            self.small.rows.setdefault(table, []).append(made)


def record_of(entry: Entry, topics: Mapping[int, str]) -> Record | None:
    """Return the record that `entry` is, or None when it only stands for one."""
    if entry.table != "records":
        return None
    sequence, priority, kind, topic, previous, own, link, body = entry.columns
    row = (sequence, priority, kind, topic if topic in topics else None, previous, own, link, body)
    return to_record(cast(Row, row), topics)


def _of_folded(rows: list[Cell | None]) -> bool:
    """Return whether these are rows of folded runs; those of evicted records look like them."""
    return any(
        row is not None and len(row.types) in {3, 5} and _integer(row, 1) >= len(PRIORITIES)
        for row in rows
    )


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run that begins at each first."""
    longest: dict[int, int] = {}
    for first, last in runs:
        longest[first] = max(last, longest.get(first, 0))
    return sorted(longest.items())


def _rank(entry: Entry) -> tuple[bool, int, bool]:
    """What was done later comes first: a row may still lie on a page that was given up."""
    return entry.table != "folded", -entry.last, entry.table == "records"


def _follows(link: bytes, entry: Entry) -> bool:
    """Return whether `entry` goes on from `link`, as far as that can be told."""
    if entry.table == "folded" and link and len(entry.columns) > 3:
        before = entry.columns[3]
        return not isinstance(before, bytes) or before == link
    if entry.table != "records" or not link:
        return True
    return entry.columns[6] == _link_after(link, entry._replace(table="hashed"))


def _goes_on(entry: Entry, following: Sequence[Entry]) -> bool:
    """Return whether one of `following` is a record that proves the link of `entry`."""
    link = _link_after(b"", entry)
    return bool(link) and any(e.table == "records" and _follows(link, e) for e in following)


def _link_after(link: bytes, entry: Entry) -> bytes:
    """Return the link of `entry` as it says, else as it follows from the one before."""
    own = entry.columns[{"records": 6, "folded": 2}.get(entry.table, 0)]
    if entry.table in {"records", "folded"}:
        return own if isinstance(own, bytes) else b""
    if not link:
        return b""
    content = entry.columns[7] if entry.table == "hashed" else None
    body_hash = chain.body_hash(content) if isinstance(content, bytes) else entry.columns[2]
    assert isinstance(body_hash, bytes)  # noqa: S101
    return chain.link(link, entry.first, int(str(entry.columns[1])), body_hash)


def _until_link(kept: list[Entry]) -> int:
    """Return how many of the lowest may be judged by what lies below: up to the first link.

    Where hashes are all there is, only the lowest: what is kept back is not safe yet.
    """
    for n, entry in enumerate(kept, 1):
        if entry.table != "evicted":
            return n
    return min(1, len(kept))


def _integer(row: Cell, column: int) -> int:
    found = values(row.types, row.header, row.local)
    value = None if found is None else found[column]
    return value if isinstance(value, int) else 0
