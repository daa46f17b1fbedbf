"""Run a program with system calls that fail, and tell from the trace what a power cut would take.

Needs Debian's strace. What a failed sync was to write counts as lost, however often a later one
succeeds: the kernel has forgotten that it was to be written. Only writing it again helps.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

LIMIT = 90.0
"""Seconds that a traced program may take."""
HANG, HANGS = "hang", 1_500_000
"""Not an error but a call that takes so many microseconds."""

_CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_ANSWER = re.compile(r" = (?P<value>-?\d+|\?|0x[0-9a-f]+)")
_FILE = re.compile(r"^\d+<(?P<path>[^>]*)>")
_QUOTED = re.compile(r'"(?P<path>/[^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way for a system call to fail."""

    call: str
    error: str
    """Its name, or HANG."""
    first: int
    """Which of these calls fails, counted from 1 in each thread."""
    last: int | None
    """The last that fails; None: for ever."""

    def __str__(self) -> str:
        shape = {self.first: "", None: "+"}.get(self.last, f"..{self.last}")
        what = f"delay_enter={HANGS}" if self.error == HANG else f"error={self.error}"
        return f"{self.call}:{what}:when={self.first}{shape}"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call as traced."""

    thread: int
    name: str
    path: str
    """Of the file that it is about."""
    arguments: str
    answer: int

    @property
    def offset(self) -> int:
        """The last argument, where a pwrite64 begins and to where an ftruncate cuts."""
        return int(self.arguments.rsplit(", ", 1)[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a traced program left."""

    code: int | None
    """None when it did not end in time."""
    said: list[str]
    """Whole lines of its stdout."""
    complained: str
    trace: Path


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [] if shutil.which("strace") else ["strace"]


def run(
    command: Sequence[str], folder: Path, *, paths: Sequence[Path] = (), fault: Fault | None = None,
    calls: str = "all",
) -> Ran:  # fmt: skip
    """Run `command` to its end; calls about `paths` (all, if none) are traced, and fail likewise.

    The trace and the two outputs are put into `folder`.
    """
    trace = folder / "trace"
    strace = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={calls}"]
    if calls != "all":
        strace.append("--seccomp-bpf")
    for path in paths:
        strace += ["-P", str(path)]
    if fault is not None:
        strace += ["-e", f"inject={fault}"]
    out, err = folder / "out", folder / "err"
    with out.open("wb") as said, err.open("wb") as complained:
        process = subprocess.Popen(
            [*strace, *command], stdout=said, stderr=complained, start_new_session=True
        )
        try:
            code: int | None = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the program outlives its strace
            process.wait()
            code = None
    lines = out.read_text().splitlines(keepends=True)
    return Ran(
        code=code,
        said=[line.rstrip("\n") for line in lines if line.endswith("\n")],
        complained=err.read_text(),
        trace=trace,
    )


def calls(trace: Path) -> Iterator[Call]:
    """Yield the calls of a trace that have an answer, in the order of their answers."""
    begun: dict[int, tuple[str, str]] = {}
    for line in trace.read_text().splitlines():
        if (found := _CALL.match(line)) is not None:
            thread, name, rest = int(found["thread"]), found["name"], found["rest"]
            if rest.endswith("<unfinished ...>"):
                begun[thread] = name, rest.removesuffix(" <unfinished ...>")
                continue
        elif "resumed>" in line:
            thread = int(line.split(maxsplit=1)[0])
            name, rest = begun.pop(thread, ("", ""))
            rest += line.partition("resumed>")[2]
        else:
            continue
        if (answer := _ANSWER.search(rest)) is None or answer["value"] == "?":
            continue
        arguments = rest[: answer.start()].rstrip().removesuffix(")")
        file = _FILE.match(arguments) or _QUOTED.search(arguments)
        path = file["path"] if file else ""
        yield Call(thread, name, path, arguments, int(answer["value"], 0))


def counted(trace: Path) -> dict[str, int]:
    """Return how many calls of each name the thread made that made most of them."""
    by_thread = Counter((call.thread, call.name) for call in calls(trace))
    most: dict[str, int] = defaultdict(int)
    for (_, name), number in by_thread.items():
        most[name] = max(most[name], number)
    return dict(most)


def named(trace: Path, folder: Path) -> list[Path]:
    """Return the paths in `folder` that a trace speaks of, and the folder."""
    text = trace.read_text()
    found = set(re.findall(rf'[<"]({re.escape(str(folder))}(?:/[^">]*)?)[">]', text))
    return sorted(Path(path.removesuffix(" (deleted)")) for path in found | {str(folder)})


_State = Literal["dirty", "lost", "safe"]


@dataclass(slots=True)
class Disk:
    """What of a database and its log is on the disk for certain, after each call."""

    database: str
    wrong: list[str] = field(default_factory=list)
    _files: dict[str, dict[int, _State]] = field(default_factory=lambda: defaultdict(dict))

    def after(self, call: Call) -> None:
        """Take in one call, and look whether what was relied on is safe."""
        log = f"{self.database}-wal"
        blocks = self._files[call.path]
        if call.name in ("fsync", "fdatasync"):
            if call.answer == 0:
                self._synced(call.path)
            else:
                blocks.update({at: "lost" for at, state in blocks.items() if state != "safe"})
        elif call.answer < 0:
            return
        elif call.name == "pwrite64":
            if call.path == log and call.offset == 0:
                self._log_ends("begins again")
            blocks[call.offset] = "dirty"
        elif call.name == "ftruncate":
            if call.path == log:
                self._log_ends("is cut")
            for at in [at for at in blocks if at >= call.offset]:
                del blocks[at]
        elif call.name in ("unlink", "unlinkat"):
            if call.path == log:
                self._log_ends("is removed")
            blocks.clear()

    def _synced(self, path: str) -> None:
        blocks = self._files[path]
        new = [at for at, state in blocks.items() if state == "dirty"]
        blocks.update((at, "safe") for at in new)
        # A log is read from its start, up to the first frame that is not whole.
        if path == f"{self.database}-wal" and new:
            lost = [at for at, state in blocks.items() if state == "lost" and at < max(new)]
            if lost:
                self.wrong.append(
                    f"the log goes on at {min(new)} after what a failed sync lost at {min(lost)}"
                )

    def _log_ends(self, how: str) -> None:
        unsafe = [at for at, state in self._files[self.database].items() if state != "safe"]
        if unsafe:
            self.wrong.append(f"the log {how} while the file is not synced at {min(unsafe)}")
        self._files[f"{self.database}-wal"].clear()


def relied_on_lost(trace: Path, database: Path) -> list[str]:
    """Return where a program went on as if what a failed sync lost were on the disk."""
    disk = Disk(str(database))
    for call in calls(trace):
        disk.after(call)
    return disk.wrong
