"""What a JSON Schema of rules may name: all device types, or the devices of one store."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers import catalog
from drivers.commands import Command
from drivers.event import SITE
from drivers.signals import Signal, by_kind
from rules.model import DeviceWords, FieldWords, World
from rules.modes import BUILT_IN, HOURS
from rules.source_docs import field_docs, summary
from rules.words import JOURNAL_ONLY, device_words, site_words

Schema = dict[str, Any]

ID = "^[a-z][a-z0-9_]*$"
UNITS = r"[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d)"
VARIABLE: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
"""`!var NAME`, as an editor sees it: the name."""
LONG_NAME: Schema = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9]*_[A-Za-z0-9_]+$"}
"""A variable where one of few words is meant: with `_` it is no slip of one of them."""
WORD: Schema = {"type": ["string", "number", "boolean"]}
NUMBER: Schema = {"anyOf": [{"type": "number"}, VARIABLE]}
WHOLE: Schema = {"anyOf": [{"type": "integer"}, VARIABLE]}
YES_NO: Schema = {"enum": ["yes", "no", "on", "off", True, False]}
DURATION: Schema = {
    "type": "string",
    "pattern": rf"^({UNITS}|[A-Za-z_][A-Za-z0-9_]*)$",
    "examples": ["500ms", "10s", "2m", "1h", "30d"],
}
WINDOW: Schema = {**DURATION, "pattern": rf"^(?!0+(\.0+)?[a-z]+$){DURATION['pattern'][1:]}"}
"""A duration that is longer than nothing."""
NAMED = "[a-z][a-z0-9]*(_[a-z0-9]+)+"
"""A variable in the place of a word that has its own form: known by its underscore."""
MOMENT: Schema = {
    "type": "string",
    "pattern": f"^{UNITS}$",
    "examples": ["0s", "10s", "2m"],
    "description": "When, counted from the beginning of the test.",
}


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def said(schema: Schema, text: str) -> Schema:
    """Return a schema with its description."""
    return {**schema, "description": text}


def closed(properties: Schema, *needed: str, **more: Any) -> Schema:
    """Return the schema of a mapping that has these keys and no others.

    An editor shows it by the last key that it needs.
    """
    named = {"title": f"{needed[-1]}: …"} if needed else {}
    rest = {"additionalProperties": False, **named, **more}
    return {"type": "object", "properties": properties, "required": list(needed), **rest}


def one_or_more(each: Schema) -> Schema:
    return {"anyOf": [each, {"type": "array", "items": each, "minItems": 1}]}


def suggested(words: Iterable[str]) -> Schema:
    """Return a word of which some are known; what the same file declares may be another."""
    known = sorted(dict.fromkeys(words))
    return {**WORD, "examples": known} if known else dict(WORD)


def one_of(words: Mapping[str, str]) -> Schema:
    """Return one of these words, each with what it means."""
    known = sorted(words)
    return {"enum": known, "enumDescriptions": [words[word] for word in known]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The words that a schema knows."""

    kinds: tuple[DeviceWords, ...]
    """One for each device of the store, or for each device type; and the site."""
    groups: Mapping[str, tuple[str, ...]] | None = None
    """None: nothing is known of a store, any id will do."""
    modes: tuple[str, ...] = tuple(BUILT_IN)
    incidents: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Of rules, as `with:` names them."""
    docs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def at_home(self) -> bool:
        """Whether the devices are those of a store."""
        return self.groups is not None

    def devices(self) -> dict[str, DeviceWords]:
        return {words.id: words for words in self.kinds}

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return each device and group with its devices; empty where no store is known."""
        if self.groups is None:
            return {}
        groups = {group: of for group, of in self.groups.items() if of}
        return {**{words.id: (words.id,) for words in self.kinds}, **groups}

    def accepting(self, command: str) -> dict[str, str]:
        """Return the devices and groups that take a command, with what they are."""
        devices = self.devices()
        return {
            name: self.about(name)
            for name, of in self.named().items()
            if all(command in devices[device].accepts for device in of) and name != SITE
        }

    def about(self, name: str) -> str:
        """Return what a device or group is, in words."""
        if self.groups is not None and name in self.groups:
            return f"group: {', '.join(self.groups[name])}"
        words = self.devices()[name]
        return f"{words.name} ({words.type})" if words.name != words.type else words.type

    def near(self) -> dict[str, str]:
        keys = sorted({key for words in self.kinds for key in words.near})
        return {f"event.near.{key}": "neighbours of the device that spoke" for key in keys}


