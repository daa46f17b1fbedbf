"""`storewarden run`: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, NO, Failed, WrongUsage

log = logging.getLogger("storewarden")


def add(commands: Any) -> None:
    run = words.command(
        commands,
        "run",
        "run the daemon; SIGTERM stops it, SIGHUP reloads its configuration",
        act,
        "storewarden run --config /etc/storewarden",
    )
    words.config_option(run)
    run.add_argument("--verbose", action="store_true", help="log more")


def act(chosen: argparse.Namespace) -> int:
    from edge import log as logs

    logs.begin(verbose=chosen.verbose)
    folder: Path = chosen.config
    if not folder.is_dir():
        raise WrongUsage(f"there is no folder {folder}")
    return serve(folder)


def serve(folder: Path) -> int:
    """Run the daemon on `folder`, or on the last good configuration when it is refused."""
    os.umask(0o027)  # journal and clips are evidence, and nobody else's to read
    from edge.alone import Occupied, alone
    from edge.places import expected_state

    state = expected_state(folder)
    try:
        with alone(state):
            return _served(folder, state)
    except Occupied as occupied:
        raise Failed(str(occupied)) from None


def _served(folder: Path, state: Path) -> int:
    from edge import daemon
    from edge.clock import boot_id
    from edge.places import places
    from edge.starting import choose, keep_good
    from rules.problems import ConfigurationRefused

    try:
        start = choose(folder, state, boot_id())
    except ConfigurationRefused as none:
        words.show_problems(none.problems)
        raise Failed(f"{folder}: refused, and there is no last good configuration") from None
    if start.refused is not None:
        log.error("the configuration is refused, the last good one runs:\n%s", start.refused)
    for problem in start.configuration.problems.warnings:
        log.warning("%s", problem)
    where = places(folder, start.configuration)
    keep_good(start, where.state)
    try:
        asyncio.run(daemon.run(where, start))
    except ExceptionGroup:
        log.exception("an unhandled error; outputs were brought to their state")
        return NO
    return DONE


def python() -> list[str]:
    """Return the command that runs this program again, for children."""
    return [sys.executable, "-P", "-m", "edge.cli.main"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}
