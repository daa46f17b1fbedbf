"""The configuration that the box went back from: refused until its files change."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from rules.problems import Mark, Problems

FILE = "reverted.json"
"""In the state folder."""
_HINT = "change it, or apply it once more: storewarden rules apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """What the box went back from, and why."""

    config: str
    """Its hash."""
    to: str
    """The hash of what runs in its place."""
    at: str
    """RFC 3339."""
    reason: str
    by: str = ""


def write(found: Reverted, state_folder: Path) -> None:
    """Keep `found`, synced.

    Raises:
        OSError: the state folder can't be written.
    """
    write_json(state_folder / FILE, asdict(found))


def read(state_folder: Path) -> Reverted | None:
    """Return what the box went back from last; None when it did not, or nobody can tell."""
    try:
        return msgspec.json.decode((state_folder / FILE).read_bytes(), type=Reverted)
    except (OSError, ValueError):
        return None


def forget(state_folder: Path) -> None:
    """Let the configuration be accepted again, as far as the state folder can be written."""
    with suppress(OSError):
        (state_folder / FILE).unlink(missing_ok=True)


def mistake(config: str, state_folder: Path) -> Problems | None:
    """Return why this configuration is refused: the box went back from it; None when it did not."""
    found = read(state_folder)
    return None if found is None or found.config != config else problems(found)


def problems(found: Reverted) -> Problems:
    """Return as a mistake that the box went back from what lies in the folder."""
    told = Problems()
    when = found.at.replace("T", " ")[:16]
    told.error(Mark("rules", 1, 1), f"was reverted at {when} UTC: {found.reason}", _HINT)
    return told


def write_json(path: Path, data: object) -> None:
    """Write a small file at once, synced with its name.

    Raises:
        OSError: it can't be written.
    """
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
