"""Prove that no failing system call takes a claimed record, nor stops the writer.

./dev prove faults [--every 1] [--seed 1] [--shape once|while|ever] [--call fdatasync] [--early]

A writer keeps records of all priorities over two openings of its file; each system call that
it makes about its files fails in turn: once, four times in a row, for ever. Needs Debian's strace.

Obligations: what was claimed is in the file once, under the sequence that was claimed; the chain
is whole; all that was kept is in the file or counted lost, with records of the gaps; nothing is set
aside; nothing stands on what a failed sync has lost; the writer goes on by itself and its loop
never stops. `--early` is the control: a program that claims too early must be found out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import strace
from bench.strace import HANG, Fault, Ran
from buffer.journal import Journal
from buffer.record import Kind
from buffer.storage import JournalError

PATIENCE = {"once": 20.0, "while": 20.0, "ever": 0.7}
"""Seconds the writer is given to get rid of what waits, by shape of the fault."""
ROW = 4
"""Calls that fail in a row, in the shape `while`."""
STANDSTILL = 2000
"""Milliseconds without a turn of the loop that count as stopped, on a loaded machine."""
TELLING = {
    "openat": ("EIO", "ENOSPC", "EROFS", "EACCES"),
    "pwrite64": ("EIO", "ENOSPC"),
    "write": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC", HANG),
    "fsync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO", "ENOSPC"),
    "fallocate": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO", "EROFS"),
    "mmap": ("ENOMEM", "EIO"),
}
"""What each call fails with; the others with EIO."""
LEFT_OUT = {"close", "munmap", "lseek", "ioctl"}
"""Calls that Linux carries out even when they say they failed, or that cannot fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run."""

    fault: Fault
    shape: str

    def __str__(self) -> str:
        return str(self.fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run came to."""

    claimed: int = 0
    lost: int = 0
    repeated: int = 0
    wrong: tuple[str, ...] = ()


def child(database: Path, shape: str, options: Sequence[str]) -> list[str]:
    """Return the command of the writer."""
    patience = ["--patience", str(PATIENCE[shape])]
    return [sys.executable, "-m", "bench.claims", str(database), *patience, *options]


