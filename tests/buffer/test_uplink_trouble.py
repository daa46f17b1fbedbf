"""The uplink and a broker that refuses, slows down, hangs up, lies or says nothing."""

import asyncio
import itertools
import json
from collections.abc import Coroutine
from pathlib import Path

import pytest

from buffer.journal import Journal
from buffer.patience import Ladder
from buffer.record import LIFE_SAFETY, OPERATIONS, SECURITY
from tests.broker import Broker
from tests.buffer.fake_broker import FakeBroker, Proxy, Published, disconnect, puback
from tests.buffer.site import LIMIT, bodies, draft, numbered, site, texts, until


def run(story: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 4 * LIMIT))


def sent(fake: FakeBroker) -> list[str]:
    return [str(json.loads(p.payload)["body"]) for p in fake.published if p.topic == "site/event"]


def taken(fake: FakeBroker, *bad: str) -> list[str]:
    """Return what was sent, each only the first time, without the bad ones."""
    return [body for body in dict.fromkeys(sent(fake)) if body not in bad]


def left(path: Path) -> tuple[tuple[int, ...], int]:
    with Journal.open(path, read_only=True) as journal:
        return journal.stat().unsent, journal.stat().refused


@pytest.mark.parametrize("code", [0x90, 0x95, 0x99])
def test_a_record_that_will_never_be_taken_is_set_aside_and_said_once(
    tmp_path: Path, code: int
) -> None:
    path = tmp_path / "j.db"
    refusing = True

    def answer(p: Published) -> bytes:
        return puback(p.mid, code if refusing and b'"poison"' in p.payload else 0)

    async def story() -> None:
        nonlocal refusing
        fake = FakeBroker(answer)
        async with fake.serving():
            async with site(path, fake.port) as s:
                s.keep(*numbered(0, 30), draft("poison"), *numbered(30, 90))
                await until(lambda: "89" in sent(fake))
                await until(lambda: s.uplink.stats.published == 90)
                assert s.refused == [("poison", code)]
                stats = s.uplink.stats
                assert (stats.set_aside, stats.refused, stats.backlog) == (1, 0, 0)
            assert left(path) == ((0, 0, 1, 0, 0), 1)
            assert taken(fake, "poison") == texts(0, 90)

            async with site(path, fake.port) as s:
                s.keep(draft("after a restart"))
                await until(lambda: "after a restart" in sent(fake))
                await until(lambda: s.uplink.stats.published == 1)
                await until(lambda: s.uplink.stats.oldest_unsent == 0.0)
                assert s.uplink.stats.set_aside == 1
                assert [(one.sequence, one.code) for one in s.uplink.set_aside()] == [(32, code)]
                assert sent(fake).count("poison") == 1
                refusing = False
                assert await s.uplink.retry_refused() == 1
                await s.sent()
                assert s.refused == []
                assert s.uplink.set_aside() == []
        assert sent(fake)[-1] == "poison"

    run(story())
    assert left(path) == ((0, 0, 0, 0, 0), 0)


@pytest.mark.parametrize("option", ["message_size_limit", "max_packet_size"])
def test_mosquitto_refuses_what_is_too_large_and_nothing_else_waits(
    tmp_path: Path, option: str
) -> None:
    async def story() -> None:
        async with (
            broker.listen("site/event") as received,
            site(tmp_path / "j.db", broker.port) as s,
        ):
            s.keep(*numbered(0, 20), draft("x" * 5000), *numbered(20, 50))
            await received.until(lambda got: any(b'"49"' in bytes(m.payload) for m in got))
            await until(lambda: s.uplink.stats.published == 50)
            # Where the size is not announced, mosquitto 2.0 ends the link after such a message.
            assert list(dict.fromkeys(bodies(received.payloads()))) == texts(0, 50)
            assert [code for _, code in s.refused] == [0x95]

    with Broker(tmp_path, options=[f"{option} 2000"]) as broker:
        run(story())
    assert left(tmp_path / "j.db") == ((0, 0, 1, 0, 0), 1)


def test_a_broker_whose_quota_is_exceeded_gets_a_pause_and_then_all_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.session.FIRST_PAUSE", 0.3)
    turns = itertools.count()

    def answer(p: Published) -> bytes:
        return puback(p.mid, 0x97 if p.topic == "site/event" and 10 <= next(turns) < 25 else 0)

    async def story() -> None:
        fake = FakeBroker(answer)
        taken_by_broker: list[str] = []
        fake.answer = lambda p: _noting(p, answer(p), taken_by_broker)
        async with fake.serving(), site(tmp_path / "j.db", fake.port, window=5) as s:
            s.keep(*numbered(0, 100))
            await s.sent()
            assert s.refused == []
            assert fake.connections == 1
            assert s.uplink.stats.rejected == 15
        assert taken_by_broker == texts(0, 100)

    run(story())


