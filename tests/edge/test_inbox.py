"""The priority inbox, in virtual time."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from drivers.priorities import Priority
from edge.inbox import ROOM, Inbox
from tests import virtual_time
from tests.edge.shop import said


def test_the_more_urgent_goes_first_and_equals_in_the_order_they_came() -> None:
    inbox = Inbox()
    for name, priority in (("a", 3), ("b", 4), ("fire", 0), ("c", 3)):
        inbox.put(said(1, name, "x", priority_=Priority(priority)))
    assert [inbox.take().device for _ in range(4)] == ["fire", "a", "c", "b"]


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(0, 4)))))
def test_the_oldest_tick_is_that_of_what_waits(steps: list[tuple[int, int] | None]) -> None:
    inbox, waiting = Inbox(), list[int]()
    for step in steps:
        if step is not None:
            inbox.put(said(step[0], "d", "x", priority_=Priority(step[1])))
            waiting.append(step[0])
        elif waiting:
            waiting.remove(int(inbox.take().tick))
        assert inbox.oldest_tick() == min(waiting, default=None)
        assert len(inbox) == len(waiting)


def test_a_device_that_says_too_much_waits_and_nobody_else() -> None:
    async def main() -> None:
        inbox = Inbox()
        for _ in range(ROOM):
            inbox.put(said(0, "loud", "x"))
        async with asyncio.timeout(1):
            await inbox.room("quiet")
        waiting = asyncio.create_task(inbox.room("loud"))
        await asyncio.sleep(1)
        assert not waiting.done()
        inbox.take()
        await waiting

    virtual_time.run(main())


def test_waiting_ends_when_something_comes_and_lasts_while_it_is_empty() -> None:
    async def main() -> None:
        inbox = Inbox()
        inbox.put(said(0, "d", "x"))
        await inbox.wait()
        inbox.take()
        waiting = asyncio.create_task(inbox.wait())
        await asyncio.sleep(1)
        assert not waiting.done()
        inbox.put(said(0, "d", "x"))
        await waiting

    virtual_time.run(main())
