"""`storewarden safe-state`: bring every output to its declared state without the daemon."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, NO

WITHIN = 5.0
"""Seconds for everything together; WatchdogSec + 2 s is the promise."""


def add(commands: Any) -> None:
    safe = words.command(
        commands,
        "safe-state",
        "bring every output to what its at_stop says; for ExecStopPost",
        act,
        "storewarden safe-state --config /etc/storewarden",
    )
    words.config_option(safe)
    words.json_option(safe)


def _note_the_end(folder: Path) -> None:
    """Note for the next run why the last one ended, where systemd has told it."""
    if "SERVICE_RESULT" not in os.environ:
        return
    from edge import ends
    from edge.places import expected_state

    try:
        ends.note(expected_state(folder), os.environ)
    except OSError as error:
        print(f"{error.filename or ends.FILE}: {error.strerror}", file=sys.stderr)


def act(chosen: argparse.Namespace) -> int:
    from edge.config.last_good import load_or_last_good
    from edge.config.secret_files import AnySecret
    from edge.places import expected_state
    from edge.safe_state import bring
    from rules.problems import ConfigurationRefused

    folder: Path = chosen.config
    _note_the_end(folder)
    try:
        configuration, _refused = load_or_last_good(
            folder, expected_state(folder), secrets=AnySecret(folder)
        )
    except ConfigurationRefused as refused:
        words.show_problems(refused.problems)
        return NO
    outcome = asyncio.run(bring(configuration, WITHIN))
    if chosen.json:
        words.print_json(outcome)
    else:
        for device, said in outcome.items():
            print(f"{device}: {said or 'done'}")
    return NO if any(outcome.values()) else DONE
