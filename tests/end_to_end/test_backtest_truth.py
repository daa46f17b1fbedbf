"""A backtest of the rules that ran finds what they did: over the journal of a killed daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.recorded import differences, recorded
from tests.shop import BACK, FRONT, GATE, PANIC, kept, shop


def test_what_a_killed_daemon_fired_is_what_a_backtest_finds(tmp_path: Path) -> None:
    async def story() -> None:
        async with shop(tmp_path) as (store, daemon):
            store.module.set(GATE, True)
            await kept(daemon, "rule.fired")
            store.module.set(FRONT, False)
            store.module.set(PANIC, True)
            await kept(daemon, "button.pressed")
            await daemon.kill()
            store.module.set(GATE, False)
            store.module.set(BACK, False)
            await daemon.start()
            await daemon.until(lambda status: not status["devices_down"])
            store.module.set(PANIC, False)
            await kept(daemon, "button.released")
            store.module.set(GATE, True)
            await daemon.stop()

    asyncio.run(story())
    journal, folder = tmp_path / "state" / "journal.db", tmp_path / "config"
    assert len(list(recorded(journal))) >= 2
    assert differences(folder, journal) == []
