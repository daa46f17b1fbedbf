"""The journal against a list, against damage, and against a newer version of itself."""

import contextlib
import json
import secrets
import shutil
import sqlite3
import tempfile
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from buffer import storage
from buffer.journal import Journal
from buffer.opening import Opening
from buffer.record import LIFE_SAFETY, OPERATIONS, PRIORITIES, TELEMETRY, Draft, Kind, Record
from buffer.storage import JournalBroken, JournalError, JournalTooNew


def draft(
    body: bytes = b"{}",
    priority: int = TELEMETRY,
    topic: str | None = "t",
    kind: Kind = Kind.EVENT,
) -> Draft:
    return Draft(id=secrets.token_hex(16), kind=kind, priority=priority, topic=topic, body=body)


def numbered(count: int) -> list[Draft]:
    return [draft(b"%d" % n) for n in range(count)]


def kept(journal: Journal) -> list[bytes]:
    return [record.body for record in journal.since(0) if record.topic == "t"]


def test_a_record_comes_back_as_it_was_handed_over(tmp_path: Path) -> None:
    drafts = [
        draft(b"\x00\xff", LIFE_SAFETY, "a/b", Kind.OUTCOME),
        Draft(id="Not hex", kind=Kind.TRACE, priority=3, topic=None, body=b""),
        Draft(id="AB" * 16, kind=Kind.EVENT, priority=0, topic="a/b", body=b"upper case"),
    ]
    with Journal.open(tmp_path / "j.db") as journal:
        appended = journal.append(drafts)
    with Journal.open(tmp_path / "j.db") as journal:
        found = list(journal.since(1))
    assert found == appended
    assert [(r.sequence, r.previous) for r in found] == [(2, None), (3, None), (4, 2)]
    for record, given in zip(found, drafts, strict=True):
        for name in ("id", "kind", "priority", "topic", "body"):
            assert getattr(record, name) == getattr(given, name)


