"""A journal that lost its end and looks whole: the note beside it knows that there was more."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buffer import noted
from buffer.journal import Journal
from buffer.noted import Head
from buffer.proof_rows import examine
from buffer.record import TELEMETRY, Draft, Kind, Record

NOTE = "journal.db.reserved"


def draft(name: str, *, size: int = 300) -> Draft:
    body = b'{"n":"%s"}' % name.encode() + b" " * size
    return Draft(id=name, kind=Kind.EVENT, priority=TELEMETRY, topic="t", body=body)


def kept(folder: Path, to: str) -> Path:
    """Copy file, log and note, as a power cut leaves them."""
    target = folder / to
    target.mkdir()
    for suffix in ("", "-wal", ".reserved"):
        if (source := folder / f"journal.db{suffix}").exists():
            shutil.copy(source, target / f"journal.db{suffix}")
    return target / "journal.db"


@pytest.fixture
def logged(tmp_path: Path) -> tuple[Path, list[Record]]:
    """Return a journal with its last 60 records in the log, and all of them."""
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        for n in range(40):
            journal.append([draft(f"old {n}")])
    with Journal.open(path) as journal:
        for n in range(60):
            journal.append([draft(f"new {n}")])
        journal.anchor()
        records = list(journal.since(0))
        return kept(tmp_path, "cut"), records


def opened(path: Path, records: list[Record]) -> tuple[int, list[dict[str, object]]]:
    """Open what is left of `records`; return the last of them, and what the journal says of it."""
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
        found = list(journal.since(0))
        left = [r for r in found if r.sequence <= records[-1].sequence]
        assert left == records[: len(left)]
        rest = found[len(left) :]
        assert all(r.sequence > 100_000 for r in rest)
        (last,) = journal.append([draft("after")])
        assert last.sequence == journal.head
    with Journal.open(path) as journal:
        assert journal.head == last.sequence
    said = [json.loads(r.body) for r in rest]
    return left[-1].sequence if left else 0, said


def test_a_log_cut_anywhere_is_noticed_and_no_number_is_used_again(
    tmp_path: Path, logged: tuple[Path, list[Record]]
) -> None:
    path, records = logged
    size = Path(f"{path}-wal").stat().st_size
    seen = set()
    for cut in (0, 31, 32, 5000, size // 3, size // 2, size - 3000, size - 1):
        folder = tmp_path / str(cut)
        shutil.copytree(path.parent, folder)
        os.truncate(folder / "journal.db-wal", cut)
        last, said = opened(folder / "journal.db", records)
        assert 41 <= last < 101
        (started,) = [s for s in said if s["signal"] == "journal.started"]
        assert "record 101 was committed" in str(started["reason"])
        assert started["sequence"] == last
        (gap,) = [s for s in said if s["signal"] == "buffer.gap"]
        assert (gap["reason"], gap["first"], gap["last"]) == ("damage", last + 1, 101)
        (salvaged,) = [s for s in said if s["signal"] == "journal.salvaged"]
        assert salvaged["lost"] == 101 - last
        seen.add(last)
    assert len(seen) > 4


def test_a_log_that_was_deleted_is_noticed(logged: tuple[Path, list[Record]]) -> None:
    path, records = logged
    Path(f"{path}-wal").unlink()
    last, said = opened(path, records)
    assert last == 41
    (gap,) = [s for s in said if s["signal"] == "buffer.gap"]
    assert (gap["first"], gap["last"], gap["count"]) == (42, 101, 60)


def test_a_bad_frame_in_the_log_costs_that_frame_only(logged: tuple[Path, list[Record]]) -> None:
    path, records = logged
    with Path(f"{path}-wal").open("r+b") as log:
        log.seek(32 + 40 * (24 + 2048) + 500)
        log.write(bytes(64))
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
        found = [r for r in journal.since(0) if r.sequence <= 101]
        assert found == records


def test_an_old_copy_in_the_journals_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal.append([draft(f"old {n}") for n in range(20)])
        records = list(journal.since(0))
    shutil.copy(path, tmp_path / "backup")
    with Journal.open(path) as journal:
        journal.append([draft(f"new {n}") for n in range(500)])
    (tmp_path / "backup").replace(path)
    last, said = opened(path, records)
    assert last == 21
    (gap,) = [s for s in said if s["signal"] == "buffer.gap"]
    assert (gap["first"], gap["last"]) == (22, 521)


def test_another_journal_in_its_place_is_noticed(tmp_path: Path) -> None:
    path, other = tmp_path / "journal.db", tmp_path / "other.db"
    for where in (path, other):
        with Journal.open(where) as journal:
            journal.append([draft(f"{where.name} {n}") for n in range(20)])
    other.replace(path)
    with Journal.open(path) as journal:
        started = json.loads(next(iter(journal.since(100_000))).body)
        assert "record 21" in started["reason"]
        assert "is not the one that was committed" in started["reason"]
        assert [r.id for r in journal.since(1)][:20] == [f"other.db {n}" for n in range(20)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda note: note.unlink(),
        lambda note: note.write_bytes(b""),
        lambda note: note.write_bytes(bytes(4096)),
        lambda note: note.write_bytes(os.urandom(90)),
        lambda note: note.write_bytes(b"100002\n"),
        lambda note: note.write_bytes(b"9" * 30 + b"\n"),
        lambda note: note.write_bytes(note.read_bytes().replace(b"000101 ", b"000901 ")),
        lambda note: note.write_bytes(note.read_bytes()[:-9]),
        lambda note: (note.unlink(), note.mkdir()),
    ],
    ids=["missing", "empty", "zeros", "noise", "old form", "huge", "changed", "cut", "a folder"],
)
def test_a_damaged_note_changes_nothing(logged: tuple[Path, list[Record]], damage: object) -> None:
    path, records = logged
    assert callable(damage)
    damage(path.with_name(NOTE))
    with Journal.open(path) as journal:
        assert list(journal.since(0)) == records
        assert journal.append([draft("next")])[-1].sequence == 102
        journal.anchor()
    assert not list(path.parent.glob("*.aside*"))


def test_an_older_note_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    old = path.with_name(NOTE).read_bytes()
    with Journal.open(path) as journal:
        journal.append([draft(f"{n}") for n in range(50)])
        records = list(journal.since(0))
    path.with_name(NOTE).write_bytes(old)
    with Journal.open(path) as journal:
        assert list(journal.since(0)) == records


def test_a_missing_file_is_said_with_what_it_is_known_to_have_had(
    logged: tuple[Path, list[Record]],
) -> None:
    path, _records = logged
    path.unlink()
    path.with_name("journal.db-wal").unlink()
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
        (gap,) = [json.loads(r.body) for r in journal.since(100_000) if r.kind is Kind.GAP]
        assert (gap["reason"], gap["first"], gap["last"]) == ("damage", 1, 101)
        assert journal.append([draft("next")])[-1].sequence == 100_004
        assert journal.recovery.lost == 100_001


def test_the_head_is_noted_only_where_something_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        (record,) = journal.append([draft("one")])
        journal.anchor()
        assert noted.head(path) == Head(record.sequence, record.link)
        path.with_name(NOTE).unlink()
        journal.anchor()
        assert noted.head(path) is None
        (record,) = journal.append([draft("two")])
        journal.anchor()
        assert noted.head(path) == Head(3, record.link)
        assert noted.reserved(path) == 100_001


def test_evidence_that_lost_its_end_is_not_called_whole(
    logged: tuple[Path, list[Record]],
) -> None:
    path, _ = logged
    Path(f"{path}-wal").unlink()
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        verdict = examine(journal._db)
        assert not verdict.good
        assert "records 42 to 101: lost by damage" in verdict.doubts


def test_a_folded_run_over_the_noted_head_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path, max_size=1 << 20) as journal:
        for n in range(0, 200, 10):
            journal.append([draft(f"{n + i}", size=900) for i in range(10)])
        journal.anchor()
        known = path.with_name(NOTE).read_bytes()
        for n in range(0, 20_000, 100):
            journal.append([draft(f"{n + i}") for i in range(100)])
        ((first, last),) = journal._db.execute("SELECT first, last FROM folded LIMIT 1").fetchall()
        assert first < 202 < last
        kept_before = journal.stat().records
    path.with_name(NOTE).write_bytes(known)
    with Journal.open(path, max_size=2 << 20, distrust="to see") as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
        assert journal.stat().records == kept_before + 2
        assert journal.recovery.lost < 100_000


@given(st.binary(max_size=200), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_no_note_names_what_was_not_noted(data: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        known = Head(77, bytes(range(32)))
        noted.reserve(path, 100_077, known)
        note = path.with_name(NOTE)
        whole = note.read_bytes()
        note.write_bytes(whole[:at] + data + whole[at + len(data) :])
        assert noted.head(path) in (None, known)
        assert 0 <= noted.reserved(path) < 1 << 39
