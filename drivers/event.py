"""A signal, stamped with who said it and when: what inbox, engine and journal handle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drivers.priorities import Priority

SITE = "site"
"""The device name under which the site itself, the journal and the clock speak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact with its stamp. Made by the supervisor, the clock and the dispatcher only."""

    id: str
    """Random, 128 bits in hexadecimal; never derived from clock or sequence."""
    device: str
    """The device's id in devices.yaml, or `site`."""
    kind: str
    """The signal: `eas.alarm`."""
    priority: Priority
    tick: float
    """Seconds of engine time; rules live on it. Never goes backwards in a journal."""
    at: datetime
    """Wall time, UTC, aware. For people and the cloud; rules never read it."""
    boot: str
    """Boot id of the machine."""
    trusted: bool
    """Whether the wall clock was trusted then."""
    fields: dict[str, Any] = field(default_factory=dict)
    """The signal's fields, JSON values."""
    sets: dict[str, str] = field(default_factory=dict)
    """The states of `device` that are so from now on; a value may be `unknown`."""
