"""The broker of the tests itself: it starts, dies and comes back where it was."""

import asyncio
from pathlib import Path

import aiomqtt

from tests.broker import Broker


def test_a_killed_broker_comes_back_on_its_port(tmp_path: Path) -> None:
    async def main() -> list[bytes]:
        async with broker.listen("a/#") as received:
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                await client.publish("a/b", b"hello", qos=1)
            await received.count(1)
            return received.payloads("a/b")

    with Broker(tmp_path) as broker:
        port = broker.port
        broker.kill()
        broker.start()
        assert broker.port == port
        assert asyncio.run(main()) == [b"hello"]
