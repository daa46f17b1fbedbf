"""Keep one driver running: wait after a failure, say a lost link once, disturb nobody else."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from drivers.contract import Driver, DriverError
from drivers.signals import LinkDown, LinkUp, Signal
from edge.inbox import Inbox

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0
STEADY = 10.0
"""Seconds that a link must last for the waits to begin anew."""


def cancelled() -> bool:
    """Return whether the running task has been told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def supervise(
    device: str,
    driver: Driver,
    say: Callable[[Signal], None],
    inbox: Inbox,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Run the driver until cancelled; after a failure wait, then run it again.

    Waits double from 0.5 s to 15 s, each shortened by up to half at random, so that a store
    full of devices does not reconnect in step after a power cut. They begin anew after a link of
    10 s: who takes every call and hangs up at once is called less and less often.
    """
    wait, known_down = FIRST_WAIT, False
    clock = asyncio.get_running_loop().time
    up_since: float | None = None

    async def heard(signal: Signal) -> None:
        nonlocal known_down, up_since
        if isinstance(signal, LinkUp):
            if known_down:
                log.info("device %s: heard again", device, extra={"device": device})
            known_down, up_since = False, clock()
        say(signal)
        await inbox.room(device)

    while True:
        try:
            await driver.run(heard)
            reason = "the driver returned without an error"
        except DriverError as error:
            reason = str(error)
        except Exception as error:
            log.exception("device %s: bug in its driver", device, extra={"device": device})
            reason = f"bug: {type(error).__name__}"
        if cancelled():
            raise asyncio.CancelledError  # the driver, or a library below it, has swallowed it
        if not known_down:
            known_down = True
            log.warning("device %s: %s", device, reason, extra={"device": device})
            say(LinkDown(reason=reason))
        if up_since is not None and clock() - up_since >= STEADY:
            wait = FIRST_WAIT
        up_since = None
        await asyncio.sleep(wait * (1 - jitter() / 2))
        wait = min(wait * 2, LONGEST_WAIT)
