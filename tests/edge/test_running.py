"""The whole daemon as a process where something around it is broken, and its commands beside it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from buffer.writer import Writer
from drivers.sim import modbus
from edge import running
from edge.assembly import assemble
from edge.clock import Clock
from edge.demo.store import Store, configured, simulated
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past
from edge.places import Places
from edge.running import begin, serve
from tests.daemon import LIMIT, Daemon
from tests.edge.shop import shop

SIREN = "do0"
SITE = "site: shop\nevacuation: {on: []}\n"
NAMES = [
    "events_total",
    "rule_fired_total",
    "rule_blind_total",
    "reaction_seconds",
    "order_seconds",
    "orders_failed_total",
    "device_up",
    "device_last_seen_timestamp_seconds",
    "device_bypassed",
    "journal_records",
    "journal_bytes",
    "journal_commit_seconds",
    "journal_dropped_total",
    "uplink_connected",
    "uplink_backlog_records",
    "uplink_oldest_unsent_seconds",
    "uplink_published_total",
    "evacuation_active",
    "clock_trusted",
    "loop_lag_seconds",
    "build_info",
]
"""Section 6 of the contract."""


@asynccontextmanager
async def store_of(folder: Path) -> AsyncIterator[tuple[Store, Daemon]]:
    async with simulated(folder) as store:
        daemon = Daemon(folder, configured(folder, store, None))
        try:
            yield store, daemon
        finally:
            if daemon.process is not None and daemon.process.returncode is None:
                await daemon.stop()


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with store_of(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


async def up(daemon: Daemon) -> dict[str, Any]:
    return await daemon.until(lambda status: not status["devices_down"])


async def page(store: Store, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{store.http}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def until_listening(store: Store) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                await page(store, "/readyz")
                return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


def test_without_a_state_folder_the_rules_run_and_sigterm_ends_it(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        (tmp_path / "file").write_text("no folder")
        daemon.state = tmp_path / "file" / "state"
        await daemon.start()
        status = await up(daemon)
        assert status["journal"]["error"]
        async with asyncio.timeout(LIMIT):
            await store.module.pulse("di0", 0.5)
            await store.module.wait_output(SIREN, True)
        began = time.monotonic()
        assert await daemon.stop() == 0
        assert time.monotonic() - began < 15
        assert store.module.outputs[SIREN] is False

    play(tmp_path, story)


def test_without_a_control_socket_the_rules_run_and_http_answers(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        daemon.run = tmp_path / "taken"
        daemon.run.write_text("no folder")
        with (tmp_path / "log").open("ab") as log:
            daemon.process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "edge.cli.main", "run", "--config", str(daemon.config),
                env=daemon.places(), stdout=log, stderr=log,
            )  # fmt: skip
        await until_listening(store)
        async with asyncio.timeout(LIMIT):
            while 'device_up{device="eas_front"} 1.0' not in (await page(store, "/metrics"))[1]:
                await asyncio.sleep(0.05)
            await store.module.pulse("di0", 0.5)
            await store.module.wait_output(SIREN, True)
        assert (await page(store, "/healthz"))[0] == 200
        text = (await page(store, "/metrics"))[1]
        for name in NAMES:
            assert re.search(rf"^storewarden_{name}(_bucket)?[{{ ]", text, re.M), name
        assert "control: cannot listen at" in daemon.log
        assert await daemon.stop() == 0

    play(tmp_path, story)


def test_commands_beside_it_answer_in_words_and_in_json(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await daemon.start()
        await up(daemon)
        code, out, _ = await daemon.command("status", "--json")
        assert (code, json.loads(out)["site"]) == (0, "demo_store")
        code, out, _ = await daemon.command("devices")
        assert code == 0
        assert "siren_front" in out

        sound = ("order", "siren_front", "sound", "--for", "20s", "--reason", "test", "--by", "Ann")
        code, out, _ = await daemon.command(*sound)
        assert (code, out) == (0, "siren_front: sound: done\n")
        assert store.module.outputs[SIREN] is True
        code, out, _ = await daemon.command(*sound, "--json")
        assert (code, json.loads(out)["outcome"]) == (0, "it is so already")

        code, out, err = await daemon.command("order", "nobody", "sound", "--reason", "r")
        assert (code, out, err) == (2, "", "storewarden: there is no device 'nobody'\n")
        code, _, err = await daemon.command("order", "door_front", "sound", "--reason", "r")
        assert (code, err) == (2, "storewarden: door_front cannot sound; it takes no commands\n")
        code, _, err = await daemon.command("order", "siren_front", "sound", "--reason", " ")
        assert (code, err) == (2, "storewarden: a reason is needed: it is journaled\n")
        code, _, err = await daemon.command("evacuate", "end", "--reason", "r")
        assert (code, err) == (1, "storewarden: there is no evacuation\n")
        code, _, err = await daemon.command(
            "evacuate", "end", "--reason", "r", "--despite", "siren_front"
        )
        assert code == 2
        assert "does not set off the evacuation" in err
        code, _, err = await daemon.command("incident", "ack", "nothing", "--reason", "r")
        assert code == 2
        assert "no rule opens an incident 'nothing'" in err

        store.module.faults.silent = True
        await daemon.until(lambda status: "siren_front" in status["devices_down"])
        code, _, err = await daemon.command("order", "siren_front", "silence", "--reason", "r")
        assert code == 1
        assert err.startswith("storewarden: siren_front: ")

    play(tmp_path, story)


def test_a_second_daemon_takes_nobodys_socket(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await daemon.start()
        other = Daemon(tmp_path, daemon.config)
        other.state = tmp_path / "other"
        with (tmp_path / "other.log").open("ab") as log:
            second = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "edge.cli.main", "run", "--config", str(other.config),
                env=other.places(), stdout=log, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(LIMIT):
            while "another daemon answers there" not in (tmp_path / "other.log").read_text():
                await asyncio.sleep(0.05)
            second.terminate()
            assert await second.wait() == 0
        assert (await daemon.ask(do="status"))["site"] == "demo_store"

    play(tmp_path, story)


DEVICES = """
io: {{annex: {{type: modbus, url: "{url}", unit: 1, poll: 20ms, profile: moxa_e1214}}}}
devices:
  gate: {{type: eas_pedestal, alarm: annex.di0}}
  siren: {{type: siren, output: annex.do0}}
