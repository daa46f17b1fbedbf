"""Hashes that make room: signed runs, merged where one follows from the other, and checkpoints."""

import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from buffer import chain
from buffer.checkpoints import Checkpoints
from buffer.device_key import DeviceKey
from buffer.folding import link_of
from buffer.journal import Journal
from buffer.proof_rows import examine
from buffer.record import TELEMETRY, Draft, Kind
from buffer.storage import JournalError

KEY = DeviceKey(bytes(range(32)))
OTHER = DeviceKey(bytes(range(1, 33)))


def draft(body: bytes = b"{}") -> Draft:
    own = secrets.token_hex(16)
    return Draft(id=own, kind=Kind.EVENT, priority=TELEMETRY, topic=None, body=body)


def evict(journal: Journal, sequences: Iterable[int]) -> None:
    for sequence in sequences:
        (record,) = journal.since(sequence - 1, 1)
        journal._db.execute("DELETE FROM records WHERE sequence = ?", (sequence,))
        journal._db.execute(
            "INSERT INTO evicted VALUES (?, ?, ?)",
            (sequence, record.priority, chain.body_hash(record.body)),
        )


def runs(journal: Journal) -> list[tuple[int, int, bool]]:
    return list(
        journal._db.execute("SELECT first, last, signature IS NOT NULL FROM folded ORDER BY first")
    )


def opened(path: Path, signer: DeviceKey | None = KEY, *, more: int = 40) -> Journal:
    journal = Journal.open(path, signer=signer)
    journal.append([draft(b"%d" % n) for n in range(more)])
    return journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_runs_that_touch_become_one(path: Path) -> None:
    with opened(path) as journal:
        evict(journal, [*range(1, 10), *range(11, 20), *range(30, 35)])
        assert journal._folding.fold(100) == 23
        assert runs(journal) == [(1, 9, 1), (11, 19, 1), (30, 34, 1)]
        evict(journal, [10])
        journal._folding.fold(100)
        assert runs(journal) == [(1, 19, 1), (30, 34, 1)]
        evict(journal, [20])
        journal._folding.fold(100)
        assert runs(journal) == [(1, 20, 1), (30, 34, 1)]
        assert examine(journal._db, keys={KEY.public}).good
        assert journal._folding.fold(100) == 0


def test_runs_that_touch_and_do_not_follow_from_each_other_stay_apart(path: Path) -> None:
    with opened(path) as journal:
        evict(journal, [*range(1, 10), *range(11, 20)])
        journal._folding.fold(100)
        evict(journal, [10])
        journal._db.execute("UPDATE evicted SET hash = zeroblob(32)")
        journal._folding.fold(100)
        assert runs(journal) == [(1, 10, 1), (11, 19, 1)]
        broken = examine(journal._db, keys={KEY.public}).broken
        assert broken is not None
        assert (broken.sequence, broken.what) == (11, "remade")


def test_a_run_that_somebody_edited_is_neither_extended_nor_signed_again(path: Path) -> None:
    with opened(path) as journal:
        evict(journal, range(1, 10))
        journal._folding.fold(100)
        journal._db.execute("UPDATE folded SET link = zeroblob(32)")
        evict(journal, range(10, 15))
        journal._folding.fold(100)
        assert runs(journal) == [(1, 9, 1), (10, 14, 1)]
        broken = examine(journal._db, keys={KEY.public}).broken
        assert broken is not None
        assert (broken.sequence, broken.what) == (1, "signature")


def test_without_a_key_runs_are_made_and_not_signed(path: Path) -> None:
    with opened(path, None) as journal:
        evict(journal, [*range(1, 10), *range(11, 20)])
        journal._folding.fold(100)
        evict(journal, [10])
        journal._folding.fold(100)
        assert runs(journal) == [(1, 19, 0)]
        assert journal.verify() is None
        assert examine(journal._db).doubts == [
            "records 1 to 19: folded without a signature of a trusted key"
        ]


def test_a_key_that_meets_a_file_first_signs_it_as_found_and_once_only(path: Path) -> None:
    with opened(path, None) as journal:
        evict(journal, range(5, 10))
        journal._folding.fold(100)
        journal._db.execute("UPDATE folded SET before = NULL")
    for signer in (KEY, OTHER):
        with Journal.open(path, signer=signer) as journal:
            assert runs(journal) == [(5, 9, 1)]
            assert examine(journal._db, keys={signer.public}).good
    with Journal.open(path, signer=OTHER) as journal:
        evict(journal, [20])
        journal._db.execute("UPDATE folded SET signature = NULL")
    with Journal.open(path, signer=OTHER) as journal:
        assert runs(journal) == [(5, 9, 0)]


