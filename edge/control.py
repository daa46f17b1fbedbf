"""The control socket: a person on the box asks and orders, one JSON line each way."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Request = Mapping[str, Any]
Answer = Callable[[Request], Awaitable[Any]]
Stream = Callable[[Request], AsyncIterator[Any]]

LONGEST = 65536
"""Bytes of a request."""
MODE = 0o660


class Refused(Exception):
    """The answer to a person is no; the text says why."""


def socket_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the socket is: in $RUNTIME_DIRECTORY, else in /run/storewarden."""
    folder = environment.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/storewarden"
    return Path(folder) / "control.sock"


@asynccontextmanager
async def serve(
    path: Path, answers: Mapping[str, Answer], streams: Mapping[str, Stream]
) -> AsyncIterator[None]:
    """Answer requests on the socket at `path` until the block ends.

    A request is `{"do": NAME, …}`; the answer `{"ok": …}` or `{"error": TEXT}`; a stream sends
    `{"ok": …}` lines until the client hangs up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    clients: set[asyncio.Task[None]] = set()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_client(reader, writer, answers, streams))
        clients.add(task)
        task.add_done_callback(clients.discard)

    before = os.umask(0o117)
    try:
        server = await asyncio.start_unix_server(met, path, limit=LONGEST)
    finally:
        os.umask(before)
    path.chmod(MODE)
    try:
        yield
    finally:
        server.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: Mapping[str, Answer],
    streams: Mapping[str, Stream],
) -> None:
    try:
        while line := await reader.readline():
            await _one(line, reader, writer, answers, streams)
    except (ValueError, OSError):
        return  # too long a line, or the person has gone
    finally:
        writer.close()


async def _one(
    line: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: Mapping[str, Answer],
    streams: Mapping[str, Stream],
) -> None:
    try:
        request = json.loads(line)
        name = request["do"]
    except (ValueError, TypeError, KeyError):
        await _send(writer, {"error": "a request is a JSON object with the key 'do'"})
        return
    if name in streams:
        await _stream(streams[name](request), reader, writer)
    elif name in answers:
        try:
            await _send(writer, {"ok": await answers[name](request)})
        except Refused as refused:
            await _send(writer, {"error": str(refused)})
    else:
        await _send(writer, {"error": f"unknown request {name!r}"})


async def _stream(
    stream: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def sending() -> None:
        async for item in stream:
            await _send(writer, {"ok": item})

    sender = asyncio.create_task(sending())
    gone = asyncio.create_task(reader.read())
    try:
        await asyncio.wait({sender, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, gone):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(sender, gone, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    await writer.drain()


class NotRunning(Exception):
    """No daemon listens on the control socket."""


async def ask(path: Path, request: Request, seconds: float = 10.0) -> Any:
    """Return the daemon's answer.

    Raises:
        NotRunning: there is no daemon, or it does not answer in time.
        Refused: the answer is no.
    """
    async for answer in follow(path, request, seconds):
        return answer
    raise NotRunning(f"the daemon at {path} hung up")


async def follow(path: Path, request: Request, seconds: float | None = None) -> AsyncIterator[Any]:
    """Yield the daemon's answers until it ends; `seconds` bounds the wait for each."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=64 * LONGEST)
    except OSError as error:
        raise NotRunning(f"no daemon answers at {path}: {error.strerror}") from error
    try:
        writer.write(json.dumps(dict(request)).encode() + b"\n")
        while True:
            async with asyncio.timeout(seconds):
                line = await reader.readline()
            if not line:
                return
            answer = json.loads(line)
            if "error" in answer:
                raise Refused(answer["error"])
            yield answer["ok"]
    except TimeoutError:
        raise NotRunning(f"the daemon at {path} does not answer") from None
    except OSError as error:
        raise NotRunning(f"the daemon at {path} hung up") from error
    finally:
        writer.close()
