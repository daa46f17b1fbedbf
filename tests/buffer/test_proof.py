"""A journal that somebody edited: what was done is told, and what was signed shows the rest."""

import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buffer import chain, storage
from buffer.checkpoints import Anchor
from buffer.device_key import DeviceKey
from buffer.journal import Journal
from buffer.proof import Verdict
from buffer.proof_rows import examine
from buffer.record import PRIORITIES, TELEMETRY, Draft, Kind

KEY = DeviceKey(bytes(range(32)))
OTHER = DeviceKey(bytes(range(1, 33)))
RECORDS = 60


def drafts(count: int) -> list[Draft]:
    return [
        Draft(
            id=secrets.token_hex(16),
            kind=Kind.EVENT,
            priority=PRIORITIES[-1 - n % 5],
            topic="t",
            body=b'{"n":%d}' % n,
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 60 records; the heads of records 1, 30 and 60 are signed."""
    path = tmp_path_factory.mktemp("written") / "journal.db"
    with Journal.open(path, signer=KEY) as journal:
        journal.append(drafts(29))
    with Journal.open(path, signer=KEY) as journal:
        journal.append(drafts(30))
    return path


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(written, tmp_path / "journal.db"))


def edit(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


def checked(
    path: Path, *anchors: Anchor, keys: frozenset[str] | None = frozenset({KEY.public})
) -> Verdict:
    with closing(storage.connect(path, read_only=True)) as db:
        return examine(db, keys=keys, anchors=anchors)


def found(verdict: Verdict) -> tuple[int, str]:
    assert verdict.broken is not None
    return verdict.broken.sequence, verdict.broken.what


def swap(one: int, other: int, columns: str) -> str:
    """SQL that exchanges columns of two records."""
    return (
        f"CREATE TABLE was AS SELECT * FROM records WHERE sequence IN ({one}, {other});"
        f"UPDATE records SET ({columns}) = (SELECT {columns} FROM was"
        f" WHERE was.sequence = {one + other} - records.sequence)"
        f" WHERE sequence IN ({one}, {other}); DROP TABLE was;"
    )


def shift(start: int, by: int) -> str:
    """SQL that renumbers the records from `start` on."""
    return (
        f"UPDATE records SET sequence = -sequence - {by} WHERE sequence >= {start};"
        "UPDATE records SET sequence = -sequence WHERE sequence < 0;"
        "DELETE FROM checkpoints WHERE sequence > 1;"
    )


def copied(source: int, to: int, body: str = "body", link: str = "link") -> str:
    return (
        f"INSERT INTO records SELECT {to}, priority, kind, topic, previous, 'new', {link}, {body}"
        f" FROM records WHERE sequence = {source};"
    )


CHANGED_BODY = "UPDATE records SET body = CAST('{\"n\":99}' AS BLOB) WHERE sequence = "


def test_a_journal_as_it_was_written_is_good(path: Path) -> None:
    verdict = checked(path)
    assert verdict.good
    assert (verdict.first, verdict.last, verdict.kept) == (1, RECORDS, RECORDS)
    assert verdict.signed is not None
    assert (verdict.signed.sequence, verdict.heads) == (RECORDS, 3)
    assert verdict.link == verdict.signed.link


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (CHANGED_BODY + "13", (13, "changed")),
        (CHANGED_BODY + "1", (1, "changed")),
        (CHANGED_BODY + f"{RECORDS}", (RECORDS, "changed")),
        ("UPDATE records SET body = body || ' ' WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET body = 7 WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET priority = 4 - priority WHERE sequence = 12", (12, "changed")),
        ("UPDATE records SET priority = -1 WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET priority = 300 WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET link = zeroblob(32) WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET link = 1000000000000 WHERE sequence = 13", (13, "changed")),
        ("DELETE FROM records WHERE sequence = 13", (13, "removed")),
        ("DELETE FROM records WHERE sequence = 1", (1, "removed")),
        ("DELETE FROM records WHERE sequence BETWEEN 13 AND 20", (13, "removed")),
        ("DELETE FROM records WHERE sequence = 13;" + shift(14, -1), (13, "removed")),
        ("DELETE FROM records WHERE sequence IN (13, 14);" + shift(15, -2), (13, "removed")),
        (shift(13, 1) + copied(12, 13), (13, "added")),
        (shift(13, 1) + copied(20, 13, body="x'7b7d'"), (13, "added")),
        (shift(13, 2) + copied(20, 13) + copied(20, 14), (13, "added")),
        (copied(40, -3), (-3, "added")),
        (copied(60, 61), (61, "added")),
        (swap(13, 14, "body"), (13, "reordered")),
        (swap(13, 40, "body"), (13, "reordered")),
        (swap(13, 14, "priority, kind, topic, previous, id, link, body"), (13, "reordered")),
        (swap(13, 40, "priority, kind, topic, previous, id, link, body"), (13, "reordered")),
        (swap(59, 60, "priority, kind, topic, previous, id, link, body"), (59, "reordered")),
        ("UPDATE records SET sequence = 100 WHERE sequence = 13", (13, "reordered")),
        ("UPDATE journal SET id = 'deadbeefdeadbeefdeadbeefdeadbeef'", (1, "changed")),
        ("UPDATE journal SET id = 'no id at all'", (1, "changed")),
        ("UPDATE journal SET first = 2", (1, "added")),
        ("INSERT INTO evicted VALUES (13, 4, zeroblob(32))", (13, "added")),
        ("UPDATE checkpoints SET link = zeroblob(32) WHERE sequence = 30", (30, "signature")),
        ("UPDATE checkpoints SET at = '2020' || at WHERE sequence = 30", (30, "signature")),
        ("UPDATE checkpoints SET signature = zeroblob(64) WHERE sequence = 30", (30, "signature")),
        ("UPDATE checkpoints SET key = zeroblob(32) WHERE sequence = 30", (30, "signature")),
        ("UPDATE checkpoints SET sequence = 31 WHERE sequence = 30", (31, "signature")),
        ("DELETE FROM records WHERE sequence > 50", (51, "cut")),
    ],
)  # fmt: skip
def test_what_was_done_is_told(path: Path, script: str, told: tuple[int, str]) -> None:
    edit(path, script)
    assert found(checked(path)) == told


def test_an_added_record_whose_link_fits_is_told_too(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        (before,) = db.execute("SELECT link FROM records WHERE sequence = 12").fetchone()
        link = chain.link(before, 13, TELEMETRY, chain.body_hash(b"{}"))
        db.executescript(shift(13, 1))
        db.execute("INSERT INTO records VALUES (13, 4, 0, 1, NULL, 'new', ?, ?)", (link, b"{}"))
        db.commit()
    assert found(checked(path)) == (13, "added")


def forge(path: Path, start: int, more: str = "") -> None:
    """Make every link anew from record `start` on, as somebody with the file alone can."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(more)
        (head,) = db.execute("SELECT link FROM records WHERE sequence < ? ORDER BY sequence DESC",
                             (start,)).fetchone()  # fmt: skip
        for sequence, priority, body in db.execute(
            "SELECT sequence, priority, body FROM records WHERE sequence >= ? ORDER BY sequence",
            (start,),
        ).fetchall():
            head = chain.link(head, sequence, priority, chain.body_hash(body))
            db.execute("UPDATE records SET link = ? WHERE sequence = ?", (head, sequence))
        db.commit()


def test_a_chain_that_was_made_anew_is_shown_by_what_was_signed(path: Path) -> None:
    edit(path, CHANGED_BODY + "40")
    forge(path, 40)
    verdict = checked(path)
    assert found(verdict) == (31, "remade")
    assert verdict.broken is not None
    assert verdict.broken.until == RECORDS
    assert "records 31 to 60 have other links than were signed" in verdict.broken.reason


def test_without_signed_heads_a_chain_made_anew_is_shown_by_an_anchor_only(path: Path) -> None:
    with Journal.open(path, read_only=True) as journal:
        (noted,) = journal.since(44, 1)
    edit(path, CHANGED_BODY + "40; DELETE FROM checkpoints WHERE sequence > 30")
    forge(path, 40)
    assert checked(path).good
    anchor = Anchor(journal="", sequence=45, link=noted.link, at="")
    assert found(checked(path, anchor)) == (31, "remade")


def test_heads_that_another_key_signed_are_no_proof(path: Path) -> None:
    verdict = checked(path, keys=frozenset({OTHER.public}))
    assert (verdict.broken, verdict.signed, verdict.others) == (None, None, {KEY.public})
    assert checked(path, keys=None).heads == 3


@pytest.mark.parametrize(("sequence", "told"), [(RECORDS, None), (45, None), (1, None)])
def test_an_anchor_that_fits_is_counted(
    path: Path, sequence: int, told: tuple[int, str] | None
) -> None:
    with Journal.open(path, read_only=True) as journal:
        (record,) = journal.since(sequence - 1, 1)
    anchor = Anchor(journal="", sequence=sequence, link=record.link, at="")
    verdict = checked(path, anchor)
    assert (verdict.broken, verdict.anchors, verdict.good) == (told, 1, True)


def test_a_cut_tail_is_shown_by_an_anchor(path: Path) -> None:
    with Journal.open(path, signer=KEY) as journal:
        journal.append(drafts(10))
        anchor = journal.anchor()
    edit(
        path, "DELETE FROM records WHERE sequence > 60; DELETE FROM checkpoints WHERE sequence > 60"
    )
    assert checked(path).good
    assert found(checked(path, anchor)) == (61, "cut")


def test_another_journal_in_its_place_is_shown_by_an_anchor(path: Path, tmp_path: Path) -> None:
    with Journal.open(path, signer=KEY) as journal:
        anchor = journal.anchor()
    with Journal.open(tmp_path / "new.db", signer=KEY) as journal:
        journal.append(drafts(100))
    verdict = checked(tmp_path / "new.db", anchor)
    assert found(verdict) == (1, "cut")
    assert verdict.broken is not None
    assert f"the anchor is of journal {anchor.journal}" in verdict.broken.reason


def test_an_anchor_of_before_the_first_record_or_with_a_wrong_signature_is_no_help(
    path: Path,
) -> None:
    early = Anchor(journal="", sequence=0, link=bytes(32), at="")
    verdict = checked(path, early)
    assert verdict.broken is None
    assert verdict.doubts == ["anchor of record 0: its link is not kept here"]
    with Journal.open(path, signer=KEY) as journal:
        anchor = journal.anchor()
    wrong = Anchor(
        journal=anchor.journal,
        sequence=anchor.sequence,
        link=anchor.link,
        at="2020-01-01T00:00:00Z",
        key=anchor.key,
        signature=anchor.signature,
    )
    assert anchor.good
    assert not wrong.good
    assert found(checked(path, wrong)) == (RECORDS, "signature")


def columns(path: Path) -> list[tuple[str, str, int, bytes]]:
    """Every value that proves something: table, column, rowid, bytes."""
    cells = []
    with closing(sqlite3.connect(path)) as db:
        for table, names in (
            ("records", ("link", "body")),
            ("evicted", ("hash",)),
            ("folded", ("before", "link", "signature")),
            ("checkpoints", ("link", "at", "key", "signature")),
        ):
            for name in names:
                rows = db.execute(f"SELECT rowid, CAST({name} AS BLOB) FROM {table}")
                cells += [(table, name, row, value) for row, value in rows]
    return cells


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with records, hashes and signed runs."""
    path = tmp_path_factory.mktemp("folded") / "journal.db"
    with Journal.open(path, signer=KEY) as journal:
        journal.append(drafts(100))
        evict(journal, [*range(3, 20), *range(25, 40), *range(60, 70)])
        journal._folding.fold(30)
    return path


def evict(journal: Journal, sequences: list[int]) -> None:
    journal._db.execute("BEGIN")
    for sequence in sequences:
        (record,) = journal.since(sequence - 1, 1)
        assert record.sequence == sequence
        journal._db.execute("DELETE FROM records WHERE sequence = ?", (sequence,))
        journal._db.execute(
            "INSERT INTO evicted VALUES (?, ?, ?)",
            (sequence, record.priority, chain.body_hash(record.body)),
        )
    journal._db.execute("COMMIT")


def test_evicted_and_folded_records_leave_the_rest_good(folded: Path) -> None:
    verdict = checked(folded)
    assert verdict.good
    assert (verdict.kept, verdict.hashed, verdict.folded) == (59, 12, 30)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_is_found(folded: Path, data: st.DataObject) -> None:
    cells = columns(folded)
    table, name, row, value = data.draw(st.sampled_from(cells))
    at = data.draw(st.integers(0, len(value) * 8 - 1))
    flipped = bytearray(value)
    flipped[at // 8] ^= 1 << at % 8
    with closing(sqlite3.connect(":memory:")) as memory:
        with closing(sqlite3.connect(folded)) as db:
            db.backup(memory)
        memory.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (bytes(flipped), row))
        assert not examine(memory, keys={KEY.public}).good, (table, name, row, at)


def test_the_range_is_told_where_only_hashes_are_left(folded: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(folded, tmp_path / "journal.db"))
    edit(path, "UPDATE evicted SET hash = zeroblob(32) WHERE sequence = 62")
    verdict = checked(path)
    assert found(verdict) == (60, "changed")
    assert verdict.broken is not None
    assert verdict.broken.until == 70


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("DELETE FROM folded WHERE first = 3", (3, "removed")),
        ("UPDATE folded SET last = 18 WHERE first = 3", (3, "signature")),
        ("UPDATE folded SET first = 2 WHERE first = 3", (2, "changed")),
        ("DELETE FROM records WHERE sequence = 2", (2, "removed")),
        ("INSERT INTO folded VALUES (50, 52, x'00', x'00', x'00')", (50, "changed")),
    ],
)  # fmt: skip
def test_what_was_done_to_runs_is_told(
    folded: Path, tmp_path: Path, script: str, told: tuple[int, str]
) -> None:
    path = Path(shutil.copy(folded, tmp_path / "journal.db"))
    edit(path, script)
    sequence, what = found(checked(path))
    assert sequence == told[0]
    assert what in {told[1], "signature", "added"}


def test_a_run_without_a_signature_is_not_taken_as_good(folded: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(folded, tmp_path / "journal.db"))
    edit(path, "UPDATE folded SET signature = NULL WHERE first = 3")
    verdict = checked(path)
    assert verdict.broken is None
    assert not verdict.good
    assert verdict.doubts == ["records 3 to 19: folded without a signature of a trusted key"]


def test_records_made_anew_before_a_run_are_shown_by_it(folded: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(folded, tmp_path / "journal.db"))
    with closing(sqlite3.connect(path)) as db:
        (before,) = db.execute("SELECT link FROM records WHERE sequence = 1").fetchone()
        link = chain.link(before, 2, TELEMETRY, chain.body_hash(b"other"))
        db.execute("UPDATE records SET body = ?, link = ? WHERE sequence = 2", (b"other", link))
        db.commit()
    verdict = checked(path)
    assert found(verdict) == (2, "remade")
    assert verdict.broken is not None
    assert "record 2, which the folded records 3 to 19 do not follow" in verdict.broken.reason


def test_without_a_key_a_journal_that_is_folded_meanwhile_is_looked_at_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal.append(drafts(2000))
        evict(journal, list(range(2, 1500)))
        journal._folding.fold(10)
        with closing(storage.connect(path, read_only=True)) as db:
            folds = [700, 1000]

            def look(_sequence: int, _topic: str | None, _body: bytes) -> None:
                if folds:
                    journal._folding.fold(folds.pop())

            verdict = examine(db, look=look)
    assert verdict.broken is None
    assert not verdict.good


def test_lost_records_and_an_unknown_beginning_are_doubts(path: Path) -> None:
    edit(path, "DELETE FROM records WHERE sequence BETWEEN 13 AND 20;"
         "INSERT INTO lost (first, last, file) VALUES (13, 20, 'journal.db.aside-1')")  # fmt: skip
    verdict = checked(path)
    assert verdict.broken is None
    assert verdict.doubts == ["records 13 to 20: lost with the damaged file journal.db.aside-1"]
    edit(path, "UPDATE lost SET file = NULL")
    assert checked(path).doubts == ["records 13 to 20: lost by damage"]
    edit(path, CHANGED_BODY + "22")
    assert found(checked(path)) == (22, "changed")
    edit(path, "UPDATE journal SET id = ''")
    assert "record 1: what came before it is not known" in checked(path).doubts


def test_a_journal_that_is_written_and_folded_meanwhile_is_good(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path, signer=KEY) as journal:
        journal.append(drafts(2000))
        evict(journal, list(range(2, 1500)))
        with closing(storage.connect(path, read_only=True)) as db:
            seen: list[int] = []

            def look(sequence: int, _topic: str | None, _body: bytes) -> None:
                if not seen:
                    journal._folding.fold(700)
                    journal._folding.fold(1000)
                    journal.append(drafts(10))
                seen.append(sequence)

            verdict = examine(db, keys={KEY.public}, look=look)
    assert verdict.good
    assert (verdict.last, verdict.folded) == (2001, 999)
