"""Foreign bytes: every parser that eats them, fed with what nobody would send.

Run: ./dev prove fuzz [--for 60s] [--seed N] [NAME]. Each parser for that long: random bytes, and
good ones cut, changed and joined. It may raise what its contract names and nothing else, within
bounded time and memory. Ends with 1 and a small input that breaks it.
"""

from __future__ import annotations

import argparse
import logging
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.fuzz_targets import Target, targets
from bench.fuzz_wires import wires
from edge.cli.words import seconds

SHRINK = 20.0
"""Seconds in which a smaller input that does the same is looked for."""
MEMORY = 3_000_000_000
"""Bytes of address space; more is an error like any other."""
GROWTH = 300_000_000
"""Bytes by which the whole may grow in all."""


class TooSlow(Exception):
    """An input took longer than it may."""


def mutated(target: Target, chance: random.Random) -> bytes:
    """Return random bytes, or good ones that were cut, changed and joined."""
    if not target.seeds or chance.random() < 0.1:
        return chance.randbytes(chance.randrange(min(target.largest, 300)))
    data = bytearray(chance.choice(target.seeds))
    for _ in range(chance.randrange(7)):
        at = chance.randrange(len(data) + 1)
        until = min(at + chance.randrange(9), len(data))
        match chance.randrange(7):
            case 0:
                data[at:until] = chance.randbytes(chance.randrange(9))
            case 1:
                del data[at:until]
            case 2:
                data[at:at] = data[at : at + chance.randrange(200)] * chance.choice((1, 1, 2, 50))
            case 3:
                other = chance.choice(target.seeds)
                start = chance.randrange(len(other) + 1)
                data[at:until] = other[start : start + chance.randrange(300)]
            case 4:
                data[at:until] = chance.choice(HARD)
            case 5:
                del data[at:]
            case _:
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
    return bytes(data[: target.largest])


HARD = (
    *(b"\0", b"\xff" * 4, b"\x80\x80\x80\x80\x01", b"-1", b"0", b"1e999", b"NaN", b"9" * 20),
    *(b"[" * 300, b"(" * 300, b"{" * 300, b"&a *a", b"<![CDATA[", b"<!DOCTYPE a>", b"&amp;&#0;"),
    *("\u202e\u2028\ud7ff\U0010ffff".encode(), b"\r\n\r\n", b"null", b"\x1b[2J", b"%s%n"),
    *(b"!!python/object:os.system", b"!secret ../../etc/shadow", b"<<: *a", b"? {a: b}"),
)
"""What parsers have stumbled over elsewhere."""


class Run:
    """One target, until its time is over or something is found."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.eaten = 0
        self.slowest = 0.0
        self.found = ""

    def go(self, lasts: float, first: int) -> None:
        until, chance = time.monotonic() + lasts, random.Random(f"{first} {self.target.name}")
        while time.monotonic() < until and not self.found:
            data = mutated(self.target, chance)
            if (wrong := self._wrong(data)) is not None:
                data, wrong = self._smaller(data, wrong)
                self.found = f"{self.target.name}: {type(wrong).__name__}: {wrong}\n{data!r}\n"
                self.found += "".join(traceback.format_exception(wrong))

    def _smaller(self, data: bytes, wrong: Exception) -> tuple[bytes, Exception]:
        """Return as small a part of `data` as does the same."""
        until, size = time.monotonic() + SHRINK, max(len(data) // 2, 1)
        while size and time.monotonic() < until:
            for at in range(0, len(data), size):
                less = data[:at] + data[at + size :]
                found = self._wrong(less)
                if type(found) is type(wrong) and found is not None:
                    data, wrong = less, found
                    break
            else:
                size //= 2
        return data, wrong

    def _wrong(self, data: bytes) -> Exception | None:
        """Return what is wrong with how the parser takes `data`."""
        began = time.thread_time()
        self.eaten += 1
        try:
            self.target.eat(data)
        except self.target.raises:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return error
        took = time.thread_time() - began
        self.slowest = max(self.slowest, took)
        if took > self.target.slowest:
            return TooSlow(f"{took:.1f} s for {len(data)} bytes")
        return None


@contextmanager
def bounded() -> Iterator[None]:
    """Bound the memory of the block."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="lasts", type=seconds, default=60.0, help="of each parser")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("name", nargs="?", default="", help="part of a parser's name; all")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    broken = 0
    print(f"seed {chosen.seed}")
    print("| parser | inputs | s | slowest, ms | found |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as at, bounded():
        folder = Path(at)
        (folder / "shop").mkdir()
        with wires(folder / "shop") as over_wires:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for target in (*targets(folder), *over_wires):
                if chosen.name not in target.name:
                    continue
                began, run = time.monotonic(), Run(target)
                run.go(chosen.lasts, chosen.seed)
                grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
                if not run.found and grown > GROWTH:
                    run.found = f"the memory has grown by {grown / 1e6:.0f} MB"
                broken += bool(run.found)
                print(
                    f"| {target.name} | {run.eaten:,} | {time.monotonic() - began:.0f} "
                    f"| {run.slowest * 1000:.1f} | {'**see below**' if run.found else 'nothing'} |",
                    flush=True,
                )
                if run.found:
                    print(run.found, file=sys.stderr, flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
