"""The writer: everything kept is committed, nobody waits for the disk, and refusal is survived."""

import asyncio
import secrets
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from buffer import committer
from buffer.journal import Journal
from buffer.record import (
    LIFE_SAFETY,
    OPERATIONS,
    PERSONAL_SAFETY,
    SECURITY,
    TELEMETRY,
    Draft,
    Kind,
    Record,
)
from buffer.storage import JournalError
from buffer.writer import Writer

LIMIT = 20.0
"""Real seconds that anything may take on a loaded machine."""


def draft(priority: int = TELEMETRY, body: bytes = b"{}") -> Draft:
    return Draft(id=secrets.token_hex(16), kind=Kind.EVENT, priority=priority, topic="t", body=body)


def numbered(count: int, priority: int = TELEMETRY) -> list[Draft]:
    return [draft(priority, b"%d" % n) for n in range(count)]


def bodies(path: Path) -> list[bytes]:
    with Journal.open(path, read_only=True) as journal:
        return [r.body for r in journal.since(0) if r.topic == "t"]


def test_what_was_kept_is_committed_in_order_when_the_block_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            for d in numbered(500):
                writer.keep(d)

    asyncio.run(main())
    assert bodies(tmp_path / "journal.db") == [b"%d" % n for n in range(500)]


def test_flush_returns_when_all_kept_so_far_is_on_disk(tmp_path: Path) -> None:
    async def main() -> tuple[int, list[bytes]]:
        async with Writer.open(tmp_path / "journal.db", max_wait=0.01) as writer:
            for d in numbered(300):
                writer.keep(d)
            await writer.flush()
            return writer.stats.pending, bodies(tmp_path / "journal.db")

    assert asyncio.run(main()) == (0, [b"%d" % n for n in range(300)])


def test_followers_get_every_record_once_in_order(tmp_path: Path) -> None:
    async def main() -> list[int]:
        async with Writer.open(tmp_path / "journal.db") as writer:
            seen: list[Record] = []
            writer.follow(seen.extend)
            for d in numbered(200):
                writer.keep(d)
                await asyncio.sleep(0)
            await writer.flush()
            return [record.sequence for record in seen]

    assert asyncio.run(main()) == list(range(2, 202))


def test_an_urgent_record_takes_along_what_waits(tmp_path: Path) -> None:
    async def main() -> list[int]:
        commits: list[int] = []
        async with Writer.open(
            tmp_path / "journal.db",
            max_wait=3600,
            observe_commit=lambda _seconds, records: commits.append(records),
        ) as writer:
            for d in numbered(80):
                writer.keep(d)
            head = writer.head
            writer.keep(draft(LIFE_SAFETY))
            async with asyncio.timeout(LIMIT):
                while (head := await writer.changed(head)) < 82:
                    pass
        return commits

    assert sum(asyncio.run(main())) == 81


def test_a_lone_record_of_telemetry_waits_for_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db", max_wait=3600) as writer:
            for _ in range(3):
                writer.keep(draft(TELEMETRY))
                await asyncio.wait_for(writer.flush(), LIMIT)

    asyncio.run(main())


@pytest.mark.parametrize("priority", [LIFE_SAFETY, PERSONAL_SAFETY, SECURITY])
def test_what_matters_waits_for_one_commit_at_most_and_its_own_takes_all(
    tmp_path: Path, priority: int
) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    async def main() -> list[int]:
        commits: list[int] = []
        async with Writer.open(
            tmp_path / "journal.db",
            max_wait=3600,
            observe_commit=lambda _seconds, records: commits.append(records),
        ) as writer:
            await writer.changed(0)
            await writer.call(lambda journal: hang_in_the_next_commit(journal, under_way, go_on))
            writer.keep(draft())
            await asyncio.to_thread(under_way.wait, LIMIT)
            for d in numbered(500):
                writer.keep(d)
            writer.keep(draft(priority))
            go_on.set()
            await asyncio.wait_for(writer.flush(), LIMIT)
        return commits

    assert asyncio.run(main()) == [1, 501]


def unsent_on_disk(path: Path) -> int:
    with Journal.open(path, read_only=True) as journal:
        return sum(journal.stat().unsent)


