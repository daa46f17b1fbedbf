"""The size of the journal is never passed, and what matters most goes last."""

import json
import secrets
from itertools import pairwise
from pathlib import Path

import pytest

from buffer.journal import Journal
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
from buffer.storage import JournalError

MB = 1 << 20


def drafts(
    count: int, priority: int, *, topic: str | None = "t", kind: Kind = Kind.EVENT
) -> list[Draft]:
    return [
        Draft(id=secrets.token_hex(16), kind=kind, priority=priority, topic=topic, body=bytes(300))
        for _ in range(count)
    ]


def fill(journal: Journal, made: list[Record]) -> None:
    for _ in range(1000):
        made += journal.append(drafts(50, TELEMETRY))


def kept(journal: Journal, priority: int) -> list[int]:
    return [r.sequence for r in journal.since(1) if r.priority == priority and r.kind != Kind.GAP]


def test_the_size_is_never_passed_and_the_chain_still_holds(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=2 * MB) as journal:
        fires = journal.append(drafts(50, LIFE_SAFETY))
        largest = 0
        for _ in range(200):
            journal.append(drafts(100, TELEMETRY))
            largest = max(largest, journal.size())
        assert largest <= 2 * MB
        assert set(kept(journal, LIFE_SAFETY)) == {r.sequence for r in fires}
        assert journal.verify() is None
        newest = kept(journal, TELEMETRY)
        assert newest[-1] >= journal.head - 2
        assert len(newest) > 2000
        before = journal.stat()
    with Journal.open(tmp_path / "j.db", max_size=2 * MB) as journal:
        assert journal.stat().unsent == before.unsent
        assert journal.verify() is None
        waiting = [
            record
            for priority, spans in journal.unsent().items()
            for span in spans
            for record in journal.published(priority, span.first, span.last, 100_000)
        ]
        assert len(waiting) == sum(before.unsent)


