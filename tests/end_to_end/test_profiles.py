"""The whole daemon with both profiles on: what Home Assistant and a Sparkplug host find."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt

from edge.sparkplug import payload
from tests.broker import Broker
from tests.shop import FIRE, connected, shop

ON = "home_assistant: homeassistant, sparkplug: retail"


def metrics(message: aiomqtt.Message) -> dict[str, Any]:
    assert isinstance(message.payload, bytes)
    return {m.name: m.string_value for m in payload._payload().FromString(message.payload).metrics}


def test_both_are_told_of_every_device_and_of_a_fire(tmp_path: Path) -> None:
    async def main() -> None:
        with Broker(tmp_path) as broker:
            async with broker.listen() as heard, shop(tmp_path, broker.url) as (store, daemon):
                site = tmp_path / "config" / "site.yaml"
                text = site.read_text()
                assert "mqtt: {url" in text
                site.write_text(text.replace("mqtt: {", f"mqtt: {{{ON}, ", 1))
                await daemon.stop()
                await daemon.start()
                await connected(daemon)
                await heard.until(
                    lambda messages: any("/DBIRTH/" in str(m.topic) for m in messages)
                )
                store.module.set(FIRE, True)
                await heard.until(
                    lambda messages: any(
                        "/DDATA/" in str(m.topic) and "fire.alarm" in metrics(m).get("event", "")
                        for m in messages
                    )
                )
                await daemon.stop()
                await heard.until(
                    lambda messages: any("/NDEATH/" in str(m.topic) for m in messages)
                )
                found = {str(m.topic): m for m in heard.messages}
        config = found["homeassistant/binary_sensor/storewarden_demo_store/fire_main_alarm/config"]
        assert isinstance(config.payload, bytes)
        told = json.loads(config.payload)
        assert told["device_class"] == "smoke"
        assert told["state_topic"] in found
        births = [topic for topic in found if "/DBIRTH/" in topic]
        assert "spBv1.0/retail/DBIRTH/demo_store/fire_main" in births

    asyncio.run(main())
