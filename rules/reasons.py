"""Why a rule did not fire, in words that people search for."""

from __future__ import annotations

from drivers.event import Event
from rules.model import Condition, StateView


def not_met(condition: Condition, view: StateView, event: Event) -> str:
    """Return `site.open was no`, with every value that the condition may have read."""
    read = []
    for device, state in sorted(condition.reads):
        if device == "event":
            read.append(f"event.{state} was {event.fields.get(state, 'unknown')}")
        else:
            read.append(f"{device}.{state} was {view.state(device, state)}")
    values = ", ".join(read) or "it was not so"
    return values if condition.source in values else f"if {condition.source}: {values}"


def cooling(seconds: float) -> str:
    return f"cooldown for {seconds:g} s more"


def cut_short(held: float, wanted: float) -> str:
    return f"held {held:g} s of {wanted:g} s"


def blind(device: str) -> str:
    return f"{device} could not be heard meanwhile"
