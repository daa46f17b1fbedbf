"""A journal broken in every way: what can be read is taken over, the rest is told as lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buffer import storage
from buffer.journal import Journal
from buffer.marks import Spans
from buffer.pages import TABLE, cell, kind_of, places
from buffer.record import (
    OPERATIONS,
    PRIORITIES,
    SECURITY,
    TELEMETRY,
    Draft,
    Kind,
    Record,
)
from buffer.runs import Run, remaining, settled
from buffer.wreck import Wreck
from buffer.writer import Writer


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A journal as files, and what it holds."""

    files: dict[str, bytes]
    """The file and its log, by suffix."""
    records: dict[int, Record]
    ever: dict[int, Record]
    """Those too that had to go: their pages may still be there."""
    unsent: frozenset[int]
    head: int

    def put(self, folder: Path) -> Path:
        path = folder / "journal.db"
        for suffix, data in self.files.items():
            Path(f"{path}{suffix}").write_bytes(data)
        path.with_name("journal.db.reserved").write_text("100001\n")
        return path


def topic_of(_kind: Kind, body: bytes) -> str | None:
    return f"store/{json.loads(body)['n'] % 7}"


def broken(path: Path) -> None:
    """Break the file so that no SQLite opens it."""
    with path.open("r+b") as file:
        file.write(bytes(2048))


