"""What the parts of `storewarden upgrade` do."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage
from edge.clock import boot_id
from edge.places import expected_state
from edge.upgrade import handing, preflight, telling, trial
from edge.upgrade.health import WATCH
from edge.upgrade.layout import CURRENT, PREVIOUS, Layout, is_version
from edge.upgrade.preflight import Wanted
from edge.upgrade.recovering import Recovery
from edge.upgrade.service import Systemd
from edge.upgrade.switching import Switch
from edge.upgrade.trial import REFUSED, RETURNED, Outcome, Trial

SHOWN = 10
"""Outcomes that `status` shows."""


class _Busy(Exception):
    """Somebody else is at work on the releases."""


def install(chosen: argparse.Namespace) -> int:
    """Make the release of a bundle."""
    from edge.upgrade import bundle, signed

    layout = _changeable(chosen)
    try:
        with _alone(layout):
            there = set(layout.complete_ones())
            version = bundle.install(
                layout, chosen.bundle, signed.SIGNERS, unsigned=chosen.unsigned
            )
    except (bundle.NotInstalled, signed.NotTrusted) as refused:
        raise Failed(str(refused)) from None
    except _Busy as busy:
        raise Failed(str(busy)) from None
    made = version not in there
    if chosen.json:
        words.print_json({"version": version, "made": made})
    else:
        print(f"{version} {'is installed' if made else 'was there already'}")
    return DONE


def back(chosen: argparse.Namespace) -> int:
    """Switch to what ran before."""
    layout = _changeable(chosen)
    previous = layout.version(PREVIOUS)
    if previous is None or previous == layout.version(CURRENT):
        there = ", ".join(layout.complete_ones()) or "none"
        raise Failed(f"no release is known that ran before; there are: {there}")
    return switch(chosen, previous)


def switch(chosen: argparse.Namespace, version: str) -> int:
    """Switch to a release, in the unit where there is one, and say what became of it."""
    layout = _changeable(chosen)
    if not is_version(version):
        raise WrongUsage(
            f"{version!r} is no version; storewarden upgrade status names what is here"
        )
    known = len(trial.outcomes(layout))
    if handing.possible(version):
        asked = handing.Asked(
            watch=chosen.watch,
            one_way=chosen.one_way,
            keep=chosen.keep,
            reason=chosen.reason,
            by=chosen.by,
        )
        words.show(
            f"it goes on by itself, also without you: journalctl -fu {handing.unit(version)}"
        )
        handing.hand_over(version, asked)
        fresh = trial.outcomes(layout)[known:]
        if not fresh:
            log = f"journalctl -u {handing.unit(version)} -n 20"
            raise Failed(f"it ended before it had an outcome; {log} says why")
        return _said(chosen, fresh[-1])
    if (given := handing.taken(version)) is not None:
        chosen.watch, chosen.one_way, chosen.keep = given.watch, given.one_way, given.keep
        chosen.reason, chosen.by = given.reason, given.by
    try:
        with _alone(layout):
            return _said(chosen, _switched(chosen, layout, version))
    except _Busy as busy:
        raise Failed(str(busy)) from None


def _switched(chosen: argparse.Namespace, layout: Layout, version: str) -> Outcome:
    service = Systemd(state=expected_state(chosen.config))
    if layout.trial.exists():  # who was at work on it was killed
        recovery = Recovery(layout=layout, service=service, boot=boot_id())
        _walk(recovery.steps())
        telling.tell(layout, service)
        if recovery.outcome is not None:
            return recovery.outcome
    look = service.look()
    plan = Trial(
        from_=layout.version(CURRENT) or "",
        to=version,
        began=trial.now(),
        boot=boot_id(),
        previous=layout.version(PREVIOUS),
        reason="",
        by=chosen.by,
    )
    wanted = Wanted(
        version=version,
        config=chosen.config,
        state=service.state,
        one_way=chosen.one_way,
    )
    refusal = next(preflight.refusals(layout, wanted, service, look), None)
    if refusal is not None:
        refused = trial.refused(plan, refusal)
        trial.record(layout, refused)
        return refused
    switch = Switch(
        layout=layout,
        service=service,
        trial=plan,
        before=look if look.status is not None else None,
        watch=WATCH if chosen.watch is None else chosen.watch,
        why=chosen.reason,
    )
    _walk(switch.steps())
    assert switch.outcome is not None  # noqa: S101 - the steps are over
    if switch.outcome.outcome == trial.DONE and not chosen.keep:
        layout.prune({version, plan.from_})
    telling.tell(layout, service)
    return switch.outcome


def recover(chosen: argparse.Namespace) -> int:
    """Go back from an upgrade that nobody is at work on any more."""
    layout = _changeable(chosen)
    service = Systemd(state=expected_state(chosen.config))
    try:
        with _alone(layout):
            recovery = Recovery(
                layout=layout, service=service, boot=boot_id(), sees=not chosen.no_wait
            )
            _walk(recovery.steps())
    except _Busy as busy:
        raise Failed(str(busy)) from None
    if recovery.outcome is not None:
        if service.runs() and not chosen.no_wait:
            telling.tell(layout, service)
        _show(chosen, recovery.outcome)
    elif chosen.json:
        words.print_json(None)
    else:
        print("no upgrade was cut off")
    return DONE


def tell(chosen: argparse.Namespace) -> int:
    """Tell the daemon what it has not heard of."""
    good = telling.tell(_changeable(chosen), Systemd(state=expected_state(chosen.config)))
    if chosen.json:
        words.print_json({"told": good})
    elif not good:
        raise Failed("the daemon takes no word")
    return words.answer(good=good)


def facts(chosen: argparse.Namespace) -> int:
    """Say what this release is."""
    import msgspec

    from edge.upgrade import facts as found

    own = found.own()
    if chosen.json:
        words.print_json(msgspec.to_builtins(own))
    else:
        print(f"storewarden {own.version}: journals of schema {own.schema}")
    return DONE


def status(chosen: argparse.Namespace) -> int:
    """Say which releases there are, and what became of the last upgrades."""
    layout = Layout(root=chosen.root)
    on, last = trial.read(layout), trial.outcomes(layout)[-SHOWN:]
    told: dict[str, Any] = {
        "current": layout.version(CURRENT),
        "previous": layout.version(PREVIOUS),
        "releases": layout.complete_ones(),
        "trial": None if on is None else {"from": on.from_, "to": on.to, "began": on.began},
        "upgrades": [trial.as_data(outcome) for outcome in last],
    }
    if chosen.json:
        words.print_json(told)
        return DONE
    trying = "none" if on is None else f"{on.to} since {on.began}, else back to {on.from_}"
    rows = [
        ("runs", told["current"] or "none"),
        ("before it", told["previous"] or "none"),
        ("installed", ", ".join(told["releases"]) or "none"),
        ("on trial", trying),
    ]
    print(words.table(rows))
    for outcome in last:
        print(f"{outcome.ended}  {_sentence(outcome)}")
    return DONE


def _said(chosen: argparse.Namespace, outcome: Outcome) -> int:
    if outcome.outcome in (REFUSED, RETURNED):
        if chosen.json:
            words.print_json(trial.as_data(outcome))
        raise Failed(_sentence(outcome))
    _show(chosen, outcome)
    return DONE


def _show(chosen: argparse.Namespace, outcome: Outcome) -> None:
    if chosen.json:
        words.print_json(trial.as_data(outcome))
    else:
        print(_sentence(outcome))


def _sentence(outcome: Outcome) -> str:
    """Return `back to 0.1.0 from 0.1.1: device door_front was up, and is down for 45 s`."""
    why = f": {outcome.reason}" if outcome.reason else ""
    took = "" if outcome.downtime is None else f", {outcome.downtime:g} s without a pipeline"
    if outcome.outcome == REFUSED:
        return f"{outcome.to} is refused{why}"
    if outcome.outcome == RETURNED:
        return f"back to {outcome.from_} from {outcome.to}{why}"
    return f"{outcome.to} runs, before it {outcome.from_}{took}{why}"


def _walk(steps: Iterator[str]) -> None:
    log = logging.getLogger("storewarden")
    for step in steps:
        log.info("upgrade: %s", step)


def _changeable(chosen: argparse.Namespace) -> Layout:
    """Return the folder of the releases; refuses at once who may change nothing in it."""
    layout = Layout(root=chosen.root)
    if layout.root.is_dir() and not os.access(layout.root, os.W_OK):
        if os.geteuid() != 0:
            raise Failed(f"only root may change what is in {layout.root}: run it with sudo")
        raise Failed(f"{layout.root} can't be written; mount its file system writable")
    return layout


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Keep others from changing releases; the kernel lets go of it when this process ends."""
    if not layout.root.is_dir():
        raise Failed(f"there is no folder {layout.root}: nothing is installed there")
    with layout.lock.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _Busy("another upgrade is at work: storewarden upgrade status") from None
        yield
