"""From rule files to a RuleSet, every mistake of form and of meaning said at its place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drivers.priorities import Priority
from rules import yaml_source as ys
from rules.convert import Context
from rules.load_cases import case
from rules.load_rule import rule
from rules.load_scope import Scope
from rules.load_vars import used, variables
from rules.model import Moment, Rule, RuleSet, TestCase, World
from rules.problems import Mark, Problems, nearest_or_all

Source = tuple[str, ys.Node]
"""A file's name for messages, relative to the configuration's folder, and its document."""

RESERVED = frozenset({"site", "event", "evacuation", "person", "rest", "start", "stop"})
"""Words that say who ordered something, or name the site; no rule is called so."""

_ID = re.compile(r"[a-z][a-z0-9_]*")
_SECTIONS = ("vars", "rules", "tests")


@dataclass(slots=True, kw_only=True)
class _File:
    """One rule file while it is read."""

    name: str
    root: ys.Mapping
    local: bool
    scope: Scope
    rules: dict[str, Rule] = field(default_factory=dict)
    written: dict[str, ys.Mapping] = field(default_factory=dict)


def load_rules(
    sources: Iterable[Source],
    world: World,
    context: Context,
    *,
    local: Iterable[Source] = (),
) -> RuleSet:
    """Return the rules of the fleet and of this store (`local`), with their tests.

    Mistakes go to `context.problems`; with any error among them the result must not be used.
    `context.variables` are the `vars:` of site.yaml.
    """
    moments: dict[str, Moment] = {}
    pairs = [(source, False) for source in sources] + [(source, True) for source in local]
    files = [
        opened
        for (name, node), is_local in pairs
        if (opened := _open(name, node, world, context, moments, local=is_local)) is not None
    ]
    for file in files:
        _read(file)
    rules = _merged(files, context.problems)
    tests = [test for file in files for test in _tests(file, files, rules, world, context)]
    return RuleSet(rules=tuple(rules.values()), moments=tuple(moments.values()), tests=tuple(tests))


def _open(
    name: str,
    node: ys.Node,
    world: World,
    context: Context,
    moments: dict[str, Moment],
    *,
    local: bool,
) -> _File | None:
    """Return a file with its variables; None when it is no mapping."""
    scope = Scope(world=world, context=context, moments=moments)
    if isinstance(node, ys.Scalar) and node.null:
        return None
    root = scope.mapping(node, "write rules:, vars: and tests:")
    if root is None:
        return None
    for key, mark in root.keys.items():
        inner = root.items.get(key)
        if isinstance(inner, ys.Mapping) and "when" in inner.keys and key not in _SECTIONS:
            hint = "a rule stands below rules:, indented"
            context.problems.error(mark, f"unknown section {key!r}", hint)
        elif key not in _SECTIONS:
            scope.unknown(mark, "section", key, _SECTIONS)
    declared = root.items.get("vars")
    within = variables(declared, world, context, {})
    _unused(root, context.problems)
    return _File(
        name=name, root=root, local=local, scope=dataclasses.replace(scope, context=within)
    )


def _unused(root: ys.Mapping, problems: Problems) -> None:
    declared = root.items.get("vars")
    if isinstance(declared, ys.Mapping):
        names = set(used(root))
        for name, mark in declared.keys.items():
            if name not in names:
                hint = f"write !var {name} where its value belongs, or remove it"
                problems.warning(mark, f"the variable {name!r} is not used", hint)


def _read(file: _File) -> None:
    """Read the rules of one file into it."""
    section = file.root.items.get("rules")
    if section is None or (isinstance(section, ys.Scalar) and section.null):
        return
    found = file.scope.mapping(section, "write the id of a rule, then its trigger and steps")
    for name, node in (found.items if found else {}).items():
        mark = (found or file.root).keys[name]
        written = file.scope.mapping(node, "write when: and do:")
        if not _named(name, mark, file.scope.problems) or written is None:
            continue
        file.written[name] = written
        one = rule(name, written, file.scope)
        if one is not None:
            file.rules[name] = dataclasses.replace(one, mark=mark)


def _named(name: str, mark: Mark, problems: Problems) -> bool:
    """Return whether a rule can be called so, after saying why not."""
    if not _ID.fullmatch(name):
        hint = "small letters, digits and _, a letter first"
        problems.error(mark, f"{name!r} can't be the id of a rule", hint)
        return False
    if name in RESERVED:
        hint = "it says who ordered something"
        problems.error(mark, f"{name!r} can't be the id of a rule", hint)
        return False
    return True


def _merged(files: list[_File], problems: Problems) -> dict[str, Rule]:
    """Return all rules by id, those of this store in place of what they replace."""
    fleet: dict[str, Rule] = {}
    for file in files:
        if not file.local:
            for name, one in file.rules.items():
                _add(fleet, one, problems)
                _not_local(file.written[name], problems)
    replaced: dict[str, Mark] = {}
    own: dict[str, Rule] = {}
    for file in files:
        if file.local:
            for name, one in file.rules.items():
                old = _replaced(file, name, fleet, replaced, problems)
                if one.id in fleet and one.id != old:
                    hint = f"write replaces: {one.id} to replace it"
                    first = fleet[one.id].mark
                    message = f"the rule {one.id!r} stands in {first.file}:{first.line} already"
                    problems.error(one.mark, message, hint)
                _add(own, one, problems)
    return {**{k: r for k, r in fleet.items() if k not in replaced}, **own}


def _add(rules: dict[str, Rule], one: Rule, problems: Problems) -> None:
    first = rules.get(one.id)
    if first is not None:
        place = f"{first.mark.file}:{first.mark.line}"
        problems.error(one.mark, f"the rule {one.id!r} stands in {place} already")
        return
    rules[one.id] = one


def _not_local(node: ys.Mapping, problems: Problems) -> None:
    if "replaces" in node.keys:
        hint = "put the rule into rules.local/"
        problems.error(node.keys["replaces"], "only a store's own rule replaces another", hint)


def _replaced(
    file: _File,
    name: str,
    fleet: Mapping[str, Rule],
    replaced: dict[str, Mark],
    problems: Problems,
) -> str | None:
    """Return the id of the fleet's rule that a rule replaces, which is noted in `replaced`."""
    node = file.written[name].items.get("replaces")
    if node is None:
        return None
    old = file.scope.word(node)
    if old is None:
        return None
    if old not in fleet:
        problems.error(
            node.mark, f"there is no rule {old!r} to replace", nearest_or_all(old, fleet)
        )
    elif fleet[old].priority is Priority.life_safety:
        hint = "a store can add to it, never take it away"
        problems.error(node.mark, f"{old} is a life_safety rule and can't be replaced", hint)
    elif old in replaced:
        first = replaced[old]
        problems.error(node.mark, f"{old} is replaced in {first.file}:{first.line} already")
    else:
        replaced[old] = node.mark
    return old


