"""The watch in the state folder, so that a kill or a power cut does not end it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from edge.config.reverted import write_json
from edge.watch import Plan

FILE = "watch.json"
VERSION = 1


def write(plan: Plan, state_folder: Path) -> None:
    """Keep the plan, synced.

    Raises:
        OSError: the state folder can't be written.
    """
    write_json(state_folder / FILE, {"version": VERSION, **asdict(plan)})


def read(state_folder: Path) -> Plan | None:
    """Return the plan of the watch that is on; None when there is none, or nobody can tell."""
    try:
        found = json.loads((state_folder / FILE).read_bytes())
        if found.pop("version") != VERSION:
            return None
        plan = Plan(**found)
        return plan if plan.lasts > 0 else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remove(state_folder: Path) -> None:
    """The watch is over."""
    (state_folder / FILE).unlink(missing_ok=True)