def test_marks_of_what_was_sent_are_saved_together_a_little_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    async def main() -> None:
        async with Writer.open(path) as writer:
            seen: list[Record] = []
            writer.follow(seen.extend)
            writer.keep(*numbered(3))
            await writer.flush()
            for record in seen:
                writer.mark_sent(record)
            async with asyncio.timeout(LIMIT):
                while unsent_on_disk(path) or any(writer.stats.unsent):
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_commit_takes_no_mark_along_before_it_is_due_but_the_journal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "MARKS_WAIT", 3600.0)
    path = tmp_path / "journal.db"

    async def main() -> None:
        async with Writer.open(path, max_wait=0.01) as writer:
            seen: list[Record] = []
            writer.follow(seen.extend)
            writer.keep(*numbered(3))
            await writer.flush()
            for record in seen:
                writer.mark_sent(record)
            writer.keep(draft(OPERATIONS))
            await writer.flush()
            assert writer.stats.unsent == (0, 0, 0, 1, 0)
            assert unsent_on_disk(path) == 4
            await writer.call(lose_the_file_in_the_next_commit)
            writer.keep(draft(OPERATIONS))
            await writer.flush()
            writer.keep(draft(OPERATIONS))
            await writer.flush()
            assert writer.stats.unsent == (0, 0, 0, 3, 0)

    asyncio.run(main())
    assert unsent_on_disk(path) == 3


def test_a_thousand_marks_are_saved_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "MARKS_WAIT", 3600.0)
    path = tmp_path / "journal.db"

    async def main() -> None:
        async with Writer.open(path, max_wait=0.01) as writer:
            seen: list[Record] = []
            writer.follow(seen.extend)
            writer.keep(*numbered(1001))
            await writer.flush()
            for record in seen[:999]:
                writer.mark_sent(record)
            await writer.call(lambda journal: journal.head)
            assert unsent_on_disk(path) == 1001
            writer.mark_sent(seen[999])
            async with asyncio.timeout(LIMIT):
                while unsent_on_disk(path) != 1:
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_changed_waits_for_the_next_commit(tmp_path: Path) -> None:
    async def main() -> int:
        async with Writer.open(tmp_path / "journal.db") as writer:
            first = await writer.changed(0)
            waiting = asyncio.create_task(writer.changed(first))
            writer.keep(draft(OPERATIONS))
            return await asyncio.wait_for(waiting, LIMIT)

    assert asyncio.run(main()) == 2


