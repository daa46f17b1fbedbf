"""What the broker refuses for now, and records that no message can be made of."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path

import pytest

from buffer.message import Message, Refused
from buffer.record import LIFE_SAFETY, TELEMETRY, Record
from tests.buffer.fake_broker import FakeBroker, Published, puback
from tests.buffer.site import LIMIT, draft, render, site, until


def run(story: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 4 * LIMIT))


def sent(fake: FakeBroker) -> list[str]:
    return [str(json.loads(p.payload)["body"]) for p in fake.published if p.topic == "site/event"]


def test_a_fire_that_was_refused_is_tried_again_while_a_backlog_is_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.refusals.FIRST_WAIT", 0.5)
    refused: list[int] = []

    def answer(p: Published) -> bytes:
        if b'"fire"' in p.payload and len(refused) < 2:
            refused.append(p.mid)
            return puback(p.mid, 0x87)
        return puback(p.mid)

    async def story() -> None:
        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", 1) as away:
            away.keep(draft("fire", LIFE_SAFETY))
            away.keep(*(draft(str(n), TELEMETRY) for n in range(2000)))
            await away.writer.flush()
        async with fake.serving(), site(tmp_path / "j.db", fake.port, drain_rate=50.0) as s:
            await until(lambda: sent(fake).count("fire") == 3)
            assert s.uplink.stats.backlog > 1000
            await until(lambda: s.uplink.stats.refused == 0)
            assert s.refused == [("fire", 0x87)]

    run(story())


def test_a_state_that_is_too_much_for_the_broker_now_is_sent_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.session.FIRST_PAUSE", 0.2)
    refused: list[int] = []

    def answer(p: Published) -> bytes:
        if p.topic == "site/state/door" and not refused:
            refused.append(p.mid)
            return puback(p.mid, 0x97)
        return puback(p.mid)

    async def story() -> None:
        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            await asyncio.wait_for(s.up.wait(), LIMIT)
            s.uplink.publish_state("site/state/door", b"open")
            await until(lambda: [p.topic for p in fake.published].count("site/state/door") == 2)

    run(story())


def test_a_record_that_no_message_can_be_made_of_ends_nothing_and_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(record: Record, replayed: bool) -> Message:
        if record.body == b"damaged":
            raise Refused(0x99, "not sent: the record is damaged")
        return render(record, replayed)

    monkeypatch.setattr("tests.buffer.site.render", strict)

    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid))
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.keep(draft("before"), draft("damaged"), draft("after"))
            await until(lambda: sent(fake) == ["before", "after"])
            await until(lambda: s.uplink.stats.set_aside == 1)
            assert s.refused == [("damaged", 0x99)]
            assert s.uplink.stats.connected

    run(story())


def test_what_was_set_aside_and_evicted_is_not_remembered_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.refused.TOGETHER", 10)
    monkeypatch.setattr("buffer.uplink.TOGETHER", 10)

    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid, 0x90 if p.topic == "site/event" else 0))
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            for begun in range(0, 100, 20):
                s.keep(*(draft(str(n)) for n in range(begun, begun + 20)))
                await until(lambda begun=begun: len(set(sent(fake))) == begun + 20)  # type: ignore[misc]
                await s.writer.call(lambda j: j._db.execute("DELETE FROM records"))
            await until(lambda: s.uplink.stats.set_aside <= 50)

    run(story())
