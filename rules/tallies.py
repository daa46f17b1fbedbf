"""When a device said a signal, apart by the values of some fields: what conditions count."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from typing import Any

from drivers.event import Event
from rules.ticks import LONG_AGO

SAID_AT_MOST = 10_000
"""Latest ticks that are remembered of one signal of one device."""
VALUES_AT_MOST = 1000
"""Different values of the fields that are told apart; what was said least recently is forgotten."""
Tallied = tuple[str, ...]
"""(device, signal, field, …): what is told apart by the values of these fields."""
NO_FIELDS: Mapping[str, Any] = {}
NEVER: list[float] = []


class Tally:
    """The times of one signal of one device.

    Kept are those of the last `keeps` seconds, and the latest of each value: memory is bounded.
    """

    __slots__ = ("_gaps", "_size", "_ticks", "forgotten", "keeps", "names")

    def __init__(self, names: tuple[str, ...], keeps: float) -> None:
        self.names, self.keeps = names, keeps
        self._ticks: dict[tuple[Any, ...], list[float]] = {}
        """By values, those said last at the end."""
        self.forgotten = LONG_AGO
        """What is not in `_ticks` was not said after this tick."""
        self._gaps: dict[tuple[Any, ...], float] = {}
        """Of those that are, the tick until which some may be missing."""
        self._size = 0

    def take(self, event: Event) -> None:
        """Note an event; one that was overtaken goes to its place."""
        values: tuple[Any, ...] = ()
        if self.names:
            values = tuple([_plain(event.fields.get(name)) for name in self.names])
        ticks = self._ticks.pop(values, None) or self._new(values)
        self._ticks[values] = ticks
        if ticks and event.tick < ticks[-1]:
            insort(ticks, event.tick)
        else:
            ticks.append(event.tick)
        old = bisect_right(ticks, ticks[-1] - self.keeps) - 1
        if old > 0:
            del ticks[:old]
        self._size += 1 - max(old, 0)
        while self._size > SAID_AT_MOST or len(self._ticks) > VALUES_AT_MOST:
            self._forget()

    def _new(self, values: tuple[Any, ...]) -> list[float]:
        if self.forgotten > LONG_AGO:
            self._gaps[values] = self.forgotten
        return []

    def _forget(self) -> None:
        values = next(iter(self._ticks))
        ticks = self._ticks[values]
        gone = len(ticks) if len(self._ticks) > VALUES_AT_MOST else 1
        self._gaps[values] = ticks[gone - 1]
        del ticks[:gone]
        self._size -= gone
        if not ticks:
            del self._ticks[values]
            self.forgotten = max(self.forgotten, self._gaps.pop(values))

    def ticks(self, fields: Mapping[str, Any]) -> list[float]:
        """Return the ticks at which it was said with these values, in order.

        `fields` are in the order of `names`.
        """
        values = tuple([_plain(value) for value in fields.values()]) if fields else ()
        return self._ticks.get(values, NEVER)

    def gap(self, fields: Mapping[str, Any]) -> float:
        """Return the tick until which some that were said with these values may be forgotten."""
        values = tuple([_plain(value) for value in fields.values()])
        if values in self._ticks:
            return self._gaps.get(values, LONG_AGO)
        return self.forgotten

    def save(self) -> list[list[Any]]:
        """Return JSON values: each combination of values with its ticks and its gap."""
        gaps = self._gaps
        return [
            [list(values), list(ticks), *([gaps[values]] if values in gaps else ())]
            for values, ticks in self._ticks.items()
        ]

    def restore(self, saved: list[list[Any]], forgotten: float = LONG_AGO) -> None:
        """Go on from what `save` returned, and from `forgotten`."""
        self._ticks = {tuple(values): list(ticks) for values, ticks, *_ in saved}
        self._gaps = {tuple(values): gap[0] for values, _, *gap in saved if gap}
        self.forgotten = forgotten
        self._size = sum(map(len, self._ticks.values()))


def _plain(value: Any) -> str | float | None:
    """Return what is compared: a word or number, None for no and for what is not said."""
    return value if value is not False and isinstance(value, str | int | float) else None
