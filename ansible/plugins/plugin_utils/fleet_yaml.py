"""YAML as a tree of words with their places, mappings laid over each other, and mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

NOTHING = ("", "~", "null")
DEEPEST = 60

Place = tuple[int, int]
"""Line and column, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A word as it was written; `tag` is `!secret` or `!var`, or empty."""

    text: str
    quoted: bool
    tag: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A mapping by its keys."""

    items: dict[str, Tree]
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq:
    """A list."""

    items: list[Tree]
    place: Place


Tree = Leaf | Map | Seq


class StoresWrong(Exception):
    """The file has mistakes; the text has all of them, a line each, in the order of the file."""


class Mistakes:
    """Collects what is wrong, each once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[tuple[Place, str], None] = {}

    def say(self, place: Place, message: str) -> None:
        """Keep one mistake."""
        self._found[place, message] = None

    def end(self) -> None:
        """Raise StoresWrong when there is any."""
        if self._found:
            lines = (f"{self._file}:{p[0]}:{p[1]}: {said}" for p, said in sorted(self._found))
            raise StoresWrong("\n".join(lines))


def parsed(text: str, mistakes: Mistakes) -> Map:
    """Return the mapping that `text` is.

    Raises:
        StoresWrong: it is none, or its YAML has mistakes.
    """
    root = None
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        mistakes.say(at, str(error.problem or error.context))
    except (yaml.YAMLError, ValueError) as error:
        mistakes.say((1, 1), str(error).splitlines()[0])
    mistakes.end()
    tree = None if root is None else tree_of(root, mistakes, 0)
    if tree is not None and not isinstance(tree, Map):
        mistakes.say(tree.place, "the file is a mapping with 'templates' and 'stores'")
    mistakes.end()
    return tree if isinstance(tree, Map) else Map(items={}, place=(1, 1))


_Loader: Any = type("_Loader", (getattr(yaml, "CBaseLoader", yaml.BaseLoader),), {})


def tree_of(node: yaml.Node, mistakes: Mistakes, depth: int) -> Tree:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    nothing = Leaf(text="", quoted=False, tag="", place=place)
    if depth > DEEPEST:
        mistakes.say(place, "nested too deeply")
        return nothing
    if isinstance(node, yaml.ScalarNode):
        tag = node.tag if node.tag.startswith("!") and node.tag != "!" else ""
        if tag not in ("", "!secret", "!var"):
            mistakes.say(place, f"unknown tag {tag!r}: there are !secret and !var")
        return Leaf(text=node.value, quoted=bool(node.style), tag=tag, place=place)
    if isinstance(node, yaml.SequenceNode):
        return Seq(items=[tree_of(item, mistakes, depth + 1) for item in node.value], place=place)
    items: dict[str, Tree] = {}
    keys: dict[str, Place] = {}
    for key, value in node.value:
        at = (key.start_mark.line + 1, key.start_mark.column + 1)
        if not isinstance(key, yaml.ScalarNode):
            mistakes.say(at, "a key is a word")
        elif key.value == "<<":
            mistakes.say(at, "'<<' is not known here: write what is common as a template")
        elif key.value in items:
            mistakes.say(at, f"{key.value!r} stands here twice")
        else:
            items[key.value], keys[key.value] = tree_of(value, mistakes, depth + 1), at
    return Map(items=items, place=place, keys=keys)


def merged(below: Map, above: Map) -> Map:
    """Return `below` with `above` laid over it; neither is changed."""
    items, keys = dict(below.items), {**below.keys, **above.keys}
    for key, value in above.items.items():
        under = items.get(key)
        if nothing(value):
            items.pop(key, None)
        elif isinstance(value, Map):
            empty = Map(items={}, place=value.place)
            items[key] = merged(under if isinstance(under, Map) else empty, value)
        else:
            items[key] = value
    return Map(items=items, place=above.place, keys=keys)


def nothing(value: Tree) -> bool:
    return isinstance(value, Leaf) and not (value.quoted or value.tag) and value.text in NOTHING


def section(given: Map, key: str, mistakes: Mistakes | None = None) -> Map:
    value = given.items.get(key)
    if isinstance(value, Map):
        return value
    if mistakes and value is not None and not nothing(value):
        mistakes.say(value.place, f"{key!r} is a mapping")
    return Map(items={}, place=given.place)


def leaves(given: Map) -> Iterator[tuple[str, Leaf]]:
    return ((key, value) for key, value in given.items.items() if isinstance(value, Leaf))
