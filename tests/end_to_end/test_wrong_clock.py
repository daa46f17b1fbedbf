"""The daemon under a wall clock that is wrong and is set: nothing is lost, all is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from buffer.journal import Journal
from buffer.record import Kind
from edge.clock import boottime
from edge.encode import body_of
from edge.true_time import corrections_in
from tests.broker import Broker, Received
from tests.daemon import LIMIT, Daemon
from tests.shop import (
    TOP,
    connected,
    events,
    ids,
    in_order,
    kept,
    published,
    said,
    shop,
    without_gaps,
)

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
"""The true time at which each test begins."""
TEN_YEARS = 3652 * 86_400
EXACT = 0.05
"""Seconds by which a time may miss the truth on a busy machine."""

pytestmark = pytest.mark.skipif(FAKETIME is None, reason="needs faketime")


class FakeClock:
    """The wall clock of the daemon: set it to be so many seconds beside the truth."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._boot, self._began = boottime(), time.time()

    def beside(self, seconds: float) -> None:
        """Set the daemon's clock; 0 is the truth. It goes on from there."""
        shift = NOON.timestamp() - self._began + seconds
        new = self._file.with_suffix(".new")
        new.write_text(f"{shift:+f}\n")
        new.rename(self._file)

    def truth(self, seconds: float) -> datetime:
        """Return the true time at a second of CLOCK_BOOTTIME."""
        return NOON + timedelta(seconds=seconds - self._boot)


@contextmanager
def fake_clock(folder: Path) -> Iterator[FakeClock]:
    """Give all processes that are started within the block a clock of their own."""
    with pytest.MonkeyPatch.context() as patch:
        file = folder / "faketime"
        patch.setenv("LD_PRELOAD", str(FAKETIME))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        patch.setenv("FAKETIME_FORCE_MONOTONIC_FIX", "0")  # else waits of threads spin
        clock = FakeClock(file)
        clock.beside(0)
        yield clock


def offset(daemon: Daemon) -> float:
    """Return how far the daemon's tick is ahead of CLOCK_BOOTTIME."""
    with Journal.open(daemon.state / "journal.db", read_only=True) as journal:
        snapshot = journal.latest(Kind.SNAPSHOT)
    assert snapshot is not None
    return float(body_of(snapshot).data["offset"])


async def count(daemon: Daemon, signal: str, number: int) -> None:
    """Wait until the journal on disk has so many records of this signal."""
    async with asyncio.timeout(LIMIT):
        while len(said(daemon, signal)) < number:
            await asyncio.sleep(0.02)


async def everything(daemon: Daemon, heard: Received) -> list[dict[str, Any]]:
    """Wait until all that was committed has arrived, and return it."""
    await daemon.until(lambda status: not status["uplink"]["backlog"])
    committed = {record.id for record in published(daemon)}
    await heard.until(lambda messages: committed <= ids(messages))
    return events(heard.messages)


def assert_all_true(found: list[dict[str, Any]], daemon: Daemon, clock: FakeClock) -> None:
    ahead = offset(daemon)
    for event in found:
        missed = event["time"] - clock.truth(float(event["tick"]) - ahead)
        assert abs(missed.total_seconds()) < EXACT, event
    assert in_order(found)
    assert without_gaps(found)
    assert len({event["id"] for event in found}) == len(found)


