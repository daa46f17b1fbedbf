"""The steps of `storewarden rules apply`, each said as it goes."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge import backtest_words as say
from edge import installing, swap, trial
from edge.cli import words
from edge.cli.exits import DONE, NO, Failed, WrongUsage
from edge.config import files
from edge.config.last_good import NAME
from edge.config.load import load
from edge.config.model import Apply, Configuration
from edge.config.site_apply import percent
from edge.control import Misused, NotRunning, Refused, ask, socket_path
from edge.watch import CALLED, WORDS, span
from rules.problems import ConfigurationRefused

ANSWER_WITHIN = 60.0
"""Seconds that the daemon has to load, check and swap."""
BACK_WITHIN = 30.0
"""Seconds in which a daemon that went away in the middle is waited for."""
LOOK_EVERY = 1.0
SIREN_SLACK = 60.0
"""Seconds of siren that never count as a rise."""


@dataclass(slots=True)
class _Told:
    """What is said, as lines as it goes or as one JSON object at the end."""

    as_json: bool
    steps: dict[str, Any] = field(default_factory=dict)

    def __call__(self, step: str, text: str, **data: Any) -> None:
        if self.as_json:
            self.steps[step] = {**self.steps.get(step, {}), **data, "said": text}
        else:
            print(f"{step:<9} {text}", flush=True)

    def end(self) -> None:
        if self.as_json:
            words.print_json(self.steps)


def apply(chosen: argparse.Namespace) -> int:
    """Try the rules in `chosen.rules`."""
    tell = _Told(chosen.json)
    try:
        return _apply(chosen, tell)
    finally:
        tell.end()


def _apply(chosen: argparse.Namespace, tell: _Told) -> int:
    folder: Path = chosen.config
    status = _status(folder)
    if status["watch"] is not None:
        raise Failed(f"other rules are on trial until {_local(status['watch']['until'])}")
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
            "accept_removal": chosen.accept_removal,
            "by": chosen.by,
            "reason": chosen.reason,
        }
        answer = _install(folder, candidate, differ, request, tell)
    _tell_watch(answer, tell)
    return _wait(new.hash, tell) if chosen.wait and answer["watch"] else DONE


# --- before anything is changed ------------------------------------------------------------------


def _status(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = _ask({"do": "status"}, 10.0)
    reads = Path(status["places"]["folder"])
    if reads.resolve() != folder.resolve():
        raise WrongUsage(f"the running daemon reads {reads}, not {folder}")
    return status


def _ask(request: dict[str, Any], seconds: float) -> Any:
    try:
        return asyncio.run(ask(socket_path(), request, seconds=seconds))
    except Misused as misused:
        raise WrongUsage(str(misused)) from None
    except (NotRunning, Refused) as error:
        raise Failed(str(error)) from None


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
    folder: Path, candidate: Path, chosen: argparse.Namespace, now: Configuration, tell: _Told
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


def _changed(now: Configuration, new: Configuration, tell: _Told) -> None:
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


def _test(new: Configuration, tell: _Told) -> None:
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
    found: dict[str, Any] = {}
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
    tell: _Told,
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
        raise Failed(f"beyond the limits: {'; '.join(over)}; the rules go on as they are")
    tell("limits", f"alarms {limits.alarms:+.0%}, siren {limits.siren:+.0%}: within")


def _expected(
    chosen: argparse.Namespace, new: Configuration, journal: Path, tell: _Told
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


# --- the change ----------------------------------------------------------------------------------


def _install(
    folder: Path, candidate: Path, differ: list[str], request: dict[str, Any], tell: _Told
) -> dict[str, Any]:
    """Exchange the files and let the daemon have them; whatever fails, the old files are back."""
    installing.install(folder, candidate, differ)
    try:
        answer = asyncio.run(_applied(request))
    except BaseException:
        installing.put_back(folder, differ)
        raise
    installing.finish(folder, differ)
    kept = ", ".join(str(installing.previous(folder, part)) for part in differ)
    tell("install", f"{folder}" + (f"; the files before are in {kept}" if kept else ""))
    took = answer["took"] * 1000
    tell("swap", f"configuration {answer['config']} runs, in {took:.1f} ms", **answer)
    return answer


async def _applied(request: dict[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await ask(socket_path(), request, seconds=ANSWER_WITHIN)
    except Misused as misused:
        raise WrongUsage(str(misused)) from None
    except Refused as refused:
        raise Failed(f"{refused}; the rules go on as they are") from None
    except NotRunning:
        return await _back_again(request)
    return answer


async def _back_again(request: dict[str, Any]) -> dict[str, Any]:
    """Wait for a daemon that went away: it goes on with the new rules if it had them already."""
    until = time.monotonic() + BACK_WITHIN
    while time.monotonic() < until:
        with suppress(NotRunning, Refused):
            status = await ask(socket_path(), {"do": "status"}, seconds=5.0)
            if status["config"] == request["config"] and status["watch"] is not None:
                return {"config": status["config"], "took": 0.0, "watch": status["watch"]}
            break
        await asyncio.sleep(LOOK_EVERY)
    raise Failed("the daemon went away in the middle; the old rules lie in the folder again")


def _tell_watch(answer: dict[str, Any], tell: _Told) -> None:
    watch = answer["watch"]
    if watch is None:
        return
    most = ", ".join(f"{watch['at_most'][word]} {CALLED[word][1]}" for word in WORDS)
    tell("watch", f"until {_local(watch['until'])}: at most {most}", **watch)


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%H:%M:%S}"


# --- its end -------------------------------------------------------------------------------------


def _wait(config: str, tell: _Told) -> int:
    while True:
        with suppress(Failed):
            status = _ask({"do": "status"}, 10.0)
            if status["watch"] is None:
                break
        time.sleep(LOOK_EVERY)
    if status["config"] == config:
        tell("end", f"configuration {config} is confirmed", confirmed=True)
        return DONE
    words.show(str(status["refused"] or f"{status['config']} runs"))
    tell("end", f"back to the configuration {status['config']}", confirmed=False)
    return NO


def end(chosen: argparse.Namespace) -> int:
    """Confirm or revert the rules on trial, as a person."""
    folder: Path = chosen.config
    _status(folder)
    action = "confirm" if chosen.confirm else "revert"
    request = {"do": "watch", "action": action, "by": chosen.by, "reason": chosen.reason}
    answer = _ask(request, ANSWER_WITHIN)
    tell = _Told(chosen.json)
    tell("end", f"configuration {answer['config']} runs; the watch is over", **answer)
    if action == "revert" and files.fingerprint(folder) != answer["config"]:
        _put_previous_back(folder, answer["config"], tell)
    tell.end()
    return DONE


def _put_previous_back(folder: Path, config: str, tell: _Told) -> None:
    """Exchange the files for those before the last apply, where these are what runs."""
    before = {
        part: installing.previous(folder, part)
        for part in installing.PARTS
        if installing.previous(folder, part).is_dir()
    }
    choices = [before, *({part: source} for part, source in before.items())]
    with tempfile.TemporaryDirectory(prefix="storewarden-") as made:
        for number, parts in enumerate(choices):
            candidate = Path(made) / str(number)
            installing.compose(folder, parts, candidate)
            if files.fingerprint(candidate) == config:
                differ = installing.differing(folder, candidate)
                installing.install(folder, candidate, differ)
                installing.finish(folder, differ)
                tell("install", f"{folder} has these files again", installed=True)
                return
    words.show(f"{folder} still holds what was reverted; a restart runs the last good one")
