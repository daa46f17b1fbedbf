"""What the records of a till mean: sales, refunds, voids, the drawer; one line each, or receipts.

Pure: text in, signals out; times are loop seconds.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from drivers.contract import SettingError
from drivers.signals import (
    PosDrawerClosed,
    PosDrawerOpened,
    PosNoSale,
    PosRecalled,
    PosRefund,
    PosSale,
    PosSuspended,
    PosVoid,
    Signal,
    StateKnown,
)
from drivers.wire.cards import masked
from drivers.wire.text_profile import PatternTable, TextPattern, build, spoken

IGNORE = "ignore"
BEGIN = "begin"
"""A receipt begins: what was noted of the one before is forgotten, then this is noted."""
NOTE = "note"
"""Something that the signals of this receipt tell too."""
TRAINING = "training"
SIGNALS = spoken(
    [
        PosSale,
        PosRefund,
        PosVoid,
        PosNoSale,
        PosSuspended,
        PosRecalled,
        PosDrawerOpened,
        PosDrawerClosed,
    ]
)
NOTED = frozenset({"till", "receipt", "original", "amount", "items", "cashier"})
"""What records before the one that says the signal may tell."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_AMOUNT = re.compile(r"([0-9]{1,3}(?:[ .,'\u00a0][0-9]{3})+|[0-9]{0,9})(?:[.,]([0-9]{1,2}))?")
_AROUND = re.compile(r"^[^0-9.,]+|[^0-9]+$")


def table(patterns: Sequence[TextPattern]) -> PatternTable:
    """Return `patterns` compiled; `training` may be named beside the signals' fields.

    Raises:
        SettingError: a pattern that can't be used, or notes that nothing ever ends.
    """
    words = {each.signal for each in patterns}
    if NOTE in words and BEGIN not in words:
        hint = f"say where a receipt begins: {{pattern: '^RECEIPT', signal: {BEGIN}}}"
        raise SettingError("patterns", "what is noted would never be forgotten", hint)
    return PatternTable(
        patterns,
        signals=SIGNALS,
        words=frozenset({IGNORE, BEGIN, NOTE}),
        groups=frozenset({TRAINING}),
        noted=NOTED,
    )


def clean(text: str) -> str:
    """Return a record without control characters, card numbers hidden, no space around it."""
    return masked(_CONTROL.sub(" ", text)).strip()


def amount(text: str) -> str | None:
    """Return an amount of money with a decimal point, `1,234.50` as `1234.50`; None if it is none.

    A currency and a sign are left out. Three digits behind a point or comma are thousands.
    """
    found = _AMOUNT.fullmatch(_AROUND.sub("", text))
    if found is None or not (found[1] or found[2]):
        return None
    whole = re.sub(r"[^0-9]", "", found[1]) or "0"
    return f"{whole}.{found[2]}" if found[2] else whole


def till_name(text: str) -> str:
    """Return a till's name as it is compared: `03` is `3`."""
    name = text.strip()
    return (name.lstrip("0") or "0") if re.fullmatch("[0-9]+", name) else name


class Till:
    """One till behind a feed, or all that are on it, since the link came up."""

    deadline = None

    def __init__(self, patterns: PatternTable, *, till: str, drawer: bool) -> None:
        """`till`: whose records count; all when empty. `drawer`: its records say how it is."""
        self._patterns = patterns
        self._till = till_name(till)
        self._drawer = drawer
        self._noted: dict[str, str] = {}
        self._open: dict[str, float] = {}

    def read(self, text: str, at: float) -> Sequence[Signal] | None:
        """Return what a record means; None when it can't be understood."""
        meaning = self._patterns.read(text) if text else None
        if meaning is None:
            return None if text else []
        if meaning.word in (BEGIN, NOTE):
            if meaning.word == BEGIN:
                self._noted = {}
            self._noted |= meaning.values
        signal = SIGNALS.get(meaning.word)
        return [] if signal is None else self._say(signal, {**self._noted, **meaning.values}, at)

    def advance(self, now: float) -> Sequence[Signal]:
        return []

    def _say(
        self, kind: type[Signal], told: Mapping[str, str], at: float
    ) -> Sequence[Signal] | None:
        values = {name: value for name, value in told.items() if value}
        till = till_name(values.get("till", "")) or self._till
        if self._till not in ("", till):
            return []
        values["till"] = till
        if kind is PosRefund:
            values.setdefault("original", "")
        if "amount" in values:
            plain = amount(values["amount"])
            if plain is None:
                return None
            values["amount"] = plain
        signal = build(kind, values)
        if isinstance(signal, PosDrawerOpened | PosDrawerClosed):
            return self._moved(signal, at) if self._drawer else []
        training = values.get(TRAINING, "no").casefold() not in ("no", "off", "false", "0")
        if signal is None or not training:
            return None if signal is None else [signal]
        return [dataclasses.replace(signal, test=True)]  # type: ignore[call-arg]

    def _moved(self, signal: PosDrawerOpened | PosDrawerClosed, at: float) -> Sequence[Signal]:
        """Return what a drawer's record means; one that is open twice is open since the first."""
        if isinstance(signal, PosDrawerOpened):
            known = signal.till in self._open
            self._open.setdefault(signal.till, at)
            return [] if known else [signal]
        since = self._open.pop(signal.till, None)
        open_for = None if since is None else round(at - since, 3)
        closed = dataclasses.replace(signal, open_for=open_for)
        return [closed, StateKnown(values={"drawer": "open"})] if self._open else [closed]
