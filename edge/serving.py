"""The two ways to reach the running daemon: the control socket and HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from edge import control, scrape
from edge.assembly import Parts
from edge.control import Answer, Stream
from edge.requests import Changing, Desk

log = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds between attempts to listen."""


async def serving(parts: Parts, changes: Changing | None = None) -> None:
    """Serve the control socket and HTTP until cancelled."""
    from edge.http import server

    desk = Desk(parts, changes)
    scrape.register(parts)
    app = server.application(parts.metrics.page, desk.moving, lambda: True, desk.status)
    answers = {
        "status": lambda _request: desk.status(),
        "devices": lambda _request: desk.devices(),
        "rules": lambda _request: desk.rules(),
        "explain": desk.explain,
        "order": desk.order,
        "evacuate": desk.evacuate,
        "acknowledge": desk.acknowledge,
        "mode": desk.mode,
        "apply": desk.apply,
        "watch": desk.watch,
        "reload": desk.reload,
        "upgraded": desk.upgraded,
    }
    http, path = parts.configuration.site.http, parts.places.socket
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(app, http.host, http.port), name="HTTP")
        group.create_task(_control(path, answers, {"tail": desk.tail}), name="control")


async def _control(
    path: Path, answers: Mapping[str, Answer], streams: Mapping[str, Stream]
) -> None:
    """Serve the control socket; a place that can't be used is tried for ever, said once."""
    said = False
    while True:
        try:
            async with control.serve(path, answers, streams):
                await asyncio.Event().wait()
        except OSError as error:
            if not said:
                log.error("control: cannot listen at %s: %s", path, error.strerror or error)  # noqa: TRY400
                said = True
            await asyncio.sleep(RETRY)
