"""Run one device on wires in memory, and collect what it says with the loop time of each word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from drivers.contract import Driver, LinkLost
from drivers.signals import Signal
from drivers.sim.wires import MemoryHouse

Said = list[tuple[float, Signal]]


class Device:
    """One device that runs, and starts again a second after a lost link, as its host would."""

    def __init__(self, driver: Driver, house: MemoryHouse) -> None:
        self.driver = driver
        self.house = house
        self.said: Said = []
        self.lost: list[tuple[float, str]] = []

    async def hear(self, signal: Signal) -> None:
        self.said.append((round(asyncio.get_running_loop().time(), 3), signal))

    async def run(self) -> None:
        while True:
            try:
                await self.driver.run(self.hear)
            except LinkLost as lost:
                self.lost.append((round(asyncio.get_running_loop().time(), 3), str(lost)))
            await asyncio.sleep(1)

    @property
    def signals(self) -> list[Signal]:
        return [signal for _, signal in self.said]

    def take(self) -> list[Signal]:
        """Return what was said since the last call."""
        taken, self.said = self.signals, []
        return taken


@asynccontextmanager
async def watching(driver: Driver, **levels: bool) -> AsyncIterator[Device]:
    """Run `driver` with the inputs and outputs of module `m` at these levels, until the end."""
    house = MemoryHouse()
    driver.attach(house)
    for line, level in levels.items():
        house.set(f"m.{line}", level)
    device = Device(driver, house)
    running = asyncio.create_task(device.run())
    try:
        await asyncio.sleep(0.001)
        yield device
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
