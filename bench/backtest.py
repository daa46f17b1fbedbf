"""How long a backtest takes and what it needs: a busy store's 90 days through two rule sets.

Run: ./dev bench backtest [--events N] [--journal FILE] [--rounds N]. The journal is made once,
seeded, and kept; `--journal` says where. Each round is a process of its own, as the command is, so
that its memory is its own. The rules are compared with changed ones, and with themselves.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.busy_store import RULES_NEW, RULES_NOW, generate, written
from edge.backtesting import compare, with_rules_of
from edge.config.load import load

EVENTS = 2_000_000
MB = 1_000_000


def one(folder: Path, journal: Path, what: str) -> None:
    """Print seconds, processor seconds, peak bytes and alarms of one run."""
    now = load(folder / "now")
    new = with_rules_of(folder / "now", folder / ("now" if what == "same" else "new"))
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # as the command does
    begun, busy = time.perf_counter(), time.process_time()
    report = compare(now, new, journal, shadow=True)
    took, worked = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(took, worked, peak, report.played.events, report.alarms_before, report.alarms_after)


def measured(folder: Path, journal: Path, what: str) -> list[float]:
    """Return what `one` prints, from a process of its own."""
    command = [sys.executable, "-m", "bench.backtest", "--one", what, "--journal", str(journal)]
    environment = {**os.environ, "BACKTEST_FOLDER": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--journal", type=Path, help="made there if it does not exist")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=("changed", "same"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        one(Path(os.environ["BACKTEST_FOLDER"]), chosen.journal, chosen.one)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        written(folder / "now", RULES_NOW)
        written(folder / "new", RULES_NEW)
        kept = Path(tempfile.gettempdir()) / f"storewarden-busy-{chosen.events}.db"
        journal = chosen.journal or kept
        if not journal.exists():
            begun = time.perf_counter()
            events = generate(journal, folder / "now", chosen.events)
            took = time.perf_counter() - begun
            size = journal.stat().st_size / MB
            print(f"made {journal}: {events:,} events in {took:.0f} s, {size:,.0f} MB")
        for what in ("changed", "same"):
            runs = [measured(folder, journal, what) for _ in range(chosen.rounds)]
            seconds = sorted(run[0] for run in runs)
            work = statistics.median(run[1] for run in runs)
            peak = max(run[2] for run in runs) / MB
            _, _, _, events_, before, after = runs[0]
            load_now = os.getloadavg()[0]
            print(
                f"rules {what}: {events_:,.0f} events, alarms {before:,.0f} → {after:,.0f}: "
                f"{statistics.median(seconds):.1f} s [{seconds[0]:.1f}..{seconds[-1]:.1f}], "
                f"{work:.1f} s of a processor, peak {peak:.0f} MB, load {load_now:.1f}"
            )


if __name__ == "__main__":
    main()
