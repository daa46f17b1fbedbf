"""The MQTT client under the uplink: each known trap of the library, with the trap sprung."""

import asyncio
import logging
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from buffer.message import Message, Publisher, Refused, Unreachable
from buffer.mqtt import Endpoint, connector
from tests.broker import Broker
from tests.buffer.fake_broker import FakeBroker, Proxy, Published, puback

LIMIT = 20.0
"""Real seconds that anything may take on a loaded machine."""


def endpoint(port: int, client_id: str = "store_0421", keepalive: int = 10) -> Endpoint:
    return Endpoint(url=f"mqtt://127.0.0.1:{port}", client_id=client_id, keepalive=keepalive)


def message(topic: str = "a/b", payload: bytes = b"x") -> Message:
    return Message(topic=topic, payload=payload)


async def deliver(link: Publisher, *messages: Message) -> list[object]:
    async with asyncio.timeout(LIMIT):
        return await asyncio.gather(*map(link.publish, messages), return_exceptions=True)


def test_a_message_arrives_with_its_properties(tmp_path: Path) -> None:
    sent = Message(
        topic="a/b",
        payload=b"hello",
        content_type="application/cloudevents+json",
        properties={"priority": "security"},
        expiry=60,
    )

    async def main() -> None:
        async with broker.listen() as received, connector(endpoint(broker.port))() as link:
            assert await deliver(link, sent) == [None]
            (got,) = await received.count(1)
        assert (str(got.topic), got.payload, got.qos, got.retain) == ("a/b", b"hello", 1, False)
        properties = vars(got.properties)
        assert properties["ContentType"] == "application/cloudevents+json"
        assert properties["UserProperty"] == [("priority", "security")]
        assert properties["MessageExpiryInterval"] in (59, 60)

    with Broker(tmp_path) as broker:
        asyncio.run(main())


def test_trap_1_a_message_that_the_broker_denies_is_not_delivered(tmp_path: Path) -> None:
    async def main() -> None:
        async with connector(endpoint(broker.port))() as link:
            first, second = await deliver(link, message("ours/a"), message("theirs/a"))
        assert first is None
        assert isinstance(second, Refused)
        assert (second.code, second.reason) == (0x87, "Not authorized")

    with Broker(tmp_path, acl="topic readwrite ours/#\n") as broker:
        asyncio.run(main())


def test_trap_1_no_matching_subscribers_is_delivery() -> None:
    async def main() -> None:
        fake = FakeBroker(lambda p: puback(p.mid, 0x10))
        async with fake.serving(), connector(endpoint(fake.port))() as link:
            assert await deliver(link, message()) == [None]

    asyncio.run(main())


def test_only_the_acknowledged_one_of_three_is_done() -> None:
    async def main() -> None:
        fake = FakeBroker(lambda p: puback(p.mid) if p.payload == b"2" else b"")
        async with fake.serving(), connector(endpoint(fake.port))() as link:
            futures = [link.publish(message(payload=b)) for b in (b"1", b"2", b"3")]
            await asyncio.wait_for(futures[1], LIMIT)
            assert [f.done() for f in futures] == [False, True, False]
        for future in (futures[0], futures[2]):
            assert isinstance(future.exception(), Unreachable)

    asyncio.run(main())


def test_a_puback_for_something_else_completes_nothing() -> None:
    async def main() -> None:
        fake = FakeBroker(
            lambda p: puback(p.mid + 7) if p.payload == b"1" else puback(p.mid) + puback(p.mid)
        )
        async with fake.serving(), connector(endpoint(fake.port))() as link:
            first, second = link.publish(message(payload=b"1")), link.publish(message())
            await asyncio.wait_for(second, LIMIT)
            third = link.publish(message())
            await asyncio.wait_for(third, LIMIT)
            assert not first.done()

    asyncio.run(main())


