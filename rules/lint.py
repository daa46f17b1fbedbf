"""What is wrong with rules that load: said by `check` and `apply`, never looked for in the daemon.

An error is a rule that can't do what it says; a warning is one that probably does not mean what
it says; a note is nothing wrong. What depends on this store alone (its hours, who is in a group)
is at most a warning: a file of the fleet serves stores that differ.
"""

from __future__ import annotations

from rules.lint_circles import circles
from rules.lint_conditions import conditions
from rules.lint_groups import groups
from rules.lint_outputs import outputs
from rules.lint_pairs import pairs
from rules.lint_tests import deaf, inactive, namesakes, uncovered, unopened
from rules.lint_windows import Paces, windows
from rules.model import RuleSet, World
from rules.problems import Problem, Problems


class _Once(Problems):
    """Says one thing of one place once: rules of one template share what is wrong with it."""

    def _add(self, problem: Problem) -> None:
        places = {(found.mark, found.message) for found in self._found}
        if (problem.mark, problem.message) not in places:
            super()._add(problem)


def lint(rules: RuleSet, world: World, paces: Paces | None = None) -> Problems:
    """Return what is wrong with rules that loaded without an error. Pure; touches nothing."""
    problems = _Once()
    active = [rule for rule in rules.rules if not rule.inactive and rule.enabled != "no"]
    conditions(active, world, problems)
    windows(active, world, paces or Paces(), problems)
    pairs(active, world, problems)
    groups(active, problems)
    circles(active, world, problems)
    outputs(active, world, problems)
    uncovered(rules, world, problems)
    unopened(rules, problems)
    namesakes(rules, problems)
    deaf(rules, world, problems)
    inactive(rules, world, problems)
    return problems
