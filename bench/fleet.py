"""Thousands of simulated stores against one mosquitto: a broker restart, a region's outage.

Run: ./dev bench fleet [--stores 1000] [--tls] [--drain-rate 5] [--drain-jitter 60]
Each store runs the real uplink over a connection of its own; its journal is in memory. The hour of
the outage is not waited for: its records are there when the line returns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomqtt

from tests.broker import Broker, free_port
from tests.certificates import Authority, mutual_tls

PROCESSES = 4
SYS = "$SYS/broker/publish/messages/received"
STEADY = 20.0
"""Seconds of ordinary life."""
DOWN = 10.0
"""Seconds that the broker or the region is away."""
LIMIT = 900.0
"""Seconds that anything may take."""


class Fleet:
    """Processes with stores in them, added up."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []
        self._said: list[dict[str, Any]] = []
        self._readers: list[asyncio.Task[None]] = []

    async def start(self, stores: int, settings: dict[str, Any]) -> None:
        for n in range(PROCESSES):
            first, after = stores * n // PROCESSES, stores * (n + 1) // PROCESSES
            own = settings | {"first": first, "count": after - first}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.fleet_stores",
                json.dumps(own),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
            )
            self._processes.append(process)
            self._said.append({"connected": 0, "left": 0, "region_left": 0, "took": {}})
            self._readers.append(asyncio.create_task(self._read(n, process)))

    async def _read(self, n: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._said[n] = json.loads(line)

    def say(self, **told: Any) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps(told).encode() + b"\n")

    def sum(self, what: str) -> int:
        return sum(said[what] for said in self._said)

    def took(self, whose: str) -> Counter[int]:
        """Return how many live records took how many milliseconds."""
        counts: Counter[int] = Counter()
        for said in self._said:
            for key, count in said["took"].items():
                name, ms = key.split()
                if name == whose:
                    counts[int(ms)] += count
        return counts

    async def until(self, done: Callable[[], bool]) -> float:
        """Wait until `done()`, and return the seconds it took."""
        begun = time.monotonic()
        async with asyncio.timeout(LIMIT):
            while not done():
                await asyncio.sleep(0.25)
        return time.monotonic() - begun

    async def end(self) -> None:
        self.say(do="end")
        for process in self._processes:
            await process.wait()
        await asyncio.gather(*self._readers)


class Rates:
    """Messages a second as the broker counts them, and the time its processor took."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.peak = 0.0
        self._last: tuple[float, int] | None = None
        self._task = asyncio.create_task(self._run())

    def forget(self) -> None:
        self.peak = 0.0

    async def _run(self) -> None:
        while True:
            self._last = None
            try:
                async with aiomqtt.Client(
                    "127.0.0.1", self._broker.port, protocol=aiomqtt.ProtocolVersion.V5
                ) as client:
                    await client.subscribe(SYS)
                    async for message in client.messages:
                        if isinstance(message.payload, bytes):
                            self._count(int(message.payload))
            except aiomqtt.MqttError:
                await asyncio.sleep(0.2)

    def _count(self, total: int) -> None:
        now = time.monotonic()
        if self._last is not None and now - self._last[0] > 0.5:
            self.peak = max(self.peak, (total - self._last[1]) / (now - self._last[0]))
        self._last = (now, total)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def percentile(counts: Counter[int], share: float) -> str:
    """Return the delay in words that `share` of the records do not exceed."""
    total, seen = sum(counts.values()), 0
    for ms in sorted(counts):
        seen += counts[ms]
        if seen >= share * total:
            return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"
    return "none"


def used(pid: int) -> tuple[float, float]:
    """Return the seconds of processor and the megabytes of memory of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def row(what: str, *values: str) -> None:
    print(f"| {what} | " + " | ".join(values) + " |", flush=True)


