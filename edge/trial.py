"""What a request to try other rules says, and whether they may be tried."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from drivers.priorities import Priority
from edge import swap, watch_file
from edge.clock import Clock
from edge.config import last_good
from edge.config.load import load
from edge.config.model import Configuration
from edge.config.site_apply import MOST_SLACK
from edge.control import Misused, Refused, Request
from edge.encode import utc
from edge.places import Places
from edge.watch import WORDS, Plan
from rules.model import Rule
from rules.problems import ConfigurationRefused

SHORTEST, LONGEST = 1.0, 7 * 86400.0
SOMEONE = "someone on the box"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request to let the rules in the folder run."""

    config: str
    """The hash of what was checked, tested and backtested."""
    lasts: float | None
    """Seconds of the watch; None: what site.yaml says."""
    expected: Mapping[str, float] | None
    limits: Mapping[str, float]
    """In place of those in site.yaml."""
    slack: int | None
    """In place of that in site.yaml."""
    accept_removal: frozenset[str]
    by: str
    reason: str


def wanted(request: Request) -> Wanted:
    """Return what is wanted. Raises Misused where that can't be known."""
    lasts = request.get("watch")
    if lasts is not None and not SHORTEST <= _number("watch", lasts) <= LONGEST:
        raise Misused("watch is a number of seconds from 1 to 604800")
    expected = request.get("expected")
    if expected is not None:
        expected = _numbers("expected", expected)
    slack = request.get("slack")
    if slack is not None and not 0 <= _number("slack", slack) <= MOST_SLACK:
        raise Misused(f"slack is a number from 0 to {MOST_SLACK}")
    names = request.get("accept_removal") or []
    if not isinstance(names, list):
        raise Misused("accept_removal is a list of rules")
    return Wanted(
        config=str(request.get("config") or ""),
        lasts=None if lasts is None else float(lasts),
        expected=expected,
        limits=_numbers("limits", request.get("limits") or {}),
        slack=None if slack is None else int(slack),
        accept_removal=frozenset(map(str, names)),
        by=str(request.get("by") or "").strip() or SOMEONE,
        reason=str(request.get("reason") or "").strip(),
    )


def ending(request: Request) -> tuple[Literal["confirm", "revert"], str, str]:
    """Return action, who and why. Raises Misused where that can't be known."""
    action, reason = request.get("action"), str(request.get("reason") or "").strip()
    if action not in ("confirm", "revert"):
        raise Misused("rules on trial can be confirmed or reverted")
    if not reason:
        raise Misused("a reason is needed: it is journaled")
    by = str(request.get("by") or "").strip() or SOMEONE
    return ("confirm" if action == "confirm" else "revert"), by, reason


def _number(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise Misused(f"{name} is a number, not {value!r}")
    return float(value)


def _numbers(name: str, values: Any) -> dict[str, float]:
    if not isinstance(values, dict) or (strange := sorted(values.keys() - set(WORDS))):
        what = repr(strange[0]) if isinstance(values, dict) else "that"
        raise Misused(f"{name}: {what} is not counted; counted are {', '.join(WORDS)}")
    return {key: _number(f"{name}: {key}", value) for key, value in values.items()}


def checked(places: Places, old: Configuration, wanted: Wanted) -> Configuration:
    """Return the configuration in the folder, once everything speaks for trying it.

    Raises:
        Refused: something speaks against it.
    """
    try:
        found = load(places.configuration)
    except ConfigurationRefused as refusal:
        first = str(refusal.problems.errors[0]).splitlines()[0]
        raise Refused(f"{places.configuration}: {first}") from None
    if found.hash != wanted.config:
        raise Refused(f"{places.configuration} holds {found.hash}, not {wanted.config}")
    why = swap.in_the_way(old, found)
    if why:
        hint = "check it and reload it (systemctl reload storewarden)"
        raise Refused(f"more than rules has changed in the folder ({why}): {hint}")
    if missing := sorted(set(disarmed(old, found)) - wanted.accept_removal):
        raise Refused(f"life_safety rules would be gone: {', '.join(missing)}")
    if found.hash != old.hash and last_good.hash_of_last_good(places.state) != old.hash:
        raise Refused(f"{places.state} has no copy of what runs, so there is no way back")
    return found


def disarmed(old: Configuration, new: Configuration) -> dict[str, str]:
    """Return the life_safety rules that would not work any more, and in which way."""
    after = {rule.id: rule for rule in new.rules.rules}
    found = {}
    for rule in old.rules.rules:
        if rule.priority is Priority.life_safety and _works(rule):
            way = _loss(after.get(rule.id))
            if way:
                found[rule.id] = way
    return found


def _works(rule: Rule) -> bool:
    return rule.enabled == "yes" and not rule.inactive


def _loss(rule: Rule | None) -> str:
    if rule is None:
        return "is removed"
    if rule.inactive:
        return f"becomes inactive: {rule.inactive}"
    if rule.enabled != "yes":
        return f"is enabled: {rule.enabled}"
    if rule.priority is not Priority.life_safety:
        return f"is of the priority {rule.priority.name}"
    return ""


def plan(wanted: Wanted, old: Configuration, new: Configuration, clock: Clock, head: int) -> Plan:
    """Return the watch that begins now; `head` is the journal's."""
    limits = new.site.apply
    own = {"alarms": limits.alarms, "blind": limits.blind, "order_failures": limits.order_failures}
    return Plan(
        config=new.hash,
        before=old.hash,
        began=clock.tick(),
        lasts=limits.watch if wanted.lasts is None else wanted.lasts,
        expected=wanted.expected,
        limits={**own, **wanted.limits},
        slack=limits.slack if wanted.slack is None else wanted.slack,
        by=wanted.by,
        reason=wanted.reason,
        at=utc(clock.now()),
        boot=clock.boot,
        sequence=head,
    )


def stage(found: Configuration, plan: Plan, state: Path) -> None:
    """Keep a copy of what will run, and the watch over it: from now on a restart goes on with it.

    Raises:
        OSError: the state folder can't be written.
        Refused: the files have changed meanwhile.
    """
    if not last_good.stage(found, state):
        raise Refused(f"{found.folder} was changed meanwhile: apply again")
    watch_file.write(plan, state)
