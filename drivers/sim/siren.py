"""A simulated siren: loud while its relay is on, and it counts for how long."""

from __future__ import annotations

from drivers.sim.load import Load


class SimulatedSiren(Load):
    """Tell it the level of its relay with `relay`."""