def of_all_types() -> Vocabulary:
    """Return the words of every device type there is."""
    drivers = [(name, catalog.load(name)) for name in catalog.names()]
    drivers += [(name, catalog.load_io(name)) for name in catalog.IO_TYPES]
    kinds = [
        device_words(kind, kind, says=of.says, states=of.has_states, accepts=of.accepts)
        for kind, of in drivers
    ]
    return Vocabulary(kinds=(*kinds, site_words()))


def of_store(
    world: World,
    *,
    incidents: tuple[str, ...] = (),
    presets: tuple[str, ...] = (),
    rules: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
) -> Vocabulary:
    """Return the words of one store, among them those that its files have made."""
    return Vocabulary(
        kinds=tuple(world.devices.values()),
        groups=world.groups,
        modes=tuple(world.modes),
        incidents=incidents,
        presets=presets,
        rules=rules,
        files=files,
    )


# --- what devices say -----------------------------------------------------------------------


def meaning(signal: str) -> str:
    """Return what a signal means, in a sentence."""
    found = by_kind().get(signal)
    return summary(found) if found is not None else f"The site says {signal}."


def entered(words: DeviceWords) -> dict[str, str]:
    """Return how a fact names each state that a device may enter."""
    values = [(state, value) for state, some in words.states.items() for value in some]
    found = {f"{s}={v}": f"The state {s} becomes {v}." for s, v in values}
    for state, value in values:
        if sum(v == value for _, v in values) == 1 and value not in words.says:
            found[value] = f"The state {state} becomes {value}."
    return found


def spoken(words: DeviceWords) -> dict[str, str]:
    """Return the signals that rules may hear from a device."""
    kept = (kind for kind in words.says if kind != "input.edge" and kind not in JOURNAL_ONLY)
    return {kind: meaning(kind) for kind in kept}


def fields(kinds: Iterable[DeviceWords], *, many: bool) -> Schema:
    """Return the fields of all that these say; `many`: a list means any of its values."""
    found: dict[str, tuple[list[Schema], list[str]]] = {}
    for words in kinds:
        for signal, of in words.says.items():
            for name, kind in of.items():
                schemas, texts = found.setdefault(name, ([], []))
                one = _field(kind)
                if one is not None:
                    schemas += [one] if one not in schemas else []
                    text = f"{_about(signal, name)} ({signal})"
                    texts += [text] if text not in texts else []
    made: Schema = {}
    for name, (schemas, texts) in sorted(found.items()):
        if schemas:
            each = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            made[name] = said(one_or_more(each) if many else each, " ".join(texts[:3]))
    return made


def _field(kind: FieldWords) -> Schema | None:
    if isinstance(kind, tuple):
        return {"anyOf": [{"enum": list(kind)}]} if not kind else {"enum": list(kind)}
    known: dict[str, Schema] = {"str": WORD, "int": WHOLE, "float": NUMBER, "bool": YES_NO}
    return known.get(kind)


def _about(signal: str, name: str) -> str:
    found: type[Signal] | None = by_kind().get(signal)
    docs = field_docs(found) if found is not None else {}
    return docs.get(name) or f"The {name.replace('_', ' ')}."


def parameter_docs(kind: type[Command]) -> dict[str, str]:
    """Return what each parameter of a command means."""
    docs = field_docs(kind)
    return {name: docs.get(name, f"The {name}.") for name in typing.get_type_hints(kind)}


def mode(vocabulary: Vocabulary, *others: str) -> Schema:
    """Return the modes of the site; other sites have others, so that any word will do."""
    texts = {word: f"The mode {word}." for word in vocabulary.modes}
    texts |= {word: "What the hours say." for word in others if word == HOURS}
    return one_of(texts) if vocabulary.at_home else suggested(texts)
