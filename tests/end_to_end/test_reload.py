"""A changed configuration under a running daemon, a broken one, and what a restart finds."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge.demo.store import Store
from tests.daemon import Daemon
from tests.shop import (
    BACK,
    FRONT,
    GATE,
    LIGHT,
    PANIC,
    SIREN,
    SIREN_BACK,
    kept,
    said,
    shop,
    state,
    wired,
)

LIT = {"do": "order", "device": "light_tills", "command": "switch_on", "parameters": {}}


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


def edit(daemon: Daemon, file: str, old: str, new: str) -> None:
    path = daemon.config / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def reload(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)


def test_a_changed_rule_works_after_sighup_and_an_order_in_force_goes_on(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        before = (await daemon.ask(do="status"))["config"]
        await daemon.ask(**LIT, **{"for": 120.0}, reason="dark", by="test")
        await wired(store, **{LIGHT: True})
        edit(daemon, "rules/safety.yaml", "switch_on: light_tills", "sound: siren_back")
        edit(daemon, "rules/safety.yaml", "ends: light_tills", "ends: siren_back")
        reload(daemon)
        await daemon.until(lambda status: status["config"] != before)
        await daemon.until(lambda status: not status["devices_down"])
        store.module.set(PANIC, True)
        await wired(store, **{SIREN_BACK: True})
        assert store.module.outputs[LIGHT] is True
        assert [w.on for w in store.module.writes if w.output == LIGHT][1:] != [False]
        status = await daemon.ask(do="status")
        assert {o["device"] for o in status["orders"]} == {"light_tills", "siren_back"}
        assert len(said(daemon, "config.reloaded")) == 1

    play(tmp_path, story)


def test_a_refused_configuration_leaves_the_running_one_and_is_said(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        before = (await daemon.ask(do="status"))["config"]
        edit(daemon, "rules/gates.yaml", "sound: event.near.siren", "sund: event.near.siren")
        async with daemon.tail() as next_of:
            reload(daemon)
            refused = await next_of("site", "config.refused")
        assert "rules/gates.yaml" in refused["data"]["reason"]
        assert "sund" in refused["data"]["reason"]
        status = await daemon.ask(do="status")
        assert (status["config"], status["devices_down"]) == (before, [])
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True})

    play(tmp_path, story)


def test_a_start_with_a_broken_configuration_runs_the_last_good_one_and_says_so(
    tmp_path: Path,
) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        before = (await daemon.ask(do="status"))["config"]
        assert await daemon.stop() == 0
        (daemon.config / "devices.yaml").write_text("io: {annex: {type: telepathy}}\n")
        await daemon.start()
        status = await daemon.until(lambda status: not status["devices_down"])
        assert status["config"] == before
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True})
        (refused,) = said(daemon, "config.refused")
        assert "devices.yaml:1:" in str(refused["reason"])
        assert "the last good one runs" in daemon.log

    play(tmp_path, story)


def test_a_door_opened_while_the_daemon_was_down_is_said_at_the_next_start(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await kept(daemon, "door_front/state.known")
        await daemon.kill()
        assert said(daemon, "door.opened") == []
        store.module.set(FRONT, False)
        await daemon.start()
        await state(daemon, "door_front", "contact", "open")
        await state(daemon, "door_back", "contact", "closed")
        assert await daemon.stop() == 0
        (opened,) = said(daemon, "door.opened")
        assert opened["changed_while_down"] is True

    play(tmp_path, story)


def test_after_a_crash_an_order_of_a_person_and_a_hold_go_on(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await daemon.ask(**LIT, **{"for": 120.0}, reason="dark", by="test")
        await wired(store, **{LIGHT: True})
        store.module.set(BACK, False)
        await kept(daemon, "door.opened")
        await daemon.kill()
        store.module.reboot()
        await daemon.start()
        await wired(store, **{LIGHT: True})
        await wired(store, **{SIREN_BACK: True})
        assert len(said(daemon, "door.opened")) == 1
        store.module.set(BACK, True)
        await wired(store, **{SIREN_BACK: False})

    play(tmp_path, story)
