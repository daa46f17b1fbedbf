"""Read `templates:`: rules with parameters, written once, of which rules.from_template makes more.

`$name` in a template stands for what a rule gives below `with:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rules import yaml_source as ys
from rules.convert import Context
from rules.load_scope import Scope, spell
from rules.load_vars import TYPES as PLAIN_TYPES
from rules.load_vars import fits
from rules.problems import Mark, did_you_mean

KEYS = ("description", "parameters", "rule")
PARAMETER_KEYS = ("type", "default", "min", "max", "description")
OF_THE_SITE = ("device", "group", "device_or_group", "signal", "mode", "time")
TYPES = (*PLAIN_TYPES, *OF_THE_SITE)
_ID = re.compile(r"[a-z][a-z0-9_]*")
USE = re.compile(r"\$(\$|[A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a rule gives a template."""

    mark: Mark
    type: str
    default: ys.Node | None
    bounds: Mapping[str, ys.Node]
    """`min` and `max`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One entry of `templates:`."""

    name: str
    mark: Mark
    file: str
    description: str
    parameters: Mapping[str, Parameter]
    body: ys.Mapping
    context: Context
    """Of its file: `!var` in it means that file's variables."""


def templates(root: ys.Mapping, scope: Scope, file: str) -> dict[str, Template]:
    """Return the templates of a rule file, after saying what is wrong with them by themselves."""
    section = root.items.get("templates")
    if section is None or (isinstance(section, ys.Scalar) and section.null):
        return {}
    written = scope.mapping(section, "write the name of a template, then parameters: and rule:")
    found: dict[str, Template] = {}
    for name, node in (written.items if written else {}).items():
        mark = (written or root).keys[name]
        if not _ID.fullmatch(name):
            hint = "small letters, digits and _, a letter first"
            scope.problems.error(mark, f"{name!r} can't be the name of a template", hint)
            continue
        one = _template(name, mark, node, scope, file)
        if one is not None:
            found[name] = one
    return found


def _template(name: str, mark: Mark, node: ys.Node, scope: Scope, file: str) -> Template | None:
    found = scope.mapping(node, "write parameters: and rule:")
    if found is None:
        return None
    scope.known_keys(found, KEYS)
    if scope.missing(found, "rule"):
        return None
    body = scope.mapping(found.items["rule"], "write when: and do:, as in a rule")
    if body is None:
        return None
    if "replaces" in body.keys:
        hint = "the rule that is made of it says so"
        scope.problems.error(body.keys["replaces"], "a template replaces nothing", hint)
    parameters = _parameters(found.items.get("parameters"), scope)
    description = scope.word(found.items["description"]) if "description" in found.items else ""
    _used(name, body, parameters, scope)
    return Template(
        name=name,
        mark=mark,
        file=file,
        description=description or "",
        parameters=parameters,
        body=body,
        context=scope.context,
    )


def _parameters(node: ys.Node | None, scope: Scope) -> dict[str, Parameter]:
    if node is None or (isinstance(node, ys.Scalar) and node.null):
        return {}
    written = scope.mapping(node, "write door: {type: device}")
    found: dict[str, Parameter] = {}
    for name, item in (written.items if written else {}).items():
        mark = (written or ys.Mapping(mark=node.mark)).keys[name]
        if not _ID.fullmatch(name):
            hint = "small letters, digits and _, a letter first"
            scope.problems.error(mark, f"{name!r} can't be the name of a parameter", hint)
            continue
        found[name] = _parameter(name, mark, item, scope)
    return found


def _parameter(name: str, mark: Mark, node: ys.Node, scope: Scope) -> Parameter:
    """Return a parameter; of one that is wrong nothing is checked any more: its type is empty."""
    given = scope.resolved(node)
    kind = given if isinstance(given, ys.Scalar) else None
    if given is not None and kind is None:
        given = scope.mapping(given, f"write {name}: {{type: device}}")
    parts = given if isinstance(given, ys.Mapping) else ys.Mapping(mark=mark)
    scope.known_keys(parts, PARAMETER_KEYS)
    if kind is None and given is not None and not scope.missing(parts, "type"):
        found = scope.resolved(parts.items["type"])
        kind = found if isinstance(found, ys.Scalar) else None
    word = scope.word(kind) if kind is not None else None
    if kind is not None and word is not None and word not in TYPES:
        scope.unknown(kind.mark, "type", word, TYPES)
        word = None
    bounds: dict[str, ys.Node] = {
        key: parts.items[key] for key in ("min", "max") if key in parts.items
    }
    if word is not None and word not in ("duration", "number", "whole"):
        for key in bounds:
            scope.problems.error(parts.keys[key], f"{key}: goes with a number or a duration")
        bounds = {}
    default = parts.items.get("default")
    if default is not None and word is not None and word in PLAIN_TYPES:
        fits(name, default, PLAIN_TYPES[word], bounds, scope)
    return Parameter(mark=mark, type=word or "", default=default, bounds=bounds)


def _used(name: str, body: ys.Mapping, parameters: Mapping[str, Parameter], scope: Scope) -> None:
    """Say each `$name` that is no parameter, and each parameter that is used nowhere."""
    seen: set[str] = set()
    for word, mark in _uses(body):
        seen.add(word)
        if word not in parameters:
            hint = did_you_mean(word, parameters) or f"it has: {spell(parameters)}"
            hint = f"{hint}; $$ is a dollar"
            message = f"the template {name} has no parameter {word!r}"
            scope.problems.error(mark, message, hint)
    for word, parameter in parameters.items():
        if word not in seen:
            hint = f"write ${word} where its value belongs, or remove it"
            scope.problems.warning(parameter.mark, f"the parameter {word!r} is not used", hint)


def _uses(node: ys.Node) -> Iterator[tuple[str, Mark]]:
    if isinstance(node, ys.Scalar) and not node.tag:
        yield from ((word, node.mark) for word in USE.findall(node.text) if word != "$")
    elif isinstance(node, ys.Sequence):
        for item in node.items:
            yield from _uses(item)
    elif isinstance(node, ys.Mapping):
        for key, mark in node.keys.items():
            yield from ((word, mark) for word in USE.findall(key) if word != "$")
        for item in node.items.values():
            yield from _uses(item)
