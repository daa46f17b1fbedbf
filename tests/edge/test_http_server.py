"""Metrics and health over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import socket

import aiohttp
import pytest
from aiohttp import web

from edge.http.server import application, listening, serve

LIMIT = 20.0


class Box:
    moving = True
    armed = True

    def app(self) -> web.Application:
        return application(
            lambda: b"storewarden_x 1\n", lambda: self.moving, lambda: self.armed, self.status
        )

    async def status(self) -> dict[str, str]:
        return {"site": "shop"}


async def get(port: int, path: str) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


def test_metrics_health_and_status_are_served() -> None:
    async def main() -> None:
        box = Box()
        async with asyncio.timeout(LIMIT), listening(box.app(), "127.0.0.1", 0) as port:
            content = "text/plain; version=0.0.4; charset=utf-8"
            assert await get(port, "/metrics") == (200, content, "storewarden_x 1\n")
            assert (await get(port, "/healthz"))[0] == 200
            assert (await get(port, "/readyz"))[0] == 200
            assert (await get(port, "/api/status"))[2] == '{"site": "shop"}'
            assert (await get(port, "/nothing"))[0] == 404

    asyncio.run(main())


def test_health_is_503_while_the_pipeline_does_not_move_and_ready_while_no_rules_run() -> None:
    async def main() -> None:
        box = Box()
        async with asyncio.timeout(LIMIT), listening(box.app(), "127.0.0.1", 0) as port:
            box.moving = False
            status, _, text = await get(port, "/healthz")
            assert (status, text) == (503, "the pipeline does not move\n")
            box.armed = False
            status, _, text = await get(port, "/readyz")
            assert (status, text) == (503, "rules do not run yet\n")

    asyncio.run(main())


def test_a_port_that_is_taken_is_said_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.http.server.RETRY", 0.05)

    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            serving = asyncio.create_task(serve(Box().app(), "127.0.0.1", port))
            await asyncio.sleep(0.3)
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    assert (await get(port, "/healthz"))[0] == 200
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    with caplog.at_level(logging.ERROR, logger="edge.http.server"):
        asyncio.run(main())
    messages = [r.message for r in caplog.records]
    assert len(messages) == 1
    assert messages[0].startswith("http: cannot listen on 127.0.0.1:")