def made(folder: Path, *, checkpointed: bool) -> Sample:
    """Return a journal with evicted, folded and unsent records, snapshots and long bodies."""
    dice = random.Random(7)
    path = folder / "journal.db"
    with Journal.open(path, max_size=1 << 20) as journal:
        drafts: list[Draft] = []
        ever = {r.sequence: r for r in journal.since(0)}
        for n in range(1600):
            priority = dice.choices(PRIORITIES, (1, 1, 3, 10, 30))[0]
            kind = Kind.EVENT
            size = dice.randrange(20, 1200)
            if n % 150 == 149:
                kind, priority, size = Kind.SNAPSHOT, TELEMETRY, 9000
            topic = None if kind is Kind.SNAPSHOT else f"store/{n % 7}"
            body = b'{"n":%d,"x":"%s"}' % (n, dice.randbytes(size // 2).hex().encode())
            own = dice.randbytes(16).hex()
            drafts.append(Draft(id=own, kind=kind, priority=priority, topic=topic, body=body))
            if len(drafts) == 16:
                found = journal.append(drafts)
                ever |= {r.sequence: r for r in found}
                journal.mark_sent([r for r in found if r.topic and dice.random() < 0.6])
                drafts = []
        head = journal.head
        records = {r.sequence: r for r in journal.since(0)}
        unsent = frozenset(
            r.sequence
            for p, spans in journal.unsent().items()
            for span in spans
            for r in journal.published(p, span.first, span.last, 10_000)
        )
        assert journal.stat().evicted > 100
        if not checkpointed:
            shutil.copy(path, folder / "copy.db")
            shutil.copy(f"{path}-wal", folder / "copy.db-wal")
    name = "journal.db" if checkpointed else "copy.db"
    suffixes = ("",) if checkpointed else ("", "-wal")
    files = {suffix: (folder / f"{name}{suffix}").read_bytes() for suffix in suffixes}
    return Sample(files=files, records=records, ever=ever, unsent=unsent, head=head)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return made(tmp_path_factory.mktemp("made"), checkpointed=True)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return made(tmp_path_factory.mktemp("logged"), checkpointed=False)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a journal holds once all that could be read was taken over."""

    records: dict[int, Record]
    unsent: frozenset[int]
    started: Record | None
    told: dict[str, object]
    gaps: list[dict[str, int]]


def recovered(path: Path, sample: Sample, *, distrust: str | None = None) -> Outcome:
    """Open what is at `path`, take over what can be, and check what must hold of any outcome."""
    with Journal.open(path, max_size=4 << 20, distrust=distrust, topic_of=topic_of) as journal:
        while journal.salvage():
            pass
        draft = Draft(id="new", kind=Kind.EVENT, priority=TELEMETRY, topic="t", body=b"{}")
        new = journal.append([draft])[-1]
        assert new.sequence > sample.head
        assert journal.verify() is None
        records = {r.sequence: r for r in journal.since(0) if r.sequence <= sample.head}
        for sequence, record in records.items():
            assert record == sample.ever[sequence]
        spans = journal.unsent()
        unsent = frozenset(
            r.sequence
            for p in spans
            for span in spans[p]
            for r in journal.published(p, span.first, span.last, 10_000)
            if r.sequence <= sample.head
        )
        counts, _oldest = journal.unsent_counts()
        assert sum(counts) == sum(span.count for some in spans.values() for span in some)
        assert sample.unsent & records.keys() <= unsent
        own = [json.loads(r.body) for r in journal.since(sample.head) if b'"signal"' in r.body]
        started = [r for r in journal.since(sample.head) if b"journal.started" in r.body]
        stat = journal.stat()
        assert stat.records == len(list(journal.since(0)))
    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
        assert journal.stat().records == stat.records
    return Outcome(
        records=records,
        unsent=unsent,
        started=started[-1] if started else None,
        told=next((o for o in own if o["signal"] == "journal.salvaged"), {}),
        gaps=[o for o in own if o["signal"] == "buffer.gap" and o["reason"] == "damage"],
    )


def pages_of(data: bytes, size: int) -> dict[int, set[int]]:
    """Return the numbers of the records on each page, by page, also of those that reach there."""
    found: dict[int, set[int]] = {}
    for page in range(1, len(data) // size):
        content = data[page * size : (page + 1) * size]
        if kind_of(content, first=False) != TABLE:
            continue
        for at in places(content, first=False):
            row = cell(content, at, first=False)
            if row is None or len(row.types) != 8:
                continue
            found.setdefault(page, set()).add(row.number)
            following, left = row.next, row.size - len(row.local)
            while following:
                found.setdefault(following - 1, set()).add(row.number)
                start = (following - 1) * size
                left -= size - 4
                following = int.from_bytes(data[start : start + 4], "big") if left > 0 else 0
    return found


def test_a_whole_file_that_is_distrusted_is_taken_over_as_it_was(
    tmp_path: Path, sample: Sample
) -> None:
    path = sample.put(tmp_path)
    found = recovered(path, sample, distrust="a page is gone")
    assert found.records == sample.records
    assert found.unsent == sample.unsent
    assert found.gaps == []
    assert found.started is not None
    assert found.told["records"] == len(sample.records)
    assert found.told["lost"] == 0


def test_of_a_file_cut_short_anywhere_what_is_left_is_taken_over(
    tmp_path: Path, sample: Sample
) -> None:
    data = sample.files[""]
    size = int.from_bytes(data[16:18], "big")
    on_page = pages_of(data, size)
    cuts = random.Random(1).sample(range(1, len(data)), 3)
    for n, cut in enumerate([*cuts, 99, size + 1, len(data) - 1]):
        folder = tmp_path / str(n)
        folder.mkdir()
        path = sample.put(folder)
        os.truncate(path, cut)
        found = recovered(path, sample)
        gone = set().union(*(rows for page, rows in on_page.items() if (page + 1) * size > cut))
        assert sample.records.keys() - gone <= found.records.keys(), cut


@pytest.mark.parametrize("fill", ["zeros", "noise"])
def test_of_a_file_with_a_bad_page_only_what_was_on_it_is_gone(
    tmp_path: Path, sample: Sample, fill: str
) -> None:
    data = sample.files[""]
    size = int.from_bytes(data[16:18], "big")
    on_page = pages_of(data, size)
    dice = random.Random(2)
    pages = [*range(3), *dice.sample(range(3, len(data) // size), 3)]
    for page in pages:
        folder = tmp_path / str(page)
        folder.mkdir()
        path = sample.put(folder)
        with path.open("r+b") as file:
            file.seek(page * size)
            file.write(bytes(size) if fill == "zeros" else dice.randbytes(size))
        found = recovered(path, sample, distrust="a bad page")
        lost = sample.records.keys() - found.records.keys()
        assert lost <= on_page.get(page, set()), page
        assert sum(int(gap["count"]) for gap in found.gaps) >= len(
            [n for n in lost if n < max(found.records)]
        )


def test_every_bit_that_flips_costs_one_record_at_most_and_none_comes_out_changed(
    tmp_path: Path, sample: Sample
) -> None:
    dice = random.Random(3)
    path = sample.put(tmp_path)
    whole = sample.files[""]
    for _ in range(8):
        data = bytearray(whole)
        for _ in range(4):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        with Wreck(path, below=sample.head + 1) as wreck:
            for entries, _ in wreck.entries():
                for entry in entries:
                    if entry.table == "records" and entry.first in sample.records:
                        assert entry.columns[7] == sample.records[entry.first].body or (
                            entry.first - 1 not in sample.records
                        )


def test_a_log_cut_short_anywhere_costs_only_what_was_in_the_rest(
    tmp_path: Path, logged: Sample
) -> None:
    log = logged.files["-wal"]
    assert len(log) > 100_000
    for n, cut in enumerate([*random.Random(4).sample(range(len(log)), 4), 0, 31, 33]):
        folder = tmp_path / str(n)
        folder.mkdir()
        path = logged.put(folder)
        os.truncate(f"{path}-wal", cut)
        with Journal.open(path) as journal:
            found = {r.sequence: r for r in journal.since(0)}
            assert journal.verify() is None
            assert [found[s] for s in found if s in logged.records] == [
                logged.records[s] for s in found if s in logged.records
            ]


def test_a_log_without_its_file_is_taken_over(tmp_path: Path, logged: Sample) -> None:
    path = logged.put(tmp_path)
    path.unlink()
    found = recovered(path, logged)
    assert len(found.records) > 50
    assert found.started is not None
    assert "its log is still there" in str(json.loads(found.started.body)["reason"])


def test_rows_that_reach_over_pages_of_the_log_are_taken_over_whole(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    body = random.Random(5).randbytes(9000)
    long = Draft(id="long", kind=Kind.SNAPSHOT, priority=TELEMETRY, topic=None, body=body)
    with Journal.open(path) as journal:
        (record,) = journal.append([long])
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    with Journal.open(copy, distrust="to see") as journal:
        assert journal.latest(Kind.SNAPSHOT) == record


@pytest.mark.parametrize("size", [2048, 4096])
def test_pages_whose_size_nothing_tells_are_read_all(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA page_size = {size}")
        db.execute("PRAGMA application_id = 0")
        db.execute("VACUUM")
    with Journal.open(path) as journal:
        for n in range(0, 1000, 50):
            drafts = [
                Draft(id=f"{m}", kind=Kind.EVENT, priority=TELEMETRY, topic="t", body=bytes(300))
                for m in range(n, n + 50)
            ]
            journal.append(drafts)
    assert int.from_bytes(path.read_bytes()[16:18], "big") == size
    broken(path)
    with Wreck(path) as wreck:
        assert wreck.page_size == size
        assert sum(len(entries) for entries, _ in wreck.entries()) == 1001


def test_an_empty_file_beside_a_log_is_taken_for_a_loss(tmp_path: Path, logged: Sample) -> None:
    path = logged.put(tmp_path)
    path.write_bytes(b"")
    assert len(recovered(path, logged).records) > 50


def test_a_log_with_a_bad_frame_costs_that_frame_only_where_the_file_is_distrusted(
    tmp_path: Path, logged: Sample
) -> None:
    path = logged.put(tmp_path)
    with Path(f"{path}-wal").open("r+b") as file:
        file.seek(32 + 5 * (24 + 2048) + 100)
        file.write(bytes(500))
    found = recovered(path, logged, distrust="a bad frame")
    assert len(logged.records.keys() - found.records.keys()) <= 40
    assert max(found.records) == logged.head


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("kept")


def text(path: Path) -> None:
    path.write_text("Dear all,\n" * 100)


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (x)")


def nothing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (directory, "is not a file"),
        (text, "file is not a database"),
        (foreign, "it is not a journal"),
        (nothing, "is missing"),
        (empty, "is empty"),
    ],
)
def test_what_is_no_journal_is_set_aside_and_never_used_as_one(
    tmp_path: Path, sample: Sample, put: Callable[[Path], None], why: str
) -> None:
    path = sample.put(tmp_path)
    Journal.open(path).close()
    put(path)
    found = recovered(path, sample)
    assert found.started is not None
    assert why in json.loads(found.started.body)["reason"]
    assert found.records == {}
    if put is directory:
        assert (tmp_path / "journal.db.aside-1" / "mine").read_text() == "kept"


def test_the_last_snapshot_and_what_followed_is_there_as_soon_as_it_is_open(
    tmp_path: Path, sample: Sample
) -> None:
    path = sample.put(tmp_path)
    broken(path)
    with Journal.open(path) as journal:
        snapshot = journal.latest(Kind.SNAPSHOT)
        newest = max(s for s, r in sample.records.items() if r.kind is Kind.SNAPSHOT)
        assert snapshot == sample.records[newest]
        after = [r for r in journal.since(newest) if r.sequence <= sample.head]
        assert after == [sample.records[s] for s in sorted(sample.records) if s > newest]


def test_a_salvage_cut_off_anywhere_goes_on_where_it_was(tmp_path: Path, sample: Sample) -> None:
    path = sample.put(tmp_path)
    broken(path)
    for _ in range(50):
        with Journal.open(path, max_size=4 << 20) as journal:
            if not all(journal.salvage() for _ in range(4)):
                break
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", tmp_path / f"copy{suffix}")
        # As a kill leaves it: without what closing does.
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"copy{suffix}", f"{path}{suffix}")
    found = recovered(path, sample)
    assert found.records == sample.records
    assert found.unsent >= sample.unsent


def test_a_second_damage_before_the_first_is_over_loses_neither(
    tmp_path: Path, sample: Sample
) -> None:
    path = sample.put(tmp_path)
    broken(path)
    Journal.open(path, max_size=4 << 20).close()
    broken(path)
    found = recovered(path, sample)
    assert found.records == sample.records
    assert len(storage.asides(path)) == 2


def test_where_room_is_short_what_matters_more_is_taken_over_and_the_size_is_kept(
    tmp_path: Path, sample: Sample
) -> None:
    path = sample.put(tmp_path)
    broken(path)
    live = [
        Draft(id=f"live {n}", kind=Kind.EVENT, priority=OPERATIONS, topic="t", body=bytes(1000))
        for n in range(200)
    ]
    with Journal.open(path, max_size=1 << 20, topic_of=topic_of) as journal:
        for n in range(0, 200, 10):
            journal.append(live[n : n + 10])
        kept = [r for r in journal.since(0) if r.id.startswith("live")]
        while journal.salvage():
            assert path.stat().st_size + Path(f"{path}-wal").stat().st_size < 1 << 20
        assert journal.verify() is None
        found = {r.sequence: r for r in journal.since(0)}
        for sequence, record in sample.records.items():
            if record.priority <= SECURITY:
                assert found[sequence] == record
        assert len(found.keys() & sample.records.keys()) < len(sample.records)
        assert [r for r in found.values() if r.id.startswith("live")] == kept
        assert kept


def test_what_was_taken_over_does_not_take_the_disk_twice(tmp_path: Path, sample: Sample) -> None:
    path = sample.put(tmp_path)
    broken(path)
    before = path.stat().st_blocks
    recovered(path, sample)
    (aside,) = storage.asides(path)
    assert aside.stat().st_blocks < before / 3


def test_where_no_mark_is_left_all_is_sent_again(tmp_path: Path, sample: Sample) -> None:
    path = sample.put(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM unsent")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = recovered(path, sample, distrust="no marks")
    published = {s for s, r in found.records.items() if r.topic is not None}
    assert found.unsent == published


def test_a_newer_file_is_taken_over_by_who_comes_back_to_it(
    tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample.put(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(storage.schema()) + 1}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    newer = path.with_name(f"journal.db.schema-{len(storage.schema()) + 1}")
    found = recovered(path, sample)
    assert found.records == sample.records
    before = newer.read_bytes()
    recovered(path, sample)
    assert newer.read_bytes() == before
    later = [*storage.schema(), "CREATE TABLE later (x INTEGER);"]
    monkeypatch.setattr(storage, "schema", lambda: later)
    found = recovered(path, sample)
    assert found.records == sample.records
    assert not newer.exists()
    assert len(storage.asides(path)) == 1


def test_a_file_that_is_removed_while_open_is_saved_from_what_is_open(
    tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.recovery._LOOK_EVERY", 0.0)
    path = sample.put(tmp_path)
    with Journal.open(path) as journal:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink()
        draft = Draft(id="lost", kind=Kind.EVENT, priority=SECURITY, topic="t", body=b"{}")
        with pytest.raises(storage.JournalError, match="was removed or replaced"):
            journal.append([draft])
    found = recovered(path, sample)
    assert found.records == sample.records
    assert found.unsent == sample.unsent


@given(st.lists(st.integers(1, 60), unique=True), st.lists(st.integers(1, 60), unique=True))
@settings(max_examples=60, deadline=None)
def test_what_remains_lost_is_what_was_not_found(lost: list[int], found: list[int]) -> None:
    runs = [Run(n, n, "f") for n in sorted(lost)]
    some = sorted(set(lost) & set(found))
    left = remaining(runs, [(n, n) for n in some])
    assert [n for run in left for n in range(run.first, run.last + 1)] == sorted(
        set(lost) - set(some)
    )


def test_runs_keep_the_file_they_may_be_found_in() -> None:
    assert remaining([Run(1, 10, "a")], [(3, 4), (10, 10)]) == [Run(1, 2, "a"), Run(5, 9, "a")]
    before = [Run(4, 5, "old"), Run(9, 30, None)]
    assert settled(Run(1, 10, "a"), before) == [
        Run(1, 3, "a"),
        Run(4, 5, "old"),
        Run(6, 8, "a"),
        Run(9, 10, None),
    ]


@given(st.binary(max_size=6000), st.integers(0, 3))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_at_all_stop_an_opening(tmp_path: Path, data: bytes, where: int) -> None:
    path = tmp_path / "any.db"
    head = b"SQLite format 3\0\x08\x00" if where & 1 else b""
    path.write_bytes(head + data)
    Path(f"{path}-wal").write_bytes(data if where & 2 else b"")
    with Wreck(path) as wreck:
        for entries, _ in wreck.entries():
            assert entries is not None


def test_what_is_unsent_goes_up_from_a_broken_journal(tmp_path: Path, sample: Sample) -> None:
    path = sample.put(tmp_path)
    broken(path)

    async def main() -> tuple[Spans, int]:
        async with Writer.open(path, max_size=4 << 20, topic_of=topic_of) as writer:
            return await writer.begin_lanes()

    spans, _head = asyncio.run(main())
    assert sum(span.count for some in spans.values() for span in some) >= len(sample.unsent)


def test_another_users_file_is_opened_up_or_set_aside(sample: Sample) -> None:
    if os.geteuid():
        pytest.skip("to be two users takes root")
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:
        path = sample.put(Path(name))
        os.chown(name, nobody, nobody)
        os.chown(path, nobody, nobody)
        path.chmod(0)
        os.seteuid(nobody)
        try:
            assert storage.obstacle(path) is None
            assert path.stat().st_mode & 0o777 == 0o600
        finally:
            os.seteuid(0)
        os.chown(path, 0, 0)
        os.seteuid(nobody)
        try:
            found = recovered(path, sample)
        finally:
            os.seteuid(0)
        assert found.started is not None
        assert "belongs to somebody else" in json.loads(found.started.body)["reason"]
        path.with_name("journal.db.aside-1").chmod(0o644)
        again = recovered(path, sample)
        assert again.records == sample.records
