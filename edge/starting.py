"""Which configuration a start runs, and what becomes of a watch that was on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edge import watch_file
from edge.config import files, reverted
from edge.config.last_good import hash_of_last_good, keep, load_or_last_good
from edge.config.model import Configuration
from edge.config.reverted import Reverted
from edge.encode import utc
from edge.upgrade import trial
from edge.upgrade.layout import ROOT, Layout
from edge.watch import CRASHES, Plan
from rules.problems import Problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a start begins with."""

    configuration: Configuration
    refused: Problems | None = None
    """What is wrong with the folder, when the last good configuration runs in its place."""
    watch: Plan | None = None
    """The watch that goes on."""
    reverted: Reverted | None = None
    """What the box went back from just now, or just before it was cut off."""


def choose(folder: Path, state_folder: Path, boot: str) -> Start:
    """Return what to run: the folder, or the last good configuration when the folder is refused.

    Rules on trial under which the daemon crashed again and again are gone back from.

    Raises:
        ConfigurationRefused: of `folder`, and there is no last good configuration.
    """
    plan = _plan(folder, state_folder)
    gone_back = None
    if plan is not None:
        plan = _started(plan, boot)
        gone_back = _gone_back(plan, state_folder)
        _tell(plan, state_folder)
    configuration, refused = load_or_last_good(folder, state_folder)
    on = plan if plan is not None and gone_back is None and refused is None else None
    return Start(configuration=configuration, refused=refused, watch=on, reverted=gone_back)


def keep_good(start: Start, state_folder: Path) -> None:
    """Keep a copy of what starts, unless it is refused or still on trial."""
    if start.refused is None and start.watch is None:
        keep_accepted(start.configuration, state_folder)


def keep_accepted(configuration: Configuration, state_folder: Path, root: Path = ROOT) -> None:
    """Let what was accepted be the last good configuration; where that can't be written, log it.

    While the release is on trial it stays what it is: the release before has to find, when it is
    gone back to, what it ran, and may not take what this one takes. `root` is that of releases.
    """
    upgrading = trial.read(Layout(root=root)) is not None
    if upgrading and hash_of_last_good(state_folder):
        return
    try:
        state_folder.mkdir(parents=True, exist_ok=True)
        keep(configuration, state_folder)
    except OSError as error:
        log.error("%s: %s; the rules run all the same", state_folder, error.strerror)  # noqa: TRY400


def _plan(folder: Path, state_folder: Path) -> Plan | None:
    """Return the watch over what lies in the folder.

    One over something else is void, and one over what is the last good configuration was over.
    """
    plan = watch_file.read(state_folder)
    if plan is None:
        return None
    try:
        found = files.fingerprint(folder)
    except OSError:
        found = ""
    if found == plan.config != hash_of_last_good(state_folder):
        return plan
    watch_file.remove(state_folder)
    return None


def _started(plan: Plan, boot: str) -> Plan:
    crashed = boot == plan.boot and not plan.stopped
    return replace(plan, boot=boot, stopped=False, crashes=plan.crashes + crashed)


def _gone_back(plan: Plan, state_folder: Path) -> Reverted | None:
    found = reverted.read(state_folder)
    if found is not None and found.config == plan.config:
        return found
    if plan.crashes < CRASHES:
        return None
    reason = f"the daemon ended unexpectedly {plan.crashes} times within the watch"
    found = Reverted(
        config=plan.config, to=plan.before, at=utc(datetime.now(UTC)), reason=reason, by="the watch"
    )
    try:
        reverted.write(found, state_folder)
    except OSError as error:
        log.error("%s: %s", state_folder, error.strerror)  # noqa: TRY400
    return found


def _tell(plan: Plan, state_folder: Path) -> None:
    try:
        watch_file.write(plan, state_folder)
    except OSError as error:
        log.error("%s: %s; the watch goes on", state_folder, error.strerror)  # noqa: TRY400
