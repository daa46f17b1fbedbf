"""Keeping a driver running, in virtual time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from drivers.contract import Emit, LinkLost
from drivers.signals import LinkDown, LinkUp, Signal
from edge.inbox import Inbox
from edge.supervisor import supervise
from tests import virtual_time
from tests.edge.plain import Plain


def watched(driver: Plain, seconds: float) -> tuple[list[Signal], list[float]]:
    """Run `driver` for `seconds`; return what it said and when it was started."""
    heard: list[Signal] = []
    starts: list[float] = []
    does = driver.does

    async def started(emit: Emit) -> None:
        starts.append(asyncio.get_running_loop().time())
        await does(emit)

    driver.does = started

    async def main() -> None:
        task = asyncio.create_task(
            supervise("siren", driver, heard.append, Inbox(), jitter=lambda: 0.0)
        )
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    virtual_time.run(main())
    return heard, starts


def test_the_waits_double_from_half_a_second_to_fifteen() -> None:
    async def fails(_emit: Emit) -> None:
        raise LinkLost("no route")

    heard, starts = watched(Plain(does=fails), 62)
    assert starts == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5, 60.5]
    assert heard == [LinkDown(reason="no route")]


def test_a_loss_is_said_once_until_the_link_was_up_again() -> None:
    async def flaps(emit: Emit) -> None:
        await emit(LinkUp())
        raise LinkLost("hung up")

    heard, starts = watched(Plain(does=flaps), 2)
    assert starts == [0.0, 0.5, 1.5]
    assert [s.kind for s in heard] == ["link.up", "link.down"] * 3


def test_the_waits_begin_anew_after_a_link_that_lasted_ten_seconds() -> None:
    lasts = iter([0.0, 0.0, 9.9, 10.1, 0.0])

    async def flaps(emit: Emit) -> None:
        await emit(LinkUp())
        await asyncio.sleep(next(lasts))
        raise LinkLost("hung up")

    _heard, starts = watched(Plain(does=flaps), 24.5)
    assert starts == pytest.approx([0.0, 0.5, 1.5, 13.4, 24.0])


def test_the_jitter_shortens_a_wait_by_up_to_half() -> None:
    starts: list[float] = []

    async def fails(_emit: Emit) -> None:
        starts.append(asyncio.get_running_loop().time())
        raise LinkLost("no route")

    async def main() -> None:
        driver = Plain(does=fails)
        task = asyncio.create_task(
            supervise("d", driver, lambda _s: None, Inbox(), jitter=lambda: 1.0)
        )
        await asyncio.sleep(0.8)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_time.run(main())
    assert starts == [0.0, 0.25, 0.75]


def test_a_bug_in_a_driver_is_a_lost_link_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def stumbles(_emit: Emit) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        heard, starts = watched(Plain(does=stumbles), 1)
    assert heard == [LinkDown(reason="bug: ZeroDivisionError")]
    assert starts == [0.0, 0.5]
    assert caplog.records[0].message == "device siren: bug in its driver"
    assert caplog.records[0].__dict__["device"] == "siren"


def test_a_driver_that_returns_is_a_lost_link() -> None:
    async def returns(_emit: Emit) -> None:
        return

    heard, _ = watched(Plain(does=returns), 0.1)
    assert heard == [LinkDown(reason="the driver returned without an error")]


@pytest.mark.parametrize("end", [None, LinkLost("cancelled"), RuntimeError("odd")])
def test_it_ends_although_the_driver_swallows_the_cancellation(end: Exception | None) -> None:
    async def swallows(_emit: Emit) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if end is not None:
                raise end from None

    heard, starts = watched(Plain(does=swallows), 1)
    assert (heard, starts) == ([], [0.0])
