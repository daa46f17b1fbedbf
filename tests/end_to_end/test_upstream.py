"""From the fire contact to the cloud: what arrives upstream, in which order, and after kill -9."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from edge.demo.store import Store
from tests.broker import Broker, Received
from tests.daemon import Daemon
from tests.shop import (
    BEACON,
    FIRE,
    GATE,
    LOCK,
    SIREN,
    TOP,
    connected,
    events,
    ids,
    in_order,
    kept,
    published,
    shop,
    wired,
    without_gaps,
)

RELOCK = {"do": "order", "device": "lock_exit", "command": "relock", "parameters": {}}


async def fire(store: Store, daemon: Daemon) -> None:
    """Close the exit, sound the theft siren, then close the fire contact; all on the wire."""
    await daemon.ask(**RELOCK, reason="opening", by="test")
    await wired(store, **{LOCK: True})
    await store.module.pulse(GATE, 0.5)
    await wired(store, **{SIREN: True})
    store.module.set(FIRE, True)
    await wired(store, **{LOCK: False, BEACON: True, SIREN: False})


async def everything(daemon: Daemon, *heard: Received) -> None:
    """Wait until all that was committed has arrived at one of the listeners."""
    committed = {record.id for record in published(daemon)}
    before: set[str] = set().union(*(ids(h.messages) for h in heard[:-1]))
    await heard[-1].until(lambda messages: committed <= before | ids(messages))


def test_a_fire_is_seen_on_the_wire_and_arrives_upstream_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with broker.listen() as heard, shop(tmp_path, broker.url) as (store, daemon):
                await connected(daemon)
                await fire(store, daemon)
                await heard.until(
                    lambda messages: (
                        {"lock.released", "output.on", "evacuation.started"}
                        <= {str(m.topic).rsplit("/", 1)[-1] for m in messages}
                    )
                )
                await daemon.until(lambda status: not status["uplink"]["backlog"])
                await everything(daemon, heard)
                found = events(heard.messages)
        assert in_order(found)
        assert without_gaps(found)
        assert len({event["id"] for event in found}) == len(found)
        (alarm,) = [e for e in found if e["type"] == "storewarden.fire.alarm"]
        assert alarm["source"] == "/site/demo_store/device/fire_main"
        assert alarm["subject"] == "fire_main"
        assert alarm["priority"] == "life_safety"
        assert alarm["datacontenttype"] == "application/json"
        assert alarm["replayed"] is False
        assert alarm["clock"] in {"trusted", "untrusted"}
        assert isinstance(alarm["time"], datetime)
        assert alarm["time"].tzinfo is not None
        assert float(alarm["tick"]) > 0
        (started,) = [e for e in found if e["type"] == "storewarden.evacuation.started"]
        assert started["data"] == {"cause": "fire_main", "drill": False}
        silenced = [
            e
            for e in found
            if e["subject"] == "siren_front" and e["data"].get("by") == "evacuation"
        ]
        assert [e["type"] for e in silenced] == [
            "storewarden.order.given",
            "storewarden.order.done",
        ]

    asyncio.run(main())


def test_kill_9_with_the_broker_up_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with broker.listen() as heard, shop(tmp_path, broker.url) as (store, daemon):
                await connected(daemon)
                for till in range(1, 201):
                    store.gateway.say(f"DEACTIVATED {till}")
                await heard.until(lambda messages: sum(map(is_deactivated, messages)) >= 20)
                await daemon.kill()
                committed = published(daemon)
                assert len(committed) > 20
                await daemon.start()
                await connected(daemon)
                await everything(daemon, heard)
                found = events(heard.messages)
        assert {record.id for record in committed} <= {event["id"] for event in found}
        assert in_order(found)
        assert without_gaps(found)
        by_id = {event["id"]: {**event, "replayed": None} for event in found}
        assert all({**event, "replayed": None} == by_id[event["id"]] for event in found)

    asyncio.run(main())


def is_deactivated(message: object) -> bool:
    return str(getattr(message, "topic", "")) == f"{TOP}/event/tills/eas.deactivated"


def test_kill_9_while_the_broker_is_down_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with AsyncExitStack() as stack:
                listening = AsyncExitStack()
                before = await listening.enter_async_context(broker.listen())
                store, daemon = await stack.enter_async_context(shop(tmp_path, broker.url))
                await connected(daemon)
                await everything(daemon, before)
                await listening.aclose()
                broker.kill()
                await connected(daemon, is_so=False)
                for visitors in range(1, 51):
                    store.gateway.say(f"VISITORS IN {visitors} OUT 0")
                await fire(store, daemon)
                await kept(daemon, "fire.alarm")
                await daemon.kill()
                committed = published(daemon)
                assert any(r.topic == f"{TOP}/event/fire_main/fire.alarm" for r in committed)
                broker.start()
                async with broker.listen() as after:
                    await daemon.start()
                    await connected(daemon)
                    await everything(daemon, before, after)
                    found = events([*before.messages, *after.messages])
                    replayed = [e for e in events(after.messages) if e["replayed"]]
        assert {record.id for record in committed} <= {event["id"] for event in found}
        assert in_order(found)
        assert without_gaps(found)
        first = next(e["priority"] for e in replayed)
        assert first == "life_safety"

    asyncio.run(main())
