"""A driver without hardware, told by a test what to do when it runs and performs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from drivers.commands import Command, Goto, RecordClip, Silence, Sound
from drivers.contract import Driver, Emit
from drivers.signals import OutputOff, OutputOn, Signal

Run = Callable[[Emit], Awaitable[None]]
Perform = Callable[[Command], Awaitable[None]]


async def for_ever(_emit: Emit) -> None:
    await asyncio.Event().wait()


async def at_once(_command: Command) -> None:
    return


@dataclass(slots=True, kw_only=True, eq=False)
class Plain(Driver):
    """Its `run` and `perform` are the test's."""

    does: Run = for_ever
    performs: Perform = at_once
    alarms: frozenset[tuple[str, str]] = frozenset()
    performed: list[Command] = field(default_factory=list)

    accepts: ClassVar[frozenset[type[Command]]] = frozenset({Sound, Silence, Goto, RecordClip})
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {"output": ("on", "off")}
    deadline: ClassVar[float] = 5.0

    async def run(self, emit: Emit) -> None:
        await self.does(emit)

    async def perform(self, command: Command) -> None:
        await self.performs(command)
        self.performed.append(command)

    def signal_for(self, state: str, value: str) -> Signal | None:
        return {"on": OutputOn(), "off": OutputOff()}.get(value)

    def alarms_without_history(self) -> frozenset[tuple[str, str]]:
        return self.alarms
