"""The one ladder of urgency, from input to cloud."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """How urgent something is. The lower number goes first, everywhere."""

    life_safety = 0
    personal_safety = 1
    """Panic, medical, hold-up."""
    security = 2
    operations = 3
    telemetry = 4
