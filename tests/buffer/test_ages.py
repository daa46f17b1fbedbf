"""How long ago a record was committed."""

from buffer.ages import Ages


def test_the_age_counts_from_the_commit_that_had_the_record() -> None:
    ages = Ages()
    ages.committed(10, 100.0)
    ages.committed(20, 105.0)
    assert ages.age(3, 110.0) == 10.0
    assert ages.age(10, 110.0) == 10.0
    assert ages.age(11, 110.0) == 5.0
    assert ages.age(21, 110.0) == 0.0


def test_memory_is_bounded_and_ages_stay_about_right() -> None:
    ages = Ages()
    for n in range(20_000):
        ages.committed(n, 2.0 * n)
    assert len(ages._points) <= 2048
    assert ages.age(0, 40_000.0) == 40_000.0
    assert 38_000.0 < ages.age(500, 40_000.0) <= 39_000.0


def test_what_was_sent_makes_room_for_exact_times_again() -> None:
    ages = Ages()
    for n in range(20_000):
        ages.committed(n, 2.0 * n)
    ages.sent(20_000)
    ages.committed(20_000, 50_000.0)
    ages.committed(20_001, 50_001.0)
    assert ages.age(20_001, 50_002.0) == 1.0
