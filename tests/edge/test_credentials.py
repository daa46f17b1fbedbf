"""What the site shows to the broker: taken anew when it changes, and spoken of before it ends."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path

from buffer.endpoint import read_credentials
from buffer.mqtt import Connector, Endpoint
from drivers.event import Event
from edge.clock import Clock
from edge.config.model import Mqtt
from edge.credentials import Credentials
from edge.speaker import Speaker
from tests.certificates import Authority

DAY = 86400.0


class House:
    """Credentials over real files, on a clock that a test sets."""

    def __init__(self, folder: Path, *, days: int, trusted: bool = True) -> None:
        self.authority = Authority(folder)
        self.own, self.key = self.authority.sign("own", days=days)
        self.said: list[Event] = []
        self.renewals: list[str] = []
        self.later = 0.0
        clock = Clock(
            seconds=lambda: self.later,
            now=lambda: datetime.now(UTC) + timedelta(seconds=self.later),
            boot="b" * 32,
            follows_server=lambda: trusted,
            battery=lambda: trusted,
        )
        clock.believed = trusted
        mqtt = Mqtt(url="mqtts://b", ca=self.authority.pem, cert=self.own, key=self.key)
        endpoint = Endpoint(
            url="mqtts://b",
            client_id="site",
            ca=str(self.authority.pem),
            cert=str(self.own),
            key=str(self.key),
        )
        self.connector = Connector(endpoint)
        self.connected()
        speaker = Speaker(clock, self.said.append)
        self.credentials = Credentials(mqtt, self.connector, self.renewals.append, speaker, clock)

    def connected(self) -> None:
        """Take note of what a connection would be made with now."""
        self.connector._mark = read_credentials(self.connector._endpoint).mark

    def told(self) -> list[tuple[str, str, int]]:
        return [(e.kind, e.fields["certificate"], e.fields["days"]) for e in self.said]


def play(story: Callable[[House], Coroutine[object, object, None]], house: House) -> None:
    asyncio.run(story(house))


def test_a_certificate_that_ends_soon_is_said_once_a_day_and_then_that_it_has(
    tmp_path: Path,
) -> None:
    async def story(house: House) -> None:
        for hours in (0, 1, 23, 25, 26, 6 * 24, 6 * 24 + 1):
            house.later = hours * 3600.0
            await house.credentials.look()
        assert house.told() == [
            ("certificate.expiring", "own", 4),
            ("certificate.expiring", "own", 3),
            ("certificate.expired", "own", -2),
        ]
        assert house.renewals == []

    play(story, House(tmp_path, days=5))


def test_a_clock_that_is_not_trusted_ends_no_certificate(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.credentials.look()
        assert house.said == []

    play(story, House(tmp_path, days=5, trusted=False))


def test_the_ends_are_known_for_the_metrics(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        broker, _ = house.authority.sign("broker", days=90)
        house.connector.presented = ssl.PEM_cert_to_DER_cert(broker.read_text())
        await house.credentials.look()
        now = datetime.now(UTC).timestamp()
        days = {which: round((ends - now) / DAY) for which, ends in house.credentials.ends.items()}
        assert days == {"own": 60, "broker": 90, "ca": 365}

    play(story, House(tmp_path, days=60))


def test_new_files_make_the_link_anew_and_half_a_change_does_not(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        old = house.key.read_bytes()
        await house.credentials.look()
        house.authority.sign("own", days=90)
        new = house.key.read_bytes()
        house.key.write_bytes(old)
        await house.credentials.look()
        assert house.renewals == []
        house.key.write_bytes(new)
        await house.credentials.look()
        assert house.renewals == ["the credentials have changed"]
        house.connected()
        await house.credentials.look()
        assert len(house.renewals) == 1

    play(story, House(tmp_path, days=60))


def test_where_there_is_nothing_to_look_at_nobody_looks(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        house.credentials._mqtt = Mqtt(url="mqtt://b")
        await asyncio.wait_for(house.credentials.run(), 10)

    play(story, House(tmp_path, days=60))


def test_a_missing_file_is_no_reason_to_fall(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        house.own.unlink()
        await house.credentials.look()
        assert house.renewals == []

    play(story, House(tmp_path, days=60))
