"""Compare two configurations over the box's own history, for the command and for `rules apply`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge import history
from edge.config import files
from edge.config.load import load
from edge.config.model import Configuration
from rules import backtest
from rules.backtest_ledger import OutputLimits
from rules.backtest_play import Side
from rules.backtest_report import Report

RULE_FOLDERS = ("rules", "rules.local")


def compare(
    now: Configuration,
    new: Configuration,
    journal: Path,
    *,
    since: timedelta | datetime | None = None,
    until: datetime | None = None,
    only: str | None = None,
    shadow: bool = False,
    progress: Callable[[float], None] = lambda _done: None,
) -> Report:
    """Return what the rules of `new` would have done otherwise than those of `now`.

    `journal` is a journal, also that of a running daemon, or an export of one. `since` is a time,
    or how long before now; None is from the beginning. All rules are played; with `only`
    one of them is counted. With `shadow`, new rules in shadow are counted as what they would do,
    on both sides where they are in shadow already.

    Raises:
        JournalError: the journal can't be opened or read.
        OSError: the export can't be read.
    """
    begin = datetime.now(UTC) - since if isinstance(since, timedelta) else since
    silent = _in_shadow(new) if shadow else frozenset()
    before, after = _side(now, silent & _in_shadow(now)), _side(new, silent)
    interest = backtest.interest(before, after)
    devices = frozenset({*before.world.devices, *after.world.devices})
    with history.opened(
        journal, interest, devices, since=begin, until=until, progress=progress
    ) as past:
        report = Report(played=past.played)
        return backtest.compare(
            past.events, before, after, saved=past.saved, report=report, since=begin, only=only
        )


def _in_shadow(configuration: Configuration) -> frozenset[str]:
    return frozenset(r.id for r in configuration.rules.rules if r.enabled == "shadow")


def _side(configuration: Configuration, shadow: frozenset[str]) -> Side:
    limits = {
        device: OutputLimits(
            at_a_time=getattr(one.driver, "max_on", None),
            in_an_hour=getattr(one.driver, "max_per_hour", None),
            quiet=getattr(one.driver, "quiet", None) or "",
        )
        for device, one in configuration.devices.items()
    }
    return Side(
        rules=configuration.rules.rules,
        world=configuration.world,
        moments=configuration.rules.moments,
        limits=limits,
        shadow=shadow,
    )


def with_rules_of(configuration: Path, rules: Path) -> Configuration:
    """Return the configuration in one folder with the rules of another.

    `rules` is a folder of rule files, then they stand for `rules/`; or a whole configuration
    folder, then its `rules/` and `rules.local/` stand for both.

    Raises:
        ConfigurationRefused: there is at least one mistake in what this makes.
        OSError: a file can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="storewarden-") as made:
        folder = Path(made)
        whole = any((rules / part).is_dir() for part in RULE_FOLDERS)
        if not whole and not any(rules.glob("*.yaml")):
            raise FileNotFoundError(f"{rules} has no rule files: neither *.yaml nor rules/")
        replaced = RULE_FOLDERS if whole else ("rules",)
        for name in files.names(configuration):
            if name.partition("/")[0] not in replaced:
                _copy(configuration / name, folder / name)
        for part in replaced:
            source = rules / part if whole else rules
            for file in sorted(source.glob("*.yaml")):
                _copy(file, folder / part / file.name)
        return load(folder, secrets_of=configuration)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
