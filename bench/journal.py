"""The journal beside bare SQLite: events a second, the latency of one commit, bytes written.

Run: ./dev bench journal [FOLDER]; the folder decides which disk is measured. It takes two minutes.

Two floors are measured in turn with ours, in the same blocks of commits: `bare` keeps what anyone
would write first (id, priority, topic as text, body), `same` keeps the very rows that ours keeps,
links included, made before. Both have SQLite's own page size, WAL and synchronous=FULL. What goes
through writer and uplink is in bench/journal_road.py; it needs mosquitto and strace.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import journal_road
from bench.journal_events import SIZE, drafts, written
from buffer.journal import Journal
from buffer.record import Draft
from drivers.priorities import Priority

ROUNDS = 3
GROUPS = ((100, 20_000), (10, 5_000), (1, 1_000))
"""Records a commit, and records in a round."""
BLOCK = 10
"""Commits of one of them before it is the next one's turn."""

Keep = Callable[[list[Draft]], object]


@dataclass
class Cost:
    """What commits of one kind have cost so far."""

    took: list[float] = field(default_factory=list)
    """Seconds of each commit."""
    bytes: int = 0


@contextmanager
def bare(path: Path) -> Iterator[Keep]:
    """Keep the events' own facts, without chain, lanes or marks."""
    with closing(_database(path)) as db:
        db.execute("CREATE TABLE r (s INTEGER PRIMARY KEY, id TEXT, p INT, topic TEXT, body BLOB)")

        def keep(batch: list[Draft]) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO r (id, p, topic, body) VALUES (?, ?, ?, ?)",
                [(d.id, d.priority, d.topic, d.body) for d in batch],
            )
            db.execute("COMMIT")

        yield keep


@contextmanager
def same(path: Path) -> Iterator[Keep]:
    """Keep rows with the same columns as ours, of the same sizes."""
    with closing(_database(path)) as db:
        db.execute(
            "CREATE TABLE r (sequence INTEGER PRIMARY KEY, priority INT, kind INT, topic INT,"
            " previous INT, id BLOB, link BLOB, body BLOB)"
        )
        link = bytes(32)
        head = 0

        def keep(batch: list[Draft]) -> None:
            nonlocal head
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO r VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (n, d.priority, 0, 1, n - 1, bytes.fromhex(d.id), link, d.body)
                    for n, d in enumerate(batch, head + 1)
                ],
            )
            db.execute("COMMIT")
            head += len(batch)

        yield keep


@contextmanager
def ours(path: Path) -> Iterator[Keep]:
    """Keep them in a journal as the daemon opens it."""
    with Journal.open(path, max_size=SIZE) as journal:
        yield journal.append


def _database(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


KINDS = {"ours": ours, "bare": bare, "same": same}


def in_turn(folder: Path, together: int, count: int) -> dict[str, Cost]:
    """Commit `count` records of each kind, `together` a commit; the log is brought in at last."""
    costs = {name: Cost() for name in KINDS}
    priority = Priority.telemetry if together > 1 else Priority.security
    opened = {name: kind(folder / name) for name, kind in KINDS.items()}
    keeps = {name: one.__enter__() for name, one in opened.items()}
    for first in range(0, count, together * BLOCK):
        for name, keep in keeps.items():
            batches = [
                drafts(number, together, priority)
                for number in range(first, first + together * BLOCK, together)
            ]
            before = written()
            for batch in batches:
                begun = time.perf_counter()
                keep(batch)
                costs[name].took.append(time.perf_counter() - begun)
            costs[name].bytes += written() - before
    for name, one in opened.items():
        # What still lies in the log is brought into the file now.
        before = written()
        one.__exit__(None, None, None)
        costs[name].bytes += written() - before
    return costs


def ratios(found: Sequence[dict[str, float]]) -> str:
    """Return the medians, and those of ours against each floor."""
    middle = {name: statistics.median(one[name] for one in found) for name in KINDS}
    against = {
        name: statistics.median(one["ours"] / one[name] for one in found)
        for name in KINDS
        if name != "ours"
    }
    return (
        f"{middle['ours']:,.2f}; bare {middle['bare']:,.2f}, ratio {against['bare']:.2f};"
        f" same {middle['same']:,.2f}, ratio {against['same']:.2f}"
    )


def figures(cost: Cost, together: int) -> dict[str, float]:
    """Return what is printed of `cost`, by what it is called."""
    count = len(cost.took) * together
    return {
        "events/s": count / sum(cost.took),
        "ms a commit, p50": statistics.median(cost.took) * 1000,
        "ms a commit, p99": statistics.quantiles(cost.took, n=100)[98] * 1000,
        "bytes written an event, log and file": cost.bytes / count,
    }


def main() -> None:
    """Print a line for each figure: ours, the floors, and the ratios."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    print(f"a body has {len(drafts(0, 1)[0].body)} bytes")
    with tempfile.TemporaryDirectory(dir=where) as name:
        for together, count in GROUPS:
            rounds: list[dict[str, dict[str, float]]] = []
            for turn in range(ROUNDS):
                folder = Path(name) / f"{together}-{turn}"
                folder.mkdir()
                costs = in_turn(folder, together, count)
                rounds.append({kind: figures(cost, together) for kind, cost in costs.items()})
            print(f"{together} a commit")
            for what in rounds[0]["ours"]:
                found = [{kind: one[kind][what] for kind in KINDS} for one in rounds]
                print(f"  {what}: {ratios(found)}")
        journal_road.main(Path(name))


if __name__ == "__main__":
    main()
