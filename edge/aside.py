"""Heavy work in a thread beside the road, which hardly notices."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
TURN = 0.0005
"""Seconds after which the thread hands over to the loop that waits; Python's own are 0.005."""


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
