"""Prove that a day of a busy store leaves memory, files and descriptors as they were.

./dev prove soak [--events 432000] [--rate 600] [--max-size 8MB] [--seed 1] [--plant leak]

The whole daemon on a simulated store that says in minutes what a busy one says in a day (five
events a second), a journal so small that it evicts and folds all the time, a mosquitto that goes
and comes back, rules that fire, and restarts, clean and by kill -9, in the first eighth and in the
last. Between them one process lives through three quarters of the day and is measured.

Obligations: memory in the last quarter of that life within 3 % of the second; the file, its log and
all beside it never above `max_size`, by the file system's own blocks, looked at 20 times a second;
file descriptors and threads as many as before; nothing down to security lost; all sent in the end,
the chain whole. `--plant leak` is the control: a daemon that forgets to forget must be found out.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from bench.busy import busy
from bench.reaction import memory
from buffer.journal import Journal
from drivers.priorities import Priority
from edge.control import NotRunning
from edge.demo.store import Store, configured, simulated
from tests.broker import Broker
from tests.daemon import Daemon

A_DAY = 432_000
"""Records of a busy store in 24 hours: five a second."""
BUSY = 480
"""Records a second that `bench.busy` makes, about."""
GROWTH = 1.03
"""Memory in the last quarter, as a share of the second."""
LOOK = 0.05
"""Seconds between looks at the files."""
UP, DOWN = (8.0, 20.0), (4.0, 14.0)
"""Seconds for which the broker stays, and stays away."""
UNITS = {"kB": 1_000, "MB": 1_000_000}
LEAK = """\
import threading, time
def leak(kept=[]):
    while True:
        kept.append(bytearray(100_000))
        time.sleep(0.5)
threading.Thread(target=leak, daemon=True).start()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at one moment."""

    memory: float
    """MB that are resident."""
    descriptors: int
    threads: int
    sequence: int


@dataclass(slots=True)
class Found:
    """What was seen over the whole run."""

    max_size: int
    samples: list[Sample] = field(default_factory=list)
    """Of the one long life."""
    largest: int = 0
    """Bytes on disk."""
    looks: int = 0
    outages: int = 0
    restarts: int = 0
    fired: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Unsent records lost in the long life, by priority."""
    kept: int = 0
    evicted: int = 0
    last: int = 0
    wrong: list[str] = field(default_factory=list)

    def quarter(self, number: int) -> list[Sample]:
        """Return the samples of a quarter of the long life, 1 to 4."""
        size = len(self.samples) / 4
        return self.samples[int((number - 1) * size) : int(number * size)]


def median(samples: Sequence[Sample], what: str) -> float:
    return float(statistics.median(getattr(sample, what) for sample in samples))


def judge(found: Found) -> list[str]:
    """Return which obligations were not kept."""
    wrong = list(found.wrong)
    if found.largest > found.max_size:
        wrong.append(f"{found.largest} bytes on disk, {found.max_size} are allowed")
    second, fourth = found.quarter(2), found.quarter(4)
    before, after = median(second, "memory"), median(fourth, "memory")
    if after > before * GROWTH:
        wrong.append(f"memory grew from {before:.1f} to {after:.1f} MB")
    for what in ("descriptors", "threads"):
        before, after = median(second, what), median(fourth, what)
        if after > before + 1:
            wrong.append(f"{what} grew from {before:g} to {after:g}")
    for priority in (Priority.life_safety, Priority.personal_safety, Priority.security):
        if count := found.dropped.get(priority.name):
            wrong.append(f"{count} unsent records of {priority.name} were lost")
    if not found.fired:
        wrong.append("no rule fired")
    return wrong


