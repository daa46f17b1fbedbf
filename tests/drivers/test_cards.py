"""Card numbers are hidden wherever they stand, and what is none is left alone."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wire.cards import luhn, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CARD 4111111111111111 OK", "CARD ************1111 OK"),
        ("4111 1111 1111 1111", "**** **** **** 1111"),
        ("4111-1111-1111-1111", "****-****-****-1111"),
        ("4111\u00a01111\u00a01111\u00a01111", "****\u00a0****\u00a0****\u00a01111"),
        ("378282246310005", "***********0005"),
        ("3782 822463 10005", "**** ****** *0005"),
        ("30569309025904", "**********5904"),
        ("3056 930902 5904", "**** ****** 5904"),
        ("4222222222222", "*********2222"),
        ("6304000000000000000", "***************0000"),
        ("6304 0000 0000 0000 000", "**** **** **** ***0 000"),
        ("630400 0000000000000", "****** *********0000"),
        ("000004111111111111111", "*****************1111"),
        (";4111111111111111=28121010000012345678?", ";************1111=28121010000012345678?"),
        ("17 4111 1111 1111 1111", "17 **** **** **** 1111"),
        ("0012 4111 1111 1111 1111", "0012 **** **** **** 1111"),
        ("4111111111111111 4111111111111111", "************1111 ************1111"),
        ("2026-11-20 12:30:00 3 000123 12.50", "2026-11-20 12:30:00 3 000123 12.50"),
        ("4111111111111112", "4111111111111112"),
        ("411111111111", "411111111111"),
        ("41111111111111111111", "41111111111111111111"),
        ("4111 1111 1111 1111 2345 6789", "**** **** **** 1111 2345 6789"),
        ("4111 1111 1111 1111 2345 6789 0008", "**** **** **** **** **** **** 0008"),
        ("", ""),
    ],
)
def test_only_the_last_four_digits_of_a_card_number_are_shown(text: str, shown: str) -> None:
    assert masked(text) == shown


def card(digits: str) -> str:
    """Return the digits with the check digit that makes them a card number."""
    return next(digits + last for last in "0123456789" if luhn(digits + last))


NUMBERS = st.from_regex(r"[1-9][0-9]{11,17}", fullmatch=True).map(card)
GROUPED = st.from_regex(r"[1-9][0-9]{14}", fullmatch=True).map(
    lambda digits: " ".join(re.findall("....", card(digits)))
)


@settings(max_examples=200)
@given(
    st.text(st.characters(exclude_categories=["Nd"])),
    NUMBERS | GROUPED,
    st.text("ab \t:", max_size=5),
)
def test_a_card_number_is_hidden_wherever_it_stands(before: str, number: str, after: str) -> None:
    shown = masked(f"{before}{number}{after}")
    hidden = re.sub("[0-9]", "*", number[:-4]) + number[-4:]
    assert shown == f"{before}{hidden}{after}"


@settings(max_examples=300)
@given(st.text("0123456789 -x*", max_size=80))
def test_nothing_that_is_left_is_a_card_number(text: str) -> None:
    shown = masked(text)
    assert masked(shown) == shown
    assert len(shown) == len(text)
    for run in re.findall(r"(?<![0-9])[0-9]{13,19}(?![0-9])", shown):
        assert not luhn(run)


@pytest.mark.parametrize("digits", ["1 ", "4111 1111 1111 1111 ", "1111 ", "1"])
def test_the_longest_record_takes_no_time(digits: str) -> None:
    start = time.perf_counter()
    masked(digits * (65536 // len(digits)))
    assert time.perf_counter() - start < 5


def test_the_check_digit_is_the_one_of_the_standard() -> None:
    assert luhn("79927398713")
    assert not any(luhn(f"7992739871{last}") for last in "012456789")
