"""A short look of `./dev prove fuzz`: parsers raise what their contract names, and nothing else."""

import asyncio
import logging
import socket
from pathlib import Path

import pytest

from bench.fuzz_targets import Target, targets
from bench.prove_fuzz import Run
from edge.http.server import application, listening

SECONDS = 0.2


def test_every_parser_takes_what_nobody_would_send(tmp_path: Path) -> None:
    for target in targets(tmp_path):
        run = Run(target)
        run.go(SECONDS, 7)
        assert run.found == ""
        assert run.eaten > 0


def test_a_parser_that_stumbles_is_found_with_a_small_input() -> None:
    def eat(data: bytes) -> None:
        if b"\xff" in data:
            raise KeyError("stumbled")

    run = Run(Target(name="bad", eat=eat, raises=(ValueError,), seeds=(b"good" * 50,)))
    run.go(60.0, 1)
    assert run.found.startswith("bad: KeyError: 'stumbled'\nb'\\xff'\n")


def test_a_request_that_is_no_http_is_answered_and_not_worth_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def status() -> dict[str, str]:
        return {}

    def say(port: int, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
            link.sendall(data)
            return link.recv(1000)

    async def main() -> None:
        app = application(lambda: b"", lambda: True, lambda: True, status)
        async with listening(app, "127.0.0.1", 0) as port:
            for data in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\r\n\r\n"):
                assert b"400" in await asyncio.to_thread(say, port, data)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    assert not [r for r in caplog.records if r.exc_info and r.levelno >= logging.WARNING]
