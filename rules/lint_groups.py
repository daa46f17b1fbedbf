"""Triggers that name two groups, so that neither is kept apart by its members."""

from __future__ import annotations

from collections.abc import Iterable

from rules.lint_ground import facts
from rules.model import Fact, Rule
from rules.problems import Problems


def groups(rules: Iterable[Rule], problems: Problems) -> None:
    """Warn where one member of a group would answer for another, because a second is named."""
    for rule in rules:
        for trigger in (*rule.when, *rule.until):
            if isinstance(trigger, Fact) or trigger.by is not None:
                continue
            apart = {f.group: f for f in reversed(facts(trigger)) if f.group and not f.across}
            if len(apart) < 2 or all(len(fact.members) == 1 for fact in apart.values()):
                continue
            first, second, *_ = sorted(apart.values(), key=lambda f: (f.mark.line, f.mark.column))
            message = f"beside {first.group} another group, {second.group}: no member is kept apart"
            hint = "write across: group at the fact that may be anybody's, or by: a field of all"
            problems.warning(second.mark, message, hint)