def test_the_chain_is_the_one_of_the_contract(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        first, second = journal.tail(1)[0], journal.append([draft(b"body", LIFE_SAFETY)])[0]
    place = b"\x00\x00\x00\x00\x00\x00\x00\x02" + b"\x00"
    body_hash = bytes.fromhex("230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5")
    assert second.link == sha256(first.link + place + body_hash).digest()


def test_each_record_names_the_published_one_of_its_priority_before_it(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        some = [draft(b"a"), draft(b"b", LIFE_SAFETY), draft(b"c"), draft(b"d", topic=None)]
        records = [*journal.append(some), *journal.append([draft(b"e"), draft(b"f")])]
    assert [record.previous for record in records] == [None, None, 2, 4, 4, 6]


def test_a_short_id_of_hex_digits_stays_text_in_the_file(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        journal.append([Draft(id="ab", kind=Kind.TRACE, priority=4, topic=None, body=b"")])
    with contextlib.closing(sqlite3.connect(tmp_path / "j.db")) as db:
        assert db.execute("SELECT id FROM records WHERE sequence = 2").fetchone() == ("ab",)


def test_a_new_file_begins_by_saying_so(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        (first,) = journal.since(0)
        assert json.loads(first.body) == {
            "signal": "journal.started",
            "journal": journal.id,
            "file": None,
            "sequence": None,
            "link": None,
            "reason": None,
        }
        assert (first.sequence, first.kind, first.topic) == (1, Kind.EVENT, None)


def test_latest_finds_the_last_of_a_kind_even_after_a_restart(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        journal.append([draft(b"one", kind=Kind.SNAPSHOT), draft(b"two", kind=Kind.SNAPSHOT)])
        journal.append(numbered(5000))
        journal.append(numbered(10))
    with Journal.open(tmp_path / "j.db") as journal:
        snapshot = journal.latest(Kind.SNAPSHOT)
        assert snapshot is not None
        assert snapshot.body == b"two"
        assert journal.latest(Kind.GAP) is None


def test_reading_sees_what_a_live_writer_commits(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as writer, Journal.open(path, read_only=True) as reader:
        writer.append([draft(b"new", topic="brand/new")])
        assert reader.tail(1)[0].topic == "brand/new"
        assert reader.stat() == writer.stat()
        with pytest.raises(JournalError, match="readonly"):
            reader.append([draft()])


def test_all_or_nothing_when_the_disk_is_full(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        journal.append(numbered(10))
        before = journal.stat()
        journal._db.execute("PRAGMA max_page_count = 20")
        with pytest.raises(JournalError, match=r"cannot keep 1000 records: .*full"):
            journal.append([draft(bytes(500)) for _ in range(1000)])
        assert kept(journal) == [b"%d" % n for n in range(10)]
        journal._db.execute("PRAGMA max_page_count = 100000")
        journal.append([draft(b"10")])
        assert journal.stat().last == before.last + 1
        assert journal.verify() is None
    with Journal.open(tmp_path / "j.db") as journal:
        assert kept(journal) == [b"%d" % n for n in range(11)]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE records SET body = CAST('12x' AS BLOB) WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET priority = 0 WHERE sequence = 13", (13, "changed")),
        ("UPDATE records SET link = zeroblob(32) WHERE sequence = 13", (13, "changed")),
        ("DELETE FROM records WHERE sequence = 13", (13, "removed")),
        ("DELETE FROM records WHERE sequence < 13", (1, "removed")),
        (
            "UPDATE records SET body = (SELECT body FROM records r WHERE r.sequence ="
            " 27 - records.sequence) WHERE sequence IN (13, 14)",
            (13, "changed"),
        ),
        (
            "UPDATE records SET sequence = sequence + 1000 WHERE sequence = 13;"
            "UPDATE records SET sequence = 13 WHERE sequence = 14;"
            "UPDATE records SET sequence = 14 WHERE sequence = 1013",
            (13, "reordered"),
        ),
        (
            "INSERT INTO records SELECT 102, priority, kind, topic, previous, 'new', link, body"
            " FROM records WHERE sequence = 101",
            (102, "added"),
        ),
        ("INSERT INTO evicted SELECT sequence, 4, link FROM records WHERE sequence = 13", (13, "")),
        ("UPDATE journal SET id = '00000000000000000000000000000000'", (1, "changed")),
    ],
)
def test_verify_names_the_first_record_that_does_not_fit(
    tmp_path: Path, damage: str, found: tuple[int, str]
) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        journal.append(numbered(100))
        assert journal.verify() is None
    with contextlib.closing(sqlite3.connect(tmp_path / "j.db")) as db:
        db.executescript(damage)
    with Journal.open(tmp_path / "j.db", read_only=True) as journal:
        broken = journal.verify()
    assert broken is not None
    assert broken.sequence == found[0]
    assert found[1] in broken.reason


def test_a_newer_file_is_only_looked_at_by_who_may_not_write(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        journal.append(numbered(3))
        journal._db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(JournalTooNew, match="schema 99; this program knows up to 2"):
        Journal.open(path, read_only=True)
    assert path.read_bytes() == before


def rubbish(path: Path) -> None:
    path.write_bytes(b"this was a database once" * 1000)


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def zero_a_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8192 : 8192 + 4096] = bytes(4096)
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def somebody_elses(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (x)")


@pytest.mark.parametrize("damage", [rubbish, short, zero_a_page, truncate, somebody_elses])
def test_a_broken_file_is_set_aside_and_a_new_chain_names_it(
    tmp_path: Path, damage: object
) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        last = journal.append(numbered(500))[-1]
    assert callable(damage)
    damage(path)
    with pytest.raises(JournalBroken):
        Journal.open(path, read_only=True)
    with Journal.open(path) as journal:
        (first,) = [r for r in journal.since(last.sequence) if b"journal.started" in r.body]
        said = json.loads(first.body)
        assert said["journal"] == journal.id
        assert said["file"] == "j.db.aside-1"
        assert said["reason"]
        assert journal.append([draft(b"goes on")])[0].sequence > first.sequence
        while journal.salvage():
            pass
        assert journal.verify() is None
    assert (tmp_path / "j.db.aside-1").exists()


def test_a_distrusted_file_is_named_with_its_last_sequence_and_link(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        last = journal.append(numbered(5))[-1]

    def opening(told: Opening) -> Draft:
        assert told.link == last.link.hex()
        return draft(f"{told.file} {told.sequence} {told.reason}".encode(), OPERATIONS)

    with Journal.open(path, distrust="a page is gone", opening=opening) as journal:
        assert kept(journal) == [b"0", b"1", b"2", b"3", b"4", b"j.db.aside-1 6 a page is gone"]
        assert journal.stat().unsent == (0, 0, 0, 1, 5)


def test_only_the_last_three_broken_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    for _ in range(5):
        Journal.open(path).close()
        path.write_bytes(b"broken" * 1000)
    Journal.open(path).close()
    assert [p.name for p in storage.asides(path)] == [
        "j.db.aside-3",
        "j.db.aside-4",
        "j.db.aside-5",
    ]


def test_a_lost_file_does_not_make_sequences_start_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        journal.append(numbered(100))
    path.unlink()
    with Journal.open(path) as journal:
        assert journal.tail(1)[0].sequence > 101


def test_a_folder_that_is_not_there_is_an_error_and_sets_nothing_aside(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="unable to open"):
        Journal.open(tmp_path / "none" / "j.db")


def test_marks_survive_a_crash_before_they_were_saved_as_repeats_only(tmp_path: Path) -> None:
    path, copy = tmp_path / "j.db", tmp_path / "copy.db"
    with Journal.open(path) as journal:
        records = journal.append(numbered(50))
        journal.mark_sent(records[:20])
        journal.append(numbered(5000))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    with Journal.open(copy) as journal:
        assert journal.stat().unsent == (0, 0, 0, 0, 5030)
        (span,) = journal.unsent()[TELEMETRY]
        found = journal.published(TELEMETRY, span.first, span.last, 3)
        assert [r.body for r in found] == [b"20", b"21", b"22"]


def test_people_can_read_the_file_with_any_sqlite_tool(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        (record,) = journal.append([draft(b'{"a": 1}')])
    with contextlib.closing(sqlite3.connect(tmp_path / "j.db")) as db:
        row = db.execute("SELECT * FROM readable ORDER BY sequence DESC LIMIT 1").fetchone()
    assert row == (2, 4, "event", "t", record.id, '{"a": 1}', record.link.hex())


class JournalAgainstAList(RuleBasedStateMachine):
    """Whatever is appended, sent and reopened, the journal behaves as a list would."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "j.db"
        self.journal = Journal.open(self.path)
        self.records: list[Record] = list(self.journal.since(0))
        self.unsent: dict[int, Record] = {}

    @rule(
        drafts=st.lists(
            st.tuples(
                st.sampled_from(PRIORITIES),
                st.sampled_from([None, "a", "b"]),
                st.sampled_from(Kind),
                st.binary(max_size=20),
            ),
            max_size=8,
        )
    )
    def append(self, drafts: list[tuple[int, str | None, Kind, bytes]]) -> None:
        made = self.journal.append([draft(b, p, t, k) for p, t, k, b in drafts])
        assert [r.body for r in made] == [body for *_, body in drafts]
        self.records += made
        self.unsent |= {r.sequence: r for r in made if r.topic is not None}

    @precondition(lambda self: self.unsent)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(sorted(self.unsent)), max_size=5))
        self.journal.mark_sent([self.unsent[s] for s in some])
        for sequence in some:
            self.unsent.pop(sequence, None)

    @precondition(lambda self: self.unsent)
    @rule()
    def send_while_appending(self) -> None:
        oldest = self.unsent.pop(min(self.unsent))
        (made,) = self.journal.append([draft(b"both")], sent=[oldest])
        self.records.append(made)
        self.unsent[made.sequence] = made

    @rule()
    def begin_lanes(self) -> None:
        self.journal.seal()

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal.open(self.path)

    @rule()
    def crash(self) -> None:
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{self.path}.copy{suffix}")
        with Journal.open(Path(f"{self.path}.copy")) as copy:
            assert list(copy.since(0)) == self.records
            assert self.waiting(copy) == sorted(self.unsent)

    def waiting(self, journal: Journal) -> list[int]:
        found = [
            record.sequence
            for priority, spans in journal.unsent().items()
            for span in spans
            for record in journal.published(priority, span.first, span.last, span.count)
        ]
        for spans in journal.unsent().values():
            assert all(a.last < b.first for a, b in pairwise(spans))
        return sorted(found)

    @invariant()
    def agrees(self) -> None:
        assert list(self.journal.since(0)) == self.records
        assert self.waiting(self.journal) == sorted(self.unsent)
        counts = [sum(r.priority == p for r in self.unsent.values()) for p in PRIORITIES]
        assert self.journal.stat().unsent == tuple(counts)
        assert self.journal.verify() is None
        for kind in Kind:
            last = next((r for r in reversed(self.records) if r.kind is kind), None)
            assert self.journal.latest(kind) == last

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


JournalAgainstAList.TestCase.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None
)
test_the_journal_behaves_as_a_list_would = JournalAgainstAList.TestCase
