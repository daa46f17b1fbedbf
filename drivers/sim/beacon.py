"""A simulated beacon: lit while its relay is on."""

from __future__ import annotations

from drivers.sim.load import Load


class SimulatedBeacon(Load):
    """Tell it the level of its relay with `relay`."""
