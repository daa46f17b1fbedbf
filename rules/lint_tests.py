"""Which rules no test covers, which are inactive here, and names that nobody answers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drivers.commands import OpenIncident
from drivers.event import SITE
from rules.lint_ground import facts
from rules.lint_outputs import devices
from rules.load_actions import COMMANDS
from rules.model import Rule, RuleSet, TestCase, World
from rules.problems import Mark, Problems, did_you_mean, nearest_or_all

_MISSING = re.compile(r"requires (\w+), and there is none here")
INCIDENTS = ("incident.opened", "incident.acknowledged")
SHOWN = 8
"""Rules that one line names."""


def uncovered(rules: RuleSet, world: World, problems: Problems) -> None:
    """Warn of the rules that no test expects anything of: one line a file."""
    covered = {name for test in rules.tests for name in covers(test, rules, world)}
    for some in _by_file(r for r in rules.rules if not r.inactive and r.enabled == "yes"):
        bare = [rule for rule in some if rule.id not in covered]
        if bare:
            message = f"no test covers {_named(rule.id for rule in bare)}"
            hint = "expect what it does, or not_fired: {rule: …}, in tests: of its file"
            problems.warning(bare[0].mark, message, hint)


def inactive(rules: RuleSet, world: World, problems: Problems) -> None:
    """Note the rules that `requires:` makes inactive here: one line a file.

    A name that is nearly one of this site is a warning: it is misspelt here or there.
    """
    for rule in rules.rules:
        missing = _MISSING.match(rule.inactive)
        hint = missing and did_you_mean(missing[1], {*world.devices, *world.groups})
        if hint:
            problems.warning(rule.mark, f"{rule.id} is inactive: it {rule.inactive}", hint)
    for some in _by_file(rule for rule in rules.rules if rule.inactive):
        said = _named((f"{rule.id} {rule.inactive}" for rule in some), "; ")
        problems.note(some[0].mark, f"inactive here: {said}")


def unopened(rules: RuleSet, problems: Problems) -> None:
    """Warn of an incident that rules or tests wait for, and that no rule opens."""
    every = [rule for rule in rules.rules if rule.enabled != "no"]
    if any(rule.inactive for rule in every):
        return  # nobody knows what those open
    steps = (a for r in every for some in (r.do, *(e.do for e in r.escalate)) for a in some)
    opened = {a.command.name for a in steps if isinstance(a.command, OpenIncident)}
    for fact in (f for r in every for t in (*r.when, *r.until) for f in facts(t)):
        if fact.members == (SITE,) and fact.signal in INCIDENTS:
            for name in fact.fields.get("name", ()):
                _unopened(fact.mark, name, opened, problems)
    for test in rules.tests:
        for entry in test.timeline:
            if "acknowledge" in entry and not test.variant:
                _unopened(test.mark, entry["acknowledge"], opened, problems)


def _unopened(mark: Mark, name: str, opened: set[str], problems: Problems) -> None:
    if name not in opened:
        hint = nearest_or_all(name, opened, "opened are")
        problems.warning(mark, f"no rule opens the incident {name!r}", hint)


def deaf(rules: RuleSet, world: World, problems: Problems) -> None:
    """Warn of a test in which a device fails that takes no orders."""
    for test in rules.tests:
        for name in (entry["fail"] for entry in test.timeline if "fail" in entry):
            if not world.devices[name].accepts:
                hint = "fail: means that orders to it fail; down: that it can't be heard"
                problems.warning(test.mark, f"{name} takes no orders that could fail", hint)


def namesakes(rules: RuleSet, problems: Problems) -> None:
    """Warn of two tests of one file with one name: nobody knows which of them failed."""
    seen: dict[tuple[str, str], Mark] = {}
    for test in rules.tests:
        first = seen.setdefault((test.file, test.name), test.mark)
        if first is not test.mark:
            message = f"a test {test.name!r} stands in line {first.line} already"
            problems.warning(test.mark, message, "name what is different in it")


def covers(test: TestCase, rules: RuleSet, world: World) -> Iterator[str]:
    """Return the rules that a test expects something of, or expects not to fire.

    A file that is tested at another site is taken to be tested there.
    """
    if test.elsewhere:
        yield from test.rules
    for entry in test.expect:
        quiet = entry.get("not_fired")
        if quiet is not None:
            yield quiet["rule"]
        elif "rule" in entry:
            yield entry["rule"]
        else:
            played = (rule for rule in rules.rules if rule.id in test.rules)
            yield from (rule.id for rule in played if _could(rule, entry, world))


def _could(rule: Rule, entry: Mapping[str, Any], world: World) -> bool:
    """Return whether an entry without `rule:` may be of this rule."""
    word = next((key for key in entry if key in COMMANDS), None)
    for action in (*rule.do, *(a for step in rule.escalate for a in step.do)):
        if action.command.kind == word:
            to_site = entry[word] in action.command.fields().values()
            if to_site or entry[word] in devices(rule, action, world):
                return True
    return False


def _by_file(rules: Iterable[Rule]) -> Iterator[list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.mark.file, []).append(rule)
    yield from found.values()


def _named(words: Iterable[str], between: str = ", ") -> str:
    every = list(words)
    rest = len(every) - SHOWN
    return between.join(every[:SHOWN]) + (f"{between}and {rest} more" if rest > 0 else "")
