"""A journal whose values are none: set aside, gone on from, and nobody's end."""

import asyncio
import secrets
import sqlite3
from pathlib import Path

import pytest

from buffer import storage
from buffer.journal import Journal
from buffer.proof_rows import examine
from buffer.record import OPERATIONS, PRIORITIES, Draft, Kind
from buffer.storage import JournalBroken
from buffer.writer import Writer

LIMIT = 30.0
"""Real seconds that anything may take on a loaded machine."""


def draft(body: bytes, priority: int = OPERATIONS) -> Draft:
    return Draft(id=secrets.token_hex(16), kind=Kind.EVENT, priority=priority, topic="t", body=body)


def journal_with(path: Path, statement: str) -> None:
    with Journal.open(path, max_size=16 << 20) as journal:
        for n in range(20):
            journal.append([draft(b"%d" % n, priority) for priority in PRIORITIES])
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


AT_ONCE = [
    "UPDATE counters SET value = 'x'",
    "UPDATE unsent SET count = 'x'",
    "UPDATE journal SET first = 'x'",
    "UPDATE topics SET name = CAST(x'ff61' AS TEXT)",
    "INSERT INTO evicted VALUES (2000, 300, x'00')",
]
"""Found by whoever opens the file."""
LATER = [
    "UPDATE records SET kind = 99 WHERE sequence = 50",
    "UPDATE records SET topic = 99 WHERE sequence = 50",
]
"""Found by whoever reads the record."""


@pytest.mark.parametrize("statement", AT_ONCE)
def test_a_file_that_holds_nonsense_is_set_aside_and_recorded_into_anew(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "journal.db"
    journal_with(path, statement)

    async def main() -> None:
        async with asyncio.timeout(LIMIT), Writer.open(path, max_size=16 << 20) as writer:
            writer.keep(draft(b"after"))
            await writer.flush()
            assert writer.stats.error is None

    asyncio.run(main())
    with Journal.open(path, read_only=True) as journal:
        bodies = [record.body for record in journal.since(0)]
    assert bodies.count(b"after") == 1
    assert (tmp_path / "journal.db.aside-1").exists()


@pytest.mark.parametrize("statement", LATER)
def test_a_record_that_is_none_does_not_hide_those_beside_it_for_long(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "journal.db"
    journal_with(path, statement)

    async def main() -> list[bytes]:
        async with asyncio.timeout(LIMIT), Writer.open(path, max_size=16 << 20) as writer:
            while True:
                try:
                    found = await writer.call(lambda journal: list(journal.since(0)))
                except storage.JournalError:
                    await asyncio.sleep(0.1)
                else:
                    return [record.body for record in found]

    bodies = asyncio.run(main())
    assert bodies.count(b"3") == 5
    assert bodies.count(b"12") == 5


def test_whoever_verifies_is_told_of_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal_with(path, "INSERT INTO folded VALUES (1, 'x', 'y', NULL, NULL)")
    db = sqlite3.connect(path)
    with pytest.raises(JournalBroken, match="cannot verify"):
        examine(db)
    db.close()


def test_each_journal_of_a_newer_version_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for number in range(4):
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA application_id = {storage.APPLICATION}")
        db.execute("CREATE TABLE told (number)")
        db.execute("INSERT INTO told VALUES (?)", (number,))
        db.execute("PRAGMA user_version = 9")
        db.commit()
        db.close()
        storage.set_aside(path)
    kept = sorted(tmp_path.glob("journal.db.schema-9*"))
    found = []
    for file in kept:
        db = sqlite3.connect(file)
        found += db.execute("SELECT number FROM told").fetchall()
        db.close()
    assert sorted(found) == [(0,), (1,), (2,), (3,)]


def test_a_full_journal_that_turns_to_noise_in_use_does_not_end_the_writer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"

    async def main() -> None:
        async with asyncio.timeout(2 * LIMIT), Writer.open(path, max_size=2 << 20) as writer:
            for _ in range(6000):
                writer.keep(draft(b"x" * 300))
            await writer.flush()
            for suffix in ("", "-wal", "-shm"):
                part = Path(f"{path}{suffix}")
                with part.open("r+b") as file:
                    file.write(bytes([0xA5]) * part.stat().st_size)
            for n in range(200):
                writer.keep(draft(b"after %d" % n))
                await asyncio.sleep(0.01)
            await writer.flush()

    asyncio.run(main())
    with Journal.open(path, read_only=True) as journal:
        bodies = [record.body for record in journal.since(0)]
    assert [b for b in bodies if b.startswith(b"after")] == [b"after %d" % n for n in range(200)]