class Soak:
    """One run."""

    def __init__(self, daemon: Daemon, store: Store, broker: Broker, found: Found) -> None:
        self._daemon = daemon
        self._store = store
        self._broker = broker
        self.found = found
        self._sequence = 0

    async def until(self, sequence: int, *, sampled: bool = False) -> None:
        """Wait until the journal has come so far."""
        while self._sequence < sequence:
            await asyncio.sleep(0.25)
            with suppress(NotRunning):
                status = await self._daemon.ask(do="status")
                self._sequence = status["journal"]["sequence"]
            if sampled:
                self.found.samples.append(self._sample())
            if sys.stderr.isatty():
                mb = self.found.samples[-1].memory if self.found.samples else 0.0
                print(f"\r{self._sequence} records, {mb:.1f} MB   ", end="", file=sys.stderr)

    async def restart(self, *, killed: bool) -> None:
        self.found.restarts += 1
        if killed:
            await self._daemon.kill()
        else:
            await self._daemon.stop()
        await self._daemon.start()

    def metrics(self) -> None:
        """Read what fired and what was lost."""
        with urlopen(f"http://{self._store.http}/metrics") as page:
            text = page.read().decode()
        fired = re.findall(r"^storewarden_rule_fired_total\{.*\} ([\d.e+]+)$", text, re.MULTILINE)
        self.found.fired = int(sum(map(float, fired)))
        dropped = r"^storewarden_journal_dropped_total\{(.*)\} ([\d.e+]+)$"
        for labels, value in re.findall(dropped, text, re.MULTILINE):
            priority = re.search(r'priority="(\w+)"', labels)
            if priority is not None:
                before = self.found.dropped.get(priority[1], 0)
                self.found.dropped[priority[1]] = before + int(float(value))

    async def drained(self) -> None:
        """Wait until nothing comes any more and the broker has everything."""
        async with asyncio.timeout(120):
            before = -1
            while True:
                status = await self._daemon.ask(do="status")
                now = status["journal"]["sequence"]
                if now == before and not status["uplink"]["backlog"]:
                    return
                before = now
                await asyncio.sleep(1.0)

    def _sample(self) -> Sample:
        assert self._daemon.process is not None
        pid = self._daemon.process.pid
        return Sample(
            memory=memory(pid),
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 - names are enough
            threads=len(os.listdir(f"/proc/{pid}/task")),  # noqa: PTH208
            sequence=self._sequence,
        )

    async def watch(self) -> None:
        """Look at the files for ever."""
        while True:
            taken = 0
            for path in self._daemon.state.glob("journal.db*"):
                with suppress(FileNotFoundError):
                    taken += path.stat().st_blocks * 512
            self.found.largest = max(self.found.largest, taken)
            self.found.looks += 1
            await asyncio.sleep(LOOK)

    async def outages(self, rng: random.Random, pace: float) -> None:
        """Let the broker go and come back, for ever."""
        while True:
            await asyncio.sleep(rng.uniform(*UP) * pace)
            await asyncio.to_thread(self._broker.kill)
            self.found.outages += 1
            try:
                await asyncio.sleep(rng.uniform(*DOWN) * pace)
            finally:
                self._broker.start()


