"""A journal of every schema that was ever released opens, whole, in this version."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from buffer.journal import Journal
from buffer.record import TELEMETRY, Draft, Kind
from buffer.storage import schema

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
