"""What does not fit waits, and what matters more gets in before it, whole."""

import asyncio
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from buffer.held import Group, Held
from buffer.journal import Journal
from buffer.record import (
    LIFE_SAFETY,
    OPERATIONS,
    PRIORITIES,
    SECURITY,
    TELEMETRY,
    Draft,
    Kind,
)
from buffer.writer import Writer

MB = 1 << 20
LIMIT = 20.0


def draft(priority: int, name: str, size: int = 2000, kind: Kind = Kind.EVENT) -> Draft:
    identity, body = secrets.token_hex(16), name.encode().ljust(size)
    return Draft(id=identity, kind=kind, priority=priority, topic="t", body=body)


def names(path: Path, priority: int) -> list[str]:
    with Journal.open(path, read_only=True) as journal:
        return [
            r.body.decode().strip()
            for r in journal.since(0)
            if r.priority == priority and r.topic == "t"
        ]


@contextmanager
def held_log(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        yield


async def refused(writer: Writer) -> None:
    async with asyncio.timeout(LIMIT):
        while writer.stats.error is None:
            await asyncio.sleep(0.01)


def test_while_a_reader_holds_the_log_telemetry_waits_and_a_fire_does_not(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    async def main() -> None:
        async with Writer.open(path, max_size=2 * MB) as writer:
            await writer.changed(0)
            with held_log(path):
                for n in range(1000):
                    writer.keep(draft(TELEMETRY, f"{n}"))
                    await asyncio.sleep(0)
                await refused(writer)
                assert "a reader of another program holds the log" in (writer.stats.error or "")
                before = len(names(path, TELEMETRY))
                writer.keep(draft(LIFE_SAFETY, "fire"), draft(TELEMETRY, "its trace"))
                async with asyncio.timeout(LIMIT):
                    while not names(path, LIFE_SAFETY):
                        await asyncio.sleep(0.01)
                assert names(path, TELEMETRY)[before:] == ["its trace"]
            await writer.flush()
            assert writer.stats.error is None
            assert sum(writer.stats.lost) == 0

    asyncio.run(asyncio.wait_for(main(), 2 * LIMIT))
    with Journal.open(path, read_only=True) as journal:
        assert journal.verify() is None
    left = [name for name in names(path, TELEMETRY) if name != "its trace"]
    assert left == [str(n) for n in range(1000 - len(left), 1000)]


def test_what_can_never_fit_is_given_up_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    async def main() -> tuple[int, ...]:
        async with Writer.open(path, max_size=MB) as writer:
            writer.keep(draft(SECURITY, "monster", 2 * MB))
            await writer.flush()
            writer.keep(draft(SECURITY, "after"))
            await writer.flush()
            assert writer.stats.error is None
            return writer.stats.lost

    assert asyncio.run(asyncio.wait_for(main(), 2 * LIMIT)) == (0, 0, 1, 0, 0)
    assert names(path, SECURITY) == ["after"]


def test_levels_are_those_of_whole_groups_and_the_state_of_the_house_is_the_highest() -> None:
    held = Held(100)
    held.add([draft(TELEMETRY, "a")])
    held.add([draft(OPERATIONS, "b"), draft(SECURITY, "c")])
    held.add([draft(TELEMETRY, "d", kind=Kind.SNAPSHOT)])
    held.add([draft(SECURITY, "e")])

    def told(groups: list[Group]) -> list[str]:
        return ["".join(d.body.decode().strip() for d in group.drafts) for group in groups]

    levels = {level: told(groups) for level, groups in held.by_level(PRIORITIES[-1])}
    assert levels == {LIFE_SAFETY: ["d"], SECURITY: ["bc", "e"], TELEMETRY: ["a"]}
    assert list(dict(held.by_level(SECURITY))) == [LIFE_SAFETY, SECURITY]


def test_bytes_in_memory_are_bounded_too_and_the_least_important_go() -> None:
    held = Held(100_000)
    held.add([draft(LIFE_SAFETY, "fire", 10 << 20)])
    for n in range(60):
        held.add([draft(TELEMETRY, f"{n}", MB)])
    assert held.lost[LIFE_SAFETY, Kind.EVENT] == 0
    assert sum(len(d.body) for d in held.first(1000, 1 << 40)) <= 48 << 20
    assert held.first(1, 1)[0].priority == LIFE_SAFETY
