"""Have systemd do the switch, so that it goes on when the person's session ends."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge.upgrade import service

WITHIN = 7200.0
"""Seconds that a switch may take: an evacuation can make the watch longer."""
MARK = "STOREWARDEN_UPGRADE"
"""In the environment of the unit."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants the switch."""

    watch: float | None = None
    one_way: bool = False
    keep: bool = False
    reason: str = ""
    by: str = ""


def unit(version: str) -> str:
    """Return the unit that switches to `version`."""
    safe = re.sub(r"[^0-9A-Za-z.]", lambda found: f"\\x{ord(found[0]):02x}", version)
    return f"storewarden-upgrade@{safe}.service"


def possible(version: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether systemd runs, has the unit, and this is not the unit itself."""
    if MARK in environment or not Path("/run/systemd/system").is_dir():
        return False
    return service.run("systemctl", "cat", unit(version), within=30.0).code == 0


def hand_over(version: str, asked: Asked) -> None:
    """Have the unit of `version` do it, to its end; what became of it is in the outcomes.

    Raises:
        OSError: only root may.
    """
    file = _file(version)
    file.write_bytes(msgspec.json.encode(asked))
    service.run("systemctl", "start", unit(version), within=WITHIN)


def taken(version: str, environment: Mapping[str, str] = os.environ) -> Asked | None:
    """Return how it was asked for, in the unit; a second start of the unit is not asked so."""
    if MARK not in environment:
        return None
    try:
        data = _file(version).read_bytes()
        _file(version).unlink()
        return msgspec.json.decode(data, type=Asked)
    except (OSError, ValueError):
        return None


def _file(version: str) -> Path:
    return Path("/run") / f"storewarden-upgrade-{version}.json"
