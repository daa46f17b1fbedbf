"""How long the uplink waits before the next connection, by what ended the one before."""

import pytest

from buffer.patience import LONGEST_WAIT, Patience


def waits(code: int | None, lasted: float, times: int = 6) -> list[float]:
    patience = Patience(lambda: 0.0)
    return [patience.after(code, lasted) for _ in range(times)]


def test_a_broker_that_is_not_there_is_tried_more_than_once_a_second_for_ever() -> None:
    assert waits(None, 0.0) == [0.1, 0.2, 0.4, 0.8, 0.8, 0.8]
    assert LONGEST_WAIT < 1.0


def test_a_link_that_held_is_taken_up_again_at_once() -> None:
    assert waits(None, 60.0) == [0.1] * 6


def test_a_link_that_breaks_at_once_each_time_is_not_hammered() -> None:
    assert waits(None, 0.2, 8) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_broker_that_was_away_in_between_is_taken_up_again_at_once() -> None:
    patience = Patience(lambda: 0.0)

    assert [patience.after(None, lasted) for lasted in (0.2, 0.2, 0.0, 0.2)] == [
        0.1, 0.2, 0.1, 0.1,
    ]  # fmt: skip


@pytest.mark.parametrize("code", [0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9C, 0x9D])
def test_a_broker_that_says_no_is_asked_once_a_minute(code: int) -> None:
    assert waits(code, 0.0) == [10, 20, 40, 60, 60, 60]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x88, 0x89, 0x97, 0x9F])
def test_a_broker_without_time_is_asked_every_ten_seconds(code: int) -> None:
    assert waits(code, 0.0) == [1, 2, 4, 8, 10, 10]


def test_a_broker_that_is_being_stopped_is_looked_for_as_one_that_is_not_there() -> None:
    assert waits(0x8B, 0.0)[0] == 0.1


def test_two_boxes_with_one_name_take_the_link_from_each_other_ever_more_rarely() -> None:
    assert waits(0x8E, 30.0) == [1, 2, 4, 8, 16, 32]


def test_another_reason_begins_from_its_own_first_wait() -> None:
    patience = Patience(lambda: 0.0)

    assert [patience.after(c, 0.0) for c in (None, None, 0x87, 0x87, None)] == [
        0.1, 0.2, 10, 20, 0.1,
    ]  # fmt: skip


def test_jitter_takes_up_to_half_away() -> None:
    assert Patience(lambda: 1.0).after(0x87, 0.0) == 5.0
