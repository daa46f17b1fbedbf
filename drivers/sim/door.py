"""A simulated door: a contact that bounces, and a request to exit."""

from __future__ import annotations

import asyncio
import random

from drivers.sim.wires import Wires


class SimulatedDoor:
    """One door. Its contact is on while it is closed, unless told otherwise."""

    def __init__(
        self,
        wires: Wires,
        contact: str,
        request_to_exit: str | None = None,
        *,
        closed_level: bool = True,
    ) -> None:
        self._wires = wires
        self._contact = contact
        self._request = request_to_exit
        self._closed_level = closed_level

    def close(self) -> None:
        self._wires.set(self._contact, self._closed_level)

    def open(self) -> None:
        self._wires.set(self._contact, not self._closed_level)

    def request(self, active: bool) -> None:  # noqa: FBT001 - a level is a bool
        """Press or let go of the request to exit."""
        if self._request is None:
            raise ValueError("this door has no request to exit")
        self._wires.set(self._request, active)

    async def bounce(self, *, to_open: bool, edges: int = 6, within: float = 0.02) -> None:
        """Open or close as a real contact does: some edges, then rest."""
        cuts = random.Random(edges)
        for _ in range(edges // 2):
            (self.open if to_open else self.close)()
            await asyncio.sleep(cuts.uniform(0.2, 0.8) * within / edges)
            (self.close if to_open else self.open)()
            await asyncio.sleep(cuts.uniform(0.2, 0.8) * within / edges)
        (self.open if to_open else self.close)()

    async def walk_out(self, *, asks: bool = True, open_for: float = 3.0) -> None:
        """Let somebody leave: ask, open, close."""
        if asks:
            self.request(True)  # noqa: FBT003 - a level is a bool
            await asyncio.sleep(0.5)
        self.open()
        await asyncio.sleep(open_for)
        self.close()
        if asks:
            self.request(False)  # noqa: FBT003 - a level is a bool

    async def prop(self, seconds: float) -> None:
        """Hold the door open."""
        self.open()
        await asyncio.sleep(seconds)
        self.close()

    def cut(self) -> None:
        """Cut the contact's wire: it reads as off from now on."""
        self._wires.set(self._contact, False)  # noqa: FBT003 - a level is a bool
