"""How long records stay: by the engine's time, whatever the wall clock says."""

import json
import secrets
from pathlib import Path

from buffer.journal import Journal
from buffer.record import LIFE_SAFETY, PRIORITIES, TELEMETRY, Draft, Kind

MB = 1 << 20
HOUR, DAY = 3600.0, 86400.0


class Tick:
    """The engine's time, moved by hand."""

    def __init__(self) -> None:
        self.now: float | None = None

    def __call__(self) -> float | None:
        return self.now


def drafts(
    count: int, priority: int, kind: Kind = Kind.EVENT, topic: str | None = "t"
) -> list[Draft]:
    return [
        Draft(id=secrets.token_hex(16), kind=kind, priority=priority, topic=topic, body=bytes(100))
        for _ in range(count)
    ]


def opened(path: Path, tick: Tick, *, size: int = 16 * MB) -> Journal:
    return Journal.open(path, max_size=size, keep=3 * DAY, tick=tick)


def tidy(journal: Journal) -> float:
    while not (wait := journal.tidy()[0]):
        pass
    return wait


def pass_days(journal: Journal, tick: Tick, days: float) -> None:
    for _ in range(round(days * 24)):
        tick.now = (tick.now or 0.0) + HOUR
        tidy(journal)


def test_what_is_older_than_keep_goes_and_what_left_unsent_is_told(tmp_path: Path) -> None:
    tick = Tick()
    tick.now = 1000.0
    with opened(tmp_path / "j.db", tick) as journal:
        old = [r for p in PRIORITIES for r in journal.append(drafts(300, p))]
        journal.mark_sent([r for r in old if r.priority == LIFE_SAFETY])
        pass_days(journal, tick, 2)
        young = journal.append(drafts(100, TELEMETRY))
        assert journal.stat().evicted == 0
        pass_days(journal, tick, 1.1)
        left = [r for r in journal.since(0) if r.kind is not Kind.GAP]
        assert [r.sequence for r in left] == [r.sequence for r in young]
        gaps = [json.loads(r.body) for r in journal.since(0) if r.kind is Kind.GAP]
        assert {gap["reason"] for gap in gaps} == {"age"}
        told = {p: sum(g["count"] for g in gaps if g["priority"] == p) for p in PRIORITIES}
        assert told == {0: 0, 1: 300, 2: 300, 3: 300, 4: 300}
        assert journal.verify() is None


def test_the_last_snapshot_and_what_came_after_it_never_get_too_old(tmp_path: Path) -> None:
    tick = Tick()
    tick.now = 0.0
    with opened(tmp_path / "j.db", tick) as journal:
        journal.append(drafts(50, TELEMETRY))
        (snapshot,) = journal.append(drafts(1, TELEMETRY, Kind.SNAPSHOT, None))
        after = journal.append(drafts(10, TELEMETRY))
        pass_days(journal, tick, 5)
        left = [r.sequence for r in journal.since(0) if r.kind is not Kind.GAP]
    assert left == [snapshot.sequence, *(r.sequence for r in after)]


def test_a_leap_of_time_between_two_runs_purges_nothing(tmp_path: Path) -> None:
    tick = Tick()
    for now in (1e6, 1e6 + 2 * DAY, 5.0, 1e12, 10.0):
        tick.now = now
        with opened(tmp_path / "j.db", tick) as journal:
            journal.append(drafts(1, TELEMETRY))
            tidy(journal)
            assert journal.stat().evicted == 0
    with opened(tmp_path / "j.db", tick) as journal:
        pass_days(journal, tick, 3.1)
        assert journal.stat().evicted >= 5


def test_while_the_time_is_not_known_nothing_gets_older(tmp_path: Path) -> None:
    tick = Tick()
    with opened(tmp_path / "j.db", tick) as journal:
        journal.append(drafts(10, TELEMETRY))
        assert tidy(journal) <= 5.0
        tick.now = 1e9
        assert tidy(journal) == HOUR
        assert journal.stat().evicted == 0


def test_what_was_purged_gives_its_space_back(tmp_path: Path) -> None:
    tick, path = Tick(), tmp_path / "j.db"
    tick.now = 0.0
    with opened(path, tick) as journal:
        for _ in range(100):
            journal.append(drafts(200, TELEMETRY))
        tidy(journal)
        journal.append(drafts(1, LIFE_SAFETY))
        pass_days(journal, tick, 3.1)
    assert path.stat().st_size < 2_500_000
    with Journal.open(path) as journal:
        assert journal.verify() is None


def test_a_smaller_size_is_reached_while_records_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path, max_size=8 * MB) as journal:
        fires = journal.append(drafts(200, LIFE_SAFETY))
        for _ in range(200):
            journal.append(drafts(100, TELEMETRY))
    assert path.stat().st_size > 3 * MB
    steps = 0
    with Journal.open(path, max_size=2 * MB) as journal:
        while not journal.tidy()[0]:
            journal.append(drafts(5, TELEMETRY))
            steps += 1
        assert journal.verify() is None
        kept = {r.sequence for r in journal.since(0)}
        assert {r.sequence for r in fires} <= kept
        assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= 2 * MB
    assert steps > 10


def test_numbers_go_on_above_records_that_have_all_left(tmp_path: Path) -> None:
    tick = Tick()
    tick.now = 1000.0
    with opened(tmp_path / "j.db", tick) as journal:
        journal.mark_sent(journal.append(drafts(20, TELEMETRY)))
        pass_days(journal, tick, 3.2)
        before = journal.stat()
        assert (before.last, before.evicted) == (21, 21)
    with opened(tmp_path / "j.db", tick) as journal:
        again = journal.stat()
        assert (again.journal, again.last, again.link) == (before.journal, 21, before.link)
        (after,) = journal.append(drafts(1, TELEMETRY))
        assert after.sequence == 22
        assert journal.verify() is None
