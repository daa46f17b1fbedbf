"""The size holds at every moment, and nothing is refused while less important records are there."""

from __future__ import annotations

import os
import random
import secrets
import sqlite3
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buffer.journal import Journal
from buffer.marks import WEIGHT
from buffer.quota import RESERVES
from buffer.record import (
    LIFE_SAFETY,
    OPERATIONS,
    PRIORITIES,
    SECURITY,
    TELEMETRY,
    Draft,
    Kind,
    Record,
)
from buffer.storage import JournalFull

MB = 1 << 20


def draft(priority: int, size: int, kind: Kind = Kind.EVENT, topic: str | None = "t") -> Draft:
    identity = secrets.token_hex(16)
    return Draft(id=identity, kind=kind, priority=priority, topic=topic, body=bytes(size))


def taken(folder: Path) -> int:
    """Return the bytes that all files take, as the file system counts them."""
    size = blocks = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found = entry.stat()
            except FileNotFoundError:
                continue
            size += found.st_size
            blocks += found.st_blocks * 512
    return max(size, blocks)


@contextmanager
def watched(folder: Path) -> Iterator[list[int]]:
    """Look all the time how much is taken; the list has the most so far."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.0002):
            most[0] = max(most[0], taken(folder))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()


def loaded(journal: Journal, chance: random.Random, turns: int) -> int:
    """Append all kinds of records and mark some as sent; returns how many appends were refused."""
    refused, sent = 0, list[Record]()
    for _ in range(turns):
        priority = chance.choices(PRIORITIES, [1, 1, 8, 8, 30])[0]
        size = chance.choice([50, 250, 250, 400, 800, 5000])
        some = [draft(priority, size) for _ in range(chance.choice([1, 1, 20, 80]))]
        if chance.random() < 0.03:
            some = [draft(TELEMETRY, 100_000, Kind.SNAPSHOT, None)]
        elif chance.random() < 0.03:
            some = [draft(priority, 64_000)]
        try:
            sent += [r for r in journal.append(some) if r.topic is not None]
            if len(sent) > 200:
                journal.mark_sent(sent[:200])
                del sent[:200]
        except JournalFull:
            refused += 1
    return refused


def keep_on(journal: Journal) -> None:
    for _ in range(1000):
        journal.append([draft(LIFE_SAFETY, 400)])


def test_the_size_holds_at_every_moment(tmp_path: Path) -> None:
    with watched(tmp_path) as most, Journal.open(tmp_path / "j.db", max_size=2 * MB) as journal:
        loaded(journal, random.Random(1), 200)
        assert journal.stat().evicted > 1000
        assert journal.verify() is None
    assert MB < most[0] <= 2 * MB


def test_a_reader_that_holds_the_log_for_long_does_not_make_it_pass_the_size(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j.db"
    with watched(tmp_path) as most, Journal.open(path, max_size=2 * MB) as journal:
        loaded(journal, random.Random(2), 60)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM records").fetchone()
            assert loaded(journal, random.Random(3), 150) > 50
            with pytest.raises(JournalFull, match="a reader of another program holds the log"):
                keep_on(journal)
        assert journal.append([draft(TELEMETRY, 400)])
        loaded(journal, random.Random(4), 60)
        assert journal.verify() is None
    assert most[0] <= 2 * MB


class Model:
    """What the journal may have kept, told slowly: every record by sequence."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.kept: dict[int, Record] = {}
        self.sent: set[int] = set()
        assert journal._quota is not None
        self.reserves = [share * journal._quota._size for share in RESERVES]

    def weight(self, records: dict[int, Record], priority: int) -> int:
        return sum(len(r.body) + WEIGHT for r in records.values() if r.priority == priority)

    def step(self, drafts: list[Draft]) -> None:
        """Append and check what had to go for it."""
        level = min(d.priority for d in drafts)
        before = dict(self.kept)
        try:
            for record in self.journal.append(drafts):
                before[record.sequence] = record
            refused = False
        except JournalFull:
            refused = True
        self.kept = {r.sequence: r for r in self.journal.since(0)}
        before |= self.kept
        gone = {n: r for n, r in before.items() if n not in self.kept}
        if refused:
            lower = [r for r in self.kept.values() if r.priority >= level]
            latest = max((r.sequence for r in lower if r.kind is Kind.SNAPSHOT), default=0)
            assert [r for r in lower if r.sequence != latest and r.kind != Kind.GAP] == []
        self.check(level, sum(len(d.body) + WEIGHT for d in drafts), before, gone)

    def check(
        self, level: int, size: int, before: dict[int, Record], gone: dict[int, Record]
    ) -> None:
        weight = min(self.weight(before, level), self.weight(self.kept, level))
        entitled = weight <= self.reserves[level] + size
        by: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for sequence, record in gone.items():
            lost = record.topic is not None and sequence not in self.sent
            by[record.priority, lost].append(sequence)
            # Nothing unsent goes for what matters less and has its reserve.
            assert not lost or record.priority >= level or entitled
        for priority in {p for p, _ in by}:
            left = self.weight(self.kept, priority)
            most = max(len(r.body) + WEIGHT for r in gone.values() if r.priority == priority)
            # Nobody is left with less than the reserve for what matters less.
            assert priority >= level or left + most >= self.reserves[priority]
        for (priority, lost), sequences in by.items():
            latest = max((n for n, r in before.items() if r.kind is Kind.SNAPSHOT), default=0)
            older = [
                n
                for n, r in self.kept.items()
                if r.priority == priority
                and n < min(max(sequences), latest or max(sequences))
                and n != latest
                and lost
                and r.topic is not None
                and n not in self.sent
            ]
            # The oldest go first.
            assert older == []


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PRIORITIES),
            st.sampled_from([(1, 200), (150, 300), (8, 5000), (1, 60_000)]),
            st.sampled_from(["keep", "keep", "send", "trace", "snapshot"]),
        ),
        min_size=25,
        max_size=40,
    )
)
def test_what_goes_is_what_matters_least_and_a_refused_record_has_nothing_below_it(
    steps: list[tuple[int, tuple[int, int], str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with Journal.open(path / "j.db", max_size=MB) as journal:
            model = Model(journal)
            for priority, (count, size), how in steps:
                kind = Kind.TRACE if how == "trace" else Kind.EVENT
                topic = None if how == "trace" else "t"
                if how == "snapshot":
                    model.step([draft(TELEMETRY, 50_000, Kind.SNAPSHOT, None)])
                else:
                    model.step([draft(priority, size, kind, topic) for _ in range(count)])
                if how == "send":
                    some = [r for r in model.kept.values() if r.topic and r.priority == priority]
                    journal.mark_sent(some[: len(some) // 2])
                    model.sent |= {r.sequence for r in some[: len(some) // 2]}
                assert taken(path) <= MB
            assert journal.verify() is None


def test_each_priority_has_its_reserve_whatever_came_before(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=2 * MB) as journal:
        for _ in range(60):
            journal.append([draft(LIFE_SAFETY, 300) for _ in range(100)])
        for priority in (SECURITY, OPERATIONS):
            for _ in range(5):
                journal.append([draft(priority, 300) for _ in range(50)])
        left = [0] * len(PRIORITIES)
        for record in journal.since(0):
            left[record.priority] += record.topic is not None
    assert left[SECURITY] == 250
    assert left[OPERATIONS] == 250
    assert left[LIFE_SAFETY] > 1000
