"""Bring every output to what its `at_stop` says, with the drivers alone: after a crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

from drivers.contract import CommandFailed, Driver, DriverError
from drivers.signals import Signal
from edge.config.model import Configuration
from edge.house import Wires
from edge.supervisor import cancelled

RETRY = 0.2


async def bring(configuration: Configuration, within: float) -> dict[str, str]:
    """Return per output an empty string, or why it is not at its state after `within` seconds."""
    modules = {name: c.driver for name, c in configuration.io.items()}
    outputs = {
        name: c.driver
        for name, c in configuration.devices.items()
        if c.driver.accepts and c.driver.at_stop() is not None
    }
    wires = Wires(modules)
    for name, driver in outputs.items():
        wires.lend(name, driver, Path("/nonexistent"))
    needed = {line.partition(".")[0] for d in outputs.values() for line in d.lines().values()}
    running = {n: d for n, d in {**modules, **outputs}.items() if n in outputs or n in needed}
    outcome = dict.fromkeys(outputs, f"not confirmed within {within:g} s")
    tasks = [asyncio.create_task(_keep_running(driver)) for driver in running.values()]
    try:
        async with asyncio.timeout(within):
            await asyncio.gather(*(_one(n, d, outcome) for n, d in outputs.items()))
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return outcome


async def _keep_running(driver: Driver) -> None:
    async def emit(_signal: Signal) -> None:
        return

    while True:
        try:
            await driver.run(emit)
        except DriverError:
            if cancelled():
                raise asyncio.CancelledError from None
            await asyncio.sleep(RETRY)


async def _one(name: str, driver: Driver, outcome: dict[str, str]) -> None:
    command = driver.at_stop()
    while command is not None:
        try:
            await driver.perform(command)
        except CommandFailed as failure:
            outcome[name] = str(failure)
            await asyncio.sleep(RETRY)
        else:
            outcome[name] = ""
            return
