"""An input as a device sees it: nothing delayed, bounces left out, quality told at once."""

import asyncio
from itertools import pairwise
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from drivers.lines.conditioned import Change, Changes, ConditionedInput, Debounce
from drivers.lines.line import InputLine, Quality, Reading
from tests import virtual_time

LEVELS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([True, False, None])), min_size=1, max_size=30
)
"""Waits in hundredths of a second, and what the line then reads."""


def told(changes: Changes) -> list[tuple[float, bool | None, int]]:
    found = []
    while (change := changes.get_nowait()) is not None:
        found.append((round(change.since, 3), change.active, change.count))
    return found


def play(
    *steps: tuple[float, bool], active: Literal["on", "off"] = "on", debounce: float = 0.0
) -> list[tuple[float, bool | None, int]]:
    """Return what is told of a quiet line that reads each level at its time, and for 10 s more."""

    async def main() -> list[tuple[float, bool | None, int]]:
        line = InputLine("annex.di0")
        line.observe(active == "off")
        conditioned = ConditionedInput(line, active=active, debounce=debounce)
        with conditioned.watch() as changes:
            for at, level in steps:
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                line.observe(level)
            await asyncio.sleep(10)
            return told(changes)

    return virtual_time.run(main())


def test_without_a_debounce_every_edge_is_told() -> None:
    assert play((1, True), (1.001, False), (1.002, True)) == [
        (1.0, True, 1),
        (1.001, False, 1),
        (1.002, True, 2),
    ]


def test_the_first_edge_is_told_at_once_and_its_bounces_are_not() -> None:
    bounces = [(1, True), (1.002, False), (1.004, True), (1.006, False), (1.008, True)]
    assert play(*bounces, debounce=0.03) == [(1.0, True, 1)]


def test_a_pulse_shorter_than_the_window_is_told_and_ends_with_the_window() -> None:
    assert play((1, True), (1.01, False), debounce=0.03) == [(1.0, True, 1), (1.03, False, 1)]


def test_a_pulse_longer_than_the_window_ends_when_it_ends() -> None:
    assert play((1, True), (1.1, False), debounce=0.03) == [(1.0, True, 1), (1.1, False, 1)]


def test_an_edge_exactly_at_the_end_of_a_window_is_told() -> None:
    assert play((1, True), (1.5, False), debounce=0.5) == [(1.0, True, 1), (1.5, False, 1)]


def test_a_chattering_input_is_told_once_a_window() -> None:
    chatter = [(1 + n / 100, n % 2 == 0) for n in range(100)]
    assert [at for at, _, _ in play(*chatter, debounce=0.25)] == [1.0, 1.25, 1.5, 1.75]


def test_an_input_that_is_active_when_off_counts_its_falls() -> None:
    falls = [(1.0, False), (2.0, True), (3.0, False)]
    assert play(*falls, active="off") == [(1.0, True, 1), (2.0, False, 1), (3.0, True, 2)]


def test_pulses_between_two_polls_count_for_either_polarity() -> None:
    async def main() -> None:
        line = InputLine("annex.di0")
        line.observe(False)
        closing = ConditionedInput(line, active="on")
        with closing.watch() as changes:
            line.observe(False, edges=3)
            assert told(changes) == [(0.0, True, 3), (0.0, False, 3)]
        line.observe(True)
        opening = ConditionedInput(line, active="off")
        with opening.watch() as changes:
            before = opening.now.count
            line.observe(True, edges=1)
            assert told(changes) == [(0.0, True, before + 1), (0.0, False, before + 1)]

    virtual_time.run(main())


def test_with_a_debounce_hardware_bounces_are_one_activation() -> None:
    async def main() -> None:
        line = InputLine("annex.di0", debounce=0.05)
        line.observe(False)
        with ConditionedInput(line, active="on").watch() as changes:
            line.observe(True, edges=7)
            await asyncio.sleep(1)
            assert told(changes) == [(0.0, True, 1)]

    virtual_time.run(main())


def test_a_devices_debounce_goes_before_the_lines() -> None:
    async def main() -> None:
        line = InputLine("annex.di0", debounce=0.05)
        line.observe(False)
        with ConditionedInput(line, active="on", debounce=0.0).watch() as changes:
            line.observe(True)
            line.observe(False)
            assert told(changes) == [(0.0, True, 1), (0.0, False, 1)]

    virtual_time.run(main())


