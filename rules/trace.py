"""Why a rule fired, or did not: what its trigger matched and what its condition read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.event import Event

Miss = Literal["if", "blind", "cooldown", "quiet", "hold", "sequence", "count", "absence"]
"""What kept a rule from firing: its condition was no, nobody knew, it fired lately, it waits for
a storm to end; or how far its trigger came: a hold cut short, steps of a sequence or together
that are missing, fewer than `count`, or `without` that came in time.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """How a trigger came to be complete, or nearly."""

    trigger: int = 0
    """Its place in `when:`, from 0."""
    facts: tuple[Event, ...] = ()
    """The events that it matched, in order; the last one completed it."""
    held: float | None = None
    """Seconds that a state held, where the trigger waits for that."""
    wanted: float | None = None
    """Seconds that it has to hold, or its window."""
    condition: str = ""
    """`if` as written; empty when the rule has none, or it was not asked."""
    answer: str = ""
    """Of the condition: `yes`, `no`, `unknown`."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """What the condition asked for, `site.open` or `event.direction`, with the value it had."""

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, what is empty left out; events by id, device, signal and time."""
        found: dict[str, Any] = {"trigger": self.trigger}
        found["facts"] = [
            {
                "id": e.id,
                "device": e.device,
                "signal": e.kind,
                "at": e.at.isoformat(),
                "tick": e.tick,
                **({"fields": dict(e.fields)} if e.fields else {}),
            }
            for e in self.facts
        ]
        for name in ("held", "wanted"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.condition:
            found |= {"if": self.condition, "answer": self.answer, "read": dict(self.read)}
        return found


NOTHING = Why()
