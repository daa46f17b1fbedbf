"""What a monitoring system sees: status and its will, states, anchors, and a broker in trouble."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt
from aiomqtt import Message

from buffer.journal import Journal
from tests.broker import Broker, Received
from tests.buffer.fake_broker import Proxy
from tests.daemon import LIMIT
from tests.shop import (
    BEACON,
    FIRE,
    GATE,
    PANIC,
    SIREN,
    TOP,
    connected,
    events,
    ids,
    is_event,
    published,
    shop,
    wired,
    without_gaps,
)

RETURNED_WITHIN = 5.0
"""Seconds from a broker that listens again to the first event, on however busy a machine."""


def said(messages: list[Message], topic: str) -> list[dict[str, Any]]:
    return [
        json.loads(m.payload)
        for m in messages
        if str(m.topic) == topic and isinstance(m.payload, bytes)
    ]


def status_is(state: str, times: int = 1) -> Any:
    def enough(messages: list[Message]) -> bool:
        return [s["state"] for s in said(messages, f"{TOP}/status")].count(state) >= times

    return enough


def test_the_status_is_retained_and_the_will_says_offline_after_kill_9(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with broker.listen(f"{TOP}/status") as heard:
                async with shop(tmp_path, broker.url) as (_store, daemon):
                    await heard.until(status_is("online"))
                    await daemon.kill()
                    await heard.until(status_is("offline"))
                    await daemon.start()
                    await heard.until(status_is("online", 2))
                    async with broker.listen(f"{TOP}/status") as later:
                        (retained,) = await later.count(1)
                    assert retained.retain
                    assert await daemon.stop() == 0
                    await heard.until(status_is("offline", 2))
                told = said(heard.messages, f"{TOP}/status")
        assert [s["state"] for s in told] == ["online", "offline", "online", "offline"]
        assert told[1]["reason"] == "the link was lost"
        assert told[3]["reason"] == "stopped"
        assert all(s["site"] == "demo_store" for s in told)

    asyncio.run(main())


def test_states_are_retained_with_since_and_the_anchor_is_the_journals_own_link(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with shop(tmp_path, broker.url) as (store, daemon):
                await connected(daemon)
                store.module.set(PANIC, True)
                async with broker.listen() as heard:
                    await heard.until(
                        lambda messages: any(
                            s.get("contact", {}).get("value") == "active"
                            for s in said(messages, f"{TOP}/state/panic_office")
                        )
                    )
                    (anchor, *_) = said(
                        await heard.until(lambda m: bool(said(m, f"{TOP}/anchor"))),
                        f"{TOP}/anchor",
                    )
                async with broker.listen(f"{TOP}/state/#") as later:
                    retained = await later.until(
                        lambda m: (
                            {"door_front", "lock_exit", "site"}
                            <= {str(one.topic).rsplit("/", 1)[-1] for one in m}
                        )
                    )
                (door,) = said(retained, f"{TOP}/state/door_front")
                assert all(one.retain for one in retained)
                code, out, _err = await daemon.command(
                    "journal", "verify", "--json", "--config", str(daemon.config)
                )
                with Journal.open(daemon.state / "journal.db", read_only=True) as journal:
                    (anchored,) = journal.since(int(anchor["sequence"]) - 1, 1)
                    name = journal.id
        assert door["link"]["value"] == "up"
        assert door["contact"]["value"] == "closed"
        assert door["contact"]["since"].endswith("Z")
        assert (code, json.loads(out)["good"]) == (0, True)
        assert anchor["journal"] == name
        assert anchor["link"] == anchored.link.hex()

    asyncio.run(main())


def test_the_state_of_a_device_that_is_gone_stays_at_the_broker_until_its_topic_is_cleared(
    tmp_path: Path,
) -> None:
    topic = f"{TOP}/state/light_stock"

    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with shop(tmp_path, broker.url) as (_store, daemon):
                devices = daemon.config / "devices.yaml"
                before = devices.read_text()
                sixth = "      do4: {coil: 4}\n"
                light = "  light_stock: {type: beacon, output: annex.do5}\n"
                more = before.replace(sixth, f"{sixth}      do5: {{coil: 5}}\n")
                devices.write_text(more.replace("\ngroups:", f"{light}\ngroups:", 1))
                await daemon.stop()
                await daemon.start()
                async with broker.listen(topic) as heard:
                    await heard.count(1)
                devices.write_text(before)
                await daemon.stop()
                await daemon.start()
                await connected(daemon)
                async with broker.listen(topic) as heard:
                    (left,) = await heard.count(1)
                assert left.retain
                async with aiomqtt.Client("127.0.0.1", broker.port) as anybody:
                    await anybody.publish(topic, b"", qos=1, retain=True)
                async with broker.listen(f"{TOP}/state/#") as heard:
                    await heard.until(lambda m: bool(said(m, f"{TOP}/state/door_front")))
                    assert topic not in {str(one.topic) for one in heard.messages}

    asyncio.run(main())


async def returned(heard: Received) -> float:
    """Return how long it takes from now to the first event."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    await heard.until(lambda messages: any(map(is_event, messages)))
    return loop.time() - since


