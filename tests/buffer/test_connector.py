"""What a site shows to a real broker: mutual TLS, strangers, the expired, and files that change."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from buffer.message import Message, Unreachable
from buffer.mqtt import Endpoint, connector
from tests.broker import Broker
from tests.buffer.site import LIMIT
from tests.certificates import Authority, mutual_tls


def endpoint(broker: Broker, authority: Path, own: tuple[Path, Path]) -> Endpoint:
    return Endpoint(
        url=f"mqtts://localhost:{broker.port}",
        client_id="site",
        ca=str(authority),
        cert=str(own[0]),
        key=str(own[1]),
    )


async def refusal(where: Endpoint) -> Unreachable:
    with pytest.raises(Unreachable) as refused:
        async with asyncio.timeout(LIMIT), connector(where)() as link:
            # With TLS 1.3 the broker's word on our certificate comes after the handshake.
            await link.publish(Message(topic="a", payload=b""))
    return refused.value


def test_a_broker_lets_its_own_in_and_no_stranger_and_nobody_expired(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, theirs = Authority(tmp_path), Authority(tmp_path / "other")
    own, expired, stranger = ours.sign("own"), ours.sign("expired", days=-1), theirs.sign("own")

    async def main() -> None:
        async with connector(endpoint(broker, ours.pem, own))() as link:
            await link.publish(Message(topic="a", payload=b"b"))
        for shown in (stranger, expired):
            refused = await refusal(endpoint(broker, ours.pem, shown))
            assert "the broker refuses our certificate" in str(refused)
            assert refused.code == 0x87
        refused = await refusal(endpoint(broker, theirs.pem, own))
        assert "certificate verify failed" in str(refused)
        assert refused.code == 0x87

    with Broker(tmp_path, options=mutual_tls(tmp_path, ours)) as broker:
        asyncio.run(main())


def test_a_broker_whose_certificate_has_expired_is_refused_in_these_words(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.sign("own")
    options = mutual_tls(tmp_path, authority)
    authority.sign("server", days=-1)

    async def main() -> None:
        refused = await refusal(endpoint(broker, authority.pem, own))
        assert str(refused).endswith("certificate verify failed: certificate has expired")

    with Broker(tmp_path, options=options) as broker:
        asyncio.run(main())


def test_new_files_are_seen_and_half_a_change_is_not_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.sign("own")

    async def main() -> None:
        connect = connector(endpoint(broker, authority.pem, own))
        async with connect() as link:
            assert connect.presented is not None
            assert not connect.renewed()
            key = own[1].read_bytes()
            authority.sign("own")
            assert connect.renewed()
            own[1].write_bytes(key)
            with pytest.raises(Unreachable, match="certificates: "):
                connect.renewed()
            assert not link.ended.done()
            authority.sign("own")
        async with connect():
            assert not connect.renewed()

    with Broker(tmp_path, options=mutual_tls(tmp_path, authority)) as broker:
        asyncio.run(main())


@pytest.mark.parametrize("password", [None, "word"])
def test_without_files_nothing_ever_changes(tmp_path: Path, password: str | None) -> None:
    async def main() -> None:
        connect = connector(
            Endpoint(url=broker.url, client_id="site", username="site", password=password)
        )
        async with connect():
            assert not connect.renewed()

    with Broker(tmp_path) as broker:
        asyncio.run(main())


def test_a_password_is_read_at_each_connection(tmp_path: Path) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"

    def change(word: str) -> None:
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "site", word], check=True)
        secret.write_text(word)

    async def main() -> None:
        connect = connector(
            Endpoint(url=broker.url, client_id="site", username="site", password=secret.read_text)
        )
        async with connect():
            pass
        secret.write_text("another")
        assert connect.renewed()
        with pytest.raises(Unreachable, match="Not authorized") as refused:
            async with connect():
                pass
        assert refused.value.code == 0x87
        secret.write_text("first")
        async with connect():
            pass

    change("first")
    options = [f"password_file {passwords}"]
    with Broker(tmp_path, options=options, anonymous=False) as broker:
        asyncio.run(main())
