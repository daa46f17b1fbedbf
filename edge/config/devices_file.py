"""devices.yaml: I/O modules and devices built from their settings; nothing is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drivers import catalog
from drivers.contract import Driver, SettingError
from drivers.priorities import Priority
from drivers.settings import Secret
from edge.config.ids import Ids
from edge.config.model import Configured
from rules import convert
from rules import yaml_source as ys
from rules.convert import WRONG, Context
from rules.problems import did_you_mean

FILE = "devices.yaml"
SECTIONS = ("io", "devices", "groups")
BESIDE_IO = frozenset({"type", "name"})
BESIDE = BESIDE_IO | {"near", "tags", "priority"}
_WORD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(slots=True, kw_only=True)
class Entry:
    """One I/O module or device as far as it could be read."""

    id: str
    node: ys.Node
    driver_class: type[Driver] | None = None
    type: str = ""
    """Empty when it can't be read or there is no such type."""
    configured: Configured | None = None
    """None after a problem with its settings was said; other entries may still name it."""
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """As written: devices or groups."""
    tags: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Entries:
    """What devices.yaml and devices.d/*.yaml declare."""

    io: dict[str, Entry] = field(default_factory=dict)
    devices: dict[str, Entry] = field(default_factory=dict)
    groups: dict[str, ys.Node] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Ids of which nothing is known but that they were written."""

    def broken(self) -> set[str]:
        """Return the ids whose own entry is refused; what is said of them follows from that."""
        every = {**self.io, **self.devices}
        return self.refused | {entry.id for entry in every.values() if entry.configured is None}


def entries(documents: Iterable[ys.Node], context: Context) -> Entries:
    """Return what the documents of devices.yaml and devices.d/*.yaml declare together."""
    found, ids = Entries(), Ids(problems=context.problems)
    for document in documents:
        if not isinstance(document, ys.Mapping):
            said = ys.describe(document)
            context.problems.error(document.mark, f"a mapping is wanted, not {said}")
            continue
        for key, mark in document.keys.items():
            if key not in SECTIONS:
                hint = did_you_mean(key, SECTIONS) or f"known: {', '.join(SECTIONS)}"
                context.problems.error(mark, f"unknown section {key!r}", hint)
        for section in SECTIONS:
            if section in document.items:
                _section(section, document.items[section], found, ids, context)
    return found


def _section(section: str, node: ys.Node, found: Entries, ids: Ids, context: Context) -> None:
    if isinstance(node, ys.Scalar) and node.null:
        return
    if not isinstance(node, ys.Mapping):
        context.problems.error(node.mark, f"a mapping is wanted, not {ys.describe(node)}")
        return
    for word, mark in node.keys.items():
        if not ids.claim(word, mark) or word not in node.items:
            found.refused.add(word)
        elif section == "groups":
            found.groups[word] = node.items[word]
        else:
            of = found.io if section == "io" else found.devices
            of[word] = _entry(word, node.items[word], section, context)


def _entry(word: str, node: ys.Node, section: str, context: Context) -> Entry:
    io = section == "io"
    entry = Entry(id=word, node=node)
    if not isinstance(node, ys.Mapping):
        context.problems.error(node.mark, f"a mapping is wanted, not {ys.describe(node)}")
        return entry
    before = len(context.problems.errors)
    entry.driver_class = _type(entry, node, io=io, context=context)
    name = _text(node, "name", word, context)
    raised = None if io else _beside(entry, node, context)
    if entry.driver_class is not None:
        driver = _driver(entry.driver_class, node, BESIDE_IO if io else BESIDE, context)
        if driver is not None and len(context.problems.errors) == before:
            entry.configured = Configured(
                id=word,
                type=entry.type,
                name=name,
                driver=driver,
                mark=node.mark,
                tags=entry.tags,
                raised=raised,
            )
    return entry


def _type(entry: Entry, node: ys.Mapping, *, io: bool, context: Context) -> type[Driver] | None:
    what = "I/O module type" if io else "device type"
    if "type" not in node.keys:
        hint = f"known: {', '.join(_types(io=io))}"
        context.problems.error(node.mark, "'type' is missing", hint)
        return None
    text = _text(node, "type", "", context)
    if not text:
        return None
    mark = node.items["type"].mark
    if not (text in catalog.IO_TYPES if io else catalog.has(text)):
        known = _types(io=io)
        hint = did_you_mean(text, known) or f"known: {', '.join(known)}"
        if text in _types(io=not io):
            hint = f"write it under {'devices' if io else 'io'}:"
        context.problems.error(mark, f"unknown {what} {text!r}", hint)
        return None
    try:
        found = catalog.load_io(text) if io else catalog.load(text)
    except (ImportError, AttributeError, catalog.UnknownType) as error:
        context.problems.error(mark, f"the type {text!r} can't be used here: {error}")
        return None
    entry.type = text
    return found


def _types(*, io: bool) -> list[str]:
    return sorted(catalog.IO_TYPES) if io else catalog.names()


def _text(node: ys.Mapping, key: str, default: str, context: Context) -> str:
    if key not in node.items:
        return default
    value = convert.convert(node.items[key], str, context)
    return default if value is WRONG else str(value)


def _driver(
    of: type[Driver], node: ys.Mapping, beside: frozenset[str], context: Context
) -> Driver | None:
    values = convert.settings(node, of, context, beside=beside)
    if values is None:
        return None
    try:
        return of(**values)
    except ValueError as error:
        name, hint = (error.setting, error.hint) if isinstance(error, SettingError) else ("", "")
        words = {setting.name: word for word, setting in convert.words(of).items()}
        mark = convert.place(node, words.get(name, name))
        context.problems.error(mark, _unsaid(str(error), values), _unsaid(hint, values))
        return None


def _unsaid(text: str, values: Mapping[str, object]) -> str:
    """Return `text` without the value of any secret among `values`."""
    for value in values.values():
        if isinstance(value, Secret) and value.reveal():
            text = text.replace(value.reveal(), "***")
    return text


def _beside(entry: Entry, node: ys.Mapping, context: Context) -> Priority | None:
    if "near" in node.items:
        near = convert.convert(node.items["near"], dict[str, tuple[str, ...]], context)
        entry.near = {} if near is WRONG else near
    if "tags" in node.items:
        tags = convert.convert(node.items["tags"], tuple[str, ...], context)
        entry.tags = () if tags is WRONG else tags
    for key, words in (("near", tuple(entry.near)), ("tags", entry.tags)):
        for word in words:
            if not _WORD.fullmatch(word):
                hint = "a small letter, then small letters, digits and _"
                context.problems.error(node.items[key].mark, f"{word!r} is no word", hint)
    return _priority(entry, node, context) if "priority" in node.items else None


def _priority(entry: Entry, node: ys.Mapping, context: Context) -> Priority | None:
    item = node.items["priority"]
    text = _text(node, "priority", "", context)
    names = [p.name for p in Priority]
    if text and text not in names:
        hint = did_you_mean(text, names) or f"known: {', '.join(names)}"
        context.problems.error(item.mark, f"{text!r} is no priority", hint)
    if text not in names:
        return None
    raised = Priority[text]
    if entry.driver_class is not None and entry.driver_class.says:
        most = min(signal.priority for signal in entry.driver_class.says)
        if raised > most:
            said = next(s.kind for s in sorted(entry.driver_class.says, key=lambda s: s.kind)
                        if s.priority == most)  # fmt: skip
            hint = "it may be raised only"
            context.problems.error(
                item.mark, f"{text} is below what it says: {said} is {most.name}", hint
            )
    return raised
