"""Run the Modbus driver in a test, and hear what it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from drivers.contract import DriverError, LinkLost
from drivers.lines.line import Reading
from drivers.lines.modbus import Modbus
from drivers.settings import Seconds
from drivers.signals import InputEdge, LinkUp, Signal
from drivers.sim.modbus import ModbusSimulator

LIMIT = 60.0
"""Seconds, real or virtual, before a test has failed."""


class Heard:
    """What a driver said, and a way to wait for it."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self._more = asyncio.Event()

    async def emit(self, signal: Signal) -> None:
        self.signals.append(signal)
        self._more.set()

    async def until(self, wanted: type[Signal]) -> None:
        async with asyncio.timeout(LIMIT):
            while not any(isinstance(signal, wanted) for signal in self.signals):
                self._more.clear()
                await self._more.wait()

    async def until_edge(self, line: str, level: bool) -> None:
        async with asyncio.timeout(LIMIT):
            while (line, level) not in self.edges():
                self._more.clear()
                await self._more.wait()

    def edges(self) -> list[tuple[str, bool | None]]:
        return [(s.line, s.level) for s in self.signals if isinstance(s, InputEdge)]


def module(sim: ModbusSimulator, **settings: Any) -> Modbus:
    usual: dict[str, Any] = {"url": sim.url, "profile": "moxa_e1214", "poll": Seconds(1.0)}
    return Modbus(**usual | settings)


def readings(driver: Modbus) -> list[Reading]:
    inputs = [line.reading for line in driver.inputs().values()]
    return inputs + [line.reading for line in driver.outputs().values()]


@asynccontextmanager
async def running(driver: Modbus) -> AsyncIterator[Heard]:
    """Run the driver in the background, from its first complete poll on."""
    heard = Heard()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(driver.run(heard.emit))
        await heard.until(LinkUp)
        yield heard
        task.cancel()


async def failure(
    driver: Modbus, heard: Heard | None = None, *, raises: type[DriverError] = LinkLost
) -> str:
    """Run the driver until it gives up, and return why."""
    try:
        async with asyncio.timeout(LIMIT):
            await driver.run((heard or Heard()).emit)
    except raises as error:
        return str(error)
    raise AssertionError("it returned without an error")
