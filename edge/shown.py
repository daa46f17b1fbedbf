"""What `tail` shows of each turn, as JSON values, and a queue of it for one reader."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.event import SITE, Event
from drivers.signals import UNKNOWN
from edge.described import described
from edge.encode import utc
from edge.turn import Turn

ROOM = 1000
"""Items that may wait for a slow reader; older ones are dropped, and the next says how many."""


class Line:
    """What waits for one reader of `tail`."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._dropped = 0

    def show(self, event: Event | None, stamp: Event, turn: Turn) -> None:
        """Take a turn; never waits."""
        for item in items(event, stamp, turn):
            if self._waiting.qsize() >= ROOM:
                self._waiting.get_nowait()
                self._dropped += 1
            self._waiting.put_nowait(item)

    async def next(self) -> dict[str, Any]:
        """Return the next item; `dropped` in it counts those before it that are gone."""
        item = await self._waiting.get()
        if self._dropped:
            item, self._dropped = {**item, "dropped": self._dropped}, 0
        return item


def items(event: Event | None, stamp: Event, turn: Turn) -> list[dict[str, Any]]:
    """Return the event, the decisions and the orders of a turn; None: time alone made it."""
    said = [] if event is None else [_shown(event)]
    return [*said, *_decisions(stamp, turn), *_orders(stamp, turn)]


def _shown(event: Event) -> dict[str, Any]:
    return {
        "kind": "event",
        "at": utc(event.at),
        "tick": round(event.tick, 6),
        "device": event.device,
        "signal": event.kind,
        "priority": event.priority.name,
        "data": event.fields,
        "unknown": UNKNOWN in event.sets.values(),
    }


def _decisions(stamp: Event, turn: Turn) -> list[dict[str, Any]]:
    head = {**_shown(stamp), "kind": "decision", "device": SITE}
    found = (described(decision) for decision in turn.decisions)
    return [{**head, "signal": words[0], "data": words[1]} for words in found if words is not None]


def _orders(stamp: Event, turn: Turn) -> list[dict[str, Any]]:
    return [
        {
            **_shown(stamp),
            "kind": "order",
            "device": given.device,
            "signal": "order.given",
            "priority": given.priority.name,
            "data": {"command": given.command.kind, "by": given.by, "rule": given.rule}
            | given.command.fields(),
        }
        for given in turn.given
        if not given.quiet
    ]
