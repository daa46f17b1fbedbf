"""A simulated load behind a switch."""

from __future__ import annotations

from drivers.sim.load import Load


class SimulatedSwitch(Load):
    """Tell it the level of its relay with `relay`."""
