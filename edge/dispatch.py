"""Give orders to devices: one at a time a device, with a deadline, the outcome said as a signal."""

from __future__ import annotations

import asyncio
import logging
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from drivers.commands import Command
from drivers.contract import CommandFailed, Driver
from drivers.priorities import Priority
from drivers.signals import OrderDone, OrderFailed, Signal
from edge.supervisor import cancelled

log = logging.getLogger(__name__)

FIRST_RETRY = 0.5
LONGEST_RETRY = 5.0
WAITING = 50
"""Orders that may wait for one device; more are refused."""

END_WITHIN = 1.0
"""Seconds that a command being performed has to end at a stop."""

Giver = Literal["rule", "person", "evacuation", "start", "rest", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A command on its way to a device."""

    device: str
    command: Command
    by: Giver
    priority: Priority
    rule: str | None = None
    firing: str | None = None
    """The firing of that rule that it came from, or whose lease it shows or ends."""
    lasting: bool = False
    """The output shall stay so: a newer lasting one replaces it, and it is tried until it is so."""
    tick: float = 0.0
    """Of the event it answers."""
    quiet: bool = False
    """Its success is no news."""


Tell = Callable[[str, Signal, Priority], object]
Clocked = Callable[[], float]
Timed = Callable[[Given, float], None]


class _Desk:
    """What waits for one device."""

    def __init__(self) -> None:
        self.lasting: Given | None = None
        self.once: list[Given] = []
        """The most urgent first, among equals in the order they came."""
        self.wake = asyncio.Event()
        self.performing: asyncio.Task[None] | None = None
        self.current: Given | None = None
        self.failed: Given | None = None
        """The lasting order whose failure has been said."""


class Dispatch:
    """One desk and one worker a device that accepts commands. `give` never waits."""

    def __init__(
        self,
        drivers: Mapping[str, Driver],
        tell: Tell,
        seconds: Clocked,
        *,
        handed: Timed = lambda _given, _seconds: None,
        confirmed: Timed = lambda _given, _seconds: None,
        failed: Callable[[Given], None] = lambda _given: None,
    ) -> None:
        self._drivers = {d: driver for d, driver in drivers.items() if driver.accepts}
        self._tell, self._seconds = tell, seconds
        self._handed, self._confirmed, self._failed = handed, confirmed, failed
        self._desks = {device: _Desk() for device in self._drivers}

    def give(self, given: Given) -> None:
        """Take an order for its device and return at once."""
        desk = self._desks.get(given.device)
        if desk is None or type(given.command) not in self._drivers[given.device].accepts:
            self._fail(given, f"{given.device} cannot {given.command.kind}")
            return
        if given.lasting:
            desk.lasting, desk.failed = given, None
        else:
            insort(desk.once, given, key=lambda waiting: waiting.priority)
            if len(desk.once) > WAITING:
                last = desk.once.pop()
                self._fail(last, f"{WAITING} orders wait for it already")
        current = desk.current
        if current is not None and desk.performing and given.priority < current.priority:
            desk.performing.cancel()
        desk.wake.set()

    async def run(self) -> None:
        """Serve every device until cancelled."""
        async with asyncio.TaskGroup() as group:
            for device in self._desks:
                group.create_task(self._work(device), name=f"dispatch[{device}]")

    async def _work(self, device: str) -> None:
        desk, wait = self._desks[device], FIRST_RETRY
        while True:
            if not desk.lasting and not desk.once:
                await desk.wake.wait()
            desk.wake.clear()
            given = self._next(desk)
            if given is None:
                continue
            done = await self._perform(desk, given)
            if cancelled():
                raise asyncio.CancelledError  # the driver, or a library below it, has swallowed it
            if not given.lasting:
                continue
            if done and desk.lasting is given:
                desk.lasting, wait = None, FIRST_RETRY
            elif not done and desk.lasting is given:
                wait = await self._before_retry(desk, wait)

    def _next(self, desk: _Desk) -> Given | None:
        """Return what is done next; of equals what is over at once, so no clip begins late."""
        lasting = desk.lasting
        if desk.once and (lasting is None or desk.once[0].priority <= lasting.priority):
            return desk.once.pop(0)
        if desk.once and desk.failed is not None and desk.failed is lasting:
            return desk.once.pop(0)
        return lasting

    async def _before_retry(self, desk: _Desk, wait: float) -> float:
        try:
            async with asyncio.timeout(wait):
                await desk.wake.wait()
        except TimeoutError:
            return min(wait * 2, LONGEST_RETRY)
        return FIRST_RETRY

    async def _perform(self, desk: _Desk, given: Given) -> bool:
        driver = self._drivers[given.device]
        began = self._seconds()
        desk.current = given
        if desk.failed is not given and not given.quiet:
            self._handed(given, began - given.tick)
        desk.performing = asyncio.create_task(self._within(driver, given.command))
        try:
            await desk.performing
        except CommandFailed as failure:
            if desk.failed is not given:
                self._fail(given, str(failure))
            desk.failed = given
            return False
        except asyncio.CancelledError:
            if desk.performing.cancelled() and not cancelled():
                self._fail(given, "overtaken by a more urgent order")
                return False
            desk.performing.cancel()
            await asyncio.wait({desk.performing}, timeout=END_WITHIN)
            raise
        finally:
            desk.performing = desk.current = None
        took = self._seconds() - given.tick
        self._confirmed(given, took)
        if not given.quiet:
            done = OrderDone(
                command=given.command.kind,
                rule=given.rule,
                firing=given.firing,
                by=given.by,
                seconds=round(self._seconds() - began, 6),
            )
            self._tell(given.device, done, given.priority)
        return True

    async def _within(self, driver: Driver, command: Command) -> None:
        try:
            async with asyncio.timeout(driver.deadline):
                await driver.perform(command)
        except TimeoutError:
            raise CommandFailed(f"not confirmed within {driver.deadline:g} s") from None
        except CommandFailed:
            raise
        except Exception as error:
            log.exception("a bug while performing %s", command.kind)
            raise CommandFailed(f"bug: {type(error).__name__}") from error

    def _fail(self, given: Given, reason: str) -> None:
        self._failed(given)
        log.warning(
            "device %s: %s: %s",
            given.device,
            given.command.kind,
            reason,
            extra={"device": given.device},
        )
        failed = OrderFailed(
            command=given.command.kind,
            rule=given.rule,
            firing=given.firing,
            by=given.by,
            reason=reason,
        )
        self._tell(given.device, failed, given.priority)
