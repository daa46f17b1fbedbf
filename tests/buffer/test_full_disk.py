"""A disk that others have filled, a real one: what matters most is written all the same."""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from buffer.journal import Journal
from buffer.record import LIFE_SAFETY, OPERATIONS, SECURITY, TELEMETRY, Draft, Kind
from buffer.storage import JournalError
from buffer.writer import Writer

MB = 1 << 20
LIMIT = 20.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a file system takes root")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def filled(folder: Path) -> Path:
    """Fill the disk to the last block."""
    path = folder / "other"
    with path.open("ab", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def draft(priority: int, name: str) -> Draft:
    body = name.encode().ljust(400)
    return Draft(id=secrets.token_hex(16), kind=Kind.EVENT, priority=priority, topic="t", body=body)


def names(path: Path, priority: int) -> list[str]:
    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
        return [
            r.body.decode().strip()
            for r in journal.since(0)
            if r.priority == priority and r.kind is Kind.EVENT and r.topic == "t"
        ]


async def some_telemetry(writer: Writer, count: int = 1500) -> None:
    for n in range(count):
        writer.keep(draft(TELEMETRY, f"{n}"))
    await writer.flush()


async def until(writer: Writer, path: Path, priority: int, count: int) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            with suppress(JournalError):  # nobody can read before it is open again
                if len(names(path, priority)) == count:
                    return
            await asyncio.sleep(0.05)


def test_on_a_disk_filled_by_others_fires_take_the_place_of_telemetry(disk: Path) -> None:
    path = disk / "journal.db"

    async def main() -> tuple[int, ...]:
        async with Writer.open(path, max_size=2 * MB) as writer:
            await some_telemetry(writer)
            filled(disk)
            for n in range(600):
                writer.keep(draft(LIFE_SAFETY, f"{n}"))
                if not n % 20:
                    await asyncio.sleep(0)
            await writer.flush()
            return writer.stats.lost

    assert sum(asyncio.run(asyncio.wait_for(main(), 2 * LIMIT))) == 0
    assert names(path, LIFE_SAFETY) == [str(n) for n in range(600)]
    assert names(path, TELEMETRY)[-1] == "1499"


def test_a_disk_that_is_full_at_the_start_takes_a_fire_and_the_rest_when_there_is_room(
    disk: Path,
) -> None:
    path = disk / "journal.db"

    async def main() -> None:
        async with Writer.open(path, max_size=2 * MB) as writer:
            await some_telemetry(writer)
        other = filled(disk)
        async with Writer.open(path, max_size=2 * MB) as writer:
            for n in range(50):
                writer.keep(draft(SECURITY, f"{n}"))
            writer.keep(draft(LIFE_SAFETY, "fire"))
            await until(writer, path, LIFE_SAFETY, 1)
            await until(writer, path, SECURITY, 50)
            other.unlink()
            await writer.flush()
            await until(writer, path, SECURITY, 50)
            assert writer.stats.error is None

    asyncio.run(asyncio.wait_for(main(), 2 * LIMIT))
    assert names(path, LIFE_SAFETY) == ["fire"]
    assert names(path, SECURITY) == [str(n) for n in range(50)]


def test_a_disk_that_refuses_everything_counts_and_tells_what_was_lost(disk: Path) -> None:
    path = disk / "journal.db"

    async def main() -> tuple[int, ...]:
        other = filled(disk)
        async with Writer.open(path, max_size=2 * MB, limit=100) as writer:
            writer.keep(draft(LIFE_SAFETY, "fire"))
            for n in range(149):
                writer.keep(draft(TELEMETRY, f"{n}"))
            async with asyncio.timeout(LIMIT):
                while not sum(writer.stats.lost) or writer.stats.error is None:
                    await asyncio.sleep(0.02)
            other.unlink()
            await writer.flush()
            return writer.stats.lost

    lost = asyncio.run(asyncio.wait_for(main(), 2 * LIMIT))
    assert names(path, LIFE_SAFETY) == ["fire"]
    assert len(names(path, TELEMETRY)) == 149 - lost[TELEMETRY]
    assert lost[:TELEMETRY] == (0, 0, 0, 0)
    with Journal.open(path, read_only=True) as journal:
        gap = journal.latest(Kind.GAP)
    assert gap is not None
    told = json.loads(gap.body)
    assert (told["reason"], told["priority"], told["count"]) == ("disk", TELEMETRY, lost[TELEMETRY])
    assert told["kinds"] == {"event": lost[TELEMETRY]}


def test_what_waits_at_the_end_on_a_full_disk_is_counted_said_and_told(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = disk / "journal.db"

    async def main() -> tuple[int, ...]:
        async with Writer.open(path, max_size=2 * MB) as writer:
            for n in range(1500):
                writer.keep(draft(OPERATIONS, f"{n}"))
            await writer.flush()
            filled(disk)
            for n in range(4000):
                writer.keep(draft(TELEMETRY, f"{n}"))
            async with asyncio.timeout(LIMIT):
                while writer.stats.error is None:
                    await asyncio.sleep(0.02)
            assert "the disk is full" in writer.stats.error
        await asyncio.sleep(0)
        return writer.stats.lost

    lost = asyncio.run(asyncio.wait_for(main(), 2 * LIMIT))
    assert lost[:TELEMETRY] == (0, 0, 0, 0)
    assert lost[TELEMETRY] > 0
    assert f"{lost[TELEMETRY]} records ({lost[TELEMETRY]} of priority 4) are lost" in caplog.text
    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
        gaps = [json.loads(r.body) for r in journal.since(0) if r.kind is Kind.GAP]
    told = [gap for gap in gaps if gap["reason"] == "disk"]
    assert [(gap["priority"], gap["count"], gap["kinds"]) for gap in told] == [
        (TELEMETRY, lost[TELEMETRY], {"event": lost[TELEMETRY]})
    ]
