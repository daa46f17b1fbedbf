"""The steps of `storewarden rules apply` up to the change, each said as it goes."""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge import backtest_words as say
from edge import installing, swap, trial
from edge.cli import words
from edge.cli.applied import Told, install, status_of, tell_watch, wait
from edge.cli.exits import DONE, Failed, WrongUsage
from edge.config import files
from edge.config.last_good import NAME
from edge.config.load import load
from edge.config.model import Apply, Configuration
from edge.config.site_apply import percent
from edge.watch import CALLED, WORDS, span
from rules.problems import ConfigurationRefused

SIREN_SLACK = 60.0
"""Seconds of siren that never count as a rise."""


def apply(chosen: argparse.Namespace) -> int:
    """Try the rules in `chosen.rules`."""
    tell = Told(chosen.json)
    try:
        return _apply(chosen, tell)
    finally:
        tell.end()


def _apply(chosen: argparse.Namespace, tell: Told) -> int:
    folder: Path = chosen.config
    status = status_of(folder)
    if status["watch"] is not None:
        until = words.site_time(status["watch"]["until"], status["timezone"])
        raise Failed(f"other rules are on trial until {until}; --confirm or --revert ends that")
    if status["evacuation"] == "yes":
        raise Failed("an evacuation is on: no time for other rules")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failed(f"{folder} can't be written by {chosen.by}: nothing was done; try sudo")
    parts = installing.parts_of(chosen.rules)
    if not any(source.glob("*.yaml") for source in parts.values()):
        raise WrongUsage(f"{chosen.rules} has no rule files (*.yaml)")
    now = _running(folder, status)
    with tempfile.TemporaryDirectory(prefix="storewarden-") as made:
        candidate = Path(made)
        installing.compose(folder, parts, candidate)
        new = _check(folder, candidate, chosen, now, tell)
        differ = installing.differing(folder, candidate)
        if new.hash == status["config"] and not differ:
            tell("swap", f"these rules run already: {new.hash}", config=new.hash, same=True)
            return DONE
        _test(new, tell)
        limits = _limits(chosen, new.site.apply)
        state = Path(status["places"]["state"])
        _backtest(chosen, now, new, state / "journal.db", limits, tell)
        request = {
            "do": "apply",
            "config": new.hash,
            "watch": chosen.watch,
            "expected": _expected(chosen, new, state / "journal.db", tell),
            "limits": {"alarms": limits.alarms},
            "slack": limits.slack,
            "accept_removal": chosen.accept_removal,
            "by": chosen.by,
            "reason": chosen.reason,
        }
        answer = install(folder, candidate, differ, request, tell)
    tell_watch(answer, tell, status["timezone"])
    return wait(new.hash, tell) if chosen.wait and answer["watch"] else DONE


# --- before anything is changed ------------------------------------------------------------------


def _running(folder: Path, status: dict[str, Any]) -> Configuration:
    """Return the configuration that runs: the folder's, or the last good one."""
    for place in (folder, Path(status["places"]["state"]) / NAME):
        with suppress(OSError, ConfigurationRefused):
            if place.is_dir() and files.fingerprint(place) == status["config"]:
                return load(place, secrets_of=folder)
    raise Failed(
        f"what runs ({status['config']}) is neither in {folder} nor the last good configuration: "
        "reload first (systemctl reload storewarden)"
    )


def _check(
    folder: Path, candidate: Path, chosen: argparse.Namespace, now: Configuration, tell: Told
) -> Configuration:
    from edge.config.checked import checked

    try:
        new = load(candidate, secrets_of=folder)
        problems = checked(new)
    except ConfigurationRefused as refused:
        words.show_problems(refused.problems)
        many = words.counted(len(refused.problems.errors), "problem")
        raise Failed(f"{chosen.rules}: {many}; the rules go on as they are") from None
    words.show_problems(problems)
    if problems.errors:
        many = words.counted(len(problems.errors), "problem")
        raise Failed(f"{chosen.rules}: {many}; the rules go on as they are")
    if why := swap.in_the_way(now, new):
        raise Failed(
            f"more than rules has changed in {folder} ({why}): "
            "check it and reload it first (systemctl reload storewarden)"
        )
    warned = words.counted(len(problems.warnings), "warning")
    tell("check", f"{words.counted(len(new.rules.rules), 'rule')}: no problems, {warned}")
    _changed(now, new, tell)
    lost = trial.disarmed(now, new)
    for rule, way in sorted(lost.items()):
        words.show(f"warning: the life_safety rule {rule} {way}")
    if missing := sorted(lost.keys() - set(chosen.accept_removal)):
        raise Failed(
            "life_safety rules would be gone; if that is meant: "
            + " ".join(f"--accept-removal {rule}" for rule in missing)
        )
    return new


