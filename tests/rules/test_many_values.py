"""Receipts without end: what is kept of `by:` is bounded, and what was forgotten is no alarm."""

from __future__ import annotations

import json

import pytest

from rules.model import Decision, Fired, NotFired, Rule, Trigger
from rules.trigger_windows import KEYS
from tests.rules.building import after, before, counted, engine, fact, rule, said, sequence

SALE, REFUND = fact("eas_front", "eas.alarm"), fact("door_back", "door.opened")
MONTH = 30 * 86400.0
UNPAID = before(REFUND, SALE, MONTH, by="receipt")


def sold(at_work: Rule, number: int, *more: tuple[float, str, str]) -> list[Decision]:
    """Sell as many receipts, one a second; then return what the rest leads to."""
    one = engine(at_work)
    for second in range(number):
        one.feed(said(float(second), "eas_front", "eas.alarm", receipt=str(second)))
    events = [said(t, d, kind, receipt=r) for t, kind, r in more for d in [_says(kind)]]
    return [decision for event in events for decision in one.feed(event)]


def _says(kind: str) -> str:
    return "door_back" if kind == "door.opened" else "eas_front"


def fires(decisions: list[Decision]) -> list[float]:
    return [d.tick for d in decisions if isinstance(d, Fired)]


@pytest.mark.parametrize(
    "trigger",
    [
        counted(2, SALE, MONTH, by="receipt"),
        sequence(SALE, REFUND, within=MONTH, by="receipt"),
        after(SALE, REFUND, MONTH, by="receipt"),
        UNPAID,
    ],
)
def test_a_snapshot_stays_small_however_many_receipts_there_were(trigger: Trigger) -> None:
    sizes = []
    for number in (KEYS, 4 * KEYS):
        one = engine(rule(trigger))
        for second in range(number):
            one.feed(said(float(second), "eas_front", "eas.alarm", receipt=str(second)))
        sizes.append(len(json.dumps(one.save())))
    assert sizes[1] < sizes[0] * 1.1


def test_the_latest_thousand_receipts_are_known() -> None:
    twice = rule(counted(2, SALE, MONTH, by="receipt"))
    assert fires(sold(twice, 3000, (3000.0, "eas.alarm", "2001"))) == [3000.0]
    assert fires(sold(twice, 3000, (3000.0, "eas.alarm", "1999"))) == []


def test_a_refund_of_a_receipt_that_was_forgotten_is_no_alarm() -> None:
    unpaid = rule(UNPAID)
    decisions = sold(unpaid, 3000, (3000.0, "door.opened", "7"), (3001.0, "door.opened", "2500"))
    assert fires(decisions) == []
    reasons = [d.reason for d in decisions if isinstance(d, NotFired)]
    assert reasons == [
        "too many came within the window to know whether it was among them",
        "eas_front eas.alarm came 501 s before, within 2.592e+06 s",
    ]


def test_a_refund_without_a_receipt_is_one_while_all_are_known() -> None:
    assert fires(sold(rule(UNPAID), 900, (3000.0, "door.opened", "none"))) == [3000.0]


def test_where_nobody_knowing_is_to_fire_it_fires() -> None:
    careful = before(REFUND, SALE, MONTH, by="receipt", blind="fire")
    assert fires(sold(rule(careful), 3000, (3000.0, "door.opened", "7"))) == [3000.0]