def test_while_the_broker_is_down_rules_go_on_and_at_its_return_all_of_it_arrives(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with shop(tmp_path, broker.url) as (store, daemon):
                await connected(daemon)
                broker.kill()
                await connected(daemon, is_so=False)
                before = {record.id for record in published(daemon)}
                await store.module.pulse(GATE, 0.5)
                await wired(store, **{SIREN: True})
                await wired(store, **{SIREN: False})
                meanwhile = {record.id for record in published(daemon)} - before
                broker.start()
                async with broker.listen() as heard:
                    assert await returned(heard) < RETURNED_WITHIN
                    await heard.until(lambda messages: meanwhile <= ids(messages))
                    found = [e for e in events(heard.messages) if e["id"] in meanwhile]
        assert any(e["type"] == "storewarden.eas.alarm" for e in found)
        assert all(e["replayed"] for e in found)

    asyncio.run(main())


def test_a_black_hole_delays_no_rule_and_loses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with (
                Proxy(broker.port).serving() as proxy,
                broker.listen() as heard,
                shop(tmp_path, f"mqtt://127.0.0.1:{proxy.port}") as (store, daemon),
            ):
                await connected(daemon)
                proxy.hole()
                store.module.set(FIRE, True)
                async with asyncio.timeout(LIMIT):
                    await store.module.wait_output(BEACON, True)
                async with asyncio.timeout(2 * LIMIT):
                    while (await daemon.ask(do="status"))["uplink"]["connected"]:
                        await asyncio.sleep(0.1)
                proxy.cut()
                proxy.mend()
                await connected(daemon)
                await daemon.until(lambda status: not status["uplink"]["backlog"])
                committed = {record.id for record in published(daemon)}
                await heard.until(lambda messages: committed <= ids(messages))
        assert without_gaps(events(heard.messages))

    asyncio.run(main())


ACL = f"""\
topic readwrite {TOP}/#
topic deny {TOP}/event/tills/#
"""


def test_a_denied_topic_is_not_delivered_blocks_nobody_and_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path, acl=ACL) as broker:
            async with (
                broker.listen(f"{TOP}/#") as heard,
                shop(tmp_path, broker.url) as (store, daemon),
            ):
                await connected(daemon)
                store.gateway.say("DEACTIVATED 2")
                store.module.set(PANIC, True)
                await heard.until(
                    lambda messages: (
                        {"storewarden.uplink.refused", "storewarden.button.pressed"}
                        <= {e["type"] for e in events(messages)}
                    )
                )
                found = events(heard.messages)
                await daemon.until(lambda status: status["uplink"]["refused"] > 0)
                await connected(daemon)
        (refused, *_) = [e for e in found if e["type"] == "storewarden.uplink.refused"]
        assert refused["data"]["topic"].startswith(f"{TOP}/event/tills/")
        assert not [e for e in found if e["subject"] == "tills"]

    asyncio.run(main())
