"""YAML that remembers line and column, keeps scalars as written, and refuses duplicate keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rules import yaml_hints
from rules.problems import Mark, Problems

MAX_NODES = 200_000
"""Nodes read from one file, aliases counted each time; more is refused (an alias bomb)."""
MAX_DEPTH = 40
MAX_CHARACTERS = 4_000_000

_CURLY = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
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
        hint = "run it with sudo" if isinstance(error, PermissionError) else ""
        problems.error(Mark(shown, 1, 1), f"cannot read it: {error.strerror}", hint)
        return None
    except UnicodeDecodeError as error:
        problems.error(Mark(shown, 1, 1), f"not UTF-8: byte {error.start} can't be read")
        return None
    return read_text(text, shown, problems)


def read_text(text: str, file: str, problems: Problems) -> Node | None:
    """Return the document in `text`; None when it is empty or refused (said in `problems`)."""
    if len(text) > MAX_CHARACTERS:
        problems.error(Mark(file, 1, 1), f"more than {MAX_CHARACTERS} characters")
        return None
    composer = _Composer(file, problems)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            composer.take(event)
    except _Refused:
        return None
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        if error.context == "while scanning a simple key":
            at = error.context_mark or at  # the colon is missed there, not where it ends
        line, column = (at.line + 1, at.column + 1) if at else (1, 1)
        said = f"not YAML: {error.problem or error.context}"
        problems.error(Mark(file, line, column), said, yaml_hints.hint(error, text))
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        problems.error(Mark(file, line, column), "not YAML: a character that is not allowed")
        return None
    except (yaml.YAMLError, UnicodeEncodeError):
        problems.error(Mark(file, 1, 1), "not YAML: a character that is not allowed")
        return None
    return composer.root


class _Refused(Exception):
    """The rest of the document is not worth reading; the reason was said."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """A list or mapping whose end was not met yet."""

    mark: Mark
    anchor: str | None
    keys: dict[str, Mark] | None
    """None for a list."""
    items: list[Node] = field(default_factory=list)
    values: dict[str, Node] = field(default_factory=dict)
    key: str | None = None
    """The key whose value comes next."""
    key_mark: Mark | None = None
    """Where a key stands whose value comes next; also of a key that is refused."""
    first: int = 0
    """How many nodes there were before it."""
    height: int = 0


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node | None
    size: int
    height: int


class _Composer:
    """Builds nodes from the parser's events, without recursion: depth is bounded here."""

    def __init__(self, file: str, problems: Problems) -> None:
        self.root: Node | None = None
        self._file, self._problems = file, problems
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._count = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._problems.error(self._mark(event), "a second document starts here")
                    raise _Refused
            case yaml.ScalarEvent():
                self._bounded(event, 1, 0)
                self._add(self._scalar(event), event, size=1, height=0)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._start(event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end(event)
            case yaml.AliasEvent():
                self._alias(event)

    def _mark(self, event: yaml.Event) -> Mark:
        at = event.start_mark
        return Mark(self._file, at.line + 1, at.column + 1) if at else Mark(self._file, 1, 1)

    def _bounded(self, event: yaml.Event, size: int, height: int) -> None:
        self._count += size
        if self._count > MAX_NODES or len(self._open) + height > MAX_DEPTH:
            self._problems.error(self._mark(event), "nested too deeply, or too large")
            raise _Refused

    def _tag(self, event: yaml.Event, tag: str | None, *, scalar: bool) -> str | None:
        """Return the node's tag, or None after saying that it is not known."""
        if tag is None or tag == "!" or tag.startswith("tag:yaml.org,2002:"):
            return ""
        if tag in {"!secret", "!var"} and scalar:
            return tag
        hint = "known: !secret NAME, !var NAME"
        if "." in tag:
            hint = f"write not {tag[1:]}"
        self._problems.error(self._mark(event), f"unknown tag {tag}", hint)
        return None

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar | None:
        tag = self._tag(event, event.tag, scalar=True)
        if tag is None:
            return None
        plain = event.style in (None, "")
        if plain and event.value[:1] in _CURLY and event.value[-1:] in _CURLY and event.value:
            hint = f'write straight ones: "{event.value.strip(_CURLY)}"'
            self._problems.warning(self._mark(event), "these are no quotes in YAML", hint)
        inset = _inset(event, plain=plain)
        return Scalar(mark=self._mark(event), tag=tag, text=event.value, plain=plain, inset=inset)

    def _start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        self._tag(event, event.tag, scalar=False)
        self._bounded(event, 1, 0)
        keys: dict[str, Mark] | None = None if isinstance(event, yaml.SequenceStartEvent) else {}
        self._open.append(
            _Open(mark=self._mark(event), anchor=event.anchor, keys=keys, first=self._count)
        )

    def _end(self, event: yaml.Event) -> None:
        done = self._open.pop()
        node: Node
        if done.keys is None:
            node = Sequence(mark=done.mark, items=tuple(done.items))
        else:
            node = Mapping(mark=done.mark, items=done.values, keys=done.keys)
        self._add(
            node,
            event,
            size=self._count - done.first + 1,
            height=done.height + 1,
            anchor=done.anchor,
            mark=done.mark,
        )

    def _alias(self, event: yaml.AliasEvent) -> None:
        found = self._anchors.get(event.anchor or "")
        if found is None:
            self._problems.error(self._mark(event), f"unknown alias *{event.anchor}")
            raise _Refused
        self._bounded(event, found.size, found.height)
        self._add(found.node, event, size=found.size, height=found.height)

    def _add(
        self,
        node: Node | None,
        event: yaml.Event,
        *,
        size: int,
        height: int,
        anchor: str | None = None,
        mark: Mark | None = None,
    ) -> None:
        """Put a finished node (None: it was refused) where it belongs."""
        anchor = anchor or (event.anchor if isinstance(event, yaml.ScalarEvent) else None)
        if anchor:
            self._anchors[anchor] = _Anchored(node, size, height)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.height = max(parent.height, height)
        if parent.keys is None:
            parent.items += [node] if node is not None else []
        elif parent.key_mark is None:
            self._key(parent, node, mark or self._mark(event))
        else:
            if parent.key is not None and node is not None:
                parent.values[parent.key] = node
            parent.key, parent.key_mark = None, None

    def _key(self, parent: _Open, node: Node | None, mark: Mark) -> None:
        """Take a node as the next key, unless it can't be one."""
        assert parent.keys is not None  # noqa: S101 - only mappings have keys
        parent.key, parent.key_mark = None, mark
        if not isinstance(node, Scalar) or node.tag:
            self._problems.error(mark, "a key must be a word")
        elif node.text == "<<" and node.plain:
            self._problems.error(mark, "merge keys are not supported", "write the keys out")
        elif node.text in parent.keys:
            first = parent.keys[node.text]
            self._problems.error(
                mark, f"{node.text!r} stands here twice", f"first: line {first.line}"
            )
        else:
            parent.key = node.text
            parent.keys[node.text] = mark


def _inset(event: yaml.ScalarEvent, *, plain: bool) -> int | None:
    """Return how many columns of quote stand before the text, if it stands there as it is."""
    start, end, quotes = event.start_mark, event.end_mark, 0 if plain else 2
    if start is None or end is None:
        return None
    there = start.line == end.line and end.column - start.column == len(event.value) + quotes
    return quotes // 2 if there else None
