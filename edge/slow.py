"""What changes over months: restarts and the wear of the disk, looked at once an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from edge.metrics import Metrics

EVERY = 3600.0
REASONS = ("power", "watchdog", "signal", "exit-code", "oom-kill")
"""They are shown at 0 before they happen: of a counter that is born with 1 nobody sees it grow."""


async def run(metrics: Metrics, state: Path, root: Path = Path("/")) -> None:
    """Keep `metrics.wear` and `metrics.ends` up to date until cancelled, off the loop."""
    while True:
        metrics.wear, metrics.ends = await asyncio.to_thread(_look, root, state)
        await asyncio.sleep(EVERY)


def _look(root: Path, state: Path) -> tuple[float | None, Mapping[str, int]]:
    from edge import ends
    from edge.doctor.wear import wear

    counts = {**dict.fromkeys(REASONS, 0), **ends.read(state).counts}
    try:
        return wear(root, state.resolve()), counts
    except (OSError, ValueError):  # no metric is worth a daemon
        return None, counts
