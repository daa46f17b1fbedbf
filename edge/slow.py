"""What changes over months: the wear of the disk, looked at once an hour, off the loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.metrics import Metrics

EVERY = 3600.0


async def run(metrics: Metrics, state: Path, root: Path = Path("/")) -> None:
    """Keep `metrics.wear` up to date until cancelled, for the disk that the state is on."""
    while True:
        metrics.wear = await asyncio.to_thread(_wear, root, state)
        await asyncio.sleep(EVERY)


def _wear(root: Path, state: Path) -> float | None:
    from edge.doctor.wear import wear

    try:
        return wear(root, state.resolve())
    except (OSError, ValueError):  # no metric is worth a daemon
        return None