async def measure(asked: argparse.Namespace, folder: Path) -> None:
    settings: dict[str, Any] = {
        "drain_rate": asked.drain_rate,
        "drain_jitter": asked.drain_jitter,
        "ca": None,
        "cert": None,
        "key": None,
    }
    fleet = Fleet()
    options = ["sys_interval 1", "max_connections -1"]
    if asked.tls:
        authority, port = Authority(folder), free_port()
        certificate, key = authority.sign("store")
        options += [f"listener {port} 127.0.0.1", *mutual_tls(folder, authority)]
        settings |= {"ca": str(authority.pem), "cert": str(certificate), "key": str(key)}
        settings["url"] = f"mqtts://localhost:{port}"
    with Broker(folder, options=options) as broker:
        rates = Rates(broker)
        begun = time.monotonic()
        await fleet.start(asked.stores, {"url": broker.url} | settings)
        await fleet.until(lambda: fleet.sum("connected") == asked.stores)
        row("all connected, from nothing", f"{time.monotonic() - begun:.1f} s")
        fleet.say(do="live", rate=asked.rate)
        await asyncio.sleep(2.0)
        fleet.say(do="forget")
        before, rates.peak = used(broker.pid), 0.0
        await asyncio.sleep(STEADY)
        after = used(broker.pid)
        took = fleet.took("others")
        row("ordinary: live delay p50 / p99", f"{percentile(took, 0.5)} / {percentile(took, 0.99)}")
        row("ordinary: messages a second at the broker", f"{rates.peak:.0f}")
        row("ordinary: the broker's processor", f"{(after[0] - before[0]) / STEADY:.1%}")
        row("the broker's memory", f"{after[1]:.0f} MB")

        broker.kill()
        await asyncio.sleep(DOWN)
        fleet.say(do="forget")
        rates.forget()
        broker.start()
        back = await fleet.until(lambda: fleet.sum("connected") == asked.stores)
        drained = await fleet.until(lambda: fleet.sum("left") < max(asked.stores * asked.rate, 5))
        row(f"broker away for {DOWN:.0f} s: all connected again after", f"{back:.1f} s")
        row("… everything sent after", f"{back + drained:.1f} s")
        row("… peak at the broker, messages a second", f"{rates.peak:.0f}")

        records = round(asked.hours * 3600 * asked.rate)
        fleet.say(do="outage", share=asked.region, records=records)
        await asyncio.sleep(DOWN)
        fleet.say(do="forget")
        rates.forget()
        before = used(broker.pid)
        fleet.say(do="return")
        begun = time.monotonic()
        await asyncio.sleep(1.5)
        few = max(asked.stores * asked.region * asked.rate, 5)
        await fleet.until(lambda: fleet.sum("region_left") <= few)
        lasted = time.monotonic() - begun
        after = used(broker.pid)
        others, region = fleet.took("others"), fleet.took("region")
        away = (
            f"{asked.region:.0%} of the stores away for {asked.hours:g} h ({records} records each)"
        )
        row(f"{away}: drained after", f"{lasted:.0f} s")
        row("… peak at the broker, messages a second", f"{rates.peak:.0f}")
        row("… the broker's processor", f"{(after[0] - before[0]) / lasted:.1%}")
        for name, counts in (("others", others), ("the region", region)):
            delays = f"{percentile(counts, 0.5)} / {percentile(counts, 0.99)}"
            row(f"… live delay of {name} p50 / p99", delays)
        await fleet.end()
        await rates.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.1, help="records a second in each store")
    parser.add_argument("--drain-rate", type=float, default=None, help="records a second per store")
    parser.add_argument("--drain-jitter", type=float, default=0.0, help="seconds")
    parser.add_argument("--tls", action="store_true", help="mutual TLS, as in a store")
    parser.add_argument("--region", type=float, default=0.2, help="share of the stores")
    parser.add_argument("--hours", type=float, default=1.0, help="how long the region is away")
    asked = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    link = "mutual TLS" if asked.tls else "no TLS"
    pace = f"drain_rate {asked.drain_rate}, drain_jitter {asked.drain_jitter:g}"
    print(f"| {asked.stores} stores, {link}, {pace} | |")
    print("|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(asked, Path(folder)))


if __name__ == "__main__":
    main()
