"""When a device said a signal, apart by the values of some fields: what conditions count."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from typing import Any

from drivers.event import Event

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

    __slots__ = ("_size", "_ticks", "keeps", "names")

    def __init__(self, names: tuple[str, ...], keeps: float) -> None:
        self.names, self.keeps = names, keeps
        self._ticks: dict[tuple[Any, ...], list[float]] = {}
        """By values, those said last at the end."""
        self._size = 0

    def take(self, event: Event) -> None:
        """Note an event; one that was overtaken goes to its place."""
        values: tuple[Any, ...] = ()
        if self.names:
            values = tuple([_plain(event.fields.get(name)) for name in self.names])
        ticks = self._ticks.pop(values, None) or []
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

    def _forget(self) -> None:
        values = next(iter(self._ticks))
        ticks = self._ticks[values]
        gone = len(ticks) if len(self._ticks) > VALUES_AT_MOST else 1
        del ticks[:gone]
        self._size -= gone
        if not ticks:
            del self._ticks[values]

    def ticks(self, fields: Mapping[str, Any]) -> list[float]:
        """Return the ticks at which it was said with these values, in order.

        `fields` are in the order of `names`.
        """
        values = tuple([_plain(value) for value in fields.values()]) if fields else ()
        return self._ticks.get(values, NEVER)

    def save(self) -> list[list[Any]]:
        """Return JSON values: each combination of values with its ticks."""
        return [[list(values), list(ticks)] for values, ticks in self._ticks.items()]

    def restore(self, saved: list[list[Any]]) -> None:
        """Go on from what `save` returned."""
        self._ticks = {tuple(values): list(ticks) for values, ticks in saved}
        self._size = sum(map(len, self._ticks.values()))


def _plain(value: Any) -> str | float | None:
    """Return what is compared: a word or number, None for no and for what is not said."""
    return value if value is not False and isinstance(value, str | int | float) else None
