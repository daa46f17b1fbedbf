"""A simulated electric lock: holds or lets out, also without power."""

from __future__ import annotations

from typing import Literal

from drivers.sim.load import Load


class SimulatedLock(Load):
    """A lock on a relay. Tell it the level of its relay with `relay`."""

    def __init__(self, *, energised: Literal["locked", "released"] = "locked") -> None:
        super().__init__()
        self._energised = energised

    @property
    def locked(self) -> bool:
        return self.on is (self._energised == "locked")

    def power_lost(self, at: float) -> None:
        """Lose the power of the relay: what that means follows from how it is wired."""
        self.relay(False, at)  # noqa: FBT003 - a level is a bool
