"""The main job on the wire: fire contact, lock, beacon and siren, and what survives kill -9."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge.control import Refused
from edge.demo.store import Store
from tests.daemon import Daemon
from tests.shop import BEACON, FIRE, GATE, LOCK, SIREN, kept, shop, state, wired


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


async def refusal(daemon: Daemon, **request: object) -> str:
    try:
        await daemon.ask(**request)
    except Refused as refused:
        return str(refused)
    return ""


END = {"do": "evacuate", "action": "end", "reason": "all clear", "by": "fire officer"}


def test_a_fire_releases_the_exit_lights_the_beacon_and_silences_the_theft_siren(
    tmp_path: Path,
) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        order = {"do": "order", "device": "lock_exit", "command": "relock", "parameters": {}}
        await daemon.ask(**order, reason="opening", by="test")
        await wired(store, **{LOCK: True})
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True})
        store.module.set(FIRE, True)
        await wired(store, **{LOCK: False, BEACON: True, SIREN: False})
        assert await refusal(daemon, **END) == "fire_main is in alarm"
        store.module.set(FIRE, False)
        await state(daemon, "fire_main", "alarm", "normal")
        assert await refusal(daemon, **END) == "fire_text is unknown"
        await daemon.ask(**END, despite=["fire_text"])
        await wired(store, **{BEACON: False})
        assert store.module.outputs[LOCK] is False
        await daemon.ask(**order, reason="all clear", by="fire officer")
        await wired(store, **{LOCK: True})

    play(tmp_path, story)


def test_the_latch_survives_kill_9_and_the_lock_stays_released(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        store.module.set(FIRE, True)
        await wired(store, **{LOCK: False, BEACON: True})
        await kept(daemon, "fire.alarm")
        await daemon.kill()
        store.module.set(FIRE, False)
        store.module.reboot()
        await daemon.start()
        await daemon.until(lambda status: status["evacuation"] == "yes")
        await daemon.until(lambda status: not status["devices_down"])
        await wired(store, **{LOCK: False, BEACON: True})
        await daemon.ask(**END, despite=["fire_text"])
        await daemon.until(lambda status: status["evacuation"] == "no")
        await daemon.kill()
        await daemon.start()
        assert (await daemon.until(lambda _: True))["evacuation"] == "no"

    play(tmp_path, story)


def test_at_sigterm_sirens_are_off_and_the_lock_is_released(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        relock = {"device": "lock_exit", "command": "relock", "parameters": {}}
        await daemon.ask(do="order", **relock, reason="opening", by="test")
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True, LOCK: True})
        assert await daemon.stop() == 0
        assert store.module.outputs[SIREN] is False
        assert store.module.outputs[LOCK] is False

    play(tmp_path, story)


def test_after_kill_9_safe_state_brings_every_output_to_its_state(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        relock = {"device": "lock_exit", "command": "relock", "parameters": {}}
        await daemon.ask(do="order", **relock, reason="opening", by="test")
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True, LOCK: True})
        await daemon.kill()
        assert store.module.outputs[SIREN] is True
        code, out, err = await daemon.command("safe-state", "--config", str(daemon.config))
        assert (code, err) == (0, "")
        assert "siren_front: done" in out
        assert store.module.outputs[SIREN] is False
        assert store.module.outputs[LOCK] is False

    play(tmp_path, story)
