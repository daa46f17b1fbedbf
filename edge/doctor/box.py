"""The box that is looked at: its folders, what can be read of its configuration, its daemon."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from edge.clock import synchronised, wall
from edge.config.model import Configuration
from edge.config.secret_files import SecretFiles

T = TypeVar("T")

COMMAND_WITHIN = 4.0
"""Seconds for one program of the system."""
USER = "storewarden"
GUESSED = "not read"
"""Stands for a secret that this person may not read."""


class KnownSecrets(SecretFiles):
    """Secrets as far as they may be read: which one is missing is the business of `check`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.unread: set[str] = set()

    def value(self, name: str) -> str | None:
        found = super().value(name)
        if not found:
            self.unread.add(name)
        return found or GUESSED

    def check(self, *_given: Any) -> None:
        """Say nothing: files and modes are looked at by themselves."""


@dataclass(slots=True, kw_only=True)
class Box:
    """What every look is given. Nothing in it changes anything."""

    folder: Path
    """Of the configuration."""
    state: Path
    socket: Path
    configuration: Configuration | None
    """With stand-ins for secrets that can't be read; None when it can't be loaded."""
    refused: str = ""
    """Why it can't be loaded, as the first problem says."""
    unread: frozenset[str] = frozenset()
    """Secrets that this person may not read, or that are not there."""
    status: Mapping[str, Any] | None = None
    """What the running daemon says; None when none answers."""
    silent: str = ""
    """Why none answers."""
    devices: tuple[Mapping[str, Any], ...] = ()
    """What the running daemon says of each device."""
    root: Path = Path("/")
    """Where /proc, /sys, /etc and the programs of the system are."""
    now: Callable[[], datetime] = wall
    synchronised: Callable[[], bool] = synchronised
    user: int = field(default_factory=os.geteuid)

    async def says(self, *words: str) -> str | None:
        """Return what a program of the system prints; None where there is none, or it fails."""
        program = next(
            (p for part in ("usr/bin", "bin", "usr/sbin") if (p := self.root / part / words[0]) and
             p.is_file()),
            None,
        )  # fmt: skip
        if program is None:
            return None
        try:
            made = await asyncio.create_subprocess_exec(
                str(program), *words[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except OSError:
            return None
        try:
            async with asyncio.timeout(COMMAND_WITHIN):
                told, _ = await made.communicate()
        except TimeoutError:
            return None
        finally:
            if made.returncode is None:
                made.kill()
                await made.wait()
        return told.decode("utf-8", "replace") if made.returncode == 0 else None

    async def properties(self, *words: str) -> dict[str, str]:
        """Return the `NAME=value` lines that a program prints; none where it prints nothing."""
        told = await self.says(*words)
        return dict(line.partition("=")[::2] for line in (told or "").splitlines() if "=" in line)

    def text(self, path: str) -> str | None:
        """Return a small file under `root`; None when it can't be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the whole number in a small file under `root`."""
        text = self.text(path)
        return int(text) if text and text.lstrip("-").isdecimal() else None


async def aside(work: Callable[[], T]) -> T:
    """Run `work`, which may hang for ever, on a thread that nobody waits for at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def end(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: Exception | None = None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 - it is raised again where it is awaited
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(end, result, error)

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await done


def seconds_in_words(seconds: float) -> str:
    """Return `350 ms`, `12.0 s`, `3.4 min`, `5.1 h`, `12.0 days`."""
    size = abs(seconds)
    for limit, unit, name in (
        (1, 1e-3, "ms"),
        (120, 1, "s"),
        (7200, 60, "min"),
        (172800, 3600, "h"),
    ):
        if size < limit:
            return f"{seconds / unit:.{0 if name == 'ms' else 1}f} {name}"
    return f"{seconds / 86400:.1f} days"


def bytes_in_words(number: float) -> str:
    """Return `812 kB`, `3.2 GB`."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number / 1e3:.0f} kB"
