"""A message that is too large for the broker: set aside, shown, and sent when that is asked for."""

import asyncio
from pathlib import Path

from tests.broker import Broker
from tests.shop import TOP, connected, events, ids, published, shop


def test_what_is_too_large_is_set_aside_until_a_reload_after_the_broker_was_changed(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with shop(tmp_path, broker.url) as (_, daemon):
            await connected(daemon)
            order = {"do": "order", "device": "siren_front", "command": "sound", "for": 1}
            await daemon.ask(**order, parameters={}, reason="long " * 500)
            status = await daemon.until(lambda found: found["uplink"]["set_aside"] > 0)
            (large, *_) = status["uplink"]["set_aside_last"]
            assert large["reason"] == "Packet too large"
            code, shown, _ = await daemon.command("status")
            assert code == 0
            assert "set aside for good" in shown
            await daemon.until(lambda found: not found["uplink"]["backlog"])

            await asyncio.to_thread(broker.kill)
            await connected(daemon, is_so=False)
            broker.options = ()
            await asyncio.to_thread(broker.start)
            async with broker.listen(f"{TOP}/#") as heard:
                await connected(daemon)
                assert (await daemon.ask(do="status"))["uplink"]["set_aside"] > 0
                await daemon.ask(do="reload")
                (record,) = [r for r in published(daemon) if r.sequence == large["sequence"]]
                await heard.until(lambda messages: record.id in ids(messages))
                await daemon.until(lambda found: not found["uplink"]["set_aside"])
            told = [e for e in events(heard.messages) if e["id"] == record.id]
            assert {event["replayed"] for event in told} == {True}

    with Broker(tmp_path, options=["max_packet_size 2000"]) as broker:
        asyncio.run(main())
