"""What happens to the disk under a writer at work: it goes on, and nothing it has is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from buffer.journal import Journal
from buffer.record import SECURITY, TELEMETRY, Draft, Kind
from buffer.writer import Writer

LIMIT = 30.0
MB = 1 << 20


def draft(n: int) -> Draft:
    body = b'{"n":%d}' % n
    priority = SECURITY if n % 5 == 0 else TELEMETRY
    return Draft(id=f"{n}", kind=Kind.EVENT, priority=priority, topic="t", body=body.ljust(300))


class Load:
    """Records that come all the time, numbered from 0."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.kept = 0

    async def run(self) -> None:
        while True:
            self.writer.keep(draft(self.kept))
            self.kept += 1
            await asyncio.sleep(0.005)

    async def until(self, well: Callable[[], bool], limit: float = LIMIT) -> None:
        async with asyncio.timeout(limit):
            while not well():
                await asyncio.sleep(0.02)

    async def goes_on(self) -> None:
        """Wait until what is kept now is on the disk."""
        kept = self.writer.head
        await self.until(lambda: self.writer.stats.error is None and self.writer.head > kept + 20)


@asynccontextmanager
async def loaded(path: Path, *, max_size: int = 4 * MB) -> AsyncIterator[Load]:
    async with Writer.open(path, max_size=max_size) as writer:
        load = Load(writer)
        task = asyncio.create_task(load.run())
        try:
            async with asyncio.timeout(LIMIT):
                await writer.changed(40)
            yield load
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            async with asyncio.timeout(LIMIT):
                await writer.flush()


def complete(path: Path, load: Load) -> list[str]:
    """Check that all that was kept is there once, in order; return what the journal says of it."""
    assert sum(load.writer.stats.lost) == 0
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
        found = list(journal.since(0))
        assert [r.id for r in found if r.topic == "t"] == [str(n) for n in range(load.kept)]
        own = [json.loads(r.body) for r in found if r.topic is None]
    return [str(said["signal"]) for said in own]


@contextmanager
def mounted(folder: Path, *what: str) -> Iterator[None]:
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a file system takes root")
    if subprocess.run(["mount", *what, str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_the_folder_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.db"
    path.parent.mkdir()

    async def main() -> Load:
        async with loaded(path) as load:
            shutil.rmtree(path.parent.rename(tmp_path / "gone"))
            await load.until(path.exists)
            await load.goes_on()
        return load

    said = complete(path, asyncio.run(main()))
    assert said.count("journal.started") == 2
    assert said.count("journal.salvaged") == 1


def test_the_folder_is_removed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.db"
    path.parent.mkdir()

    async def main() -> Load:
        async with loaded(path) as load:
            for number in range(3):
                # Aside first: the writer may just make a file in what is being removed.
                gone = path.parent.rename(tmp_path / f"gone-{number}")
                shutil.rmtree(gone)
                await load.until(path.exists)
                await load.goes_on()
        return load

    complete(path, asyncio.run(main()))


@pytest.mark.parametrize("older", ["a copy of it", "another journal", "a text"])
def test_the_file_is_replaced(tmp_path: Path, older: str) -> None:
    path, other = tmp_path / "journal.db", tmp_path / "other.db"
    if older == "a text":
        other.write_text("Dear all,\n")
    elif older == "another journal":
        with Journal.open(other) as journal:
            journal.append([Draft(id="x", kind=Kind.EVENT, priority=0, topic="x", body=b"{}")])

    async def main() -> Load:
        async with loaded(path) as load:
            if older == "a copy of it":
                shutil.copy(path, other)
            other.replace(path)
            await load.until(lambda: len(list(tmp_path.glob("journal.db.aside-*"))) > 0)
            await load.goes_on()
        return load

    complete(path, asyncio.run(main()))


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_the_file_is_cut_short(tmp_path: Path, share: float) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path, max_size=4 * MB) as journal:
        for n in range(0, 2000, 50):
            journal.append([draft(n) for n in range(n, n + 50)])

    async def main() -> Load:
        async with loaded(path) as load:
            # A checkpoint in that very moment may write the file to its length again.
            for _ in range(3):
                os.truncate(path, int(path.stat().st_size * share))
                with suppress(TimeoutError):
                    await load.until(lambda: load.writer.head > 100_000, LIMIT / 3)
                    break
            await load.goes_on()
        return load

    load = asyncio.run(main())
    with Journal.open(path) as journal:
        while journal.salvage():
            pass
        assert journal.verify() is None
        own = [r for r in journal.since(0) if r.topic is None]
    reasons = [json.loads(r.body).get("reason") for r in own]
    assert any(str(reason).startswith(f"{path} was cut from ") for reason in reasons)
    assert sum(load.writer.stats.lost) == 0


def damaged(path: Path) -> int:
    """Make a journal of 2,000 records that no SQLite opens; return its bytes."""
    with Journal.open(path, max_size=4 * MB) as journal:
        for n in range(0, 2000, 50):
            journal.append([draft(n) for n in range(n, n + 50)])
    for beside in ("-wal", "-shm", ".ballast"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    with path.open("r+b") as file:
        file.write(bytes(2048))
    return path.stat().st_size


def test_the_disk_is_full_when_a_broken_file_is_to_be_taken_over(tmp_path: Path) -> None:
    async def main(path: Path) -> None:
        async with Writer.open(path, max_size=4 * MB) as writer:
            filler = path.with_name("filler")
            with filler.open("ab", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
            for n in range(2000, 2400):
                writer.keep(draft(n))
                await asyncio.sleep(0.002)
            filler.unlink()
            async with asyncio.timeout(LIMIT):
                await writer.flush()
                while await writer.call(lambda journal: journal.salvage()):
                    pass
            assert sum(writer.stats.lost) == 0

    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=7m", "tmpfs"):
        path = tmp_path / "journal.db"
        damaged(path)
        filler = path.with_name("filler")
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        asyncio.run(main(path))
        with Journal.open(path) as journal:
            assert journal.verify() is None
            found = [int(r.id) for r in journal.since(0) if r.topic == "t"]
            assert found == list(range(2400))