def test_trap_2_what_waits_fails_at_once_when_the_link_ends(tmp_path: Path) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with (
            Proxy(broker.port).serving() as proxy,
            connector(endpoint(proxy.port))() as link,
        ):
            proxy.hole()
            waiting = [link.publish(message()) for _ in range(20)]
            begun = loop.time()
            proxy.cut()
            async with asyncio.timeout(LIMIT):
                results = await asyncio.gather(*waiting, return_exceptions=True)
                await link.ended
            took = loop.time() - begun
            assert all(isinstance(r, Unreachable) for r in results)
            late = link.publish(message())
            assert isinstance(late.exception(), Unreachable)
        return took

    with Broker(tmp_path) as broker:
        assert asyncio.run(main()) < 2.0


def test_trap_3_a_new_connection_sends_nothing_of_the_old_one() -> None:
    async def main() -> list[bytes]:
        fake = FakeBroker(lambda p: b"" if p.payload == b"old" else puback(p.mid))
        connect = None
        async with fake.serving():
            connect = connector(endpoint(fake.port))
            async with connect() as link:
                old = link.publish(message(payload=b"old"))
                await fake.until(lambda: len(fake.published) == 1)
            assert isinstance(old.exception(), Unreachable)
            async with connect() as link:
                assert await deliver(link, message(payload=b"new")) == [None]
        return [p.payload for p in fake.published]

    assert asyncio.run(main()) == [b"old", b"new"]


def test_trap_4_the_brokers_receive_maximum_is_known(tmp_path: Path) -> None:
    async def main() -> int:
        async with connector(endpoint(broker.port))() as link:
            return link.receive_maximum

    with Broker(tmp_path, options=["max_inflight_messages 5"]) as broker:
        assert asyncio.run(main()) == 5


def test_a_packet_larger_than_the_broker_takes_is_refused_without_sending_it() -> None:
    async def main() -> None:
        maximum = bytes([0x27]) + (1000).to_bytes(4, "big")
        fake = FakeBroker(lambda p: puback(p.mid), properties=maximum)
        async with fake.serving(), connector(endpoint(fake.port))() as link:
            large, small = await deliver(link, message(payload=bytes(1000)), message())
        assert isinstance(large, Refused)
        assert (large.code, small, len(fake.published)) == (0x95, None, 1)

    asyncio.run(main())


def test_trap_5_a_half_open_link_is_found_by_keep_alive(tmp_path: Path) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with (
            Proxy(broker.port).serving() as proxy,
            connector(endpoint(proxy.port, keepalive=1))() as link,
        ):
            proxy.hole()
            begun = loop.time()
            waiting = link.publish(message())
            async with asyncio.timeout(LIMIT):
                reason = await link.ended
            assert "Keep alive timeout" in str(reason)
            assert isinstance(waiting.exception(), Unreachable)
            return loop.time() - begun

    with Broker(tmp_path) as broker:
        assert asyncio.run(main()) < 10


