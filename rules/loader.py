"""From rule files to a RuleSet, every mistake of form and of meaning said at its place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.priorities import Priority
from rules import yaml_source as ys
from rules.convert import Context
from rules.load_cases import case, left_out
from rules.load_rule import rule
from rules.load_scope import Scope
from rules.load_vars import used, variables
from rules.model import Moment, Rule, RuleSet, TestCase, World
from rules.problems import Mark, Problem, Problems, nearest_or_all

if TYPE_CHECKING:
    from rules.templates import Template

Source = tuple[str, ys.Node]
"""A file's name for messages, relative to the configuration's folder, and its document."""

RESERVED = frozenset({"site", "event", "evacuation", "person", "rest", "start", "stop"})
"""Words that say who ordered something, or name the site; no rule is called so."""

_ID = re.compile(r"[a-z][a-z0-9_]*")
_SECTIONS = ("vars", "templates", "rules", "tests_at", "tests")


@dataclass(slots=True, kw_only=True)
class _File:
    """One rule file while it is read."""

    name: str
    root: ys.Mapping
    local: bool
    scope: Scope
    templates: dict[str, Template] = field(default_factory=dict)
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
    known = _templates(files, context.problems)
    for file in files:
        _read(file, known)
    rules = _merged(files, context.problems)
    again = _Again(files=files, templates=known, world=world, context=context)
    tests = [test for file in files for test in _tests(file, files, rules, again)]
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


def _templates(files: Iterable[_File], problems: Problems) -> dict[str, Template]:
    """Return the templates of all files by name."""
    known: dict[str, Template] = {}
    for file in files:
        if "templates" not in file.root.keys:
            continue
        from rules.templates import templates  # most stores have none: no memory for them

        file.templates.update(templates(file.root, file.scope, file.name))
        for name, one in file.templates.items():
            first = known.setdefault(name, one)
            if first is not one:
                place = f"{first.mark.file}:{first.mark.line}"
                problems.error(one.mark, f"the template {name!r} stands in {place} already")
    return known


def _read(file: _File, known: Mapping[str, Template]) -> None:
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
        one = _rule(name, mark, written, file.scope, known)
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
    file: _File, files: list[_File], rules: Mapping[str, Rule], again: _Again
) -> list[TestCase]:
    section = file.root.items.get("tests")
    if section is None or (isinstance(section, ys.Scalar) and section.null):
        return []
    at = file.root.items.get("tests_at")
    if at is not None and (site := file.scope.word(at)) not in (None, file.scope.world.site):
        items = file.scope.items(section)
        return [left_out(item, file.name, file.rules, site or "") for item in items]
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
            with_vars=lambda names, over: again.rules(file, names, over),
        )
        if test is not None:
            found.append(test)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Again:
    """Reads rules anew with the variables that a test gives."""

    files: list[_File]
    templates: Mapping[str, Template]
    world: World
    context: Context

    def rules(
        self, asking: _File, names: tuple[str, ...], over: Mapping[str, ys.Node]
    ) -> tuple[dict[str, Rule], tuple[Moment, ...]]:
        """Return the rules of the files `names`, and their daily moments.

        `asking` is the file with the test.
        """
        moments: dict[str, Moment] = {}
        played = [file for file in self.files if file.name in names]
        used = {self.templates[t].file for file in played for t in self._used(file)}
        concerned = [file for file in self.files if file.name in (*names, *used)]
        self._known(asking, concerned, over)
        silent = dataclasses.replace(self.context, problems=Problems())
        contexts = {
            file.name: variables(file.root.items.get("vars"), self.world, silent, over)
            for file in concerned
        }
        found: dict[str, Rule] = {}
        for file in played:
            scope = dataclasses.replace(file.scope, context=contexts[file.name], moments=moments)
            for name, node in file.written.items():
                mark = file.rules[name].mark if name in file.rules else node.mark
                one = _rule(name, mark, node, scope, self.templates, lambda t: contexts[t.file])
                if one is not None:
                    found[name] = dataclasses.replace(one, mark=mark)
        said = self.context.problems.errors
        for problem in silent.problems.errors:
            if problem not in said:
                hint = _given(problem, over)
                self.context.problems.error(problem.mark, problem.message, hint)
        return found, tuple(moments.values())

    def _used(self, file: _File) -> set[str]:
        """Return the templates that the rules of a file are made of."""
        words = (node.items.get("template") for node in file.written.values())
        return {w.text for w in words if isinstance(w, ys.Scalar) and w.text in self.templates}

    @staticmethod
    def _known(asking: _File, files: list[_File], over: Mapping[str, ys.Node]) -> None:
        known = {name for file in files for name in file.scope.context.variables}
        for name, node in over.items():
            if name not in known and not any(name in f.scope.context.refused for f in files):
                asking.scope.unknown(node.mark, "variable", name, known)


def _given(problem: Problem, over: Mapping[str, ys.Node]) -> str:
    """Return the hint of a problem with the place of the value that a test gives."""
    texts = {f"'{node.text}'": node for node in over.values() if isinstance(node, ys.Scalar)}
    node = next((node for text, node in texts.items() if text in problem.message), None)
    if node is None or (node.mark.file, node.mark.line) == (problem.mark.file, problem.mark.line):
        return problem.hint
    place = f"given in {node.mark.file}:{node.mark.line}"
    return f"{problem.hint}; {place}" if problem.hint else place


def _rule(
    name: str,
    mark: Mark,
    node: ys.Mapping,
    scope: Scope,
    known: Mapping[str, Template],
    context_of: Callable[[Template], Context] = lambda template: template.context,
) -> Rule | None:
    """Return a rule, written out or made of a template."""
    if "template" in node.keys:
        from rules.from_template import made

        return made(name, mark, node, scope, known, context_of)
    return rule(name, node, scope)