def test_what_was_recorded_in_1970_arrives_with_its_true_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker = stack.enter_context(Broker(tmp_path))
            broker.kill()
            clock = stack.enter_context(fake_clock(tmp_path))
            clock.beside(600 - NOON.timestamp())
            store, daemon = await stack.enter_async_context(shop(tmp_path, broker.url))
            for till in range(1, 31):
                store.gateway.say(f"DEACTIVATED {till}")
            await count(daemon, "eas.deactivated", 30)
            await daemon.kill()
            await daemon.start()
            await daemon.until(lambda status: not status["devices_down"])
            store.gateway.say("DEACTIVATED 31")
            await count(daemon, "eas.deactivated", 31)
            clock.beside(0)
            store.gateway.say("DEACTIVATED 32")
            await kept(daemon, "clock.corrected")
            await count(daemon, "eas.deactivated", 32)
            await daemon.kill()
            broker.start()
            heard = await stack.enter_async_context(broker.listen())
            await daemon.start()
            await connected(daemon)
            found = await everything(daemon, heard)
            assert_all_true(found, daemon, clock)
            tills = [e for e in found if e["type"] == "storewarden.eas.deactivated"]
            assert [e["data"]["till"] for e in tills] == list(range(1, 33))
            assert {e["recordedtime"][:13] for e in tills[:31]} == {"1970-01-01T00"}
            assert {e["clock"] for e in tills[:31]} == {"untrusted"}
            assert tills[31]["clock"] == "trusted"
            assert "recordedtime" not in tills[31]
            known = corrections_in(daemon.state / "journal.db")
            by_id = {e["id"]: e for e in found}
            records = [record for record in published(daemon) if record.id in by_id]
            assert len(records) == len(found)
            for record in records:
                body, sent = body_of(record), by_id[record.id]
                true_time = known.true_time(body.boot, body.tick)
                at = datetime.fromisoformat(body.at)
                assert sent["time"] == (at if true_time is None else true_time)

    asyncio.run(main())


def test_ten_years_forward_and_back_and_ten_years_back_and_forward(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker = stack.enter_context(Broker(tmp_path))
            broker.kill()
            clock = stack.enter_context(fake_clock(tmp_path))
            store, daemon = await stack.enter_async_context(shop(tmp_path, broker.url))
            for number, beside in enumerate((0, TEN_YEARS, 0, -TEN_YEARS, 0), start=1):
                clock.beside(beside)
                store.gateway.say(f"DEACTIVATED {number}")
                await count(daemon, "eas.deactivated", number)
            await count(daemon, "clock.corrected", 2)
            broker.start()
            heard = await stack.enter_async_context(broker.listen())
            await connected(daemon)
            found = await everything(daemon, heard)
            assert_all_true(found, daemon, clock)
            steps = [e["data"] for e in found if e["type"] == "storewarden.clock.stepped"]
            assert [round(step["seconds"], -1) for step in steps] == [
                TEN_YEARS,
                -TEN_YEARS,
                -TEN_YEARS,
                TEN_YEARS,
            ]
            tills = [e for e in found if e["type"] == "storewarden.eas.deactivated"]
            shown = [e.get("recordedtime", "")[:4] for e in tills]
            assert shown == ["", "2036", "", "2016", ""]
            assert [e["clock"] for e in tills] == [*["trusted"] * 3, "untrusted", "trusted"]
            assert not said(daemon, "buffer.gap")

    asyncio.run(main())


def test_what_is_retained_is_published_again_once_the_clock_is_right(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            broker = stack.enter_context(Broker(tmp_path))
            heard = await stack.enter_async_context(broker.listen())
            clock = stack.enter_context(fake_clock(tmp_path))
            clock.beside(600 - NOON.timestamp())
            store, daemon = await stack.enter_async_context(shop(tmp_path, broker.url))
            await connected(daemon)

            def told(topic: str, year: str) -> list[dict[str, Any]]:
                payloads = heard.payloads(f"{TOP}/{topic}")
                return [json.loads(p) for p in payloads if f'"{year}-'.encode() in p]

            await heard.until(lambda _: bool(told("state/door_front", "1970")))
            await heard.until(lambda _: bool(told("status", "1970")))
            clock.beside(0)
            store.gateway.say("DEACTIVATED 1")
            await heard.until(lambda _: bool(told("state/door_front", "2026")))
            await heard.until(lambda _: bool(told("status", "2026")))
            state, status = told("state/door_front", "2026")[-1], told("status", "2026")[-1]
            assert state["contact"]["value"] == "closed"
            for since in (state["contact"]["since"], status["started"]):
                ago = datetime.fromisoformat(since) - NOON
                assert timedelta() < ago < timedelta(seconds=60)

    asyncio.run(main())
