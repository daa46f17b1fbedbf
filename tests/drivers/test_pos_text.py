"""What records of tills mean: amounts, names, receipts of several lines, and any junk."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import SettingError
from drivers.signals import (
    PosNoSale,
    PosRecalled,
    PosRefund,
    PosSale,
    PosSuspended,
    PosVoid,
    Signal,
)
from drivers.wire.pos_text import Till, amount, clean, table, till_name
from drivers.wire.text_profile import TextPattern, load_profile

LINES = load_profile("pos", "generic_lines").patterns
RECEIPTS = load_profile("pos", "generic_receipt").patterns


def read(patterns: tuple[TextPattern, ...], *records: str) -> list[Signal]:
    till = Till(table(patterns), till="", drawer=True)
    said: list[Signal] = []
    for record in records:
        meaning = till.read(clean(record), 0.0)
        assert meaning is not None, record
        said += meaning
    return said


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("12.50", "12.50"),
        ("12,50", "12.50"),
        ("-12.50", "12.50"),
        ("€ 1.234,50", "1234.50"),
        ("1,234.5 EUR", "1234.5"),
        ("1 234,50-", "1234.50"),
        ("1'234", "1234"),
        ("1,234", "1234"),
        ("£.99", "0.99"),
        ("12", "12"),
        ("", None),
        ("free", None),
        ("12.50.10", None),
        ("1 2", None),
        (".", None),
        ("********1111", "1111"),
    ],
)
def test_an_amount_is_read_as_tills_write_it(text: str, plain: str | None) -> None:
    assert amount(text) == plain


def test_a_number_of_a_till_is_compared_without_zeros_before_it() -> None:
    names = [till_name(text) for text in ("03", " 3 ", "000", "SCO 1", "")]
    assert names == ["3", "3", "0", "SCO 1", ""]


def test_the_words_of_a_line_come_in_any_order_and_may_be_missing() -> None:
    assert read(
        LINES,
        "SALE cashier=17 items=2 till=3",
        "REFUND till=3 receipt=12 original= amount=80,00",
        "REFUND",
        "NOSALE",
        "OK",
    ) == [
        PosSale(till="3", items=2, cashier="17"),
        PosRefund(till="3", receipt="12", original="", amount=80.0),
        PosRefund(original=""),
        PosNoSale(),
    ]


@pytest.mark.parametrize(
    "record", ["SOLD till=3", "SALE amount=much", "SALE items=many", "VOID what=all", "SALEtill=3"]
)
def test_a_line_that_says_nothing_sensible_is_not_understood(record: str) -> None:
    assert Till(table(LINES), till="", drawer=True).read(record, 0.0) is None


def test_a_receipt_is_told_by_several_lines() -> None:
    assert read(
        RECEIPTS,
        "TILL 3   RECEIPT 4711   CASHIER 17",
        "CR\xc8ME BR\xdbL\xc9E               4.20",
        "VOID MILK 1L              -1.20",
        "TOTAL   2 ITEMS           12.50",
        "TILL 3   RECEIPT 4712   CASHIER 17",
        "REFUND FOR RECEIPT 4650",
        "REFUND TOTAL              12.50",
        "TILL 3   RECEIPT 4713   CASHIER 18",
        "REFUND TOTAL              80.00",
        "TILL 4   RECEIPT 4714",
        "*** TRAINING ***",
        "SUSPENDED",
        "TILL 4   RECEIPT 4715",
        "SUSPENDED",
        "TILL 4   RECEIPT 4716",
        "RECALLED RECEIPT 4715",
    ) == [
        PosVoid(till="3", receipt="4711", what="line", amount=1.2, cashier="17"),
        PosSale(till="3", receipt="4711", amount=12.5, items=2, cashier="17"),
        PosRefund(till="3", receipt="4712", original="4650", amount=12.5, cashier="17"),
        PosRefund(till="3", receipt="4713", original="", amount=80.0, cashier="18"),
        PosSuspended(till="4", receipt="4714", test=True),
        PosSuspended(till="4", receipt="4715"),
        PosRecalled(till="4", receipt="4715"),
    ]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([("(?P<lane>.)", "begin")], "begin has no field 'lane'"),
        ([("(?P<original>.)", "pos.sale")], "pos.sale has no field 'original'"),
        ([("(?P<test>.)", "pos.sale")], "pos.sale has no field 'test'"),
        ([("x", "pos.refund")], "pos.refund needs its original"),
        ([("x", "begin"), ("x", "pos.refund")], "pos.refund needs its original"),
        ([("x", "note")], "what is noted would never be forgotten"),
        ([("x", "eas.alarm")], "'eas.alarm' is nothing it says"),
    ],
)
def test_patterns_that_can_not_be_meant_are_refused(
    patterns: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        table([TextPattern(pattern=each, signal=signal) for each, signal in patterns])
    assert (refused.value.setting, str(refused.value)) == ("patterns", message)


WORDS = st.sampled_from(
    [
        *("SALE", "REFUND", "VOID", "NOSALE", "SUSPEND", "RECALL", "DRAWER", "OPEN", "CLOSED"),
        *("TILL", "RECEIPT", "TOTAL", "till=3", "till=", "receipt=4711", "amount=1.234,5"),
        *("amount=-", "items=4", "items=x", "original=", "training=yes", "what=line"),
        *("4111111111111111", "\x1b", "\x00", "é", "٣"),
    ]
)


@settings(max_examples=60)
@given(st.lists(st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=60), max_size=8))
def test_any_records_are_understood_or_not_and_never_an_error(records: list[str]) -> None:
    for patterns in (LINES, RECEIPTS):
        till = Till(table(patterns), till="3", drawer=True)
        for number, record in enumerate(records):
            for signal in till.read(clean(record), float(number)) or ():
                assert "4111111111111111" not in str(signal.fields())
