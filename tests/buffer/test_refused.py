"""What the journal keeps of records that the broker will never take."""

import secrets
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from buffer.journal import Journal
from buffer.record import OPERATIONS, PRIORITIES, SECURITY, Draft, Kind, Record
from buffer.refused import SetAside
from tests.buffer.test_schemas import unpacked


def draft(priority: int = SECURITY) -> Draft:
    return Draft(
        id=secrets.token_hex(16), kind=Kind.EVENT, priority=priority, topic="a/b", body=b"{}"
    )


def test_what_is_set_aside_survives_and_is_no_backlog(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        records = journal.append([draft(p) for p in (SECURITY, OPERATIONS, SECURITY)])
        journal.refused.add(records[0], 0x95, "Packet too large")
        journal.refused.add(records[0], 0x95, "Packet too large")
    with Journal.open(path) as journal:
        assert journal.refused.sequences() == {records[0].sequence}
        assert journal.refused.shown(10) == [
            SetAside(sequence=2, topic="a/b", code=0x95, reason="Packet too large")
        ]
        assert (journal.stat().unsent, journal.stat().refused) == ((0, 0, 2, 1, 0), 1)
        assert journal.unsent_counts() == ((0, 0, 1, 1, 0), 3)
        journal.mark_sent(records[1:])
        assert journal.unsent_counts() == ((0, 0, 0, 0, 0), None)
        assert journal.refused.clear() == 1
        assert journal.unsent_counts()[0] == (0, 0, 1, 0, 0)
    with Journal.open(path) as journal:
        assert len(journal.refused) == 0


def test_a_journal_of_an_older_schema_has_nothing_set_aside(tmp_path: Path) -> None:
    with Journal.open(unpacked(1, tmp_path), read_only=True) as journal:
        assert journal.refused.sequences() == frozenset()


def test_what_was_evicted_meanwhile_is_forgotten(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        records = journal.append([draft() for _ in range(101)])
        for record in records[:100]:
            journal.refused.add(record, 0x95, "Packet too large")
        journal._db.execute("DELETE FROM records WHERE sequence <= ?", (records[49].sequence,))
        journal.refused.add(records[100], 0x95, "Packet too large")
        assert len(journal.refused) == 51


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(PRIORITIES), min_size=1, max_size=12), st.data())
def test_the_counts_are_those_of_the_others(priorities: list[int], data: st.DataObject) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal.open(Path(folder) / "j.db") as journal,
    ):
        records = journal.append([draft(p) for p in priorities])
        aside = data.draw(st.sets(st.sampled_from(records)))
        sent = data.draw(st.sets(st.sampled_from(records))) - aside
        for record in aside:
            journal.refused.add(record, 0x90, "Topic name invalid")
        journal.mark_sent(sorted(sent, key=_sequence))
        left = sorted(set(records) - aside - sent, key=_sequence)
        counts, oldest = journal.unsent_counts()

        assert counts == tuple(sum(r.priority == p for r in left) for p in PRIORITIES)
        assert (oldest is None) == (not left)
        assert oldest is None or oldest <= left[0].sequence


def _sequence(record: Record) -> int:
    return record.sequence
