"""A journal of every schema that was ever released opens, whole, in this version."""

import asyncio
import gzip
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from buffer import schemas, storage
from buffer.journal import Journal
from buffer.record import TELEMETRY, Draft, Kind
from buffer.storage import JournalError, JournalTooNew, schema
from buffer.writer import Writer

FILES = Path(__file__).parent / "files"


def unpacked(version: int, folder: Path) -> Path:
    path = folder / "journal.db"
    path.write_bytes(gzip.decompress((FILES / f"journal-{version}.db.gz").read_bytes()))
    return path


def test_every_schema_before_this_one_has_a_file() -> None:
    kept = sorted(int(f.name.split("-")[1].split(".")[0]) for f in FILES.glob("journal-*.db.gz"))
    assert kept == list(range(1, len(schema())))


def test_a_journal_of_schema_1_keeps_its_records_its_chain_and_what_is_unsent(
    tmp_path: Path,
) -> None:
    path = unpacked(1, tmp_path)
    with Journal.open(path, max_size=1_000_000) as journal:
        stat = journal.stat()
        assert journal.verify() is None
        assert journal.id == "457766e289897047969d39971d4ccf3a"
        assert (stat.records, stat.evicted, stat.last) == (349, 1672, 2021)
        assert stat.link == "7c53e52574f9ab7907e1306982637b850c7c6e3720f34212456239204fb267fe"
        assert stat.unsent == (7, 13, 53, 66, 2)
        draft = Draft(id="new", kind=Kind.EVENT, priority=TELEMETRY, topic=None, body=b"{}")
        assert journal.append([draft])[0].sequence == 2022
        assert journal.verify() is None
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(schema()),)


@pytest.mark.parametrize("version", range(1, len(schema())))
def test_an_older_journal_can_be_read_without_changing_it(tmp_path: Path, version: int) -> None:
    path = unpacked(version, tmp_path)
    before = path.read_bytes()
    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
        assert journal.tail(1)[0].sequence == journal.head
    assert path.read_bytes() == before


