"""The demonstration as a process: what it tells, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiomqtt import Message

from edge.cli.run import environment, python
from tests.broker import Broker
from tests.daemon import LIMIT
from tests.shop import TOP, events


@asynccontextmanager
async def demo(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the demonstration with its temporary files in `folder`."""
    process = await asyncio.create_subprocess_exec(
        *python(), "demo", *arguments,
        env=environment(TMPDIR=str(folder)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def told(process: asyncio.subprocess.Process, text: str, limit: float = LIMIT) -> str:
    """Return what it prints up to a line with `text`."""
    assert process.stdout is not None
    lines = ""
    async with asyncio.timeout(limit):
        while text not in lines:
            line = await process.stdout.readline()
            assert line, lines
            lines += line.decode()
    return lines


async def rest(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(LIMIT):
        out, _ = await process.communicate()
    return out.decode()


def processes(folder: Path) -> list[str]:
    """Return the command lines of all processes that name `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def is_summary(text: str) -> bool:
    rows = ("events ", "rule firings ", "reaction p50 / p99 ", "journal ", "uplink ")
    return all(f"\n{row}" in text for row in rows)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files whose name is short: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


def test_the_demonstration_ends_in_time_and_tells_of_the_walk_out(place: Path) -> None:
    async def main() -> str:
        async with demo(place, "--for", "20s", "--plain") as process:
            before = await told(process, "Siren at the front sounds", 2 * LIMIT)
            after = await rest(process)
            assert process.returncode == 0, before + after
            return before + after

    out = asyncio.run(main())
    assert "Front gates                 a tag at the gate (aisle 1)" in out
    assert "» A tag leaves, and nobody paid just before." in out
    assert "→ Siren at the front sounds [walk_out]" in out
    assert "\x1b" not in out
    assert is_summary(out)
    assert list(place.iterdir()) == []
    assert processes(place) == []


def test_ctrl_c_ends_it_with_the_summary_and_a_named_broker_is_used(
    tmp_path: Path, place: Path
) -> None:
    def visitors(messages: list[Message]) -> bool:
        return "storewarden.eas.visitors" in {e["type"] for e in events(messages)}

    async def main() -> tuple[str, set[str]]:
        with Broker(tmp_path) as broker:
            async with (
                broker.listen(f"{TOP}/event/#") as heard,
                demo(place, "--mqtt", broker.url) as process,
            ):
                await heard.until(visitors, 2 * LIMIT)
                process.send_signal(signal.SIGINT)
                out = await rest(process)
                assert process.returncode == 0, out
        assert list(place.iterdir()) == []
        assert processes(place) == []
        return out, {e["subject"] for e in events(heard.messages)}

    out, subjects = asyncio.run(main())
    assert is_summary(out)
    assert {"tills", "door_front", "lock_exit"} <= subjects


def test_a_broker_that_is_no_url_is_wrong(place: Path) -> None:
    async def main() -> tuple[int | None, str]:
        async with demo(place, "--for", "1s", "--mqtt", "localhost") as process:
            return await process.wait(), await rest(process)

    code, out = asyncio.run(main())
    assert code in {1, 2}
    assert "mqtt://" in out
    assert "Traceback" not in out
    assert list(place.iterdir()) == []
