"""A file that was cut is told from one that gave its space back."""

import os
import secrets
from pathlib import Path

import pytest

from buffer.journal import Journal
from buffer.record import TELEMETRY, Draft, Kind
from buffer.storage import JournalCut

MB = 1 << 20


def filled(path: Path) -> int:
    with Journal.open(path, max_size=4 * MB) as journal:
        for _ in range(100):
            own = [secrets.token_hex(16) for _ in range(50)]
            journal.append(
                [
                    Draft(id=n, kind=Kind.EVENT, priority=TELEMETRY, topic="t", body=b"x" * 300)
                    for n in own
                ]
            )
    return path.stat().st_size


def test_a_file_that_gives_space_back_is_not_taken_for_one_that_was_cut(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    before = filled(path)
    with Journal.open(path, max_size=2 * MB) as journal:
        sizes = [before]
        wait = 0.0
        while not wait:
            wait, _ = journal.tidy()
            journal.recovery.check_place(0.0)
            sizes.append(path.stat().st_size)
        assert sizes[-1] < before * 3 // 4
        assert len(set(sizes)) > 1
        assert journal.verify() is None


def test_a_file_that_loses_one_page_is_found_at_the_next_look(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    size = filled(path)
    with Journal.open(path) as journal:
        os.truncate(path, size - 2048)
        with pytest.raises(JournalCut, match=f"was cut from {size} to {size - 2048} bytes"):
            journal.recovery.check_place(0.0)