async def talk(store: Store, rate: float) -> None:
    """Say `rate` visitors a second on top of what a busy store says."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while rate > 0:
        await store.gateway.connected.wait()
        due = max(due, loop.time() - 1.0)
        while due < loop.time():
            store.gateway.say("VISITORS IN 1 OUT 0")
            due += 1 / rate
        await asyncio.sleep(0.01)


def settings(config: Path, max_size: str) -> None:
    """Make the journal small."""
    site = config / "site.yaml"
    text = site.read_text()
    small = text.replace("max_size: 64MB", f"max_size: {max_size}")
    assert small != text
    site.write_text(small)


async def soak(
    events: int, rate: float, max_size: str, seed: int, *, leak: bool, short: bool = False
) -> Found:
    """Run it all; `short` leaves the early restarts out and makes outages tenths of seconds."""
    rng = random.Random(seed)
    found = Found(int(max_size[:-2]) * UNITS[max_size[-2:]])
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        broker = stack.enter_context(Broker(folder))
        store = await stack.enter_async_context(simulated(folder))
        config = configured(folder, store, broker.url)
        settings(config, max_size)
        daemon = Leaking(folder, config) if leak else Daemon(folder, config)
        run = Soak(daemon, store, broker, found)
        background = [asyncio.create_task(run.watch())]
        try:
            await daemon.start()
            async with busy(store, rng):
                talking = asyncio.create_task(talk(store, rate - BUSY))
                failing = asyncio.create_task(run.outages(rng, 0.05 if short else 1.0))
                background += [talking, failing]
                for killed, share in () if short else ((False, 1 / 16), (True, 1 / 8)):
                    await run.until(int(events * share))
                    await run.restart(killed=killed)
                await run.until(int(events * 7 / 8), sampled=True)
                run.metrics()
                await run.restart(killed=True)
                await run.until(events)
                for task in (talking, failing):
                    task.cancel()
                await asyncio.gather(talking, failing, return_exceptions=True)
            await run.drained()
            await daemon.stop()
        finally:
            for task in background:
                task.cancel()
            ended = await asyncio.gather(*background, return_exceptions=True)
            with suppress(ProcessLookupError):
                await daemon.kill()
        found.wrong += [str(e) for e in ended if isinstance(e, Exception)]
        look_inside(daemon.state / "journal.db", found)
    return found


class Leaking(Daemon):
    """A daemon that keeps 200 kB more each second."""

    def places(self) -> dict[str, str]:
        (self.folder / "sitecustomize.py").write_text(LEAK)
        places = super().places()
        return {**places, "PYTHONPATH": f"{self.folder}:{places.get('PYTHONPATH', '')}"}


def look_inside(path: Path, found: Found) -> None:
    """Verify the chain and count."""
    with Journal.open(path, read_only=True) as journal:
        broken, stat = journal.verify(), journal.stat()
    found.kept, found.evicted, found.last = stat.records, stat.evicted, stat.last
    if broken is not None:
        found.wrong.append(f"the chain breaks at {broken.sequence}: {broken.reason}")
    if stat.records + stat.evicted != stat.last - stat.first + 1:
        found.wrong.append(f"{stat.records} and {stat.evicted} records of {stat.last}")
    if sum(stat.unsent):
        found.wrong.append(f"{sum(stat.unsent)} records are unsent in the end")


def report(found: Found, seconds: float) -> None:
    rows = {
        "records": f"{found.last}, {found.last / seconds:.0f} a second",
        "kept, evicted": f"{found.kept}, {found.evicted}",
        "outages, restarts": f"{found.outages}, {found.restarts}",
        "rules fired in the long life": f"{found.fired}",
        "unsent lost, told by gaps": ", ".join(
            f"{name} {count}" for name, count in found.dropped.items() if count
        ) or "none",
        "largest on disk": f"{found.largest} of {found.max_size} bytes, {found.looks} looks",
    }  # fmt: skip
    for what, unit in (("memory", " MB"), ("descriptors", ""), ("threads", "")):
        medians = " → ".join(f"{median(found.quarter(q), what):.4g}" for q in (1, 2, 3, 4))
        rows[f"{what}, by quarters"] = f"{medians}{unit}"
    for name, value in rows.items():
        print(f"  {name:<30} {value}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=A_DAY)
    parser.add_argument("--rate", type=float, default=600.0, help="records a second to aim at")
    parser.add_argument("--max-size", default="8MB")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", choices=["leak"])
    chosen = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # the simulator talks to who was killed
    began = time.monotonic()
    found = asyncio.run(
        soak(
            chosen.events,
            chosen.rate,
            chosen.max_size,
            chosen.seed,
            leak=chosen.plant == "leak",
        )
    )
    seconds = time.monotonic() - began
    hours = chosen.events / 5 / 3600
    print(f"{hours:.1f} h of a busy store in {seconds / 60:.1f} min (seed {chosen.seed}):")
    report(found, seconds)
    wrong = judge(found)
    for words in wrong:
        print(f"  WRONG {words}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
