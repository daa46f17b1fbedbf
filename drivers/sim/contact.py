"""A simulated contact: quiet, active, chattering, cut."""

from __future__ import annotations

import asyncio

from drivers.sim.wires import Wires


class SimulatedContact:
    """One contact, active when on."""

    def __init__(self, wires: Wires, line: str) -> None:
        self._wires = wires
        self._line = line

    def active(self) -> None:
        self._wires.set(self._line, True)  # noqa: FBT003 - a level is a bool

    def quiet(self) -> None:
        self._wires.set(self._line, False)  # noqa: FBT003 - a level is a bool

    async def chatter(self, edges: int = 20, *, each: float = 0.002) -> None:
        """Change `edges` times, then rest quiet."""
        for _ in range(edges // 2):
            self.active()
            await asyncio.sleep(each)
            self.quiet()
            await asyncio.sleep(each)

    def cut(self) -> None:
        """Cut the wire: it reads as off, which looks quiet."""
        self.quiet()
