"""Changes beside the road: heavy work in a thread, and no bug of theirs disturbs it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from edge.control import Refused

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
TURN = 0.0005
"""Seconds after which the thread hands over to the loop that waits; Python's own are 0.005."""
AFTER_A_BUG = 5.0
"""Seconds until another change is tried."""


async def run(do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `do` does in a thread. One at a time: the length of a turn is the process's."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        with uncollected():
            return await asyncio.to_thread(do, *args, **kwargs)
    finally:
        sys.setswitchinterval(before)


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off the collection of cycles: with thousands of new objects it would stop everybody."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


async def unharmed(change: Awaitable[object]) -> None:
    """Wait for a change of what runs; a bug in it stops nothing that runs.

    Raises:
        Refused: the change is refused.
    """
    try:
        await change
    except Refused:
        raise
    except Exception:
        log.exception("a bug while changing what runs")
        await asyncio.sleep(AFTER_A_BUG)