def _changed(now: Configuration, new: Configuration, tell: Told) -> None:
    before = {rule.id: rule.hash for rule in now.rules.rules}
    after = {rule.id: rule.hash for rule in new.rules.rules}
    found = {
        "new": sorted(after.keys() - before.keys()),
        "changed": sorted(r for r in after.keys() & before.keys() if after[r] != before[r]),
        "gone": sorted(before.keys() - after.keys()),
    }
    named = [f"{len(some)} {what} ({', '.join(some)})" for what, some in found.items() if some]
    same = len(after) - len(found["new"]) - len(found["changed"])
    tell("changes", "; ".join([*named, f"{same} the same"]), **found, same=same)


def _test(new: Configuration, tell: Told) -> None:
    from rules.scenario import play

    played = failed = 0
    for case in new.rules.tests:
        if case.skipped:
            continue
        played += 1
        found = play(case, new.rules, new.world)
        failed += bool(found)
        for failure in found:
            words.show(f"{case.mark.file}:{case.mark.line}: {case.name}: {failure}")
    if failed:
        many = words.counted(failed, "test")
        raise Failed(f"{many} failed of {played}; the rules go on as they are")
    tell("tests", f"{words.counted(played, 'test')}, 0 failed", played=played, failed=0)


def _limits(chosen: argparse.Namespace, written: Apply) -> Apply:
    """Return the limits of site.yaml with those of the command line in their place."""
    found: dict[str, Any] = {} if chosen.slack is None else {"slack": chosen.slack}
    for name in ("alarms", "siren"):
        text = getattr(chosen, name)
        share = None if text is None else percent(text)
        if text is not None and share is None:
            raise WrongUsage(f"--{name} {text}: write a sign and a percentage, like +20%")
        if share is not None:
            found[name] = share
    return replace(written, **found)


def _backtest(
    chosen: argparse.Namespace,
    now: Configuration,
    new: Configuration,
    journal: Path,
    limits: Apply,
    tell: Told,
) -> None:
    from buffer.storage import JournalError
    from edge.backtesting import compare
    from edge.cli.backtest import bar

    if chosen.no_backtest:
        tell("backtest", "none, as asked for", skipped=True)
        return
    seconds = chosen.since or limits.backtest
    try:
        report = compare(now, new, journal, since=timedelta(seconds=seconds), progress=bar())
    except (JournalError, OSError) as error:
        raise Failed(f"no backtest: {error}; with --no-backtest and a --reason without") from None
    if say.nothing(report.played):
        tell("backtest", "nothing to backtest: the journal has no events yet", events=0)
        return
    alarms = report.alarms_before, report.alarms_after
    siren = report.siren_seconds_before, report.siren_seconds_after
    told = (
        f"{say.over(report)}: alarms {alarms[0]} -> {alarms[1]}{say.percent(*alarms)}, "
        f"siren {say.length(siren[0])} -> {say.length(siren[1])}{say.percent(*siren)}"
    )
    tell("backtest", told, **report.as_json())
    over = []
    if alarms[1] > alarms[0] * (1 + limits.alarms) + limits.slack:
        over.append(f"alarms {alarms[0]} -> {alarms[1]}, allowed is {limits.alarms:+.0%}")
    if siren[1] > siren[0] * (1 + limits.siren) + SIREN_SLACK:
        rise = f"{say.length(siren[0])} -> {say.length(siren[1])}"
        over.append(f"siren {rise}, allowed is {limits.siren:+.0%}")
    if over:
        for name, line in sorted(report.rules.items()):
            if line.gained or line.lost:
                before, after = line.before.alarms, line.after.alarms
                words.show(f"{name}: alarms {before} -> {after}, +{line.gained} -{line.lost}")
        words.show("if that is meant: --alarms +50%, --siren +50% or --slack 20 allow more")
        raise Failed(f"beyond the limits: {'; '.join(over)}; the rules go on as they are")
    tell("limits", f"alarms {limits.alarms:+.0%}, siren {limits.siren:+.0%}: within")


def _expected(
    chosen: argparse.Namespace, new: Configuration, journal: Path, tell: Told
) -> dict[str, float] | None:
    """Return what the history has at such a time of day."""
    from buffer.storage import JournalError
    from edge.usual import usual

    lasts = chosen.watch or new.site.apply.watch
    now = datetime.now(UTC)
    since = now - timedelta(seconds=chosen.since or new.site.apply.backtest)
    try:
        found = usual(journal, since, now, new.site.timezone)
    except (JournalError, OSError) as error:
        words.show(f"warning: nothing to compare with: {error}")
        return None
    expected = found.expected(now, lasts)
    if expected is None:
        tell("usual", f"the journal holds {span(found.seconds)}: nothing to compare with")
        return None
    counts = ", ".join(f"{expected[word]:.1f} {CALLED[word][1]}" for word in WORDS)
    tell("usual", f"{counts} in {span(lasts)} at this time of day", **expected)
    return dict(expected)
