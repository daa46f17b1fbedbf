"""What a condition has read, and seconds, in words; lines that are no wider than they may be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.plainly import WIDEST, failing, reads, seconds, span, wrapped

OPEN = {"site.open": "yes", "site.evacuation": "no"}
PRESSED = {"count('panic', 'button.pressed', '900s')": 1}


def test_what_was_read_is_told_in_words() -> None:
    read = {
        "site.open": "yes",
        "count('panic', 'button.pressed', '900s')": 1,
        "count('gates', 'eas.alarm', '60s', direction='in')": 0,
        "since('tills', 'eas.deactivated')": 12.54,
        "since('back', 'door.opened')": None,
        "held('back', 'contact')": 125.0,
        "var('least')": 5,
        "event.amount": 4.99,
        "event.till": None,
    }
    assert reads(read) == (
        "site.open was yes, panic said button.pressed once in 15 min,"
        " gates said eas.alarm with direction='in' never in 60 s,"
        " tills said eas.deactivated 12.5 s before, back had not said door.opened,"
        " back.contact was so for 2 min 5 s, least was 5, event.amount was 4.99,"
        " event.till was unknown"
    )


@pytest.mark.parametrize(
    ("condition", "read", "part", "own"),
    [
        (
            "site.open and not site.evacuation",
            {"site.open": "no"},
            "site.open",
            {"site.open": "no"},
        ),
        (
            "site.open and not site.evacuation and count(panics, 'button.pressed', '15m') == 0",
            OPEN | PRESSED,
            "… count(panics, 'button.pressed', '15m') == 0",
            PRESSED,
        ),
        (
            "site.open and since(event.device, 'eas.metal') > 5 and event.aisle == 1",
            {"site.open": "yes", "since('gate', 'eas.metal')": 2.0},
            "… since(event.device, 'eas.metal') > 5",
            {"since('gate', 'eas.metal')": 2.0},
        ),
        (
            "event.aisle == 1 and event.amount > least",
            {"var('least')": 5, "var('most')": 9, "event.aisle": 1, "event.amount": 4.0},
            "… event.amount > least",
            {"var('least')": 5, "event.amount": 4.0},
        ),
    ],
)
def test_the_part_that_was_not_so_is_named(
    condition: str, read: dict[str, Any], part: str, own: dict[str, Any]
) -> None:
    assert failing(condition, read) == (part, own)


@pytest.mark.parametrize(
    ("condition", "read"),
    [
        ("site.open or a.b", {"site.open": "no"}),
        ("a.x != 'p' and b.y == 1 and a.x != 'q'", {"a.x": "q", "b.y": 1}),
        ("a.x != 'p' and not (a.x == 'q' or b.y)", {"a.x": "q"}),
        ("site.open and event.near.siren.output", {"site.open": "yes", "siren.output": "off"}),
        ("site.open and", {"site.open": "yes"}),
        ("site.open and a.b", {}),
    ],
)
def test_where_the_part_is_not_certain_all_is_told(condition: str, read: dict[str, Any]) -> None:
    assert failing(condition, read) == (condition, read)


def test_seconds_are_told_as_people_say_them() -> None:
    assert seconds("cooldown for 24.9813 s more") == "cooldown for 25 s more"
    assert seconds("4 of 5 within 600 s") == "4 of 5 within 10 min"
    assert seconds("gate_3 says 12 sales within 0.25 s") == "gate_3 says 12 sales within 250 ms"
    assert [span(s) for s in (0.018, 2.5, 60, 125, 3900)] == [
        "18 ms",
        "2.5 s",
        "60 s",
        "2 min 5 s",
        "1 h 5 min",
    ]


def test_a_long_line_goes_on_below_its_beginning() -> None:
    line = "  ordered     " + "word " * 20
    assert wrapped(line.rstrip()) == [
        "  ordered     " + " ".join(["word"] * 17),
        "              " + " ".join(["word"] * 3),
    ]


@given(st.lists(st.text(alphabet="abc (.", min_size=1, max_size=12), max_size=40))
def test_no_line_is_wider_than_it_may_be_and_no_word_is_lost(some: list[str]) -> None:
    line = "20 Nov 12:00:00  " + " ".join(some)
    lines = wrapped(line)
    assert max(len(one) for one in lines) <= WIDEST
    assert " ".join(lines).split() == line.split()


def test_any_text_may_be_a_condition() -> None:
    for strange in ("(", "a and " * 3, "lambda: 0", "[x for x in y] and z", "\x00 and b"):
        assert failing(strange, {"a.b": 1}) == (strange, {"a.b": 1})
