"""Read `vars:` of a rule file: types, defaults and bounds, and the values the site gives."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from drivers.settings import Seconds
from rules import yaml_source as ys
from rules.convert import WRONG, Context, convert
from rules.load_scope import Scope
from rules.model import Constant, World
from rules.problems import Problems

TYPES: Mapping[str, Any] = {
    "duration": Seconds,
    "number": float,
    "whole": int,
    "text": str,
    "bool": bool,
}
KEYS = ("type", "default", "min", "max", "description")
_ASKED = re.compile(r"\bvar[\s(]+(['\"])([^'\"]*)\1")


def variables(
    node: ys.Node | None, world: World, context: Context, over: Mapping[str, ys.Node]
) -> Context:
    """Return the context in which a file is read: its defaults, then the site's, then `over`.

    Says what is declared wrongly and which given value does not fit its declaration.
    """
    given = {**context.variables, **over}
    if node is None:
        return dataclasses.replace(context, variables=given)
    scope = Scope(world=world, context=dataclasses.replace(context, variables={}))
    declared = scope.mapping(node)
    values: dict[str, ys.Node] = {}
    kinds: dict[str, str] = {}
    refused: set[str] = set()
    for name, item in (declared.items if declared else {}).items():
        before = len(scope.problems.errors)
        value = _value(name, item, scope, given.get(name))
        if value is None or len(scope.problems.errors) > before:
            refused.add(name)
        else:
            values[name] = value
            assert isinstance(item, ys.Mapping)  # noqa: S101 - _value said no problem
            kinds[name] = scope.word(item.items["type"]) or ""
    return dataclasses.replace(
        context,
        variables={**given, **values},
        types=kinds,
        refused=context.refused | refused,
    )


def _value(name: str, node: ys.Node, scope: Scope, given: ys.Node | None) -> ys.Node | None:
    """Return the value that a variable has; None after saying that it has none."""
    found = scope.mapping(node, "write {type: duration, default: 2m}")
    if found is None:
        return given
    scope.known_keys(found, KEYS)
    if scope.missing(found, "type"):
        return given or found.items.get("default")
    default = found.items.get("default")
    kind = scope.word(found.items["type"])
    if kind is not None and kind not in TYPES:
        scope.unknown(found.items["type"].mark, "type", kind, TYPES)
    elif kind is not None:
        bounds: dict[str, ys.Node] = {
            key: found.items[key] for key in ("min", "max") if key in found.items
        }
        for value in (default, given):
            if value is not None:
                fits(name, value, TYPES[kind], bounds, scope)
    if given is None and default is None:
        hint = "give it a default:, or a value in vars: of site.yaml"
        scope.problems.error(found.mark, f"the variable {name!r} has no value", hint)
    return given or default


def fits(
    name: str, node: ys.Node, wanted: Any, bounds: Mapping[str, ys.Node], scope: Scope
) -> None:
    """Say what keeps a value from being of the type `wanted` and within `min` and `max`."""
    value = convert(node, wanted, scope.context)
    if value is WRONG:
        return
    for key, bound in bounds.items():
        limit = convert(bound, wanted, scope.context)
        if limit is WRONG or not isinstance(limit, float | int):
            continue
        beyond = value > limit if key == "max" else value < limit
        if beyond and isinstance(node, ys.Scalar) and isinstance(bound, ys.Scalar):
            side = "at most" if key == "max" else "at least"
            message = f"{name} is {side} {bound.text}, not {node.text}"
            declared = f"{bound.mark.file}:{bound.mark.line}"
            scope.problems.error(node.mark, message, f"declared in {declared}")


def constant(name: str, context: Context) -> Constant | None:
    """Return the value of a variable that has a type; a duration in seconds."""
    silent = dataclasses.replace(context, problems=Problems())
    value = convert(context.variables[name], TYPES[context.types[name]], silent)
    return None if value is WRONG else cast("Constant", value)


def in_condition(text: str) -> list[str]:
    """Return the name in each `var('…')` of a condition, or of what may be one."""
    return [name for _quote, name in _ASKED.findall(text)]


def used(node: ys.Node) -> Iterator[str]:
    """Return the name in each `!var` and `var('…')` below a node."""
    if isinstance(node, ys.Scalar):
        yield from [node.text] if node.tag == "!var" else in_condition(node.text)
    elif isinstance(node, ys.Sequence):
        for item in node.items:
            yield from used(item)
    elif isinstance(node, ys.Mapping):
        for item in node.items.values():
            yield from used(item)