def _tests(
    file: _File,
    files: list[_File],
    rules: Mapping[str, Rule],
    world: World,
    context: Context,
) -> list[TestCase]:
    section = file.root.items.get("tests")
    if section is None or (isinstance(section, ys.Scalar) and section.null):
        return []

    def with_vars(names: tuple[str, ...], over: Mapping[str, ys.Node]) -> dict[str, Rule]:
        """Return the rules of the files `names`, read with other variables."""
        found: dict[str, Rule] = {}
        played = [other for other in files if other.name in names]
        known = {name for other in played for name in other.scope.context.variables}
        for name, node in over.items():
            if name not in known and not any(name in o.scope.context.refused for o in played):
                file.scope.unknown(node.mark, "variable", name, known)
        for other in files:
            if other.name in names:
                silent = dataclasses.replace(context, problems=Problems())
                within = variables(other.root.items.get("vars"), world, silent, over)
                scope = dataclasses.replace(other.scope, context=within, moments={})
                for name, node in other.written.items():
                    one = rule(name, node, scope)
                    if one is not None:
                        found[name] = dataclasses.replace(
                            one, mark=other.root.keys.get(name, node.mark)
                        )
                for problem in silent.problems.errors:
                    context.problems.error(problem.mark, problem.message, problem.hint)
        return found

    by_file = {other.name: other.rules for other in files}
    found = []
    for item in file.scope.items(section):
        test = case(
            item,
            file.scope,
            file=file.name,
            by_file=by_file,
            active=rules,
            local=file.local,
            with_vars=with_vars,
        )
        if test is not None:
            found.append(test)
    return found
