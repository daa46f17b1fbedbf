"""Each role has an entry of its own: the same as trying everything, at a cost that stays small."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.assignment import Place, latest
from rules.model import Fact, Fired
from tests.rules.building import engine, fact, rule, said, together

FACTS: tuple[Fact, ...] = (
    fact("eas_front", "eas.alarm"),
    fact("door_back", "door.opened"),
    fact("door_back", "door.closed"),
    fact("panic_till", "button.pressed"),
    fact("fire", "fire.alarm"),
)


def tried(options: Sequence[Sequence[Place]], taken: tuple[Place, ...] = ()) -> list[Place] | None:
    """Try everything, always the latest first."""
    if len(taken) == len(options):
        return list(taken)
    for place in options[len(taken)]:
        if place not in taken and (found := tried(options, (*taken, place))) is not None:
            return found
    return None


PLACES = st.lists(st.integers(0, 7), max_size=7, unique=True).map(
    lambda some: [(float(one), 0) for one in sorted(some, reverse=True)]
)


@given(st.lists(PLACES, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_it_is_what_trying_everything_finds(options: list[list[Place]]) -> None:
    assert latest(options) == tried(options)


def test_one_place_is_not_enough_for_two_roles_whatever_the_others_have() -> None:
    many = [(float(place), 0) for place in reversed(range(100))]
    only = [(7.5, 0)]
    assert latest([many, many, many, many, many, many, only, only]) is None


def test_a_storm_of_four_facts_does_not_hold_up_the_fifth() -> None:
    """Trying everything would take minutes an event here."""
    at_work = engine(rule(together(*FACTS, within=600.0)))
    for number in range(400):
        one = FACTS[number % 4]
        at_work.feed(said(number / 10, one.members[0], str(one.signal)))
    decisions = at_work.feed(said(40.0, "fire", "fire.alarm"))
    assert [d.tick for d in decisions if isinstance(d, Fired)] == [40.0]
