"""Make a rule of a template: what `with:` gives stands in the place of each `$name`.

It works on YAML nodes, so that the rule is read like one that is written out. What is wrong is
said where it stands in the template, and names the rule.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping

from rules import yaml_source as ys
from rules.convert import Context, resolve
from rules.load_rule import KEYS as RULE_KEYS
from rules.load_rule import inactive, rule
from rules.load_scope import Scope, spell
from rules.load_vars import TYPES as PLAIN_TYPES
from rules.load_vars import fits
from rules.model import Rule, World
from rules.problems import Mark, Problems, did_you_mean
from rules.templates import OF_THE_SITE, USE, Parameter, Template

KEYS = (
    "template",
    "with",
    "description",
    "priority",
    "requires",
    "enabled",
    "replaces",
)
"""What a rule made of a template may say; the last five stand for what the template says."""
_WHOLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def made(
    name: str,
    mark: Mark,
    node: ys.Mapping,
    scope: Scope,
    known: Mapping[str, Template],
    context_of: Callable[[Template], Context] = lambda template: template.context,
) -> Rule | None:
    """Return the rule `name` that a template and `with:` make; None after saying why there is none.

    `mark` is where the rule's id stands. `context_of` gives the variables with which a template
    is read.
    """
    scope.known_keys(node, KEYS)
    word = scope.word(node.items["template"]) if "template" in node.items else None
    if word is None:
        return None
    if word not in known:
        scope.unknown(node.items["template"].mark, "template", word, known)
        return None
    template = known[word]
    place = f"in the rule {name}, {mark.file}:{mark.line}"
    values, wrong = _values(node, template, scope, context_of(template))
    expanded = _expanded(node, template, values, scope, context_of(template), place)
    if expanded is None:
        _pass_on(wrong, scope.problems, "")
        return None
    said = Problems()
    within = dataclasses.replace(context_of(template), problems=said)
    inner = dataclasses.replace(scope, context=within)
    if not inactive(expanded, inner):
        _pass_on(wrong, scope.problems, "")
        if wrong.errors:
            return None
    found = rule(name, expanded, inner)
    _pass_on(said, scope.problems, place)
    return found


def _pass_on(found: Problems, to: Problems, place: str) -> None:
    for problem in found.all:
        hint = "; ".join(part for part in (problem.hint, place) if part)
        say = to.error if problem.level == "error" else to.warning
        say(problem.mark, problem.message, hint)


def _values(
    node: ys.Mapping, template: Template, scope: Scope, context: Context
) -> tuple[dict[str, ys.Scalar], Problems]:
    """Return the value of each parameter as a word, and what is wrong with them."""
    problems = Problems()
    inner = dataclasses.replace(
        scope, context=dataclasses.replace(scope.context, problems=problems)
    )
    written: dict[str, ys.Node] = {}
    if "with" in node.items:
        found = inner.mapping(node.items["with"], "write with: {<parameter>: <value>}")
        for key, mark in (found.keys if found else {}).items():
            if key not in template.parameters:
                inner.unknown(mark, "parameter", key, template.parameters)
        written = dict(found.items) if found else {}
        if found is None:
            return {}, problems
    values: dict[str, ys.Scalar] = {}
    own = dataclasses.replace(inner, context=dataclasses.replace(context, problems=problems))
    for name, parameter in template.parameters.items():
        given = written.get(name)
        reader = inner if given is not None else own
        given = given if given is not None else parameter.default
        if given is None:
            mark = node.items["with"].mark if "with" in node.items else node.mark
            kind = parameter.type.replace("_", " ")
            hint = f"the template {template.name} wants it: a {kind}"
            problems.error(mark, f"{name!r} is missing", hint)
            continue
        value = reader.resolved(given)
        if value is not None:
            _fits(name, parameter, value, inner, own)
        if isinstance(value, ys.Scalar) and not value.null:
            values[name] = value
    return values, problems


def _fits(name: str, parameter: Parameter, value: ys.Node, scope: Scope, own: Scope) -> None:
    """Say what keeps a value from being of its parameter's type and within its bounds."""
    kind = parameter.type
    if kind in PLAIN_TYPES:
        bounds = {key: own.resolved(bound) for key, bound in parameter.bounds.items()}
        kept = {key: bound for key, bound in bounds.items() if bound is not None}
        fits(name, value, PLAIN_TYPES[kind], kept, scope)
    word = scope.word(value)
    if word is not None and kind in OF_THE_SITE:
        _of_the_site(kind, word, value.mark, scope)


