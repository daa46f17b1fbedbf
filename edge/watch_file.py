"""The watch in the state folder, and its counts in the journal: a kill does not end it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from buffer.journal import Journal
from buffer.record import Kind
from drivers.priorities import Priority
from edge.config.reverted import write_json
from edge.encode import body_of
from edge.watch import Plan, Watch

FILE = "watch.json"
VERSION = 1
COUNTED = frozenset({Kind.EVENT, Kind.OUTCOME, Kind.DECISION})


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    version: int
    watch: Plan


def write(plan: Plan, state_folder: Path) -> None:
    """Keep the plan, synced.

    Raises:
        OSError: the state folder can't be written.
    """
    write_json(state_folder / FILE, asdict(_File(version=VERSION, watch=plan)))


def read(state_folder: Path) -> Plan | None:
    """Return the plan of the watch that is on; None when there is none, or nobody can tell."""
    try:
        found = msgspec.json.decode((state_folder / FILE).read_bytes(), type=_File)
    except (OSError, ValueError):
        return None
    plan = found.watch
    return plan if found.version == VERSION and plan.lasts > 0 else None


def remove(state_folder: Path) -> None:
    """The watch is over. Where the file can't be removed, the next start finds it so."""
    with suppress(OSError):
        (state_folder / FILE).unlink(missing_ok=True)


def recount(watch: Watch, journal: Journal) -> None:
    """Take what the journal has of the watch."""
    for record in journal.since(watch.plan.sequence):
        if record.kind in COUNTED:
            with suppress(ValueError):  # not one of ours: made by another version
                body = body_of(record)
                priority = Priority(record.priority)
                watch.see(body.tick, body.device, body.signal, body.data, priority)
