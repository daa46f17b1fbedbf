"""System calls of the writer that fail one by one, and what must be found out of a bad writer."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from bench import strace
from bench.prove_faults import Case, Outcome, plain, play
from bench.strace import HANG, Fault, relied_on_lost

FAULTS = [
    ("openat", "EROFS", 1, 1),
    ("pwrite64", "ENOSPC", 60, 62),
    ("fdatasync", "EIO", 12, 12),
    ("fdatasync", "EIO", 13, 16),
    ("fcntl", "EIO", 90, 93),
    ("fdatasync", "EIO", 14, None),
]
"""Call, error, the first and the last that fails (None: for ever)."""

needs_strace = pytest.mark.skipif(bool(strace.missing()), reason="strace is not installed")


def case(call: str, error: str, first: int, last: int | None) -> Case:
    shape = {first: "once", None: "ever"}.get(last, "while")
    return Case(fault=Fault(call=call, error=error, first=first, last=last), shape=shape)


def played(tmp_path: Path, cases: list[Case], options: list[str]) -> list[Outcome]:
    names, _ = plain(tmp_path, options)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(partial(play, names=names, options=options), cases))


@needs_strace
def test_a_failing_system_call_takes_nothing_that_was_claimed(tmp_path: Path) -> None:
    outcomes = played(tmp_path, [case(*fault) for fault in FAULTS], ["--rounds", "8"])
    assert {str(f): o.wrong for f, o in zip(FAULTS, outcomes, strict=True) if o.wrong} == {}
    assert sum(outcome.claimed for outcome in outcomes) > 100


@needs_strace
def test_what_memory_could_not_hold_is_counted_and_told_by_a_gap_record(tmp_path: Path) -> None:
    full, hanging = case("pwrite64", "ENOSPC", 60, 62), case("fdatasync", HANG, 14, 14)
    options = ["--rounds", "60", "--limit", "4", "--lives", "1"]
    outcomes = played(tmp_path, [full, hanging], options)
    assert [outcome.wrong for outcome in outcomes] == [(), ()]
    assert all(outcome.lost for outcome in outcomes)


@needs_strace
def test_a_writer_that_claims_too_early_is_found_out(tmp_path: Path) -> None:
    (outcome,) = played(tmp_path, [case("fdatasync", "EIO", 4, None)], ["--early"])
    assert any("claimed" in reason for reason in outcome.wrong)


def traced(folder: Path, *lines: str) -> list[str]:
    """Return what is wrong with a trace; each line is a call and its answer."""
    trace = folder / "trace"
    trace.write_text("".join(f"1 {line}\n" for line in lines))
    return relied_on_lost(trace, Path("/j.db"))


def written(file: str, offset: int) -> str:
    return f'pwrite64(7</j.db{file}>, ""..., 4096, {offset}) = 4096'


SYNCED, UNSYNCED = (
    "fdatasync(7</j.db-wal>) = 0",
    "fdatasync(7</j.db-wal>) = -1 EIO (Input/output error) (INJECTED)",
)


def test_a_log_that_goes_on_after_what_a_failed_sync_lost_is_found_out(tmp_path: Path) -> None:
    first, second = written("-wal", 32), written("-wal", 4152)
    assert traced(tmp_path, first, UNSYNCED, first, SYNCED, second, SYNCED) == []
    assert traced(tmp_path, first, UNSYNCED, SYNCED, second, SYNCED) == [
        "the log goes on at 4152 after what a failed sync lost at 32"
    ]


def test_a_log_that_is_let_go_before_the_file_is_synced_is_found_out(tmp_path: Path) -> None:
    copied, removed = written("", 0), 'unlink("/j.db-wal") = 0'
    assert traced(tmp_path, copied, "fdatasync(3</j.db>) = 0", removed) == []
    assert traced(tmp_path, copied, removed) == [
        "the log is removed while the file is not synced at 0"
    ]
