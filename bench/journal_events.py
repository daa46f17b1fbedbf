"""Events such as the daemon keeps, and the bytes that keeping them writes."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from buffer.record import Draft
from drivers.event import Event
from drivers.priorities import Priority
from edge.encode import Encoder

SIZE = 512 << 20
"""Bytes that the journal may take, as the daemon says by default."""


def drafts(first: int, count: int, priority: Priority = Priority.telemetry) -> list[Draft]:
    """Return `count` events of visitors, as the daemon encodes them."""
    encoder = Encoder("storewarden", "store_0421", "5f0c7a3e9d12")
    began = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return [
        encoder.event(
            Event(
                id=secrets.token_hex(16),
                device="eas_front",
                kind="eas.visitors",
                priority=priority,
                tick=864_000 + number / 1000,
                at=began + timedelta(milliseconds=number),
                boot="5f0c7a3e1f6b4a589f0e0c6f0d8f7a11",
                trusted=True,
                fields={"aisle": 1, "entered": number % 7, "left": number % 5},
            )
        )
        for number in range(first, first + count)
    ]


def written() -> int:
    """Return the bytes this process has sent towards a disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])
