"""A person's order as it was put into the inbox, with the lease that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from drivers.commands import BY_KIND, RecordClip
from drivers.contract import Driver
from drivers.event import Event
from drivers.priorities import Priority
from drivers.settings import Seconds
from edge.dispatch import Given
from edge.leases import Claim


def order(event: Event, devices: Mapping[str, Driver]) -> tuple[Given, Claim | None] | str:
    """Return the order and its lease, if it takes one; in words why there is none.

    In a replay the device may be gone, or may not know the command any more. An order of a person
    is operations, at most security.
    """
    fields, device = event.fields, str(event.fields.get("target"))
    driver, kind = devices.get(device), BY_KIND.get(str(fields.get("command")))
    if driver is None or kind not in driver.accepts:
        return f"{device} cannot {fields.get('command')}"
    command, lasts = kind(**fields.get("parameters", {})), fields.get("for")
    if isinstance(command, RecordClip) and lasts is not None:
        command = replace(command, duration=Seconds(lasts))
    urgent = fields.get("priority") == Priority.security.name
    given = Given(
        device=device,
        command=command,
        by="person",
        priority=Priority.security if urgent else Priority.operations,
        tick=event.tick,
    )
    if command.holds == "no" or (command.holds == "with_for" and lasts is None):
        return given, None
    ends = [event.tick + s for s in (lasts, driver.longest(command)) if s is not None]
    claim = Claim(
        device=device,
        command=command,
        by="person",
        priority=given.priority,
        owner="person",
        ends=min(ends, default=None),
        taken=event.tick,
    )
    return given, claim