_KNOWN: Mapping[str, Callable[[World], Collection[str]]] = {
    "device": lambda world: world.devices,
    "group": lambda world: world.groups,
    "device_or_group": lambda world: {*world.devices, *world.groups},
    "signal": lambda world: {s for device in world.devices.values() for s in device.says},
    "mode": lambda world: world.modes,
}


def _of_the_site(kind: str, word: str, mark: Mark, scope: Scope) -> None:
    world = scope.world
    if kind == "time":
        if not _TIME.fullmatch(word):
            scope.problems.error(mark, f"{word!r} is no time of day", 'write "21:30"')
        return
    known: Collection[str] = _KNOWN[kind](world)
    if word in known:
        return
    noun = kind.replace("_", " ")
    other = {"device": world.groups, "group": world.devices}.get(kind, {})
    hint = f"{word} is a {'group' if kind == 'device' else 'device'}" if word in other else ""
    hint = hint or did_you_mean(word, known) or f"known: {spell(known)}"
    scope.problems.error(mark, f"unknown {noun} {word!r}", hint)


def _expanded(
    node: ys.Mapping,
    template: Template,
    values: Mapping[str, ys.Scalar],
    scope: Scope,
    context: Context,
    place: str,
) -> ys.Mapping | None:
    """Return the rule as if it were written out; None when a value is missing in it."""
    said = Problems()
    filling = _Filling(values, dataclasses.replace(context, problems=said))
    body = filling.node(template.body)
    _pass_on(said, scope.problems, place)
    if body is None or filling.missing or said.errors:
        return None
    assert isinstance(body, ys.Mapping)  # noqa: S101 - a mapping becomes a mapping
    items, keys = dict(body.items), dict(body.keys)
    if template.description and "description" not in keys:
        text = filling.text(template.description)
        items["description"] = ys.Scalar(mark=template.mark, text=text, plain=False)
        keys["description"] = template.mark
    for key in KEYS[2:]:
        if key in node.items:
            value = scope.resolved(node.items[key]) if key != "replaces" else node.items[key]
            if value is not None:
                items[key], keys[key] = value, node.keys[key]
    known = {key: mark for key, mark in keys.items() if key in items or key not in RULE_KEYS}
    return ys.Mapping(mark=body.mark, items=items, keys=known)


class _Filling:
    """Puts values in the place of `$name`, and the template's own variables in that of `!var`."""

    def __init__(self, values: Mapping[str, ys.Scalar], context: Context) -> None:
        self._values, self._context = values, context
        self.missing = False

    def text(self, text: str) -> str:
        def put(found: re.Match[str]) -> str:
            name = found[1]
            if name == "$":
                return "$"
            if name not in self._values:
                self.missing = True
                return ""
            return self._values[name].text

        return USE.sub(put, text)

    def node(self, node: ys.Node) -> ys.Node | None:
        """Return the node filled in; None after saying a problem."""
        if isinstance(node, ys.Scalar):
            return self._scalar(node)
        if isinstance(node, ys.Sequence):
            filled = [self.node(item) for item in node.items]
            return dataclasses.replace(node, items=tuple(n for n in filled if n is not None))
        assert isinstance(node, ys.Mapping)  # noqa: S101 - there is no fourth kind
        items: dict[str, ys.Node] = {}
        keys: dict[str, Mark] = {}
        for written, mark in node.keys.items():
            key = self.text(written)
            if key in keys:
                self._context.problems.error(mark, f"{key!r} stands here twice")
                continue
            keys[key] = mark
            value = self.node(node.items[written]) if written in node.items else None
            if value is not None:
                items[key] = value
        return dataclasses.replace(node, items=items, keys=keys)

    def _scalar(self, node: ys.Scalar) -> ys.Node | None:
        if node.tag == "!var":
            return resolve(node, self._context)
        if node.tag or "$" not in node.text:
            return node
        text = self.text(node.text)
        value = self._values.get(node.text[1:]) if _WHOLE.fullmatch(node.text) else None
        if value is not None:
            return dataclasses.replace(value, mark=node.mark, inset=None)
        return dataclasses.replace(node, text=text, inset=None)
