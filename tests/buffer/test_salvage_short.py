"""What a salvage leaves behind for want of room, and the files that it must not take away."""

import secrets
from pathlib import Path

from buffer import storage
from buffer.gap import Gap, plain_gap
from buffer.journal import Journal
from buffer.record import OPERATIONS, TELEMETRY, Draft, Kind


def draft(priority: int) -> Draft:
    own = secrets.token_hex(16)
    return Draft(id=own, kind=Kind.EVENT, priority=priority, topic="t", body=b"x" * 300)


def test_what_was_unsent_and_finds_no_room_is_told_as_a_gap(tmp_path: Path) -> None:
    path, gaps = tmp_path / "journal.db", list[Gap]()

    def gap(told: Gap) -> Draft:
        gaps.append(told)
        return plain_gap(told)

    with Journal.open(path, max_size=8 << 20, gap=gap) as journal:
        for _ in range(60):
            journal.append([draft(OPERATIONS), draft(TELEMETRY)] * 50)
    assert gaps == []
    with Journal.open(path, max_size=2 << 20, gap=gap, distrust="a test") as journal:
        while journal.salvage():
            pass
        left = journal.stat().unsent
    assert 0 < sum(left) < 4000
    for priority in (OPERATIONS, TELEMETRY):
        told = sum(g.count for g in gaps if g.priority == priority)
        assert left[priority] + told == 3000


def test_what_a_newer_file_leaves_takes_no_other_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    newer = path.with_name(f"journal.db.schema-{len(storage.schema())}")
    with Journal.open(newer) as journal:
        journal.append([draft(OPERATIONS)])
    others = [path.with_name(f"journal.db.aside-{number}") for number in (2, 3)]
    for other in others:
        other.write_bytes(b"no journal " * 100)
    while newer.stat().st_ctime_ns <= max(other.stat().st_ctime_ns for other in others):
        newer.chmod(0o600)  # it is the one that was set aside last
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        bodies = [record.body for record in journal.since(0)]
    assert b"x" * 300 in bodies
    assert all(other.read_bytes() == b"no journal " * 100 for other in others)
    assert not newer.exists()
