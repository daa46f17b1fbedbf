"""Tell the daemon what became of an upgrade, so that operations hear it over MQTT."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge.upgrade import trial
from edge.upgrade.layout import Layout
from edge.upgrade.service import Service

WITHIN = 60.0
"""Seconds that the daemon is waited for."""
EVERY = 1.0


def tell(
    layout: Layout,
    service: Service,
    *,
    within: float = WITHIN,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Tell what is untold; returns whether nothing is any more.

    Told twice is possible after a power cut, never not at all: the unit at boot tries again.
    """
    begun = clock()
    while (outcome := trial.untold(layout)) is not None:
        request: dict[str, object] = {"do": "upgraded", **trial.as_data(outcome)}
        if service.tell(request):
            trial.told(layout)
        elif clock() - begun >= within:
            return False
        else:
            wait(EVERY)
    return True
