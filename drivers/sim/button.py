"""A simulated button: pressed shortly, held, stuck, or with its wire cut."""

from __future__ import annotations

import asyncio

from drivers.sim.wires import Wires


class SimulatedButton:
    """One button, pressed when on."""

    def __init__(self, wires: Wires, line: str) -> None:
        self._wires = wires
        self._line = line

    def release(self) -> None:
        self._wires.set(self._line, False)  # noqa: FBT003 - a level is a bool

    def hold(self) -> None:
        """Press and stay: a latching panic button, or a stuck one."""
        self._wires.set(self._line, True)  # noqa: FBT003 - a level is a bool

    async def press(self, seconds: float = 0.3) -> None:
        self.hold()
        await asyncio.sleep(seconds)
        self.release()

    def cut(self) -> None:
        """Cut the wire: it reads as off, which looks like a quiet button."""
        self.release()
