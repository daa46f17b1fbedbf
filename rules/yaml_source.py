"""YAML that remembers line and column, keeps scalars as written, and refuses duplicate keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rules.problems import Mark, Problems

MAX_NODES = 200_000
"""Nodes read from one file, aliases counted each time; more is refused (an alias bomb)."""
MAX_DEPTH = 40

_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value as it was written, with its place."""

    mark: Mark
    tag: str = ""
    """`!secret` or `!var`, else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Node):
    """A word, number or text. `on`, `off`, `yes`, `no` and `22:30` are words here."""

    text: str
    plain: bool
    """False when it was quoted or a block text."""
    inset: int | None = None
    """Columns from the mark to the text's first character; None when the text does not stand
    there on one line, character for character."""

    @property
    def null(self) -> bool:
        return self.plain and not self.tag and self.text in _NULLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(Node):
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping(Node):
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)
    """Where each key stands."""


def describe(node: Node) -> str:
    """Return what `node` is, in words, for a message."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    assert isinstance(node, Scalar)  # noqa: S101 - there is no fourth kind
    return "nothing" if node.null else f"{node.text!r}"


def read_file(path: Path, problems: Problems, name: str | None = None) -> Node | None:
    """Return the document in `path`; None after saying in `problems` why there is none."""
    shown = name or str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        problems.error(Mark(shown, 1, 1), f"cannot read it: {error.strerror}")
        return None
    except UnicodeDecodeError as error:
        problems.error(Mark(shown, 1, 1), f"not UTF-8: byte {error.start} can't be read")
        return None
    return read_text(text, shown, problems)


def read_text(text: str, file: str, problems: Problems) -> Node | None:
    """Return the document in `text`; None when it is empty or refused (said in `problems`)."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line, column = (at.line + 1, at.column + 1) if at else (1, 1)
        problems.error(Mark(file, line, column), f"not YAML: {error.problem or error.context}")
        return None
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split()) or "nested too deeply"
        problems.error(Mark(file, 1, 1), f"not YAML: {reason}")
        return None
    return None if root is None else _Walk(file, problems).node(root, 0)


def _inset(node: yaml.ScalarNode, *, plain: bool) -> int | None:
    """Return how many columns of quote stand before the text, if it stands there as it is."""
    start, end, quotes = node.start_mark, node.end_mark, 0 if plain else 2
    there = start.line == end.line and end.column - start.column == len(node.value) + quotes
    return quotes // 2 if there else None


class _Walk:
    def __init__(self, file: str, problems: Problems) -> None:
        self._file, self._problems, self._count = file, problems, 0

    def node(self, node: yaml.Node, depth: int) -> Node | None:
        mark = self._mark(node)
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            if self._count <= MAX_NODES + 1 or depth > MAX_DEPTH:
                self._problems.error(mark, "nested too deeply, or too large")
            self._count = MAX_NODES + 2
            return None
        tag = "" if node.tag.startswith("tag:yaml.org,2002:") or node.tag == "!" else node.tag
        if tag and (tag not in {"!secret", "!var"} or not isinstance(node, yaml.ScalarNode)):
            self._problems.error(mark, f"unknown tag {tag}", "known: !secret NAME, !var NAME")
            return None
        if isinstance(node, yaml.ScalarNode):
            plain = node.style in (None, "")
            inset = _inset(node, plain=plain)
            return Scalar(mark=mark, tag=tag, text=node.value, plain=plain, inset=inset)
        if isinstance(node, yaml.SequenceNode):
            items = [self.node(item, depth + 1) for item in node.value]
            return Sequence(mark=mark, items=tuple(i for i in items if i is not None))
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 - there is no fourth kind
        return self._mapping(node, mark, depth)

    def _mapping(self, node: yaml.MappingNode, mark: Mark, depth: int) -> Mapping:
        items: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        for key, value in node.value:
            at = self._mark(key)
            if not isinstance(key, yaml.ScalarNode):
                self._problems.error(at, "a key must be a word")
                continue
            if key.value == "<<":
                self._problems.error(at, "merge keys are not supported", "write the keys out")
                continue
            if key.value in keys:
                first = keys[key.value]
                self._problems.error(
                    at, f"{key.value!r} stands here twice", f"first: line {first.line}"
                )
                continue
            keys[key.value] = at
            child = self.node(value, depth + 1)
            if child is not None:
                items[key.value] = child
        return Mapping(mark=mark, items=items, keys=keys)

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self._file, node.start_mark.line + 1, node.start_mark.column + 1)
