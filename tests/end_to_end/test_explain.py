"""The installed daemon on simulated hardware explains what its rules did, and what they did not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edge.demo.store import Store
from tests.daemon import LIMIT, Daemon
from tests.shop import BACK, GATE, SIREN, kept, shop, wired


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


async def explained(daemon: Daemon, *arguments: str) -> str:
    config = ("--config", str(daemon.config))
    code, out, err = await daemon.command("rules", "explain", *arguments, *config)
    assert (code, err) == (0, "")
    return out


async def asked(daemon: Daemon, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await explained(daemon, *arguments, "--json"))
    return found


async def until(daemon: Daemon, rule: str, enough: Callable[[dict[str, Any]], bool]) -> Any:
    """Wait until what is told of a rule is `enough`."""
    async with asyncio.timeout(LIMIT):
        while not enough(found := await asked(daemon, rule)):
            await asyncio.sleep(0.05)
    return found


async def near_miss(store: Store, daemon: Daemon) -> None:
    """Open the delivery door for a moment, shorter than the rule waits."""
    async with daemon.tail() as next_of:
        store.module.set(BACK, False)
        await next_of("door_back", "door.opened")
        store.module.set(BACK, True)
        await next_of("door_back", "door.closed")


def test_a_firing_and_a_near_miss_are_explained_also_after_a_kill(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await near_miss(store, daemon)
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True})

        def done(found: dict[str, Any]) -> bool:
            return bool(found["firings"]) and "after" in found["firings"][0]["orders"][0]

        (firing,) = (await until(daemon, "walk_out", done))["firings"]
        order = firing["orders"][0]
        assert (order["device"], order["result"], firing["why"]["answer"]) == (
            "siren_front",
            "done",
            "yes",
        )
        await kept(daemon, "incident.opened")
        told = await explained(daemon, "walk_out")
        assert "Front gates (eas_front) said eas.alarm" in told
        assert "Siren at the front (siren_front): sound for 5 s: done after" in told

        await daemon.kill()
        assert "done after" in await explained(daemon, "walk_out")
        nearly = await explained(daemon, "delivery_door_propped", "--at", "2s")
        assert "delivery_door_propped did not fire from" in nearly
        assert "near misses, decided again from what the journal has:" in nearly
        assert "door_back was open for" in nearly
        of_all = await explained(daemon)
        assert "walk_out fired: Front gates (eas_front) said eas.alarm" in of_all
        assert "delivery_door_propped: door_back was open for" in of_all

    play(tmp_path, story)


def test_what_waits_is_told_with_the_time_that_is_left(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        store.module.set(BACK, False)

        def holds(found: dict[str, Any]) -> bool:
            return bool(found["waits"])

        (wait,) = (await until(daemon, "delivery_door_propped", holds))["waits"]
        assert (wait["what"], wait["member"]) == ("hold", "door_back")
        assert 0 < wait["left"] <= 10
        assert wait["text"] == "back_doors contact=open holds"

    play(tmp_path, story)
