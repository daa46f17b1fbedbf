"""Events as JSON values and back, for what the engine saves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drivers.event import Event
from drivers.priorities import Priority


def write(event: Event) -> dict[str, Any]:
    """Return `event` as JSON values."""
    return {
        "id": event.id,
        "device": event.device,
        "kind": event.kind,
        "priority": event.priority.name,
        "tick": event.tick,
        "at": event.at.isoformat(),
        "boot": event.boot,
        "trusted": event.trusted,
        "fields": dict(event.fields),
        "sets": dict(event.sets),
    }


def read(saved: Mapping[str, Any]) -> Event:
    """Return the event that `write` made."""
    return Event(
        id=saved["id"],
        device=saved["device"],
        kind=saved["kind"],
        priority=Priority[saved["priority"]],
        tick=saved["tick"],
        at=datetime.fromisoformat(saved["at"]),
        boot=saved["boot"],
        trusted=saved["trusted"],
        fields=dict(saved["fields"]),
        sets=dict(saved["sets"]),
    )
