"""A box as a test wants it: a configuration folder, a root of recorded files, one subject."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.config.load import load
from edge.doctor.box import Box, KnownSecrets
from edge.doctor.examine import examine
from edge.doctor.finding import Finding, Subject

SITE = "site: s1\nmqtt: {mqtt}\n"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def folder(at: Path, *, site: str = "site: s1\n", devices: str = "") -> Path:
    """Write a configuration as an installed box has it, by the user that runs the test."""
    made = at / "config"
    made.mkdir(mode=0o750)
    for name, text in (("site.yaml", site), ("devices.yaml", devices)):
        (made / name).write_text(text)
        (made / name).chmod(0o640)
    return made


def box(at: Path, config: Path | None = None, **given: Any) -> Box:
    """Return the box whose / is `at`, at noon, with this configuration."""
    secrets = KnownSecrets(config or at)
    made = Box(
        folder=config or at / "config",
        state=at / "state",
        socket=at / "control.sock",
        configuration=load(config, secrets=secrets) if config else None,
        unread=frozenset(secrets.unread),
        root=at,
        now=lambda: NOON,
        synchronised=lambda: True,
        silent="no daemon answers",
    )
    return replace(made, **given)


def look(subject: Subject, at: Box) -> list[Finding]:
    return asyncio.run(examine(at, (subject,)))


def one(subject: Subject, at: Box, check: str) -> Finding:
    """Return the one finding of this check."""
    (found,) = [finding for finding in look(subject, at) if finding.check == check]
    return found


def program(at: Path, name: str, script: str) -> None:
    """Put a program of the system under `at`."""
    path = at / "usr/bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
