"""The JSON Schemas of one store: what its configuration declares, for an editor to complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drivers.commands import Goto, OpenIncident
from drivers.contract import IoModule
from edge.config.model import Configuration
from rules.model import Action, Rule
from rules.schema_words import Vocabulary, of_store


def vocabulary(configuration: Configuration) -> Vocabulary:
    """Return the words that rule files of this store may use, and those they have made."""
    rules = configuration.rules.rules
    actions = list(_actions(rules))
    plan = configuration.site.evacuation
    presets = {a.command.preset for a in actions if isinstance(a.command, Goto)}
    presets |= set(plan.goto.values()) if plan else set()
    incidents = {a.command.name for a in actions if isinstance(a.command, OpenIncident)}
    files = {rule.mark.file for rule in rules} | {c.file for c in configuration.rules.tests}
    return of_store(
        configuration.world,
        incidents=tuple(sorted(incidents)),
        presets=tuple(sorted(presets)),
        rules=tuple(sorted(rule.id for rule in rules)),
        files=tuple(sorted(file.rpartition("/")[2] for file in files)),
    )


def _actions(rules: Iterable[Rule]) -> Iterator[Action]:
    for rule in rules:
        yield from rule.do
        for step in rule.escalate:
            yield from step.do


def lines(configuration: Configuration) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the inputs and the outputs of its I/O modules, as devices name them."""
    modules = [
        (module.id, module.driver)
        for module in configuration.io.values()
        if isinstance(module.driver, IoModule)
    ]
    return (
        tuple(f"{name}.{line}" for name, driver in modules for line in driver.inputs()),
        tuple(f"{name}.{line}" for name, driver in modules for line in driver.outputs()),
    )
