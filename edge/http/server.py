"""Metrics, health and a read-only look at the box over HTTP, loopback unless configured."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds between attempts to listen on an address that is taken."""

Read = Callable[[], Awaitable[Any]]


class _Ours(logging.Filter):
    """Lets through what is wrong with us, and not each request that is no HTTP."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


logging.getLogger("aiohttp.server").addFilter(_Ours())


def application(
    metrics: Callable[[], bytes],
    moving: Callable[[], bool],
    armed: Callable[[], bool],
    status: Read,
) -> web.Application:
    """Return the application: `/metrics`, `/healthz`, `/readyz`, `/api/status`."""

    async def page(_request: web.Request) -> web.Response:
        content = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=metrics(), headers={"Content-Type": content})

    async def healthy(_request: web.Request) -> web.Response:
        return _said(good=moving(), yes="the pipeline moves", no="the pipeline does not move")

    async def ready(_request: web.Request) -> web.Response:
        return _said(good=armed(), yes="rules run", no="rules do not run yet")

    async def api(_request: web.Request) -> web.Response:
        return web.json_response(await status())

    app = web.Application()
    app.router.add_get("/metrics", page)
    app.router.add_get("/healthz", healthy)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/api/status", api)
    return app


def _said(*, good: bool, yes: str, no: str) -> web.Response:
    return web.Response(status=200 if good else 503, text=(yes if good else no) + "\n")


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` until the block ends; yields the port. OSError when it can't listen there."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def serve(app: web.Application, host: str, port: int) -> None:
    """Serve until cancelled; an address that is taken is tried again for ever, said once."""
    said = False
    while True:
        try:
            async with listening(app, host, port):
                await asyncio.Event().wait()
        except OSError as error:
            if not said:
                log.error("http: cannot listen on %s:%d: %s", host, port, error.strerror)  # noqa: TRY400
                said = True
            await asyncio.sleep(RETRY)
