"""What waits for the disk: in order, together what was kept together, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buffer.held import Held
from buffer.record import Draft, Kind

SECURITY, TELEMETRY = 2, 4


def draft(name: str, priority: int = SECURITY, size: int = 10) -> Draft:
    return Draft(id=name, kind=Kind.EVENT, priority=priority, topic=None, body=b"x" * size)


def names(drafts: list[Draft]) -> list[str]:
    return [one.id for one in drafts]


def test_what_was_added_together_is_never_parted_by_a_count() -> None:
    held = Held(100)
    held.add([draft("event"), draft("decision"), draft("order")])
    held.add([draft("next")])
    assert names(held.first(2, 1000)) == ["event", "decision", "order"]
    assert names(held.first(3, 1000)) == ["event", "decision", "order"]
    assert names(held.first(4, 1000)) == ["event", "decision", "order", "next"]


def test_nor_by_a_size() -> None:
    held = Held(100)
    held.add([draft("event", size=500), draft("decision", size=500)])
    held.add([draft("next")])
    assert names(held.first(100, 100)) == ["event", "decision"]


def test_when_some_have_to_go_the_rest_stays_together() -> None:
    held = Held(4)
    held.add([draft("fire"), draft("noise", TELEMETRY), draft("decision")])
    held.add([draft("a", TELEMETRY), draft("b", TELEMETRY)])
    assert held.lost == {(TELEMETRY, Kind.EVENT): 2}
    assert names(held.first(1, 1000)) == ["fire", "decision"]


@given(st.lists(st.integers(1, 5), max_size=12), st.integers(1, 6), st.integers(1, 60))
def test_everything_comes_once_in_order_and_in_whole_groups(
    sizes: list[int], count: int, size: int
) -> None:
    held = Held(1000)
    groups = [[draft(f"{n}.{m}") for m in range(many)] for n, many in enumerate(sizes)]
    for group in groups:
        held.add(group)
    came: list[str] = []
    while held:
        some = held.first(count, size)
        assert some
        assert names(some) == names([d for g in groups for d in g])[len(came) :][: len(some)]
        last = some[-1].id.partition(".")[0]
        assert sum(d.id.startswith(f"{last}.") for d in some) == sizes[int(last)]
        came += names(some)
        held.drop(len(some))
    assert came == names([d for g in groups for d in g])
