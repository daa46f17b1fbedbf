"""The installed daemon as a process, on a configuration folder, that a test may stop or kill."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from edge.cli.run import environment, python
from edge.control import NotRunning, ask, follow

LIMIT = 20.0
"""Seconds for anything that the daemon is waited for, on however busy a machine."""


class Daemon:
    """`await daemon.start()`, then ask, stop or kill it; starting it again goes on."""

    def __init__(
        self, folder: Path, config: Path, run: Path | None = None, more: tuple[str, ...] = ()
    ) -> None:
        self.config = config
        self.folder = folder
        self.run = run or folder / "run"
        self.state = folder / "state"
        self.socket = self.run / "control.sock"
        self.more = more
        """More words of its command."""
        self.run.mkdir(exist_ok=True)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def places(self) -> dict[str, str]:
        """Return the environment of the daemon and of commands about it."""
        return environment(RUNTIME_DIRECTORY=str(self.run), STATE_DIRECTORY=str(self.state))

    async def start(self) -> None:
        """Start it and wait until its rules run."""
        await self.launch()
        await self.until(lambda _status: True)

    async def launch(self) -> None:
        """Start it, and wait for nothing."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *python(), "run", "--config", str(self.config), *self.more,
                env=self.places(), stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    async def until(self, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until its status is `enough`, and return it."""
        async with asyncio.timeout(LIMIT):
            while True:
                assert self.process is not None
                assert self.process.returncode is None, self.log
                with suppress(NotRunning):
                    status: dict[str, Any] = await ask(self.socket, {"do": "status"})
                    if enough(status):
                        return status
                await asyncio.sleep(0.05)

    async def ask(self, **request: Any) -> Any:
        return await ask(self.socket, request, seconds=LIMIT)

    async def states(self, device: str) -> dict[str, str]:
        """Return the states of a device, name to value."""
        devices = await self.ask(do="devices")
        (found,) = [d for d in devices if d["device"] == device]
        return {name: state["value"] for name, state in found["states"].items()}

    @asynccontextmanager
    async def tail(self) -> AsyncIterator[Callable[[str | None, str], Any]]:
        """Follow what happens; yields what waits for the next (device, signal); None: any."""
        items = follow(self.socket, {"do": "tail"})
        first = asyncio.ensure_future(anext(items))
        for _ in range(2):  # once these are answered, the request before them is served too
            await self.ask(do="status")

        async def until(device: str | None, kind: str) -> dict[str, Any]:
            nonlocal first
            async with asyncio.timeout(LIMIT):
                while True:
                    item: dict[str, Any] = await first
                    first = asyncio.ensure_future(anext(items))
                    if device in (None, item["device"]) and item["signal"] == kind:
                        return item

        try:
            yield until
        finally:
            first.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await first
            await items.aclose()  # type: ignore[attr-defined]

    async def kill(self) -> None:
        """End it by SIGKILL: nothing is written any more."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """End it by SIGTERM; returns its exit code."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LIMIT):
            return await self.process.wait()

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run `storewarden` with these arguments beside it; return exit code, stdout, stderr."""
        command = [sys.executable, "-P", "-m", "edge.cli.main", *arguments]
        made = await asyncio.create_subprocess_exec(
            *command, env=self.places(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await made.communicate()
        assert made.returncode is not None
        return made.returncode, out.decode(), err.decode()


@asynccontextmanager
async def running(folder: Path, config: Path, *more: str) -> AsyncIterator[Daemon]:
    """Run the daemon until the block ends; it may be killed and started within."""
    # a short name: a socket's path has 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="warden-") as run:
        daemon = Daemon(folder, config, Path(run), more)
        try:
            await daemon.start()
            yield daemon
        finally:
            await _ended(daemon)


async def _ended(daemon: Daemon) -> None:
    if daemon.process is None or daemon.process.returncode is not None:
        return
    try:
        await daemon.stop()
    except TimeoutError:
        await daemon.kill()
        raise
