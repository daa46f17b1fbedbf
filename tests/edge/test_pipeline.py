"""The one road, in virtual time, with devices that a test watches."""

from __future__ import annotations

import asyncio
import functools
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from buffer.record import Draft
from drivers.commands import Command
from drivers.event import SITE, Event
from drivers.priorities import Priority
from edge.clock import Clock
from edge.config.model import Configuration
from edge.decide import LATCH, PERSON, Decider
from edge.dispatch import Dispatch
from edge.encode import Encoder, body_of
from edge.inbox import Inbox
from edge.metrics import Metrics
from edge.notify import Notify
from edge.pipeline import Pipeline
from edge.shown import Line
from edge.speaker import Speaker
from edge.turn import Turn
from tests import virtual_time
from tests.edge.plain import Plain
from tests.edge.shop import BEGAN, said, shop
from tests.edge.test_encode import kept


@functools.cache
def configuration() -> Configuration:
    return shop(Path(tempfile.mkdtemp()))


class Road:
    """A pipeline and its parts; `trace` is what happened in order."""

    def __init__(self, environment: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        self.trace: list[str] = []
        self.published: list[str] = []
        clock = Clock(
            seconds=loop.time,
            now=lambda: BEGAN,
            boot="b" * 32,
            follows_server=lambda: True,
            battery=lambda: True,
        )
        self.inbox = Inbox()
        self.speaker = Speaker(clock, self.inbox.put)
        self.dispatch = Dispatch(
            {name: self.device(name) for name in ("siren_front", "siren_back", "cam_exit")},
            self.speaker.say,
            clock.tick,
        )
        self.metrics = Metrics("1")
        self.pipeline = Pipeline(
            inbox=self.inbox,
            decider=Decider(configuration()),
            clock=clock,
            speaker=self.speaker,
            dispatch=self.dispatch,
            encoder=Encoder("storewarden", "shop", "c"),
            keep=self.keep,
            publish_state=self.published.append,
            metrics=self.metrics,
            notify=Notify(environment),
        )

    def device(self, name: str) -> Plain:
        async def performs(command: Command) -> None:
            self.trace.append(f"{name} performs {command.kind}")

        return Plain(performs=performs)

    def keep(self, *drafts: Draft) -> None:
        for draft in drafts:
            body = body_of(kept(draft))
            self.trace.append(f"{draft.kind} {body.device} {body.signal}")

    def say(self, device: str, kind: str, **more: Any) -> Event:
        event = said(self.pipeline.clock.tick(), device, kind, **more)
        self.inbox.put(event)
        return event


def play(story: Callable[[Road], Awaitable[None]], **environment: str) -> Road:
    async def main() -> Road:
        road = Road(environment)
        tasks = [asyncio.create_task(t) for t in (road.pipeline.run(), road.dispatch.run())]
        await asyncio.sleep(0.001)
        await story(road)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return road

    return virtual_time.run(main())


def test_devices_have_their_orders_before_anything_is_written() -> None:
    async def story(road: Road) -> None:
        road.say("eas_front", "eas.alarm")
        await asyncio.sleep(0.01)

    assert play(story).trace[:8] == [
        "siren_front performs sound",
        "cam_exit performs goto",
        "event eas_front eas.alarm",
        "trace site rule.traced",
        "decision site rule.fired",
        "order siren_front order.given",
        "order cam_exit order.given",
        "event site incident.opened",
    ]


def test_near_misses_that_wait_are_written_after_ten_minutes_without_any_event() -> None:
    async def story(road: Road) -> None:
        for _ in range(3):
            road.say("door_back", "door.opened")
            await asyncio.sleep(1)
            road.say("door_back", "door.closed")
            await asyncio.sleep(1)
        assert road.trace.count("trace site rule.missed") == 1
        await asyncio.sleep(595)
        assert road.trace.count("trace site rule.missed") == 1
        await asyncio.sleep(2)
        assert road.trace.count("trace site rule.missed") == 2

    play(story)


def test_what_falls_due_is_done_at_its_time_without_any_event() -> None:
    async def story(road: Road) -> None:
        road.say("door_back", "door.opened")
        await asyncio.sleep(19.9)
        assert "siren_back performs sound" not in road.trace
        await asyncio.sleep(0.2)
        assert "siren_back performs sound" in road.trace

    assert "decision site rule.fired" in play(story).trace


def test_time_goes_on_only_as_far_as_the_oldest_event_that_waits() -> None:
    async def story(road: Road) -> None:
        road.say("door_back", "door.opened")
        await asyncio.sleep(1)
        late = said(19.9, "door_back", "door.closed")
        road.inbox.put(late)
        road.inbox.put(said(20.5, "fire_main", "fire.alarm"))
        await asyncio.sleep(0.01)

    assert "decision site rule.fired" not in play(story).trace


def test_raw_edges_are_written_and_decide_nothing() -> None:
    async def story(road: Road) -> None:
        road.say("annex", "input.edge", line="di0")
        await asyncio.sleep(0.01)

    assert play(story).trace == ["edge annex input.edge"]


def test_a_gap_in_the_journal_is_heard_by_rules_and_not_written_twice() -> None:
    gap = Encoder("storewarden", "shop", "c").gap(said(0, SITE, "buffer.gap", reason="quota"))

    async def story(road: Road) -> None:
        seen = Line()
        road.pipeline.followers.append(seen)
        road.pipeline.heard([kept(gap), kept(Encoder("s", "s", "c").event(said(0, "d", "x")))])
        assert (await seen.next())["signal"] == "buffer.gap"

    assert play(story).trace == []


def test_a_person_is_answered_and_the_refusal_is_said() -> None:
    async def story(road: Road) -> None:
        fields = {"target": "lock_exit", "command": "sound", "by": "Ann", "reason": "r"}
        turn = await road.pipeline.request(PERSON, fields, Priority.operations)
        assert turn.answer == "lock_exit cannot sound"
        fields = {"action": "start", "by": "Ann", "reason": "smoke"}
        turn = await road.pipeline.request(LATCH, fields, Priority.life_safety)
        assert (turn.answer, [w.kind for w in turn.said]) == ("", ["evacuation.started"])
        road.say("eas_front", "eas.alarm")
        await asyncio.sleep(0.01)

    trace = play(story).trace
    assert "event site evacuation.started" in trace
    assert "outcome siren_front order.failed" in trace


def test_states_are_published_and_links_counted() -> None:
    async def story(road: Road) -> None:
        road.metrics.configured("c", {"siren_back": [], "door_back": []}, [])
        road.say("siren_back", "link.up")
        road.say("door_back", "door.opened")
        road.say("door_back", "link.down", reason="gone")
        road.say("tills", "eas.deactivated")
        await asyncio.sleep(0.01)

    road = play(story)
    assert road.published == ["siren_back", "door_back", "door_back"]
    page = road.metrics.page().decode()
    assert 'storewarden_device_up{device="siren_back"} 1.0' in page
    assert 'storewarden_device_up{device="door_back"} 0.0' in page
    assert 'storewarden_events_total{device="door_back",signal="door.opened"} 1.0' in page
    assert 'last_seen_timestamp_seconds{device="tills"}' in page


def test_a_failed_order_is_no_sign_of_life() -> None:
    async def story(road: Road) -> None:
        road.say("lock_exit", "order.failed", command="release", by="rule", reason="gone")
        road.say("lock_exit", "link.down", reason="gone")
        await asyncio.sleep(0.01)

    assert 'timestamp_seconds{device="lock_exit"}' not in play(story).metrics.page().decode()


def test_the_watchdog_is_fed_while_it_turns_and_not_when_it_stands(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.setblocking(False)

        def fed() -> int:
            count = 0
            while True:
                try:
                    assert sock.recv(100) == b"WATCHDOG=1"
                except BlockingIOError:
                    return count
                count += 1

        async def story(road: Road) -> None:
            count = 0
            for _ in range(6):
                await asyncio.sleep(10)
                count += fed()
            assert 18 <= count <= 25  # each 2.5 s, at the next turn; it turns once a second
            road.pipeline.decide = lambda: pytest.fail("stuck")  # type: ignore[method-assign]
            await asyncio.sleep(20)
            assert fed() == 0

        play(story, NOTIFY_SOCKET=path, WATCHDOG_USEC="10000000")


def test_what_was_ordered_is_written_even_at_a_stop() -> None:
    async def main() -> Road:
        road = Road({})
        road.say("eas_front", "eas.alarm")
        running = asyncio.create_task(road.pipeline.run())
        await asyncio.sleep(0)
        assert road.trace == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return road

    assert "event eas_front eas.alarm" in virtual_time.run(main()).trace


def test_a_slow_reader_of_tail_loses_the_oldest_and_is_told_how_many() -> None:
    async def main() -> None:
        line = Line()
        for number in range(1003):
            event = said(number, "door", "door.opened")
            line.show(event, event, Turn())
        first = await line.next()
        assert (first["tick"], first["dropped"]) == (3, 3)
        assert "dropped" not in await line.next()

    virtual_time.run(main())


def test_tail_shows_event_decision_and_order() -> None:
    seen: list[tuple[str, str, str]] = []

    async def story(road: Road) -> None:
        line = Line()
        road.pipeline.followers.append(line)
        road.say("eas_front", "eas.alarm")
        for _ in range(3):
            item = await line.next()
            seen.append((item["kind"], item["device"], item["signal"]))

    play(story)
    assert seen == [
        ("event", "eas_front", "eas.alarm"),
        ("decision", SITE, "rule.fired"),
        ("order", "siren_front", "order.given"),
    ]