def plain(folder: Path, options: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Run the writer without faults; return the names of its files, and its calls about them."""
    names: list[str] = []
    for again in (False, True):
        life = folder / f"plain{int(again)}"
        life.mkdir()
        state = life / "state"
        state.mkdir()
        paths = [state / name for name in names] if again else []
        ran = strace.run(child(state / "j.db", "once", options), life, paths=paths)
        if ran.code != 0:
            raise RuntimeError(ran.complained)
        names = [str(path.relative_to(state)) for path in strace.named(ran.trace, state)]
    found = strace.counted(ran.trace)
    return names, {name: n for name, n in sorted(found.items()) if name not in LEFT_OUT}


def cases(counts: dict[str, int], chosen: argparse.Namespace) -> Iterator[Case]:
    """Yield what is to be run."""
    dice = random.Random(chosen.seed)
    for call, number in counts.items():
        if chosen.call and call not in chosen.call:
            continue
        for error in TELLING.get(call, ("EIO",)):
            for shape in chosen.shape or ("once", "while", "ever"):
                if error == HANG and shape != "once":
                    continue
                every = chosen.every * (1 if shape == "once" else chosen.sparse)
                for first in range(dice.randint(1, min(every, number)), number + 1, every):
                    last = {"once": first, "while": first + ROW - 1, "ever": None}[shape]
                    fault = Fault(call=call, error=error, first=first, last=last)
                    yield Case(fault=fault, shape=shape)


def play(case: Case, *, names: Sequence[str], options: Sequence[str]) -> Outcome:
    """Run one case and hold it to its obligations."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        state = folder / "state"
        state.mkdir()
        database = state / "j.db"
        watched = {case.fault.call, "pwrite64", "fdatasync", "fsync", "ftruncate", "unlink"}
        ran = strace.run(
            child(database, case.shape, options),
            folder,
            paths=[state / name for name in names],
            fault=case.fault,
            calls=",".join(sorted(watched)),
        )
        return judge(ran, database, waited=case.shape != "ever")


def judge(ran: Ran, database: Path, *, waited: bool) -> Outcome:
    """Hold a run to its obligations. `waited`: the fault has passed, nothing may wait any more."""
    wrong = list(strace.relied_on_lost(ran.trace, database))
    said = [line.split() for line in ran.said]
    kept = [words[1] for words in said if words[0] == "kept"]
    claims = [(int(words[1]), words[2]) for words in said if words[0] == "claimed"]
    end = next((words[1:] for words in said if words[0] == "end"), None)
    if ran.code != 0 or end is None or "Traceback" in ran.complained:
        wrong.append(f"the writer ended with {ran.code}: {ran.complained[-300:]}")
        return Outcome(wrong=tuple(wrong))
    pending, lost, longest = map(int, end)
    if longest > STANDSTILL:
        wrong.append(f"the loop stood still for {longest} ms")
    if waited and pending:
        wrong.append(f"{pending} records wait although the fault has passed")
    try:
        with Journal.open(database) as journal:
            records = list(journal.since(0))
            broken, stat = journal.verify(), journal.stat()
    except JournalError as error:
        return Outcome(wrong=(*wrong, f"the file cannot be opened: {error}"))
    at = {record.id: record.sequence for record in records}
    if broken is not None:
        wrong.append(f"the chain breaks at {broken.sequence}: {broken.reason}")
    if stat.records + stat.evicted != stat.last - stat.first + 1:
        wrong.append(f"{stat.records} records and {stat.evicted} evicted to {stat.last}")
    if not stat.evicted and [r.sequence for r in records] != list(range(1, len(records) + 1)):
        wrong.append("the sequences have holes")
    wrong += [text for n, own in claims if (text := unkept(n, own, at, stat.last, stat.evicted))]
    twice = [i for i, n in Counter(record.id for record in records).items() if n > 1]
    twice += [i for i, n in Counter(i for _, i in claims).items() if n > 1]
    wrong += [f"{i} twice" for i in twice]
    if asides := sorted(p.name for p in database.parent.iterdir() if ".aside" in p.name):
        wrong.append(f"set aside: {', '.join(asides)}")
    absent = len(set(kept) - at.keys())
    told = sum(count_of(r.body) for r in records if r.kind is Kind.GAP)
    if waited and not stat.evicted and not absent == lost == told:
        wrong.append(f"{absent} absent, {lost} counted lost, {told} told by gaps")
    return Outcome(
        claimed=len(claims),
        lost=absent if waited and not stat.evicted else 0,
        repeated=len(twice),
        wrong=tuple(wrong),
    )


def unkept(claimed: int, own: str, at: Mapping[str, int], last: int, evicted: int) -> str | None:
    """Return what is wrong with a claim; one without a sequence is 0."""
    found = at.get(own)
    if found is not None:
        return f"{own} claimed as {claimed} is {found}" if claimed not in (0, found) else None
    if evicted and 0 < claimed <= last:  # its body may have had to go since
        return f"{claimed} claimed of two" if claimed in at.values() else None
    return f"{own} claimed as {claimed} is not there"


def count_of(body: bytes) -> int:
    """Return how many records a gap that the disk made is about."""
    told = json.loads(body)
    return int(told["count"]) if told["reason"] == "disk" else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="each call, or each n-th")
    parser.add_argument("--sparse", type=int, default=4, help="so many times fewer in a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", action="append", choices=list(PATIENCE))
    parser.add_argument("--call", action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--early", action="store_true")
    chosen, options = parser.parse_known_args()
    if strace.missing():
        print("needs strace: apt install strace", file=sys.stderr)
        return 2
    if chosen.early:
        options.append("--early")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        names, counts = plain(Path(name), options)
    todo = list(cases(counts, chosen))
    table: dict[str, Counter[str]] = {}
    faults: list[str] = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        outcomes = pool.map(partial(play, names=names, options=options), todo)
        for number, (case, outcome) in enumerate(zip(todo, outcomes, strict=True)):
            row = table.setdefault(f"{case.fault.call} {case.fault.error}", Counter())
            row[case.shape] += 1
            row["claimed"] += outcome.claimed
            row["lost"] += outcome.lost
            row["wrong"] += bool(outcome.wrong)
            faults += [f"{case}: {reason}" for reason in outcome.wrong]
            if outcome.wrong and os.environ.get("VERBOSE"):
                print(case, *outcome.wrong, sep="\n    ", flush=True)
            if sys.stderr.isatty():
                print(f"\r{number + 1} of {len(todo)}", end="", file=sys.stderr)
    print(f"{len(todo)} runs (every {chosen.every}, seed {chosen.seed}) "
          f"in {time.monotonic() - began:.0f} s; calls about {', '.join(names)}")  # fmt: skip
    print(f"  {'call':<22}{'calls':>6}{'once':>7}{'in a row':>9}{'ever':>6}{'claimed':>9}  wrong")
    for what, row in table.items():
        calls = counts[what.split()[0]]
        print(f"  {what:<22}{calls:>6}{row['once']:>7}{row['while']:>9}{row['ever']:>6}"
              f"{row['claimed']:>9}{row['wrong']:>7}")  # fmt: skip
    for line in faults[:40]:
        print(f"  WRONG {line}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