def test_trap_6_no_writer_is_left_on_a_closed_socket(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Proxy(broker.port).serving() as proxy:
            connect = connector(endpoint(proxy.port))
            for _ in range(20):
                async with connect() as link:
                    proxy.cut()
                    while not link.ended.done():
                        link.publish(message(payload=bytes(100_000)))
                        await asyncio.sleep(0)
                    link.publish(message())
                    await asyncio.sleep(0)

    with Broker(tmp_path) as broker, caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []


def test_a_full_window_warns_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with connector(endpoint(broker.port))() as link:
            assert await deliver(link, *[message()] * 50) == [None] * 50

    with Broker(tmp_path, options=["max_inflight_messages 0"]) as broker:
        asyncio.run(main())
    assert caplog.records == []


def test_the_will_is_published_when_the_link_is_cut_but_not_after_a_goodbye(
    tmp_path: Path,
) -> None:
    will = Message(topic="status", payload=b"offline", retain=True)

    async def main() -> list[bytes]:
        async with broker.listen("status") as received, Proxy(broker.port).serving() as proxy:
            where = Endpoint(url=f"mqtt://127.0.0.1:{proxy.port}", client_id="one", will=will)
            async with connector(where)():
                pass
            async with connector(where)() as link:
                assert await deliver(link, Message(topic="status", payload=b"online")) == [None]
                proxy.cut()
                await link.ended
            await received.count(2)
            return received.payloads()

    with Broker(tmp_path) as broker:
        assert asyncio.run(main()) == [b"online", b"offline"]


def test_a_broker_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: .*refused"):
            async with connector(endpoint(port))():
                pass

    with Broker(tmp_path) as broker:
        port = broker.port
    asyncio.run(main())


def test_a_broker_that_does_not_want_us_is_unreachable_at_once() -> None:
    async def main() -> None:
        fake = FakeBroker(lambda p: b"", code=0x87)
        async with fake.serving():
            with pytest.raises(Unreachable, match="Not authorized"):
                async with connector(endpoint(fake.port))():
                    pass

    asyncio.run(main())


def test_rubbish_from_the_broker_ends_the_link() -> None:
    def rubbish(publish: Published) -> bytes:
        return bytes(range(256))

    async def main() -> None:
        fake = FakeBroker(rubbish)
        async with fake.serving(), connector(endpoint(fake.port))() as link:
            waiting = link.publish(message())
            await asyncio.wait_for(link.ended, LIMIT)
            assert isinstance(waiting.exception(), Unreachable)

    asyncio.run(main())


def test_an_authority_that_tells_no_key_usage_does_with_every_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(**given: Any) -> ssl.SSLContext:
        context = lenient(**given)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does
        return context

    lenient = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", strict)
    make_certificates(tmp_path, usage=())
    options = [f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key"]

    async def main() -> None:
        url = f"mqtts://localhost:{broker.port}"
        async with connector(Endpoint(url=url, client_id="one", ca=f"{tmp_path}/ca.pem"))() as link:
            assert await deliver(link, message()) == [None]

    with Broker(tmp_path, options=options) as broker:
        asyncio.run(main())


def test_tls_with_our_own_authority_and_a_client_certificate(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    options = [
        f"cafile {tmp_path}/ca.pem",
        f"certfile {tmp_path}/server.pem",
        f"keyfile {tmp_path}/server.key",
        "require_certificate true",
    ]

    async def main() -> None:
        known = Endpoint(
            url=f"mqtts://localhost:{broker.port}",
            client_id="one",
            ca=f"{tmp_path}/ca.pem",
            cert=f"{tmp_path}/client.pem",
            key=f"{tmp_path}/client.key",
        )
        async with connector(known)() as link:
            assert await deliver(link, *[message()] * 20) == [None] * 20
        stranger = Endpoint(url=known.url, client_id="two", ca=f"{tmp_path}/client.pem")
        with pytest.raises(Unreachable, match="certificate verify failed"):
            async with connector(stranger)():
                pass
        missing = Endpoint(url=known.url, client_id="three", ca=f"{tmp_path}/none.pem")
        with pytest.raises(Unreachable, match="certificates"):
            async with connector(missing)():
                pass

    with Broker(tmp_path, options=options) as broker:
        asyncio.run(main())


def test_a_stop_while_connecting_leaves_nothing_behind(tmp_path: Path) -> None:
    async def enter(port: int) -> None:
        async with connector(endpoint(port))():
            raise AssertionError("a hole does not answer")

    async def main() -> None:
        async with Proxy(broker.port).serving() as proxy:
            proxy.hole()
            connecting = asyncio.create_task(enter(proxy.port))
            async with asyncio.timeout(LIMIT):
                while not proxy.accepted:
                    await asyncio.sleep(0.01)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    with Broker(tmp_path) as broker:
        asyncio.run(main())


@pytest.mark.parametrize("url", ["tcp://a:1", "mqtt://", "broker", "mqtt://a/b"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="mqtt://HOST:PORT"):
        Endpoint(url=url, client_id="one")


def test_a_password_is_not_shown() -> None:
    where = Endpoint(url="mqtts://broker", client_id="one", username="u", password="geheim")
    assert repr(where) == "Endpoint('mqtts://broker')"
    assert where.port == 8883


USAGE = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")


def make_certificates(folder: Path, usage: tuple[str, ...] = USAGE) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", *usage)
    for name, extra in (
        ("server", "subjectAltName=DNS:localhost"),
        ("client", "basicConstraints=CA:FALSE"),
    ):
        openssl(
            "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        (folder / f"{name}.ext").write_text(extra)
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-out", f"{name}.pem", "-extfile", f"{name}.ext"),
        )
