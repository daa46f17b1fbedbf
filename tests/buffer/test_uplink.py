"""The uplink against a real broker that is killed, restarted, black-holed and that denies."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from buffer import mqtt, uplink
from buffer.journal import Journal
from buffer.record import LIFE_SAFETY, OPERATIONS, SECURITY, TELEMETRY
from buffer.writer import Writer
from tests.broker import Broker
from tests.buffer.fake_broker import FakeBroker, Proxy, Published, puback
from tests.buffer.site import LIMIT, Site, bodies, draft, facts, numbered, site, texts


def play(
    tmp_path: Path, story: Callable[[Broker], "asyncio.Future[None] | object"], **options: object
) -> None:
    with Broker(tmp_path, **options) as broker:  # type: ignore[arg-type]
        asyncio.run(asyncio.wait_for(story(broker), 4 * LIMIT))  # type: ignore[arg-type]


def test_records_arrive_in_order_and_are_marked_sent(tmp_path: Path) -> None:
    async def story(broker: Broker) -> None:
        async with (
            broker.listen("site/event") as received,
            site(tmp_path / "j.db", broker.port) as ours,
        ):
            ours.keep(*numbered(0, 500), draft("never published", topic=None))
            await received.count(500)
            await ours.sent()
            assert bodies(received.payloads()) == texts(0, 500)
            assert ours.uplink.stats.published == 500
            assert ours.uplink.stats.oldest_unsent == 0.0

    play(tmp_path, story)


def test_birth_states_and_farewell_are_retained_and_states_only_the_newest(tmp_path: Path) -> None:
    async def story(broker: Broker) -> None:
        async with broker.listen("site/#") as received:
            async with Writer.open(tmp_path / "j.db") as writer:
                ours = Site(writer, broker.port)
                for number in range(10):
                    ours.uplink.publish_state("site/state/door", b"%d" % number)
                running = asyncio.create_task(ours.uplink.run())
                await received.count(2)
                ours.uplink.publish_state("site/state/door", b"open")
                await received.count(3)
                ours.uplink.announce()
                await received.count(4)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                ours.uplink.announce()
            await received.count(5)
            assert [(str(m.topic), m.payload) for m in received.messages] == [
                ("site/status", b"online"),
                ("site/state/door", b"9"),
                ("site/state/door", b"open"),
                ("site/status", b"online"),
                ("site/status", b"stopped"),
            ]
        async with broker.listen("site/#") as later:
            kept = await later.count(2)
            assert {str(m.topic): m.payload for m in kept} == {
                "site/status": b"stopped",
                "site/state/door": b"open",
            }

    play(tmp_path, story)


def test_a_killed_broker_gets_everything_within_a_second_of_its_return(tmp_path: Path) -> None:
    async def story(broker: Broker) -> None:
        loop = asyncio.get_running_loop()
        async with Proxy(broker.port).serving() as proxy, site(tmp_path / "j.db", proxy.port) as s:
            async with broker.listen("site/event") as received:
                s.keep(*numbered(0, 50))
                await received.count(50)
                await s.sent()
                await asyncio.to_thread(broker.kill)
            await asyncio.wait_for(s.down.wait(), LIMIT)
            s.keep(*numbered(50, 2000))
            await s.writer.flush()
            proxy.hole()
            await asyncio.to_thread(broker.start)
            async with broker.listen("site/event") as again:
                proxy.mend()
                returned = loop.time()
                await again.count(1)
                first = loop.time() - returned
                await again.count(1950)
                await s.sent()
            assert bodies(again.payloads()) == texts(50, 2000)
            assert {f["replayed"] for f in facts(again.payloads())} == {True}
            assert first < 5.0, "a second, and room for a loaded machine"

    play(tmp_path, story)


def test_a_black_hole_loses_nothing_and_repeats_at_most_one_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.session.ACK_WAIT", 1.0)

    async def story(broker: Broker) -> None:
        async with (
            broker.listen("site/event") as received,
            Proxy(broker.port).serving() as proxy,
            site(tmp_path / "j.db", proxy.port) as s,
        ):
            s.keep(*numbered(0, 100))
            await received.count(100)
            proxy.hole()
            s.keep(*numbered(100, 300))
            await asyncio.wait_for(s.down.wait(), mqtt.KEEPALIVE)
            proxy.cut()
            proxy.mend()
            await received.until(lambda got: any(b'"299"' in bytes(m.payload) for m in got))
            await s.sent()
            got = facts(received.payloads())
        assert len(got) <= 300 + 20
        unique = list(dict.fromkeys(f["body"] for f in got))
        assert unique == texts(0, 300)

    play(tmp_path, story)


def test_a_denied_record_stays_unsent_and_holds_nobody_up(tmp_path: Path) -> None:
    async def story(broker: Broker) -> None:
        async with (
            broker.listen("site/event") as received,
            site(tmp_path / "j.db", broker.port) as s,
        ):
            s.keep(*numbered(0, 10), draft("denied", topic="theirs/x"), *numbered(10, 60))
            await received.until(lambda got: any(b'"59"' in bytes(m.payload) for m in got))
            await s.writer.flush()
            assert s.refused == [("denied", 0x87)]
            assert s.uplink.stats.refused == 1
            got = bodies(received.payloads())
            assert list(dict.fromkeys(got)) == texts(0, 60)
        with Journal.open(tmp_path / "j.db", read_only=True) as journal:
            assert journal.stat().unsent == (0, 0, 1, 0, 0)

    play(tmp_path, story, acl="topic readwrite site/#\n")


def test_a_refused_record_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.refusals.FIRST_WAIT", 0.5)

    async def story() -> None:
        refused: list[bytes] = []

        def answer(p: Published) -> bytes:
            if b'"poison"' in p.payload and len(refused) < 2:
                refused.append(p.payload)
                return puback(p.mid, 0x97)
            return puback(p.mid)

        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.keep(draft("poison"), draft("good"))
            await s.sent()
            assert s.uplink.stats.refused == 0
            assert s.uplink.stats.rejected == 2
        sent = [json.loads(p.payload)["body"] for p in fake.published if p.topic == "site/event"]
        assert sent == ["poison", "good", "poison", "poison"]
        assert fake.connections == 1

    asyncio.run(asyncio.wait_for(story(), 4 * LIMIT))


def test_the_window_never_exceeds_what_the_broker_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.session.ACK_WAIT", 1.0)

    async def story() -> None:
        fake = FakeBroker(
            lambda p: b"" if p.topic == "site/event" and fake.connections == 1 else puback(p.mid),
            properties=bytes([0x21, 0, 5]),
        )
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.keep(*numbered(0, 50))
            await s.sent()
        sent = [json.loads(p.payload) for p in fake.published if p.topic == "site/event"]
        assert [f["body"] for f in sent[:5]] == texts(0, 5)
        assert [f["body"] for f in sent[5:]] == texts(0, 50)

    asyncio.run(asyncio.wait_for(story(), 4 * LIMIT))


def test_life_safety_first_then_live_before_backlog_each_lane_in_order(tmp_path: Path) -> None:
    async def story(broker: Broker) -> None:
        async with Writer.open(tmp_path / "j.db") as writer:
            for priority in (TELEMETRY, OPERATIONS, SECURITY, LIFE_SAFETY):
                for d in numbered(0, 300, priority):
                    writer.keep(d)
            await writer.flush()
        async with broker.listen("site/event") as received:
            async with site(tmp_path / "j.db", broker.port, drain_rate=400) as s:
                await s.up.wait()
                s.keep(*numbered(300, 310, OPERATIONS), draft("fire", LIFE_SAFETY))
                await s.sent()
                await received.count(1211)
            got = facts(received.payloads())
        assert len(got) == 1211
        for priority, count in ((TELEMETRY, 300), (SECURITY, 300), (LIFE_SAFETY, 300)):
            lane = [f["body"] for f in got if f["priority"] == priority and f["replayed"]]
            assert lane == texts(0, count)
        place = {(f["priority"], f["body"]): n for n, f in enumerate(got)}
        assert place[OPERATIONS, "309"] < place[SECURITY, "299"]
        assert place[LIFE_SAFETY, "fire"] < place[SECURITY, "299"]
        assert place[LIFE_SAFETY, "299"] < place[SECURITY, "60"]
        assert place[SECURITY, "299"] < place[OPERATIONS, "0"]
        assert place[OPERATIONS, "299"] < place[TELEMETRY, "0"]
        live = [f["body"] for f in got if not f["replayed"]]
        assert sorted(map(str, live)) == sorted([*texts(300, 310), "fire"])

    play(tmp_path, story)


def test_what_was_sent_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    async def story(broker: Broker) -> None:
        async with broker.listen("site/event") as received:
            for start in (0, 100):
                async with site(tmp_path / "j.db", broker.port) as s:
                    s.keep(*numbered(start, start + 100))
                    await s.sent()
            await received.count(200)
            assert bodies(received.payloads()) == texts(0, 200)

    play(tmp_path, story)


def test_states_are_sent_again_on_each_connection(tmp_path: Path) -> None:
    async def story() -> None:
        fake = FakeBroker(
            lambda p: None if b"hang up" in p.payload and fake.connections == 1 else puback(p.mid)
        )
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.uplink.publish_state("site/state/door", b"open")
            await fake.until(lambda: len(fake.published) == 2)
            s.keep(draft("hang up"))
            await s.sent()
            await fake.until(lambda: len(fake.published) == 6)
        topics = [p.topic for p in fake.published[:6]]
        assert topics[:3] == ["site/status", "site/state/door", "site/event"]
        assert topics[3] == "site/status"
        assert sorted(topics[4:6]) == ["site/event", "site/state/door"]

    asyncio.run(asyncio.wait_for(story(), 4 * LIMIT))


def test_what_is_committed_while_the_birth_is_on_its_way_is_live(tmp_path: Path) -> None:
    async def story() -> None:
        fake = FakeBroker(lambda p: b"" if p.topic == "site/status" else puback(p.mid))
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            await fake.until(lambda: len(fake.published) == 1)
            s.keep(draft("meanwhile"))
            await s.writer.flush()
            assert fake.last is not None
            fake.last.write(puback(fake.published[0].mid))
            await s.sent()
        sent = [json.loads(p.payload) for p in fake.published if p.topic == "site/event"]
        assert [(f["body"], f["replayed"]) for f in sent] == [("meanwhile", False)]

    asyncio.run(asyncio.wait_for(story(), 4 * LIMIT))


def test_the_longest_wait_between_attempts_is_under_a_second() -> None:
    assert uplink.LONGEST_WAIT < 1.0
    assert mqtt.KEEPALIVE == 10
