"""Hide payment card numbers in text, so that none is kept, forwarded or logged.

A card number has 13 to 19 digits and a check digit (ISO/IEC 7812-1: the Luhn formula). It is
printed in one piece or in the groups that cards have. The last four digits stay, as on a receipt.
"""

from __future__ import annotations

import re

SHORTEST, LONGEST = 13, 19
"""Digits of a card number."""
STAY = 4
"""Digits that stay to be read: the last ones."""
HIDDEN = "*"

_RUN = re.compile(r"[0-9]+(?:[ \u00a0-][0-9]+)*")
_DIGITS = re.compile(r"[0-9]+")
_GROUPS = frozenset(
    {
        *((4, 4, 4, last) for last in (1, 2, 3, 4)),
        *((4, 4, 4, 4, last) for last in (1, 2, 3)),
        (4, 6, 4),
        (4, 6, 5),
        (6, 13),
    }
)
"""The digits of each group when a number is printed in groups."""
_MOST_GROUPS = 5
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def masked(text: str) -> str:
    """Return `text` with the digits of every card number but its last four hidden.

    One number in ten that is long enough is hidden though it is none: its check digit fits.
    """
    return _RUN.sub(lambda run: _masked_run(run[0]), text)


def luhn(digits: str) -> bool:
    """Return whether the last digit is the check digit of those before it."""
    ours = sum(int(digit) for digit in digits[-1::-2])
    return (ours + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def _masked_run(run: str) -> str:
    """Return one run of digits and single blanks or dashes, card numbers hidden."""
    shown = list(run)
    groups = [found.span() for found in _DIGITS.finditer(run)]
    at = 0
    while at < len(groups):
        taken = _card(run, groups[at : at + _MOST_GROUPS])
        if not taken:
            at += 1
            continue
        places = [place for group in groups[at : at + taken] for place in range(*group)]
        for place in places[:-STAY]:
            shown[place] = HIDDEN
        # The digits that stay may begin another number.
        at += taken - 1
        while groups[at][0] > places[-STAY]:
            at -= 1
        groups[at] = (places[-STAY], groups[at][1])
    return "".join(shown)


def _card(run: str, groups: list[tuple[int, int]]) -> int:
    """Return how many of the first `groups` are a card number; 0 when they are none."""
    sizes = tuple(end - start for start, end in groups)
    for taken in range(len(groups), 0, -1):
        if taken == 1 or sizes[:taken] in _GROUPS:
            whole = "".join(run[start:end] for start, end in groups[:taken])
            if any(_number(each) for each in (whole, whole.lstrip("0"))):
                return taken
    return 0


def _number(digits: str) -> bool:
    return SHORTEST <= len(digits) <= LONGEST and luhn(digits)
