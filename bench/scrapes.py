"""Measure what a Prometheus needs for many stores: ./dev bench scrapes [--stores 500] [--for 180].

The page of a daemon on which the demo's story was played is served to a real Prometheus as that of
many stores, with counters that grow; the rules of monitoring/rules are reckoned over all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from bench.prove_remote_write import alive, resident
from edge.demo.store import configured, simulated
from edge.http.server import listening
from tests.daemon import running
from tests.monitoring.promtool import RULES
from tests.monitoring.server import Prometheus, started

STORY = 125.0
"""Seconds of the story, for every signal and order to be on the page."""


async def page_of(folder: Path) -> str:
    """Return the page of a store in which everything has happened once."""
    async with (
        simulated(folder) as store,
        running(folder, configured(folder, store, None)) as daemon,
    ):
        await daemon.until(lambda status: not status["devices_down"])
        story = asyncio.create_task(alive(store, daemon))
        await asyncio.wait({story}, timeout=STORY)
        story.cancel()
        with suppress(asyncio.CancelledError):
            await story
        url = f"http://{store.http}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).read())
        return str(page.decode())


def growing(page: str) -> str:
    """Return a page whose counters have grown since the last time."""
    more = int(time.time()) % 100_000
    counters = r"^(storewarden_\w+(?:_total|_count|_sum|_bucket)(?:\{[^}]*\})? )(\S+)$"
    return re.sub(counters, lambda m: f"{m[1]}{float(m[2]) + more}", page, flags=re.M)


async def measured(folder: Path, page: str, chosen: argparse.Namespace) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=growing(page))

    app = web.Application()
    app.router.add_get("/metrics", answer)
    async with listening(app, "127.0.0.1", 0) as port:
        target = f"127.0.0.1:{port}"
        statics = [
            {"targets": [target], "labels": {"site": f"store_{number:04}"}}
            for number in range(chosen.stores)
        ]
        config = {
            "global": {"scrape_interval": f"{chosen.every}s", "evaluation_interval": "30s"},
            "rule_files": [str(path) for path in RULES],
            "scrape_configs": [{"job_name": "storewarden", "static_configs": statics}],
        }
        with started(folder / "p", json.dumps(config), "--storage.tsdb.path=data") as prometheus:
            await asyncio.to_thread(prometheus.ready)
            await asyncio.sleep(chosen.lasts)
            await asyncio.to_thread(tell, prometheus, page, chosen)


def tell(prometheus: Prometheus, page: str, chosen: argparse.Namespace) -> None:
    """Print what it took."""
    text = urllib.request.urlopen(f"{prometheus.url}/metrics", timeout=60).read().decode()

    def own(name: str) -> float:
        return sum(float(n) for n in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M))

    lines = [line for line in page.splitlines() if not line.startswith("#")]
    series, memory = own("prometheus_tsdb_head_series"), resident(prometheus.process.pid)
    heard = len(prometheus.query('up{job="storewarden"} == 1'))
    print(f"stores {chosen.stores}, heard {heard}, each {len(lines)} series of {len(page):,} bytes")
    print(
        f"every {chosen.every} s: {own('prometheus_tsdb_head_samples_appended_total'):,.0f} samples"
    )
    print(f"series in memory: {series:,.0f}, with those of scrapes and rules")
    print(f"memory: {memory:,.0f} MB, {memory * 1024 / series:.1f} KB a series")
    print(f"processor: {own('process_cpu_seconds_total') / chosen.lasts:.2f} of one")
    print(f"all rules once: {own('prometheus_rule_group_last_duration_seconds'):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench scrapes")
    parser.add_argument("--stores", type=int, default=500)
    parser.add_argument("--for", dest="lasts", type=float, default=180.0, metavar="SECONDS")
    parser.add_argument("--every", type=int, default=60, metavar="SECONDS", help="scrapes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scrapes-") as folder:
        asyncio.run(_all(Path(folder), chosen))


async def _all(folder: Path, chosen: argparse.Namespace) -> None:
    await measured(folder, await page_of(folder), chosen)


if __name__ == "__main__":
    main()
