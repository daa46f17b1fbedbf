"""Finding the record for which a broker ends the link."""

from buffer.message import Refused, Unreachable
from buffer.suspicion import Suspicion

WORDLESS = Unreachable("the broker hung up", hung_up=True)
TOO_LARGE = Unreachable("Packet too large", code=0x95)


def verdict(found: tuple[str, Refused] | None) -> tuple[str, int] | None:
    return None if found is None else (found[0], found[1].code)


def test_a_reason_that_speaks_of_a_record_makes_careful_and_then_finds_it() -> None:
    suspicion: Suspicion[str] = Suspicion()

    assert suspicion.window(20) == 20
    assert suspicion.ended(TOO_LARGE, ["a", "b", "c"]) is None
    assert suspicion.window(20) == 1
    suspicion.acknowledged()
    assert suspicion.window(20) == 1
    assert verdict(suspicion.ended(TOO_LARGE, ["b"])) == ("b", 0x95)
    suspicion.acknowledged()
    suspicion.acknowledged()
    assert suspicion.window(20) == 20


def test_a_link_that_ends_without_a_word_must_do_so_three_times_and_three_times_again() -> None:
    suspicion: Suspicion[str] = Suspicion()

    for _ in range(2):
        assert suspicion.ended(WORDLESS, ["a", "b"]) is None
        assert suspicion.window(20) == 20
    assert suspicion.ended(WORDLESS, ["a", "b"]) is None
    assert suspicion.window(20) == 1
    found = [verdict(suspicion.ended(WORDLESS, ["a"])) for _ in range(3)]
    assert found == [None, None, ("a", 0x80)]


def test_progress_clears_of_suspicion() -> None:
    suspicion: Suspicion[str] = Suspicion()

    for _ in range(10):
        suspicion.acknowledged()
        assert suspicion.ended(WORDLESS, ["a", "b"]) is None
        assert suspicion.window(20) == 20


def test_a_black_hole_or_a_broker_being_stopped_is_no_records_fault() -> None:
    suspicion: Suspicion[str] = Suspicion()

    for why in (Unreachable("no answer"), Unreachable("shutting down", code=0x8B)) * 10:
        assert suspicion.ended(why, ["a"]) is None
        assert suspicion.window(20) == 20