def test_a_migration_that_is_cut_off_anywhere_is_done_or_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unpacked(1, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(storage, "_settle", lambda _db: None)
        with closing(storage.connect(path, read_only=False)):
            files = {s: Path(f"{path}{s}").read_bytes() for s in ("", "-wal")}
    log = files["-wal"]
    assert len(log) > 4096
    versions = set()
    for cut in [0, 32, len(log) - 1, len(log), *range(500, len(log), len(log) // 12)]:
        path.write_bytes(files[""])
        Path(f"{path}-wal").write_bytes(log[:cut])
        with closing(sqlite3.connect(path)) as db:
            versions.add(db.execute("PRAGMA user_version").fetchone()[0])
        with Journal.open(path) as journal:
            assert journal.stat().records == 349
            assert journal.stat().unsent == (7, 13, 53, 66, 2)
            assert journal.verify() is None
    assert versions == {1, 2}


def test_a_migration_that_fails_changes_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unpacked(1, tmp_path)
    released = schema()
    failing = [*released, "CREATE TABLE half (x INTEGER); INSERT INTO nowhere VALUES (1);"]

    async def main() -> None:
        monkeypatch.setattr(storage, "schema", lambda: failing)
        async with Writer.open(path) as writer:
            draft = Draft(id="held", kind=Kind.EVENT, priority=TELEMETRY, topic=None, body=b"{}")
            writer.keep(draft)
            with pytest.raises(JournalError, match="nowhere"):
                await writer.call(lambda journal: journal.head)
            assert "nowhere" in (writer.stats.error or "")
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA user_version").fetchone() == (len(released),)
                assert db.execute("SELECT count(*) FROM records").fetchone() == (349,)
                assert not db.execute("SELECT * FROM sqlite_schema WHERE name = 'half'").fetchone()
            monkeypatch.setattr(storage, "schema", lambda: released)
            await writer.flush()

    asyncio.run(main())
    with Journal.open(path, read_only=True) as journal:
        assert journal.tail(1)[0].id == "held"
        assert journal.stat().records == 350


def test_a_newer_version_that_only_the_log_tells_of_is_kept_under_its_schema(
    tmp_path: Path,
) -> None:
    live, path = tmp_path / "live.db", tmp_path / "site" / "journal.db"
    path.parent.mkdir()
    with Journal.open(live) as journal:
        draft = Draft(id="old", kind=Kind.EVENT, priority=TELEMETRY, topic=None, body=b"{}")
        journal.append([draft])
        journal.anchor()
        with closing(sqlite3.connect(live)) as db:
            db.execute("PRAGMA user_version = 99")
        for suffix in ("", "-wal", ".reserved"):
            Path(f"{path}{suffix}").write_bytes(Path(f"{live}{suffix}").read_bytes())
    assert path.read_bytes()[60:64] == len(schema()).to_bytes(4, "big")
    # While somebody reads it, the log is not written into the file.
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        journal = Journal.open(path)
    with journal:
        while journal.salvage():
            pass
        assert "old" in [record.id for record in journal.since(0)]
    assert path.with_name("journal.db.schema-99").exists()
    assert storage.asides(path) == []


NEWER = """-- What a later version adds.
-- compatible: 2
CREATE TABLE notes (sequence INTEGER PRIMARY KEY, text TEXT NOT NULL);
ALTER TABLE counters ADD COLUMN at TEXT;
ALTER TABLE evicted ADD COLUMN at TEXT NOT NULL DEFAULT '';
ALTER TABLE unsent ADD COLUMN at TEXT;
ALTER TABLE topics ADD COLUMN at TEXT;
ALTER TABLE hours ADD COLUMN at TEXT;
ALTER TABLE journal ADD COLUMN at TEXT;
"""


def filled(journal: Journal, names: range) -> None:
    for name in names:
        draft = Draft(
            id=f"{name:032x}",
            kind=Kind.EVENT,
            priority=TELEMETRY,
            topic=f"t/{name % 3}",
            body=b"x" * 300,
        )
        journal.append([draft])
    journal.mark_sent(journal.tail(5))


@pytest.mark.parametrize("number", range(1, len(schema()) + 1))
def test_each_step_of_the_schema_says_who_can_go_on_after_it(number: int) -> None:
    script = schema()[number - 1]
    assert len(re.findall(r"^-- compatible: \d+$", script, re.M)) == 1
    assert 1 <= schemas.declared(script, number) <= number


def test_the_steps_so_far_can_be_gone_back_from_by_these_versions() -> None:
    assert [schemas.lowest(schema()[:n]) for n in range(1, len(schema()) + 1)] == [1, 2]
    assert schemas.lowest(["-- compatible: 1\n", "-- compatible: 1\n"]) == 1
    assert schemas.lowest(["-- compatible: 1\n", "", "-- compatible: 1\n"]) == 2
    assert schemas.lowest(["", "", "-- compatible: 9\n"]) == 3


def test_this_version_goes_on_in_a_newer_file_that_says_so_and_leaves_the_rest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, released = tmp_path / "journal.db", schema()
    with Journal.open(path, max_size=1_000_000) as journal:
        filled(journal, range(20))
        known = journal.id
    monkeypatch.setattr(storage, "schema", lambda: (*released, NEWER))
    with Journal.open(path, max_size=1_000_000) as journal:
        filled(journal, range(20, 30))
        journal._db.execute("INSERT INTO notes VALUES (30, 'kept')")
    monkeypatch.setattr(storage, "schema", lambda: released)

    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
    with Journal.open(path, max_size=1_000_000) as journal:
        assert journal.id == known
        before = [record.id for record in journal.since(0)]
        assert f"{29:032x}" in before
        filled(journal, range(30, 1500))
        assert journal.verify() is None
        assert journal.stat().evicted > 0
        assert journal.stat().last >= 1500
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
        assert db.execute("SELECT * FROM notes").fetchall() == [(30, "kept")]
    assert sorted(p.name for p in tmp_path.iterdir() if ".schema-" in p.name) == []

    monkeypatch.setattr(storage, "schema", lambda: (*released, NEWER))
    with Journal.open(path, max_size=1_000_000) as journal:
        assert journal.id == known
        assert journal.verify() is None
        assert journal.tail(1)[0].id == f"{1499:032x}"


@pytest.mark.parametrize("says", [b"", b"-- compatible: 3\n"])
def test_a_newer_file_that_does_not_say_so_is_not_gone_on_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    path, released = tmp_path / "journal.db", schema()
    script = says.decode() + "CREATE TABLE notes (text TEXT);"
    monkeypatch.setattr(storage, "schema", lambda: (*released, script))
    with Journal.open(path) as journal:
        filled(journal, range(20))
        known = journal.id
    monkeypatch.setattr(storage, "schema", lambda: released)

    with pytest.raises(JournalTooNew):
        Journal.open(path, read_only=True)
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.id != known
        assert {f"{n:032x}" for n in range(20)} <= {record.id for record in journal.since(0)}
        assert journal.verify() is None
    assert path.with_name("journal.db.schema-3").exists()


def test_a_damaged_newer_file_is_kept_under_its_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, released = tmp_path / "journal.db", schema()
    monkeypatch.setattr(storage, "schema", lambda: (*released, NEWER))
    with Journal.open(path) as journal:
        filled(journal, range(40))
    monkeypatch.setattr(storage, "schema", lambda: released)
    data = bytearray(path.read_bytes())
    data[4096:6144] = bytes(2048)
    path.write_bytes(data)

    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
    assert path.with_name("journal.db.schema-3").exists()
