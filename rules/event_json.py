"""Events as JSON values and back, each written once, for what the engine saves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from drivers.event import Event
from drivers.priorities import Priority

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Events:
    """A table of events: whoever saves one keeps its number in the table instead.

    Two events with the same id are one.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._rows: list[list[Any]] = []
        self._boots: dict[str, int] = {}
        self._events: list[Event] = []

    def number(self, event: Event) -> int:
        """Return the place of `event` in the table, where it is put if need be."""
        found = self._numbers.get(event.id)
        if found is None:
            found = self._numbers[event.id] = len(self._rows)
            boot = self._boots.setdefault(event.boot, len(self._boots))
            row = [
                event.id,
                event.device,
                event.kind,
                int(event.priority),
                event.tick,
                (event.at - EPOCH) // MICROSECOND,
                boot,
                int(event.trusted),
                dict(event.sets),
                None if event.fields == {"values": event.sets} else dict(event.fields),
            ]
            self._rows.append(row)
        return found

    def numbers(self, events: Iterable[Event]) -> list[int]:
        return [self.number(event) for event in events]

    def save(self) -> dict[str, Any]:
        """Return the table as JSON values."""
        return {"boots": list(self._boots), "rows": self._rows}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> Events:
        """Return the table that `save` wrote, to take events from."""
        table, boots = cls(), saved["boots"]
        table._events = [
            Event(
                id=row[0],
                device=row[1],
                kind=row[2],
                priority=Priority(row[3]),
                tick=row[4],
                at=EPOCH + row[5] * MICROSECOND,
                boot=boots[row[6]],
                trusted=bool(row[7]),
                sets=dict(row[8]),
                fields={"values": dict(row[8])} if row[9] is None else dict(row[9]),
            )
            for row in saved["rows"]
        ]
        return table

    def event(self, number: int) -> Event:
        """Return the event in that place of a table that was restored."""
        return self._events[number]

    def events(self, numbers: Iterable[int]) -> tuple[Event, ...]:
        return tuple(self._events[number] for number in numbers)
