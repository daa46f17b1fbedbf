"""Run ffmpeg as a child that cannot outlive this process, and say in plain words why it failed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from drivers.contract import LinkLost

_REASONS = (
    ("401 Unauthorized", "{where} refuses this user name or password"),
    ("403 Forbidden", "{where} refuses this user name or password"),
    ("404 Not Found", "{where} has no such stream"),
    ("Connection refused", "cannot connect to {where}: connection refused"),
    ("No route to host", "cannot connect to {where}: no route to host"),
    ("Network is unreachable", "cannot connect to {where}: network is unreachable"),
    ("Name or service not known", "cannot connect to {where}: no such host"),
    ("Failed to resolve hostname", "cannot connect to {where}: no such host"),
    ("timed out", "cannot connect to {where}: no answer"),
    ("No space left on device", "no space left on the recorder's disk"),
    ("Invalid data found", "{where} gives no video"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running ffmpeg."""

    pid: int
    told: asyncio.StreamReader
    """Its stdout."""
    errors: asyncio.StreamReader
    """Its stderr; must be read, or ffmpeg stops once the pipe is full."""

    def ask_to_stop(self) -> None:
        """Let it close its files; it ends soon if its input still moves."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


@asynccontextmanager
async def child(*arguments: str, stdin: bytes = b"") -> AsyncIterator[Child]:
    """Lend an ffmpeg with piped output for the length of the block, and end it with the block.

    `stdin` is what it reads, up to its end. It is a process group of its own, so a Ctrl-C meant
    for us does not reach it; where util-linux is installed it dies with us even at a kill -9. One
    that is not tied to us yet in that instant ends at its next word: nobody reads its pipe.

    Raises:
        LinkLost: ffmpeg is not installed, or can't be started.
    """
    program, guard = shutil.which("ffmpeg"), shutil.which("setpriv")
    if program is None:
        raise LinkLost("ffmpeg is not installed: apt install ffmpeg")
    tied = (guard, "--pdeathsig", "KILL", "--") if guard else ()
    try:
        process = await asyncio.create_subprocess_exec(
            *tied,
            program,
            "-hide_banner",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise LinkLost(f"cannot start ffmpeg: {error}") from error
    told, errors = process.stdout, process.stderr
    if process.stdin is None or told is None or errors is None:
        raise LinkLost("cannot start ffmpeg: it has no pipes")
    try:
        process.stdin.write(stdin)
        process.stdin.close()
        yield Child(pid=process.pid, told=told, errors=errors)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await told.read()
        await errors.read()
        await process.wait()


def why(lines: Iterable[str], where: str, *, seen: bool) -> str:
    """Return why ffmpeg ended, from what it wrote on stderr. Never quotes it: it names passwords.

    `where` is the device's host; `seen` says that there were pictures before.
    """
    text = "\n".join(lines)
    if seen and "timed out" in text:
        return f"{where} stopped sending"
    for sign, reason in _REASONS:
        if sign in text:
            return reason.format(where=where)
    return f"{where} ended the stream"
