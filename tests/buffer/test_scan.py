"""Reading a journal from its newest record back."""

from __future__ import annotations

from pathlib import Path

from buffer.journal import Journal
from buffer.record import TELEMETRY, Draft, Kind
from buffer.rows import KINDS
from buffer.scan import BATCH, Scan


def draft(number: int, kind: Kind, body: str) -> Draft:
    return Draft(id=f"{number:032x}", kind=kind, priority=TELEMETRY, topic=None, body=body.encode())


def test_records_come_newest_first_of_the_kinds_and_with_the_mark_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    kinds = (Kind.TRACE, Kind.EVENT, Kind.TRACE, Kind.DECISION)
    with Journal.open(path) as journal:
        journal.append([draft(n, kinds[n % 4], f"rule {n % 3}") for n in range(12)])
    with Scan(path) as scan:
        found = list(scan.backwards(scan.first, scan.last, (Kind.TRACE,)))
        assert [row.sequence for row in found] == [12, 10, 8, 6, 4, 2]
        assert {KINDS[row.kind] for row in found} == {Kind.TRACE}
        one = scan.backwards(3, 12, (Kind.TRACE, Kind.DECISION), mark=b"rule 0")
        assert [row.body for row in one] == [b"rule 0"] * 2


def test_a_journal_longer_than_a_batch_is_read_to_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        journal.append([draft(0, Kind.TRACE, "first")])
        journal.append([draft(n, Kind.EVENT, "noise") for n in range(1, BATCH + 2)])
        journal.append([draft(BATCH + 2, Kind.TRACE, "last")])
    with Scan(path) as scan:
        found = [row.body for row in scan.backwards(scan.first, scan.last, (Kind.TRACE,))]
    assert found == [b"last", b"first"]