def test_readers_see_what_is_committed_and_errors_come_back(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with Writer.open(tmp_path / "journal.db") as writer:
            writer.keep(draft(body=b"seen"))
            await writer.flush()
            assert writer.stats.pending == 0
            with pytest.raises(ZeroDivisionError):
                await writer.call(lambda _: 1 // 0)
            last = await writer.read(lambda journal: journal.tail(1)[0])
            same = await writer.call(lambda journal: journal.tail(1)[0])
            assert last == same
            return last.body

    assert asyncio.run(main()) == b"seen"


def test_a_full_disk_loses_nothing_while_memory_lasts(tmp_path: Path) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            await writer.call(lambda journal: limit_pages(journal, 20))
            for d in numbered(400):
                writer.keep(draft(d.priority, d.body.ljust(400)))
            async with asyncio.timeout(LIMIT):
                while writer.stats.error is None:
                    await asyncio.sleep(0.01)
            assert "full" in writer.stats.error
            await writer.flush()
            assert writer.stats.lost == (0, 0, 0, 0, 0)

    asyncio.run(main())
    assert [b.strip() for b in bodies(tmp_path / "journal.db")] == [b"%d" % n for n in range(400)]


def test_while_the_disk_refuses_telemetry_goes_first_and_the_loss_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "not yet there"
    path = folder / "journal.db"

    async def main() -> tuple[int, ...]:
        async with Writer.open(path, limit=100) as writer:
            writer.keep(draft(LIFE_SAFETY, b"fire"))
            for d in numbered(149):
                writer.keep(d)
            with pytest.raises(JournalError):
                await writer.call(lambda journal: journal.head)
            assert writer.stats.error is not None
            folder.mkdir()
            await writer.flush()
            assert writer.stats.error is None
            return writer.stats.lost

    lost = asyncio.run(main())
    kept = bodies(path)
    assert kept[0] == b"fire"
    assert kept[-1] == b"148"
    assert len(kept) == 150 - sum(lost)
    assert lost[:4] == (0, 0, 0, 0)
    with Journal.open(path, read_only=True) as journal:
        gap = journal.latest(Kind.GAP)
    assert gap is not None
    assert b'"reason": "disk"' in gap.body
    assert b'"count": %d' % lost[4] in gap.body


def test_a_commit_that_reached_the_disk_though_it_failed_is_not_written_twice(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db", max_wait=0.01) as writer:
            await writer.changed(0)
            await writer.call(fail_after_the_next_commit)
            for d in numbered(10):
                writer.keep(d)
            await writer.flush()

    asyncio.run(main())
    assert bodies(tmp_path / "journal.db") == [b"%d" % n for n in range(10)]


def test_a_file_that_breaks_while_in_use_is_set_aside_and_nothing_kept_is_lost(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            for d in numbered(50):
                writer.keep(d)
            await writer.flush()
            await writer.call(break_the_next_append)
            writer.keep(draft(body=b"after"))
            await writer.flush()

    asyncio.run(main())
    assert bodies(tmp_path / "journal.db") == [*(b"%d" % n for n in range(50)), b"after"]
    assert (tmp_path / "journal.db.aside-1").exists()


def test_keeping_never_waits_for_a_disk_that_hangs(tmp_path: Path) -> None:
    async def main() -> float:
        async with Writer.open(tmp_path / "journal.db", limit=100) as writer:
            await writer.changed(0)
            with sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                begun = time.perf_counter()
                for d in numbered(1000):
                    writer.keep(d)
                took = time.perf_counter() - begun
                other.execute("ROLLBACK")
            other.close()
            return took

    assert asyncio.run(main()) < 1.0


def test_a_newer_file_is_kept_as_it_is_and_the_house_goes_on_with_what_it_has(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal.append(numbered(10))
        journal._db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()

    async def main() -> None:
        async with Writer.open(path) as writer:
            writer.keep(draft(body=b"after"))
            await writer.flush()
            assert writer.stats.error is None

    asyncio.run(main())
    assert bodies(path) == [*(b"%d" % n for n in range(10)), b"after"]
    assert path.with_name("journal.db.schema-99").read_bytes() == before


def test_the_size_given_is_kept_to(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    async def main() -> None:
        async with Writer.open(path, max_size=1 << 20) as writer:
            for d in numbered(6000):
                writer.keep(draft(d.priority, d.body.ljust(300)))
            await writer.flush()

    asyncio.run(main())
    assert path.stat().st_size < 1 << 20
    assert bodies(path)[-1].strip() == b"5999"


def limit_pages(journal: Journal, pages: int) -> None:
    journal._db.execute(f"PRAGMA max_page_count = {pages}")


def fail_after_the_next_commit(journal: Journal) -> None:
    honest = journal.append

    def append(*arguments: object, **named: object) -> list[Record]:
        honest(*arguments, **named)  # type: ignore[arg-type]
        raise JournalError("the sync failed")

    journal.append = append  # type: ignore[method-assign]


def lose_the_file_in_the_next_commit(journal: Journal) -> None:
    def append(*_arguments: object, **_named: object) -> list[Record]:
        journal._db.close()
        raise JournalError("the disk is gone")

    journal.append = append  # type: ignore[method-assign]


def hang_in_the_next_commit(
    journal: Journal, under_way: threading.Event, go_on: threading.Event
) -> None:
    honest = journal.append

    def append(*arguments: object, **named: object) -> list[Record]:
        journal.append = honest  # type: ignore[method-assign]
        records = honest(*arguments, **named)  # type: ignore[arg-type]
        under_way.set()
        go_on.wait(LIMIT)
        return records

    journal.append = append  # type: ignore[method-assign]


def break_the_next_append(journal: Journal) -> None:
    journal._db.execute("PRAGMA writable_schema = ON")
    journal._db.execute("UPDATE sqlite_schema SET rootpage = 100000 WHERE name = 'records'")
    journal._db.execute("PRAGMA writable_schema = RESET")