def test_heads_within_a_run_go_and_the_one_at_its_end_stays(path: Path) -> None:
    with opened(path, more=9) as journal:
        pass
    with opened(path, more=10) as journal:
        pass
    with opened(path, more=10) as journal:
        evict(journal, range(5, 21))
        journal._folding.fold(100)
        heads = journal._db.execute("SELECT sequence FROM checkpoints ORDER BY sequence").fetchall()
        assert heads == [(1,), (20,)]
        assert examine(journal._db, keys={KEY.public}).heads == 2


def test_chains_of_two_journals_in_a_file_are_not_folded_into_one_run(path: Path) -> None:
    with opened(path) as journal:
        new = "ab" * 16
        journal._db.execute("INSERT INTO journal VALUES (?, 21)", (new,))
        head = chain.genesis(new)
        for record in list(journal.since(20)):
            body_hash = chain.body_hash(record.body)
            head = chain.link(head, record.sequence, record.priority, body_hash)
            where = (head, record.sequence)
            journal._db.execute("UPDATE records SET link = ? WHERE sequence = ?", where)
        evict(journal, range(15, 30))
        journal._folding.fold(8)
        journal._folding.fold(8)
        assert runs(journal) == [(15, 20, 1), (21, 29, 1)]
        journal._db.execute("DELETE FROM checkpoints WHERE sequence > 1")
        assert examine(journal._db, keys={KEY.public}).good


def test_what_follows_lost_records_is_folded_without_a_link(path: Path) -> None:
    with opened(path) as journal:
        journal._db.execute("DELETE FROM records WHERE sequence BETWEEN 5 AND 9")
        journal._db.execute("INSERT INTO lost (first, last, file) VALUES (5, 9, 'aside')")
        evict(journal, range(10, 15))
        journal._folding.fold(100)
        assert runs(journal) == [(10, 14, 0)]
        verdict = examine(journal._db, keys={KEY.public})
        assert verdict.broken is None
        assert len(verdict.doubts) == 2
        assert link_of(journal._db, 12) == b""
        (last,) = journal.tail(1)
        assert link_of(journal._db, last.sequence) == last.link


def test_a_head_is_kept_with_the_next_records_and_hourly_at_most(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heads() -> list[int]:
        rows = journal._db.execute("SELECT sequence FROM checkpoints ORDER BY sequence")
        return [sequence for (sequence,) in rows]

    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with opened(path, more=4) as journal:
        anchor = journal.anchor()
        assert (anchor.sequence, anchor.good, anchor.key) == (5, True, KEY.public)
        assert heads() == [1]
        journal.append([draft()])
        assert heads() == [1, 5]
        for minute in range(59):
            now[0] += 60.0
            assert journal.anchor().sequence == 6 + minute
            journal.append([draft()])
        assert heads() == [1, 5]
        now[0] += 60.0
        journal.anchor()
        journal.append([draft()])
        assert heads() == [1, 5, 65]
    with Journal.open(path, signer=KEY) as journal:
        assert heads() == [1, 5, 65, 66]
        newest = journal._db.execute("SELECT * FROM checkpoints WHERE sequence = 66").fetchone()
    with Journal.open(path, signer=KEY) as journal:
        assert heads() == [1, 5, 65, 66]
        again = journal._db.execute("SELECT * FROM checkpoints WHERE sequence = 66").fetchone()
    assert again == newest


def test_old_heads_go_when_there_are_too_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.checkpoints.MOST", 5)
    with opened(path, more=1) as journal:
        checkpoints = Checkpoints(journal._db, journal.id, KEY)
        for sequence in range(10, 20):
            checkpoints.save_head(sequence, bytes(32))
        rows = journal._db.execute("SELECT sequence FROM checkpoints ORDER BY sequence").fetchall()
    assert [sequence for (sequence,) in rows] == [15, 16, 17, 18, 19]


def test_a_commit_that_fails_keeps_the_head_waiting(path: Path) -> None:
    with opened(path, more=1) as journal:
        journal.anchor()
        journal._db.execute("CREATE TRIGGER no BEFORE INSERT ON checkpoints BEGIN"
                            " SELECT raise(ABORT, 'no'); END")  # fmt: skip
        with pytest.raises(JournalError, match="no"):
            journal.append([draft()])
        journal._db.execute("DROP TRIGGER no")
        journal.append([draft()])
        (count,) = journal._db.execute("SELECT count(*) FROM checkpoints").fetchone()
    assert count == 2
