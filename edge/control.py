"""The control socket: a person on the box asks and orders, one JSON line each way."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Request = Mapping[str, Any]
Answer = Callable[[Request], Awaitable[Any]]
Stream = Callable[[Request], AsyncGenerator[Any, None]]

log = logging.getLogger(__name__)

LONGEST = 65536
"""Bytes of a request."""
MODE = 0o660


class Refused(Exception):
    """The answer to a person is no; the text says why."""


class Misused(Refused):
    """The request can't be meant so: it names what there is not."""


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
    `{"ok": …}` lines until the client hangs up. An `{"error": …, "usage": true}` says that the
    request can't be meant so.

    Raises:
        OSError: it can't listen there, or another daemon does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(_make_free, path)
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


def _make_free(path: Path) -> None:
    """Remove a socket that a dead process left behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another daemon answers there")


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: Mapping[str, Answer],
    streams: Mapping[str, Stream],
) -> None:
    try:
        while line := await reader.readline():
            await _one(line, reader, writer, answers, streams)
    except ValueError:
        with suppress(OSError):
            await _send(writer, {"error": f"a request has at most {LONGEST} bytes"})
    except OSError:
        return  # the person has gone
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
        known = name in streams or name in answers
    except (ValueError, TypeError, KeyError, RecursionError):
        await _send(writer, {"error": "a request is a JSON object with the key 'do'"})
        return
    if not known:
        await _send(writer, {"error": f"unknown request {name!r}", "usage": True})
    elif name in streams:
        await _stream(streams[name](request), reader, writer)
    else:
        await _send(writer, await _answered(name, answers[name], request))


async def _answered(name: str, answer: Answer, request: Request) -> Mapping[str, Any]:
    try:
        return {"ok": await answer(request)}
    except Misused as misused:
        return {"error": str(misused), "usage": True}
    except Refused as refused:
        return {"error": str(refused)}
    except Exception as error:
        log.exception("a bug while answering %s", name)
        return {"error": f"bug: {type(error).__name__}"}


async def _stream(
    stream: AsyncGenerator[Any, None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def sending() -> None:
        async with aclosing(stream):
            async for item in stream:
                await _send(writer, {"ok": item})

    async def hung_up() -> None:
        while await reader.read(LONGEST):
            pass

    sender = asyncio.create_task(sending())
    gone = asyncio.create_task(hung_up())
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
        denied = isinstance(error, PermissionError)
        way = (
            "use sudo, or be in its group"
            if denied
            else "does it run? systemctl status storewarden"
        )
        raise NotRunning(f"no daemon answers at {path}: {error.strerror}; {way}") from error
    try:
        writer.write(json.dumps(dict(request)).encode() + b"\n")
        while True:
            async with asyncio.timeout(seconds):
                line = await reader.readline()
            if not line:
                return
            answer = json.loads(line)
            if "error" in answer:
                raise (Misused if answer.get("usage") else Refused)(answer["error"])
            yield answer["ok"]
    except TimeoutError:
        raise NotRunning(f"the daemon at {path} does not answer") from None
    except OSError as error:
        raise NotRunning(f"the daemon at {path} hung up") from error
    finally:
        writer.close()