"""
RULES = "rules: {theft: {when: {gate: eas.alarm}, do: [{sound: siren, for: 60s}]}}\n"


def test_an_unhandled_error_in_any_part_brings_the_outputs_to_their_state(tmp_path: Path) -> None:
    def breaks() -> list[Any]:
        raise ZeroDivisionError

    async def main() -> None:
        async with (
            modbus.simulate("moxa_e1214") as module,
            Writer.open(tmp_path / "journal.db") as writer,
            asyncio.timeout(LIMIT),
        ):
            devices = DEVICES.format(url=module.url)
            configuration = shop(tmp_path / "config", site=SITE, devices=devices, rules=RULES)
            places = Places(
                configuration=configuration.folder,
                state=tmp_path / "state",
                socket=tmp_path / "control.sock",
            )
            metrics, notify = Metrics("1"), Notify({})
            parts = assemble(configuration, places, writer, Clock(), Past(), metrics, notify)
            begin(parts, Past())
            running = asyncio.create_task(serve(parts, asyncio.Event(), stopping=asyncio.Event()))
            while parts.decider.engine.states.value("gate", "link") != "up":
                await asyncio.sleep(0.02)
            await module.pulse("di0", 0.5)
            await module.wait_output(SIREN, True)
            parts.pipeline.decide = breaks  # type: ignore[method-assign]
            with pytest.raises(ExceptionGroup) as broken:
                await running
            assert broken.group_contains(ZeroDivisionError)
            assert module.outputs[SIREN] is False

    asyncio.run(main())


def test_a_bug_in_a_profile_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(running._profiles(None))  # type: ignore[arg-type]
    assert "a bug in a profile" in caplog.text
