"""What the printer of a fire panel says: which points are in alarm, in trouble, in supervision.

Three families, told apart by their patterns only: panels that print when a point is normal again;
panels that print nothing then and are cleared by a reset; and panels that on a reset send again
what is still so. Nothing is normal until the panel said so: at the start every state is unknown.

Sources: FieldServer driver manuals FS-8700-95 (Notifier NFS-3030: a reset sends all current events
again) and FS-8705-16 (Mircom FX2000: no restore message).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from drivers.signals import (
    FireAlarm,
    FireNotice,
    FireRestored,
    FireSupervisory,
    FireSupervisoryRestored,
    FireTrouble,
    FireTroubleRestored,
    Signal,
    StateKnown,
)
from drivers.wire.text_profile import Meaning, PatternTable, TextPattern, spoken

RESET = "reset"
"""The panel was reset: what it does not send again within the resend window is normal."""
NORMAL = "normal"
"""The panel says that all is normal."""
IGNORE = "ignore"
ACTIVE: dict[str, type[FireAlarm | FireTrouble | FireSupervisory]] = {
    "alarm": FireAlarm,
    "trouble": FireTrouble,
    "supervisory": FireSupervisory,
}
OVER: dict[str, type[FireRestored | FireTroubleRestored | FireSupervisoryRestored]] = {
    "alarm": FireRestored,
    "trouble": FireTroubleRestored,
    "supervisory": FireSupervisoryRestored,
}
SIGNALS = spoken([*ACTIVE.values(), *OVER.values(), FireNotice])
_ACTIVE_STATE = {signal.kind: state for state, signal in ACTIVE.items()}
_OVER_STATE = {signal.kind: state for state, signal in OVER.items()}


def table(patterns: Sequence[TextPattern]) -> PatternTable:
    """Return `patterns` compiled; `point` may be named beside the signals' fields.

    Raises:
        SettingError: a pattern that can't be used.
    """
    words = frozenset({RESET, NORMAL, IGNORE})
    return PatternTable(patterns, signals=SIGNALS, words=words, groups=frozenset({"point"}))


class Panel:
    """What is known of one panel since its link came up. Pure; times are loop seconds."""

    def __init__(
        self, patterns: PatternTable, *, resend_window: float, label_follows: bool = False
    ) -> None:
        """`label_follows`: an event is two records, the second names the point in free text."""
        self._patterns = patterns
        self._resend_window = resend_window
        self._label_follows = label_follows
        self._label_due = False
        self._points: dict[str, set[str] | None] = dict.fromkeys(ACTIVE)
        self._sent_again: dict[str, set[str]] = {}
        self._reset_over: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `advance` is next needed: the end of the resend window, or None."""
        return self._reset_over

    def read(self, text: str, at: float) -> Sequence[Signal] | None:
        """Return what a record means; None when it can't be understood."""
        record = _clean(text)
        if not record:
            return []
        meaning = self._patterns.read(record)
        if meaning is None and self._label_due:
            self._label_due = False
            return [FireNotice(text=record)]
        self._label_due = self._label_follows and meaning is not None
        if meaning is None:
            return None
        if meaning.word in _ACTIVE_STATE:
            return self._active(_ACTIVE_STATE[meaning.word], meaning, record)
        if meaning.word in _OVER_STATE:
            return self._over(_OVER_STATE[meaning.word], meaning, record)
        if meaning.word == NORMAL:
            self._reset_over = None
            return [FireNotice(text=record), *self._settle({})]
        if meaning.word == RESET:
            self._sent_again = {state: set() for state in ACTIVE}
            self._reset_over = at + self._resend_window
            return [FireNotice(text=record)]
        return [] if meaning.word == IGNORE else [FireNotice(text=record)]

    def advance(self, now: float) -> Sequence[Signal]:
        """Return what the passing of time until `now`, included, leads to."""
        if self._reset_over is None or now < self._reset_over:
            return []
        self._reset_over = None
        return self._settle(self._sent_again)

    def _active(self, state: str, meaning: Meaning, record: str) -> Sequence[Signal]:
        point = _point(meaning, record)
        self._points[state] = (self._points[state] or set()) | {point}
        if self._reset_over is not None:
            self._sent_again[state].add(point)
        return [ACTIVE[state](**_told(meaning, record))]

    def _over(self, state: str, meaning: Meaning, record: str) -> Sequence[Signal]:
        """A point is normal again; the state is so only if no other point is known to be off."""
        known, point = self._points[state], _point(meaning, record)
        if not known:
            return [FireNotice(text=record)]
        known.discard(point)
        if self._reset_over is not None:
            self._sent_again[state].discard(point)
        return [FireNotice(text=record)] if known else [OVER[state](**_told(meaning, record))]

    def _settle(self, still: dict[str, set[str]]) -> list[Signal]:
        """Return what follows when exactly the points in `still` are off normal."""
        signals: list[Signal] = []
        proven: dict[str, str] = {}
        for state in ACTIVE:
            before, now = self._points[state], still.get(state, set())
            self._points[state] = set(now)
            if before and not now:
                signals.append(OVER[state]())
            elif before is None and not now:
                proven[state] = "normal"
        return [*signals, StateKnown(values=proven)] if proven else signals


def _clean(text: str) -> str:
    """Return a record without control characters and without space around it."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()


def _point(meaning: Meaning, record: str) -> str:
    """Return what tells this point from others: its number, else its zone, else the record."""
    told = [meaning.values[name] for name in ("point", "zone") if name in meaning.values]
    return " ".join(told) or record


def _told(meaning: Meaning, record: str) -> dict[str, Any]:
    return {"zone": meaning.values.get("zone"), "text": meaning.values.get("text", record)}
