"""The control socket, over a real one."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.control import (
    LONGEST,
    Misused,
    NotRunning,
    Refused,
    Request,
    ask,
    follow,
    serve,
    socket_path,
)

LIMIT = 20.0


class Desk:
    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def hello(self, request: Request) -> Any:
        return {"hello": request.get("name")}

    async def no(self, _request: Request) -> Any:
        raise Refused("the door is open")

    async def what(self, _request: Request) -> Any:
        raise Misused("there is no such door")

    async def bug(self, _request: Request) -> Any:
        raise ZeroDivisionError

    async def count(self, _request: Request) -> AsyncGenerator[Any, None]:
        try:
            number = 0
            while True:
                yield number
                number += 1
                await asyncio.sleep(0)
        finally:
            self.ended.set()


def play(folder: Path, story: Callable[[Path, Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        desk, path = Desk(), folder / "run" / "control.sock"
        answers = {"hello": desk.hello, "no": desk.no, "what": desk.what, "bug": desk.bug}
        async with asyncio.timeout(LIMIT), serve(path, answers, {"count": desk.count}):
            await story(path, desk)
        assert not path.exists()

    asyncio.run(main())


async def raw(path: Path, data: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(data)
        found: dict[str, Any] = json.loads(await reader.readline())
        return found
    finally:
        writer.close()


def test_a_request_is_answered_and_only_the_group_may_ask(tmp_path: Path) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        assert await ask(path, {"do": "hello", "name": "Ann"}) == {"hello": "Ann"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    play(tmp_path, story)


def test_a_no_a_misuse_and_a_bug_are_told_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        assert await raw(path, b'{"do": "no"}\n') == {"error": "the door is open"}
        assert await raw(path, b'{"do": "what"}\n') == {
            "error": "there is no such door",
            "usage": True,
        }
        assert await raw(path, b'{"do": "bug"}\n') == {"error": "bug: ZeroDivisionError"}
        with pytest.raises(Misused, match="no such door"):
            await ask(path, {"do": "what"})

    play(tmp_path, story)
    assert caplog.records[0].message == "a bug while answering bug"


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b"1\n",
        b'{"do": []}\n',
        b"{}\n",
        b"[" * 60000 + b"\n",
        b"\xff\n",
    ],
)
def test_what_is_no_request_is_told_so(tmp_path: Path, line: bytes) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        found = await raw(path, line)
        assert found == {"error": "a request is a JSON object with the key 'do'"}

    play(tmp_path, story)


def test_an_unknown_request_is_a_misuse(tmp_path: Path) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        with pytest.raises(Misused, match="unknown request 'sing'"):
            await ask(path, {"do": "sing"})

    play(tmp_path, story)


def test_too_long_a_request_is_told_so(tmp_path: Path) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        found = await raw(path, b'"' + b"x" * LONGEST + b'"\n')
        assert found == {"error": "a request has at most 65536 bytes"}
        assert await ask(path, {"do": "hello"}) == {"hello": None}

    play(tmp_path, story)


def test_a_stream_ends_when_the_person_hangs_up(tmp_path: Path) -> None:
    async def story(path: Path, desk: Desk) -> None:
        items = follow(path, {"do": "count"})
        assert [await anext(items) for _ in range(3)] == [0, 1, 2]
        await items.aclose()  # type: ignore[attr-defined]
        await desk.ended.wait()

    play(tmp_path, story)


def test_a_reader_that_reads_nothing_delays_nobody(tmp_path: Path) -> None:
    async def story(path: Path, desk: Desk) -> None:
        _reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"do": "count"}\n')
        assert await ask(path, {"do": "hello"}) == {"hello": None}
        writer.close()
        await desk.ended.wait()

    play(tmp_path, story)


def test_nobody_answers_where_no_daemon_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no daemon answers at"):
        asyncio.run(ask(tmp_path / "control.sock", {"do": "status"}))


def test_a_socket_left_behind_is_taken_and_a_live_one_is_not(tmp_path: Path) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        with pytest.raises(OSError, match="another daemon answers there"):
            async with serve(path, {}, {}):
                pass
        assert await ask(path, {"do": "hello"}) == {"hello": None}

    (tmp_path / "run").mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "run" / "control.sock"))
    left.close()
    play(tmp_path, story)


def test_the_socket_is_in_the_runtime_directory() -> None:
    assert socket_path({"RUNTIME_DIRECTORY": "/run/x:/run/y"}) == Path("/run/x/control.sock")
    assert socket_path({}) == Path("/run/storewarden/control.sock")


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60).filter(lambda data: b"\n" not in data))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    async def story(path: Path, _desk: Desk) -> None:
        assert "error" in await raw(path, data + b"\n")

    play(tmp_path_factory.mktemp("any"), story)