def test_a_change_of_quality_is_never_debounced() -> None:
    async def main() -> None:
        line = InputLine("annex.di0")
        line.observe(False)
        conditioned = ConditionedInput(line, active="on", debounce=1.0)
        with conditioned.watch() as changes:
            line.observe(True)
            await asyncio.sleep(0.1)
            line.fault("short circuit")
            assert conditioned.now == Change(
                active=None, quality=Quality.fault, since=0.1, count=1, reason="short circuit"
            )
            await asyncio.sleep(0.1)
            line.lost("no answer")
            await asyncio.sleep(0.1)
            line.observe(False)
            await asyncio.sleep(0.1)
            line.observe(True)
            await asyncio.sleep(5)
            assert told(changes) == [
                (0.0, True, 1),
                (0.1, None, 1),
                (0.2, None, 1),
                (0.3, False, 1),
                (0.4, True, 2),
            ]

    virtual_time.run(main())


def test_now_is_what_was_told_last() -> None:
    async def main() -> None:
        line = InputLine("annex.di0")
        conditioned = ConditionedInput(line, active="off", debounce=0.5)
        assert conditioned.now.quality is Quality.unknown
        assert conditioned.now.reason == "not read yet"
        line.observe(True)
        assert conditioned.now.active is False
        with conditioned.watch() as changes:
            await asyncio.sleep(1)
            line.observe(False)
            assert conditioned.now.active is True
            line.observe(True)
            assert conditioned.now.active is True
            assert (await changes.get()).since == 1.0
            assert await changes.get() == conditioned.now
            assert conditioned.now.since == 1.5
        line.observe(False)
        assert conditioned.now.active is True

    virtual_time.run(main())


def test_two_readers_see_the_same_and_the_one_that_leaves_disturbs_nobody() -> None:
    async def main() -> None:
        line = InputLine("annex.di0")
        line.observe(False)
        conditioned = ConditionedInput(line, active="on", debounce=0.5)
        with conditioned.watch() as first:
            with conditioned.watch() as second:
                line.observe(True)
                line.observe(False)
                assert (await second.get()).active is True
            assert [(await first.get()).active, (await first.get()).active] == [True, False]
            assert second.get_nowait() is None

    virtual_time.run(main())


def readings(steps: list[tuple[int, bool | None]]) -> list[Reading]:
    """Return what a line would tell, at times in hundredths of a second."""
    found, at, count, level = [], 0, 0, False
    for wait, new in steps:
        at += wait
        if new is None:
            found.append(Reading(quality=Quality.unknown, since=at, count=count, reason="gone"))
        elif new is not level or (found and found[-1].level is None):
            count += new and not level
            found.append(Reading(level=new, quality=Quality.good, since=at, count=count, reason=""))
            level = new
    return found


QUIET = Reading(level=False, quality=Quality.good, reason="")


@given(LEVELS, st.integers(0, 60))
def test_edges_told_are_a_debounce_apart_and_the_last_one_is_the_truth(
    steps: list[tuple[int, bool | None]], seconds: int
) -> None:
    debounce = Debounce(QUIET, active="on", debounce=seconds)
    fed = readings(steps)
    changes = [c for reading in fed for c in debounce.see(reading)] + debounce.advance(10_000)
    for before, after in pairwise(changes):
        assert after.count >= before.count
        if before.active is not None and after.active is not None:
            assert after.active is not before.active
            if changes.index(before) == 0 or changes[changes.index(before) - 1].active is not None:
                assert after.since - before.since >= seconds
    assert debounce.deadline is None
    assert debounce.shown.active is (fed[-1].level if fed else False)


@given(LEVELS, st.integers(1, 60), st.lists(st.integers(0, 1500), max_size=20))
def test_extra_wake_ups_change_nothing(
    steps: list[tuple[int, bool | None]], seconds: int, wakes: list[int]
) -> None:
    plain = Debounce(QUIET, active="on", debounce=seconds)
    woken = Debounce(QUIET, active="on", debounce=seconds)
    expected, found = [], []
    waiting = sorted(wakes)
    for reading in readings(steps):
        expected += plain.see(reading)
        while waiting and waiting[0] <= reading.since:
            found += woken.advance(waiting.pop(0))
        found += woken.see(reading)
    assert found + woken.advance(10_000) == expected + plain.advance(10_000)


@given(LEVELS, st.sampled_from(["on", "off"]))
def test_without_a_debounce_everything_is_told_as_it_is(
    steps: list[tuple[int, bool | None]], active: Literal["on", "off"]
) -> None:
    debounce = Debounce(QUIET, active=active, debounce=0)
    for reading in readings(steps):
        [change] = debounce.see(reading)
        expected = None if reading.level is None else reading.level is (active == "on")
        assert (change.active, change.since, change.quality) == (
            expected,
            reading.since,
            reading.quality,
        )
