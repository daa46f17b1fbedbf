"""The uplink's side of the house: what is published, retained and said of the link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from buffer.writer import Writer
from edge.config.model import Site
from edge.encode import Encoder
from rules.states import States


class Cloud:
    """Forwards the journal when site.yaml names a broker; without one everything is kept."""

    def __init__(
        self, site: Site, writer: Writer, encoder: Encoder, states: States, devices: Iterable[str]
    ) -> None:
        self._site, self._writer, self._encoder = site, writer, encoder
        self._states, self._devices = states, tuple(devices)

    def publish_state(self, device: str) -> None:
        """Publish the retained states of `device`, now or at the next connection."""

    async def run(self) -> None:
        """Forward until cancelled."""
        await asyncio.Event().wait()

    def status(self) -> dict[str, Any]:
        """Return how the link is."""
        return {
            "configured": self._site.mqtt is not None,
            "connected": False,
            "backlog": 0,
            "oldest_unsent": 0.0,
            "published": 0,
        }

    def records(self) -> int:
        return 0

    def bytes(self) -> int:
        return 0

    def dropped(self) -> dict[tuple[str, ...], float]:
        return {}
