"""An event loop whose clock runs many times as fast: hours of waiting in minutes, real parts.

Unlike a clock that jumps, it suits threads, sockets and other processes: they go on at their own
pace and only look slower. Whatever waits on the loop waits so many times less.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Hurrying(selectors.DefaultSelector):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            timeout /= self._factor
        return super().select(timeout)


class CompressedLoop(asyncio.SelectorEventLoop):
    """`time` counts `factor` seconds in each real one, from 0."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._began = time.monotonic()
        super().__init__(_Hurrying(factor))

    def time(self) -> float:
        return (time.monotonic() - self._began) * self._factor


def run(main: Coroutine[Any, Any, T], factor: float) -> T:
    """Run `main` to its end, `factor` times as fast."""
    with asyncio.Runner(loop_factory=lambda: CompressedLoop(factor)) as runner:
        return runner.run(main)
