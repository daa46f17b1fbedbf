"""A real Prometheus scrapes the real daemon, and every panel of the dashboards shows something."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.demo.store import Store, configured, simulated
from monitoring.panels import FLEET, STORE, Panel
from tests.broker import Broker
from tests.certificates import Authority, mutual_tls
from tests.daemon import Daemon, running
from tests.monitoring.promtool import promtool, require
from tests.monitoring.server import LIMIT, Prometheus, configuration, quick_rules, started

SITE = "store_0421"
GATE = "storewarden_gate_last_alarm_timestamp_seconds"
NOT_HERE = {"Worn disks", "Disk wear"}
"""No disk of a test machine tells its wear: tests/edge/test_slow.py has one that does."""
EARLY = {"Gates not proven for a day"}
"""What is to be seen before the gate alarms."""
LATE = {"Firing", "Alerts by name"}
"""What is to be seen once something is wrong."""
PANELS = {
    f"{name}: {panel.title}": panel
    for name, rows in {"fleet": FLEET, "store": STORE}.items()
    for panels in rows.values()
    for panel in panels
    if panel.title not in NOT_HERE
}


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was read while all of it ran."""

    page: str = ""
    panels: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    """By panel what each of its queries gave, as soon as it gave something."""
    cut: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What some queries gave after the broker was killed."""
    proven: list[str] = field(default_factory=list)
    """When the gate was proven, before and after a kill of the daemon."""
    firing: set[str] = field(default_factory=set)


def asked(ask: str) -> str:
    """Return the query as Grafana sends it."""
    named = ask.replace("$site", SITE).replace("$device", ".*")
    return named.replace("$__rate_interval", "10s")


def shown(found: list[dict[str, Any]]) -> bool:
    """Return whether there is a number to be drawn."""
    return any(not math.isnan(float(series["value"][1])) for series in found)


async def wait(prometheus: Prometheus, ask: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(LIMIT):
        while not shown(found := await asyncio.to_thread(prometheus.query, ask)):
            await asyncio.sleep(0.2)
    return found


async def ask_panels(prometheus: Prometheus, panels: dict[str, Panel], seen: Seen) -> None:
    async def one(title: str, panel: Panel) -> None:
        with suppress(TimeoutError):
            seen.panels[title] = [await wait(prometheus, asked(ask)) for ask, _ in panel.asks]

    await asyncio.gather(*(one(title, panel) for title, panel in panels.items()))


@asynccontextmanager
async def busy(store: Store) -> AsyncIterator[None]:
    """Let something happen all the time: gates and doors."""

    async def on() -> None:
        while True:
            await store.module.pulse("di0", 0.5)
            for closed in (False, True):
                store.module.set("di1", closed)
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.3)

    task = asyncio.create_task(on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def page(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


async def look(folder: Path) -> Seen:
    """Run a store with broker and Prometheus; ask all panels; cut the broker; kill the daemon."""
    seen, authority = Seen(), Authority(folder)
    certificate, key = authority.sign("store")
    with Broker(folder, options=mutual_tls(folder, authority), anonymous=False) as broker:
        async with simulated(folder) as store:
            config = configured(folder, store, None)
            site = config / "site.yaml"
            link = {"ca": str(authority.pem), "cert": str(certificate), "key": str(key)}
            link["url"] = f"mqtts://localhost:{broker.port}"
            site.write_text(f"{site.read_text()}mqtt: {json.dumps(link)}\n")
            rules = quick_rules(folder)
            with started(
                folder / "prometheus",
                configuration({SITE: store.http}, rules),
                "--storage.tsdb.path=data",
            ) as prometheus:
                async with running(folder, config) as daemon:
                    await asyncio.to_thread(prometheus.ready)
                    await daemon.until(lambda status: status["uplink"]["connected"])
                    await daemon.until(lambda status: not status["devices_down"])
                    early = {t: p for t, p in PANELS.items() if p.title in EARLY}
                    await ask_panels(prometheus, early, seen)
                    late = {t: p for t, p in PANELS.items() if p.title in LATE}
                    rest = {t: p for t, p in PANELS.items() if t not in {**early, **late}}
                    async with busy(store):
                        await ask_panels(prometheus, rest, seen)
                        seen.page = await asyncio.to_thread(page, store.http)
                    store.module.set("di4", True)  # the fire panel: an evacuation
                    await ask_panels(prometheus, late, seen)
                    firing = await asyncio.to_thread(
                        prometheus.query, 'ALERTS{alertstate="firing"}'
                    )
                    seen.firing = {series["metric"]["alertname"] for series in firing}
                    broker.kill()
                    for ask in (
                        "storewarden_uplink_connected == 0",
                        "storewarden_uplink_backlog_records > 0",
                    ):
                        seen.cut[ask] = await wait(prometheus, ask)
                    await prove(prometheus, daemon, seen)
    return seen


async def prove(prometheus: Prometheus, daemon: Daemon, seen: Seen) -> None:
    """Kill the daemon and start it; note when the gate was proven, as it says before and after."""
    before = await wait(prometheus, f"{GATE} > 0")
    await daemon.kill()
    await wait(prometheus, "up == 0")
    await daemon.start()
    await wait(prometheus, "up == 1")
    after = await wait(prometheus, GATE)
    seen.proven = [found[0]["value"][1] for found in (before, after)]


def test_a_real_prometheus_scrapes_the_real_daemon_and_every_panel_shows_something() -> None:
    """One test, for one Prometheus: workers share no fixture."""
    require("prometheus", "promtool")
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        seen = asyncio.run(look(Path(folder)))

    found = promtool("check", "metrics", given=seen.page)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")

    assert {
        t for t, panel in PANELS.items() if len(seen.panels.get(t, ())) < len(panel.asks)
    } == set()
    assert seen.firing == {"StorewardenEvacuation"}
    assert {ask: [one["metric"]["site"] for one in gone] for ask, gone in seen.cut.items()} == {
        "storewarden_uplink_connected == 0": [SITE],
        "storewarden_uplink_backlog_records > 0": [SITE],
    }
    before, after = seen.proven
    assert before == after  # over a kill of the daemon
