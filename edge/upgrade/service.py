"""The running service: systemd's side of it, and the daemon's own answers."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edge.control import NotRunning, Refused, ask, socket_path

UNIT = "storewarden.service"
SECRETS = Path("/etc/storewarden/secrets")
ANSWERS_WITHIN = 3.0
"""Seconds for one answer of the daemon."""
COMMAND_WITHIN = 120.0
"""Seconds for one command of another release: a Pi on a slow card needs some."""


class ServiceFailed(Exception):
    """The service can't be told what it was to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the service stood at one moment."""

    active: bool
    """It runs, and has said that it is ready."""
    ended: bool
    """It has ended by itself, or ends, or is about to be started again by itself."""
    pid: int
    """0 when nothing runs."""
    restarts: int
    """How often it was started again by itself."""
    status: dict[str, Any] | None
    """What the daemon answers to `status`; None when it does not."""
    devices: dict[str, tuple[str, str]]
    """Type and link of each device."""
    alarm: tuple[str, ...]
    """Fire panels in alarm."""
    journal: str
    """The id of the journal's file; empty when not known."""
    memory: int
    """Bytes that it takes of the memory; 0 when not known."""
    known: bool = True
    """False when systemd itself gave no answer: nothing of this is known."""


NOTHING = Look(
    active=False,
    ended=False,
    pid=0,
    restarts=0,
    status=None,
    devices={},
    alarm=(),
    journal="",
    memory=0,
    known=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class Service(Protocol):
    """What an upgrade needs of the service."""

    def restart(self) -> None:
        """Have it started anew by whatever `current` names; returns without waiting for it.

        Raises:
            ServiceFailed: it can't be told.
        """

    def look(self) -> Look:
        """Return how it is now; takes some seconds at most."""

    def runs(self) -> bool:
        """Return whether it was started, whatever became of it: not before it is at a boot."""

    def as_service(self, *command: str) -> Done:
        """Run a command as the service would be: its user, its secrets, nothing it may write."""

    def tell(self, request: dict[str, Any]) -> bool:
        """Tell the daemon something; returns whether it took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """The service as systemd's unit."""

    state: Path
    """The folder of the journal."""

    def restart(self) -> None:
        _systemctl("reset-failed", UNIT)
        done = _systemctl("restart", "--no-block", UNIT)
        if done.code:
            raise ServiceFailed(f"systemctl restart {UNIT}: {done.err.strip()}")

    def look(self) -> Look:
        names = ("ActiveState", "SubState", "MainPID", "NRestarts", "Job")
        done = _systemctl("show", UNIT, f"--property={','.join(names)}")
        if done.code:
            return NOTHING
        shown = dict(line.partition("=")[::2] for line in done.out.splitlines())
        return look(
            active=shown.get("ActiveState") in ("active", "reloading") and not waits(shown),
            ended=ended(shown),
            pid=int(shown.get("MainPID") or 0),
            restarts=int(shown.get("NRestarts") or 0),
            state=self.state,
        )

    def runs(self) -> bool:
        said = _systemctl("show", UNIT, "--property=ActiveState", "--value").out.strip()
        return said not in ("inactive", "failed", "")

    def as_service(self, *command: str) -> Done:
        words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
        given = ["User=storewarden", "Group=storewarden", "ProtectSystem=strict", "PrivateTmp=yes"]
        given += ["NoNewPrivileges=yes", "WorkingDirectory=/"]
        given += [f"LoadCredential=secrets:{SECRETS}"] if SECRETS.is_dir() else []
        return run(*words, *(f"--property={one}" for one in given), "--", *command)

    def tell(self, request: dict[str, Any]) -> bool:
        return answer(request) is not None


def waits(shown: Mapping[str, str]) -> bool:
    """Return whether somebody asked for its stop or its start, and it is not done yet."""
    return int(shown.get("Job") or 0) > 0


def ended(shown: Mapping[str, str]) -> bool:
    """Return whether the unit has ended, or ends, by itself; `shown` as `systemctl show` says it.

    What it does after its end (`ExecStopPost`) and the pause before the next start are part of it.
    """
    if shown.get("SubState", "").startswith("auto-restart"):
        return True
    gone = shown.get("ActiveState") in ("deactivating", "failed", "inactive")
    return gone and not waits(shown)


def look(*, active: bool, ended: bool, pid: int, restarts: int, state: Path) -> Look:
    """Return the whole look: what the daemon answers is added to what is known of its process."""
    status = devices = None
    if pid and active:
        status = answer({"do": "status"})
        devices = answer({"do": "devices"}) if status is not None else None
    found = devices or []
    return Look(
        active=active,
        ended=ended,
        pid=pid,
        restarts=restarts,
        status=status,
        devices={d["device"]: (d["type"], d["states"]["link"]["value"]) for d in found},
        alarm=tuple(
            d["device"]
            for d in found
            if d["type"] == "fire_panel" and d["states"]["alarm"]["value"] == "active"
        ),
        journal=journal_id(state / "journal.db") if status is not None else "",
        memory=memory(pid),
    )


def answer(request: dict[str, Any]) -> Any:
    """Return the daemon's answer; None when it gives none."""
    try:
        return asyncio.run(ask(socket_path(), request, seconds=ANSWERS_WITHIN))
    except (NotRunning, Refused, ValueError):
        return None


def journal_id(path: Path) -> str:
    """Return the id of the newest chain in a journal; empty when it can't be read."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)) as db:
            found = db.execute("SELECT id FROM journal ORDER BY first DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return ""
    return str(found[0]) if found else ""


def memory(pid: int) -> int:
    """Return the bytes of memory that a process takes itself."""
    with suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def run(*command: str, within: float = COMMAND_WITHIN, cwd: str = "/") -> Done:
    """Run a command to its end; one that can't be run, or does not end, has code 127 or 124."""
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours
            command, capture_output=True, text=True, errors="replace", timeout=within, cwd=cwd
        )
    except subprocess.TimeoutExpired:
        return Done(code=124, out="", err=f"it did not end within {within:g} s")
    except OSError as error:
        return Done(code=127, out="", err=error.strerror or str(error))
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def _systemctl(*words: str) -> Done:
    return run("systemctl", *words, within=30.0)


def first_line(done: Done) -> str:
    """Return what a command of ours that found mistakes said first: the first of them."""
    lines = (done.err.strip() or done.out.strip()).splitlines()
    return lines[0].strip() if lines else f"it ended with {done.code}"


def last_line(done: Done) -> str:
    """Return what a command that failed said last."""
    lines: Sequence[str] = (done.err.strip() or done.out.strip()).splitlines()
    return lines[-1].strip() if lines else f"it ended with {done.code}"
