"""A line tells every change once, and counts the edges that nobody saw."""

import asyncio
from collections.abc import Callable

import pytest

from drivers.contract import CommandFailed
from drivers.lines.line import InputLine, OutputLine, Quality, Watch
from tests import virtual_time


def told(watch: Watch) -> list[tuple[bool | None, int]]:
    found = []
    while (reading := watch.get_nowait()) is not None:
        found.append((reading.level, reading.count))
    return found


def after(*observed: tuple[bool, int]) -> list[tuple[bool | None, int]]:
    """Return what a fresh line tells about these levels and edges."""

    async def main() -> list[tuple[bool | None, int]]:
        line = InputLine("annex.di0")
        with line.watch() as watch:
            for level, edges in observed:
                line.observe(level, edges=edges)
            return told(watch)

    return virtual_time.run(main())


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ([(False, 0), (False, 0)], [(False, 0)]),
        ([(False, 0), (True, 0), (False, 0)], [(False, 0), (True, 1), (False, 1)]),
        ([(False, 0), (True, 1)], [(False, 0), (True, 1)]),
        ([(False, 0), (True, 3)], [(False, 0), (True, 3)]),
        ([(False, 0), (False, 1)], [(False, 0), (True, 1), (False, 1)]),
        ([(True, 0), (True, 1)], [(True, 0), (False, 0), (True, 1)]),
        ([(True, 0), (True, 3)], [(True, 0), (False, 2), (True, 3)]),
        ([(True, 0), (False, 2)], [(True, 0), (False, 2)]),
        ([(True, 0)], [(True, 0)]),
    ],
)
def test_levels_and_edges_are_told_as_changes(
    observed: list[tuple[bool, int]], expected: list[tuple[bool | None, int]]
) -> None:
    assert after(*observed) == expected


def test_quality_is_told_with_its_reason_and_keeps_the_count() -> None:
    async def main() -> None:
        line = InputLine("annex.di0")
        line.observe(False)
        line.observe(True)
        with line.watch() as watch:
            await asyncio.sleep(5)
            line.lost("no answer")
            line.lost("no answer")
            line.fault("open loop")
            assert line.reading.since == 5.0
            line.observe(False, edges=1)
            assert told(watch) == [(None, 1), (None, 1), (True, 2), (False, 2)]
        assert (line.reading.quality, line.reading.reason) == (Quality.good, "")

    virtual_time.run(main())


def test_a_level_that_stays_keeps_its_since() -> None:
    async def main() -> None:
        line = InputLine("annex.di0")
        line.observe(True)
        await asyncio.sleep(3)
        line.observe(True)
        assert line.reading.since == 0.0

    virtual_time.run(main())


class Relay(OutputLine):
    async def write(self, *, on: bool) -> None:
        raise CommandFailed("not connected")


def test_an_output_tells_what_is_read_back_and_when_it_is_not() -> None:
    async def main() -> None:
        relay = Relay("annex.do0")
        with relay.watch() as watch:
            steps: list[Callable[[], None]] = [
                lambda: relay.observe(False),
                lambda: relay.observe(False),
                lambda: relay.lost("gone"),
                lambda: relay.lost("gone"),
                lambda: relay.observe(False),
                lambda: relay.observe(True),
            ]
            for step in steps:
                step()
            assert [level for level, _ in told(watch)] == [False, None, False, True]

    virtual_time.run(main())