def _noting(p: Published, reply: bytes, accepted: list[str]) -> bytes:
    if p.topic == "site/event" and reply == puback(p.mid):
        accepted.append(str(json.loads(p.payload)["body"]))
    return reply


def test_life_safety_does_not_wait_for_the_end_of_a_long_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.session.FIRST_PAUSE", 0.2)
    monkeypatch.setattr("buffer.session.LONGEST_PAUSE", 3600.0)

    def answer(p: Published) -> bytes:
        denied = p.topic == "site/event" and b'"fire"' not in p.payload
        return puback(p.mid, 0x97 if denied else 0)

    async def story() -> None:
        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.keep(*numbered(0, 3))
            await until(lambda: len(sent(fake)) >= 9)
            s.keep(draft("fire", LIFE_SAFETY))
            await until(lambda: "fire" in sent(fake))

    run(story())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0x86, "Bad user name or password (0x86): look at the user name and the password"),
        (0x87, "Not authorized (0x87): look at user name, password and certificate"),
        (0x8A, "Banned (0x8a)"),
        (0x9C, "Use another server (0x9c)"),
    ],
)
def test_a_broker_that_says_no_is_not_hammered_and_new_credentials_are_tried_at_once(
    tmp_path: Path, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.patience.REFUSED", Ladder(3600.0, 3600.0, 10.0))

    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid), code=code)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            await until(lambda: bool(s.reasons))
            assert said in s.reasons[0]
            assert said in str(s.uplink.stats.error)
            assert fake.connections == 1
            fake.code = 0
            s.uplink.renew("new password")
            await asyncio.wait_for(s.up.wait(), LIMIT)
            assert len(s.reasons) == 1

    run(story())


def test_what_the_broker_adds_in_words_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        text = b"\x1f\x00\x0dcome at eight"
        fake = FakeBroker(lambda p: puback(p.mid), properties=text, code=0x89)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            await until(lambda: bool(s.reasons))
            assert "Server busy (0x89): come at eight" in s.reasons[0]

    run(story())


def test_a_denial_after_an_outage_is_said_too(tmp_path: Path) -> None:
    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid), code=0x87)
        async with Proxy(1).serving() as proxy, site(tmp_path / "j.db", proxy.port) as s:
            await until(lambda: bool(s.reasons))
            async with fake.serving():
                proxy.target = fake.port
                await until(lambda: len(s.reasons) == 2)
            assert "hung up" in s.reasons[0]
            assert "Not authorized" in s.reasons[1]

    run(story())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0x8B, "Server shutting down (0x8b): the broker is being stopped"),
        (0x8E, "Session taken over (0x8e): another client has the same name: is there a second"),
        (0x93, "Receive maximum exceeded (0x93)"),
        (0x97, "Quota exceeded (0x97): until noon"),
    ],
)
def test_why_the_broker_ends_the_link_is_told(tmp_path: Path, code: int, said: str) -> None:
    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid))
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            await asyncio.wait_for(s.up.wait(), LIMIT)
            assert fake.last is not None
            fake.last.write(disconnect(code, "until noon" if code == 0x97 else ""))
            await asyncio.wait_for(s.down.wait(), LIMIT)
            assert said in s.reasons[0]
            await asyncio.wait_for(s.up.wait(), LIMIT)

    run(story())


