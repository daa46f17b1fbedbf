"""One poll asks for everything once and nothing else; edges are counted once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.lines import modbus_profile
from drivers.lines.line import InputLine
from drivers.lines.modbus import next_due
from drivers.lines.modbus_map import CounterMap, InputMap, ModuleMap, OutputMap, Place
from drivers.lines.modbus_plan import MOST, EdgeCounter, edges_between, plan, spans_over
from tests import virtual_time

PLACES: st.SearchStrategy[set[Place]] = st.sets(
    st.tuples(st.sampled_from(["coil", "discrete", "input", "holding"]), st.integers(0, 300))
)


@given(PLACES)
def test_every_place_is_read_once_and_nothing_else(places: set[Place]) -> None:
    read = [place for span in spans_over(places) for place in span.places()]
    assert sorted(read) == sorted(places)


@given(PLACES)
def test_two_requests_never_could_have_been_one(places: set[Place]) -> None:
    spans = spans_over(places)
    for one in spans:
        assert one.count <= MOST[one.table]
        for other in spans:
            if one.table == other.table and one.first + one.count == other.first:
                assert one.count == MOST[one.table]


@pytest.mark.parametrize(
    ("profile", "requests"),
    [
        ("moxa_e1214", ["input registers 16 to 27", "coils 0 to 5", "discrete inputs 0 to 5"]),
        ("waveshare_relay_8ch", ["coils 0 to 7", "discrete inputs 0 to 7"]),
        ("waveshare_io_8ch", ["coils 0 to 7", "discrete inputs 0 to 7"]),
        ("adam_6050", ["coils 0 to 11", "coils 16 to 21"]),
    ],
)
def test_known_modules_are_read_with_few_requests(profile: str, requests: list[str]) -> None:
    assert [str(span) for span in plan(modbus_profile.load(profile))] == requests


def test_counters_are_read_before_levels() -> None:
    module = ModuleMap(
        inputs={"di0": InputMap(input=0, bit=3, counter=CounterMap(input=40, words=1))},
        outputs={"do0": OutputMap(coil=0)},
    )
    assert [str(span) for span in plan(module)] == [
        "input register 40",
        "coil 0",
        "input register 0",
    ]


@pytest.mark.parametrize(
    ("before", "now", "words", "edges"),
    [
        (7, 7, 2, 0),
        (7, 9, 2, 2),
        (0xFFFF_FFFF, 0, 2, 1),
        (0xFFFF_FFFE, 3, 2, 5),
        (0xFFFF, 4, 1, 5),
        (0xFFFF, 4, 2, None),
        (100, 0, 2, None),
        (100, 99, 1, None),
        (0xFFFF, 999, 1, 1000),
        (0xFFFF, 1000, 1, None),
    ],
)
def test_a_counter_goes_on_wraps_or_was_cleared(
    before: int, now: int, words: int, edges: int | None
) -> None:
    assert edges_between(before, now, words=words) == edges


STEPS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=20)
"""Flips before the counter is read, and whether one comes between counter and level."""


@settings(max_examples=60)
@given(STEPS, st.integers(0, 0xFFFF), st.booleans())
def test_whenever_edges_come_each_is_counted_once(
    steps: list[tuple[int, bool]], start: int, level: bool
) -> None:
    async def main() -> tuple[int, int]:
        line, counter, world, rises = InputLine("di0"), EdgeCounter(1), level, 0
        line.observe(world, edges=counter.edges(start, world))
        for flips, one_between in [*steps, (0, False)]:
            for _ in range(flips):
                world = not world
                rises += world
            count = (start + rises) & 0xFFFF
            assert not counter.cleared(count)
            if one_between:
                world = not world
                rises += world
            line.observe(world, edges=counter.edges(count, world))
        assert line.reading.level is world
        return line.reading.count, rises

    counted, rises = virtual_time.run(main())
    assert counted == rises


def test_a_counter_that_does_not_count_leaves_the_levels_edges() -> None:
    async def main() -> None:
        line, counter = InputLine("di0"), EdgeCounter(2)
        for level in (False, True, True, False, True, False):
            line.observe(level, edges=counter.edges(0, level))
        assert line.reading.count == 2

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [(10.0, 10.0, 10.5), (10.0, 10.2, 10.5), (10.0, 10.5, 10.5), (10.0, 10.6, 11.0)],
)
def test_polls_keep_their_schedule_and_leave_out_what_was_missed(
    due: float, now: float, expected: float
) -> None:
    assert next_due(due, now, 0.5) == expected