def test_what_left_unsent_is_told_exactly(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        for _ in range(60):
            journal.append(drafts(100, TELEMETRY))
        stat = journal.stat()
        gaps = [json.loads(r.body) for r in journal.since(0) if r.kind is Kind.GAP]
    assert sum(gap["count"] for gap in gaps) + stat.unsent[TELEMETRY] == 6000
    assert {(gap["reason"], gap["priority"]) for gap in gaps} == {("quota", TELEMETRY)}
    assert [gap["kinds"] for gap in gaps] == [{"event": gap["count"]} for gap in gaps]
    assert all(gap["last"] - gap["first"] + 1 >= gap["count"] for gap in gaps)
    assert all(one["last"] < next_["first"] for one, next_ in pairwise(gaps))


def test_sent_records_go_before_unsent_ones_of_their_priority(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        unsent = journal.append(drafts(200, TELEMETRY))
        journal.seal()
        for _ in range(40):
            journal.mark_sent(journal.append(drafts(100, TELEMETRY)))
        assert kept(journal, TELEMETRY)[:200] == [r.sequence for r in unsent]
        assert journal.latest(Kind.GAP) is None
        assert journal.stat().evicted > 1000


def test_lower_priorities_go_first_even_unsent_and_each_keeps_its_reserve(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=2 * MB) as journal:
        journal.append(drafts(1000, TELEMETRY))
        for _ in range(15):
            journal.append(drafts(100, OPERATIONS))
        for _ in range(60):
            journal.append(drafts(100, SECURITY))
        left = [len(kept(journal, p)) for p in PRIORITIES]
        assert journal.verify() is None
    assert left[TELEMETRY] == 0
    assert 300 < left[OPERATIONS] < 700
    assert left[SECURITY] > 2000


def test_the_last_snapshot_and_what_came_after_it_stay(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        for _ in range(20):
            journal.append(drafts(100, TELEMETRY))
        (snapshot,) = journal.append(drafts(1, TELEMETRY, topic=None, kind=Kind.SNAPSHOT))
        after: list[Record] = []
        while kept(journal, TELEMETRY)[0] < snapshot.sequence:
            after += journal.append(drafts(50, TELEMETRY))
        there = [r.sequence for r in journal.since(snapshot.sequence) if r.kind != Kind.GAP]
        assert there == [r.sequence for r in after if r.kind != Kind.GAP]
        assert len(after) > 600


def test_when_nothing_else_is_left_what_came_after_the_snapshot_goes_but_not_itself(
    tmp_path: Path,
) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        (snapshot,) = journal.append(drafts(1, TELEMETRY, topic=None, kind=Kind.SNAPSHOT))
        for _ in range(60):
            journal.append(drafts(50, TELEMETRY))
        found = journal.latest(Kind.SNAPSHOT)
        assert found is not None
        assert found.sequence == snapshot.sequence
        assert kept(journal, TELEMETRY)[-1] >= journal.head - 1
        assert journal.stat().evicted > 1000
        assert journal.verify() is None
        journal.append(
            [
                Draft(
                    id="next",
                    kind=Kind.SNAPSHOT,
                    priority=TELEMETRY,
                    topic=None,
                    body=bytes(200_000),
                )
            ]
        )
        assert kept(journal, TELEMETRY)[-1] == journal.head


def test_an_eviction_that_was_not_committed_did_not_happen(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        while not journal.stat().evicted:
            journal.append(drafts(50, TELEMETRY))
        before = journal.stat()
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError):
            fill(journal, [])
        journal._db.execute("PRAGMA max_page_count = 100000")
        stat = journal.stat()
        waiting = [
            record
            for span in journal.unsent()[TELEMETRY]
            for record in journal.published(TELEMETRY, span.first, span.last, 100_000)
        ]
        assert before.last <= stat.last
        assert len(waiting) == stat.unsent[TELEMETRY]
        assert journal.verify() is None
        assert stat.records == len(list(journal.since(0)))


def test_a_removed_survivor_among_folded_runs_is_noticed(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        (fire,) = journal.append(drafts(1, LIFE_SAFETY))
        for _ in range(150):
            journal.append(drafts(100, TELEMETRY))
        (folded,) = journal._db.execute("SELECT count(*) FROM folded").fetchone()
        assert folded > 0
        assert journal.verify() is None
        journal._db.execute("DELETE FROM records WHERE sequence = ?", (fire.sequence,))
        broken = journal.verify()
        assert broken is not None
        assert (broken.sequence, broken.reason) == (fire.sequence, "removed")


def test_after_a_restart_the_search_goes_on_where_it_was(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        fires = journal.append(drafts(50, LIFE_SAFETY))
        for _ in range(25):
            journal.append(drafts(50, TELEMETRY))
        oldest = kept(journal, TELEMETRY)[0]
        (there,) = journal._db.execute(
            "SELECT value FROM counters WHERE name = 'searched.4'"
        ).fetchone()
        assert fires[-1].sequence < there < oldest
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        for _ in range(10):
            journal.append(drafts(50, TELEMETRY))
        left = kept(journal, TELEMETRY)
        assert left[0] > oldest
        told = [r.sequence for r in journal.since(left[0] - 1) if r.kind is not Kind.GAP]
        assert left == told


def test_traces_go_before_what_the_broker_does_not_have(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        for _ in range(500):
            traces = drafts(3, SECURITY, topic=None, kind=Kind.TRACE)
            journal.append([*drafts(1, SECURITY), *traces])
        kinds = [r.kind for r in journal.since(1) if r.priority == SECURITY]
        assert kinds.count(Kind.EVENT) == 500
        assert 50 < kinds.count(Kind.TRACE) < 1400
        assert journal.stat().unsent[SECURITY] == 500
        for _ in range(60):
            journal.append(drafts(20, SECURITY))
        kinds = [r.kind for r in journal.since(1) if r.priority == SECURITY]
        assert kinds.count(Kind.TRACE) == 0
        assert kinds.count(Kind.EVENT) == journal.stat().unsent[SECURITY]
        assert journal.verify() is None


def test_a_snapshot_that_was_passed_by_goes_when_there_is_a_later_one(tmp_path: Path) -> None:
    def snapshot() -> list[Draft]:
        return drafts(1, TELEMETRY, topic=None, kind=Kind.SNAPSHOT)

    with Journal.open(tmp_path / "j.db", max_size=MB) as journal:
        (first,) = journal.append(snapshot())
        for _ in range(30):
            journal.append(drafts(50, SECURITY))
        journal.append(snapshot())
        for _ in range(30):
            journal.append(drafts(50, SECURITY))
        assert first.sequence not in {r.sequence for r in journal.since(0)}
