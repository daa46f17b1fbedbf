"""A broker that misbehaves in every way it can, for minutes on a clock sixty times as fast."""

import pytest

from bench import compressed_time
from bench.prove_broker import real, scripted
from bench.scripted_broker import MOODS

FACTOR = 60.0


def test_whatever_the_broker_does_all_arrives_and_nothing_is_marked_early() -> None:
    told = compressed_time.run(scripted(0.06, 3, None, [*MOODS], 0.1), FACTOR)
    assert told.ledger.told == []
    assert told.lives > 1
    assert len(told.moods) > 5
    assert len(told.ledger.committed) > 100


def test_through_cuts_holes_and_kills_of_a_real_broker_all_arrives() -> None:
    told = compressed_time.run(real(0.03, 4, None), FACTOR / 2)
    assert told.ledger.told == []
    assert len(told.ledger.committed) > 100


@pytest.mark.parametrize(
    ("plant", "mood", "fault"),
    [
        ("eager", "hole", "marked too early"),
        ("glad", "refusing", "marked too early"),
        ("forgets", "well", "marked too early"),
        ("swaps", "well", "reordered"),
    ],
)
def test_an_uplink_that_is_wrong_is_found_out(plant: str, mood: str, fault: str) -> None:
    told = compressed_time.run(scripted(0.03, 5, plant, [mood]), FACTOR)
    assert told.ledger.faults[fault] > 0
