"""Whatever becomes of the journal's file, the rules run, and what can be read of it is kept."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from buffer.journal import Journal
from edge.demo.store import Store
from tests.daemon import LIMIT, Daemon
from tests.shop import GATE, SIREN, kept, said, shop, state, wired

START = {
    "do": "evacuate",
    "action": "start",
    "reason": "smoke",
    "by": "fire officer",
}
SILENCE = {"do": "order", "device": "siren_front", "command": "silence", "parameters": {}}


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


async def alarm(store: Store, daemon: Daemon) -> None:
    """See that the gates sound the siren, and end it."""
    store.module.set(GATE, True)
    await wired(store, **{SIREN: True})
    store.module.set(GATE, False)
    await daemon.ask(**SILENCE, priority="security", reason="seen", by="test")
    await wired(store, **{SIREN: False})
    await state(daemon, "eas_front", "alarm", "quiet")


async def again(daemon: Daemon) -> None:
    await daemon.start()
    await daemon.until(lambda status: not status["devices_down"])


def damaged(path: Path) -> None:
    """Overwrite the pages that lead to all others, and one in the middle."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(2048))
        file.seek(size // 2 // 2048 * 2048)
        file.write(os.urandom(2048))


def whole(path: Path) -> int:
    """Return how many records a journal has; its chain must fit."""
    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
        return journal.stat().records


def test_an_evacuation_goes_on_over_a_kill_and_a_broken_journal(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await alarm(store, daemon)
        await daemon.ask(**START)
        await daemon.until(lambda status: status["evacuation"] == "yes")
        await kept(daemon, "evacuation.started")
        await daemon.kill()
        path = daemon.state / "journal.db"
        damaged(path)
        await again(daemon)
        status = await daemon.until(lambda status: status["journal"]["error"] is None)
        assert status["evacuation"] == "yes"
        await kept(daemon, "journal.salvaged")
        started = said(daemon, "journal.started")
        assert len(started) == 2
        assert started[1]["file"] == "journal.db.aside-1"
        assert started[1]["reason"].startswith("cannot open")
        (salvaged,) = said(daemon, "journal.salvaged")
        assert salvaged["records"] > 10
        assert said(daemon, "evacuation.started")
        assert whole(path) > salvaged["records"]

    play(tmp_path, story)


def directory(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.mkdir()


def test_a_folder_in_the_journals_place_stops_no_start(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await daemon.kill()
        directory(daemon.state / "journal.db")
        await again(daemon)
        await alarm(store, daemon)
        assert "is not a file" in said(daemon, "journal.started")[0]["reason"]

    play(tmp_path, story)


def test_a_journal_that_is_deleted_under_the_running_box_is_there_again(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        path = daemon.state / "journal.db"
        before = whole(path)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink()
        async with asyncio.timeout(LIMIT):
            while not path.exists():
                await daemon.ask(**SILENCE, priority="security", reason="seen", by="test")
                await asyncio.sleep(0.2)
        await kept(daemon, "journal.salvaged")
        assert whole(path) > before
        assert len(said(daemon, "journal.started")) == 2
        assert (await daemon.ask(do="status"))["journal"]["lost"] == 0

    play(tmp_path, story)


@contextmanager
def mounted(folder: Path) -> Iterator[Callable[[str], None]]:
    """Mount a file system over `folder` with what is in it; yields what mounts it anew."""
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a file system takes root")
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)

    try:
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        yield remount
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_start_on_a_disk_that_cannot_be_written_knows_what_was_before(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await daemon.ask(**START)
        await kept(daemon, "evacuation.started")
        await daemon.kill()
        with mounted(daemon.state) as remount:
            remount("ro")
            await again(daemon)
            status = await daemon.until(lambda status: status["journal"]["error"] is not None)
            assert status["evacuation"] == "yes"
            remount("rw")
            await daemon.until(lambda status: status["journal"]["error"] is None)
            await daemon.until(lambda status: status["journal"]["waiting"] == 0)
            path = daemon.state / "journal.db"
            assert len(said(daemon, "daemon.started")) == 2
            assert whole(path) > 10
            await daemon.stop()

    play(tmp_path, story)


@asynccontextmanager
async def failing(daemon: Daemon, fault: str) -> AsyncIterator[None]:
    """Have system calls of the running daemon fail until the block ends."""
    strace = shutil.which("strace")
    if strace is None or os.geteuid():
        pytest.skip("system calls are failed by strace, as root")
    assert daemon.process is not None
    tracer = await asyncio.create_subprocess_exec(
        strace, "-f", "-qq", "-o", "/dev/null",
        "-e", f"inject={fault}", "-p", str(daemon.process.pid),
    )  # fmt: skip
    try:
        yield
    finally:
        tracer.terminate()
        await tracer.wait()


FAULTS = (
    "pwrite64,ftruncate,fallocate,unlink,rename:error=EROFS",
    "pread64,pwrite64,fdatasync,fsync:error=EIO",
)
"""A file system that became read-only, and a disk that fails."""


def test_a_disk_that_fails_for_a_while_stops_no_rule(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        path = daemon.state / "journal.db"
        for fault in FAULTS:
            before = whole(path)
            async with failing(daemon, fault):
                await alarm(store, daemon)
                await daemon.until(lambda status: status["journal"]["error"] is not None)
            await daemon.until(lambda status: status["journal"]["error"] is None)
            await daemon.until(lambda status: status["journal"]["waiting"] == 0)
            assert whole(path) > before + 5
        assert (await daemon.ask(do="status"))["journal"]["lost"] == 0
        assert len(said(daemon, "journal.started")) == 1

    play(tmp_path, story)
