"""Why the last run of the daemon ended: noted after it by `safe-state`, told by the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.config.reverted import write_json
from edge.encode import utc

FILE = "ends.json"
VERSION = 1
STOP = "stop"
POWER = "power"
KILLED_FOR_MEMORY = "oom-kill"
_WORDS = {"success": STOP}
"""Results of systemd that have another word here; see systemd.exec(5), $SERVICE_RESULT."""
CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How one run ended."""

    reason: str
    """`stop`, `power`, or systemd's: `watchdog`, `signal`, `exit-code`, `oom-kill`, `timeout` …"""
    status: str = ""
    """The exit code or the signal's name, where there is one."""
    at: str = ""
    """When it was noted, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How often a run ended for which reason, and the last end."""

    counts: Mapping[str, int] = field(default_factory=dict)
    last: End | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    version: int = VERSION
    counts: dict[str, int] = field(default_factory=dict)
    last: End | None = None
    told: bool = True
    """Whether the daemon has said the last end as an event."""
    running: str = ""
    """The boot id of a run that nobody has noted the end of."""


def read(state_folder: Path) -> Ends:
    """Return what is known; nothing where nothing can be read."""
    found = _read(state_folder)
    return Ends(counts=found.counts, last=found.last)


def note(state_folder: Path, environment: Mapping[str, str]) -> None:
    """Note how the run ended that systemd tells of in the environment of ExecStopPost.

    Raises:
        OSError: the state folder can't be written.
    """
    result = environment.get("SERVICE_RESULT", "")
    if not result:
        return  # nobody ended: a person asks for the safe state
    status = environment.get("EXIT_STATUS", "")
    killed = result == "signal" and status in {"KILL", "9"}
    reason = KILLED_FOR_MEMORY if killed and _out_of_memory() else _WORDS.get(result, result)
    found = _ended(_read(state_folder), reason, status)
    write_json(state_folder / FILE, msgspec.to_builtins(found))


def begun(state_folder: Path, boot: str) -> End | None:
    """Note that a run begins; return how the last one ended, once, unless somebody stopped it.

    A run of an earlier boot that nobody noted the end of was cut off with the power.

    Raises:
        OSError: the state folder can't be written.
    """
    found = _read(state_folder)
    if found.running and found.running != boot:
        found = _ended(found, POWER, "")
    end = None if found.told or found.last is None or found.last.reason == STOP else found.last
    write_json(state_folder / FILE, msgspec.to_builtins(replace(found, told=True, running=boot)))
    return end


def _ended(found: _File, reason: str, status: str) -> _File:
    counts = {**found.counts, reason: found.counts.get(reason, 0) + 1}
    last = End(reason=reason, status=status, at=utc(datetime.now(UTC)))
    return replace(found, counts=counts, last=last, told=False, running="")


def _read(state_folder: Path) -> _File:
    try:
        found = msgspec.json.decode((state_folder / FILE).read_bytes(), type=_File)
    except (OSError, ValueError):
        return _File()
    return found if found.version == VERSION else _File()


def _out_of_memory() -> bool:
    """Return whether the kernel killed a process of this service's control group for its memory."""
    try:
        group = CGROUP.read_text().strip().rpartition("::/")[2]
        events = (CGROUPS / group / "memory.events").read_text()
    except OSError:
        return False
    counted = dict(line.split() for line in events.splitlines())
    return counted.get("oom_kill", "0") != "0"