def test_two_boxes_with_one_site_id_are_told_so_and_fight_ever_more_rarely(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with site(tmp_path / "one.db", broker.port) as one:
            await asyncio.wait_for(one.up.wait(), LIMIT)
            async with site(tmp_path / "two.db", broker.port) as two:
                # mosquitto 2.0 says no word when another client takes the name.
                said = "is there a second box with this site id?"
                await until(lambda: any(said in word for word in one.reasons + two.reasons))

    with Broker(tmp_path) as broker:
        run(story())
        taken_over = [line for line in broker.log if "already connected" in line]
        assert 2 < len(taken_over) < 12


@pytest.mark.parametrize(
    ("reply", "code", "aside"),
    [(disconnect(0x95), 0x95, 1), (disconnect(0x82), 0x82, 0), (None, 0x80, 0)],
)
def test_a_record_that_ends_every_link_is_found_and_left_out(
    tmp_path: Path, reply: bytes | None, code: int, aside: int
) -> None:
    def answer(p: Published) -> bytes | None:
        return reply if b'"poison"' in p.payload else puback(p.mid)

    async def story() -> None:
        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.keep(*numbered(0, 15), draft("poison"), *numbered(15, 60))
            await until(lambda: s.uplink.stats.published >= 60, 2 * LIMIT)
            assert s.refused == [("poison", code)]
            s.keep(draft("later"))
            await until(lambda: "later" in sent(fake))
            assert s.uplink.stats.set_aside == aside
        assert taken(fake, "poison") == [*texts(0, 60), "later"]

    run(story())
    assert left(tmp_path / "j.db") == ((0, 0, 1, 0, 0), aside)


def test_a_state_that_ends_every_link_is_left_out(tmp_path: Path) -> None:
    def answer(p: Published) -> bytes:
        return disconnect(0x99) if p.topic == "site/state/bad" else puback(p.mid)

    async def story() -> None:
        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.uplink.publish_state("site/state/bad", b"x")
            s.uplink.publish_state("site/state/good", b"y")
            s.keep(draft("event"))
            await s.sent()
            await until(lambda: any(p.topic == "site/state/good" for p in fake.published))

    run(story())


def test_only_the_puback_of_that_very_message_marks_a_record_as_sent(tmp_path: Path) -> None:
    held: list[Published] = []

    def answer(p: Published) -> bytes:
        if p.topic != "site/event":
            return puback(p.mid)
        held.append(p)
        if b'"1"' in p.payload:
            return puback(p.mid) + puback(p.mid)
        return puback(p.mid + 1000) if b'"2"' in p.payload else b""

    async def story() -> None:
        fake = FakeBroker(answer)
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            s.keep(*numbered(0, 4))
            await until(lambda: len(held) == 4 and s.uplink.stats.published == 1)
            old = held[0].mid
            assert fake.last is not None
            fake.last.transport.abort()
            await asyncio.wait_for(s.down.wait(), LIMIT)
            fake.answer = lambda p: puback(p.mid) if p.topic != "site/event" else b""
            await asyncio.wait_for(s.up.wait(), LIMIT)
            await until(lambda: sent(fake)[4:] == ["0", "2", "3"])
            now = [p.mid for p in fake.published if p.topic == "site/event"][4:]
            fake.last.write(b"".join(puback(mid) for mid in {old, *range(500, 520)} - {*now}))
            fake.last.write(puback(now[1]))
            await until(lambda: s.uplink.stats.published == 2)
            unsent = (await s.writer.begin_lanes())[0]
            assert sum(span.count for span in unsent[SECURITY]) == 2

    run(story())


def test_a_dead_link_with_nothing_in_flight_is_found_by_keep_alive(tmp_path: Path) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        fake = FakeBroker(lambda p: puback(p.mid))
        async with fake.serving(), site(tmp_path / "j.db", fake.port, keepalive=1) as s:
            await asyncio.wait_for(s.up.wait(), LIMIT)
            fake.hole = True
            began = loop.time()
            await asyncio.wait_for(s.down.wait(), LIMIT)
            assert loop.time() - began < 10, "twice the keep-alive, a second, and room"
            assert "Keep alive timeout" in s.reasons[0]

    run(story())


def test_a_dead_link_with_messages_in_flight_is_found_by_their_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.session.ACK_WAIT", 0.5)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        fake = FakeBroker(lambda p: b"" if p.topic == "site/event" else puback(p.mid))
        async with fake.serving(), site(tmp_path / "j.db", fake.port) as s:
            await asyncio.wait_for(s.up.wait(), LIMIT)
            s.keep(draft("unanswered"))
            began = loop.time()
            await asyncio.wait_for(s.down.wait(), LIMIT)
            assert loop.time() - began < 10
            assert "no answer to a message" in s.reasons[0]

    run(story())


def test_after_an_outage_a_window_goes_at_once_and_the_rest_when_the_jitter_is_over(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid), code=0x88)
        options = {"drain_rate": 100_000.0, "drain_jitter": 3600.0, "window": 7, "site": "one"}
        async with fake.serving(), site(tmp_path / "j.db", fake.port, **options) as s:
            s.keep(*numbered(0, 50, OPERATIONS), *numbered(0, 30, LIFE_SAFETY))
            await s.writer.flush()
            fake.code = 0
            s.uplink.renew("now")
            await asyncio.wait_for(s.up.wait(), LIMIT)
            await until(lambda: len(sent(fake)) == 37)
            s.keep(draft("live"))
            await until(lambda: "live" in sent(fake))
        assert sent(fake) == [*texts(0, 30), *texts(0, 7), "live"]

    run(story())


def test_a_slow_drain_begins_with_no_more_than_a_second_of_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        fake = FakeBroker(lambda p: puback(p.mid), code=0x88)
        options = {"drain_rate": 2.0, "drain_jitter": 3600.0, "window": 7, "site": "one"}
        async with fake.serving(), site(tmp_path / "j.db", fake.port, **options) as s:
            s.keep(*numbered(0, 50, OPERATIONS), *numbered(0, 30, LIFE_SAFETY))
            await s.writer.flush()
            fake.code = 0
            s.uplink.renew("now")
            await asyncio.wait_for(s.up.wait(), LIMIT)
            await until(lambda: len(sent(fake)) == 32)
            s.keep(draft("live"))
            await until(lambda: "live" in sent(fake))
        assert sent(fake) == [*texts(0, 30), *texts(0, 2), "live"]

    run(story())
