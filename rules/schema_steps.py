"""The JSON Schema of steps and of what a test expects: commands with their parameters."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, get_args, get_origin

from drivers.commands import BY_KIND, SITE_COMMANDS, Command
from drivers.settings import Seconds
from rules.convert import required, words
from rules.modes import HOURS
from rules.schema_words import (
    DURATION,
    MOMENT,
    WINDOW,
    WORD,
    Schema,
    Vocabulary,
    closed,
    mode,
    one_of,
    parameter_docs,
    said,
    suggested,
)
from rules.source_docs import summary


def steps(vocabulary: Vocabulary) -> list[Schema]:
    """Return every step that `do:` may have."""
    found = [_step(kind, vocabulary) for kind in BY_KIND.values()]
    return [*found, *(_of_the_site(word, vocabulary) for word in SITE_COMMANDS)]


def _step(kind: type[Command], vocabulary: Vocabulary) -> Schema:
    parameters, needed = _parameters(kind, vocabulary)
    about = summary(kind)
    whom = _whom(kind.kind, vocabulary)
    targets = {"anyOf": [whom, {"type": "array", "items": whom, "minItems": 1}]}
    text = f"{about} Devices, groups, or event.near.<key>."
    step = closed({kind.kind: said(targets, text), **parameters}, kind.kind, *needed)
    return said(step, about)


def _whom(command: str, vocabulary: Vocabulary) -> Schema:
    """Return who may be told: at a store those that take the command."""
    near = vocabulary.near()
    if not vocabulary.at_home:
        return {"type": "string", "examples": ["event.near.siren", "event.near.cameras"]}
    able = vocabulary.accepting(command) | near
    return one_of(able) if able else {"enum": [], "description": "Nothing here takes it."}


def _parameters(kind: type[Command], vocabulary: Vocabulary) -> tuple[Schema, list[str]]:
    """Return the parameters of a command as rules write them, and those without a default."""
    hints, docs = typing.get_type_hints(kind), parameter_docs(kind)
    known = {"for" if w == "duration" else w: f for w, f in words(kind).items()}
    found = {
        word: said(_type(hints[setting.name]), docs[setting.name])
        for word, setting in known.items()
    }
    if kind.holds != "no":
        found["for"] = said(WINDOW, "How long; else until:, else the device's own limit.")
    if "preset" in found and vocabulary.presets:
        found["preset"] = {**suggested(vocabulary.presets), "description": docs["preset"]}
    return found, [word for word, setting in known.items() if required(setting)]


def _type(hint: Any) -> Schema:
    if get_origin(hint) is Literal:
        return {"enum": list(get_args(hint))}
    if get_origin(hint) in (typing.Union, types.UnionType):
        options = [_type(o) for o in get_args(hint) if o is not type(None)]
        return options[0] if len(options) == 1 else {"anyOf": options}
    return dict(DURATION) if hint is Seconds else dict(WORD)


def _of_the_site(word: str, vocabulary: Vocabulary) -> Schema:
    kind = SITE_COMMANDS[word]
    docs = parameter_docs(kind)
    first = next(iter(words(kind).values())).name
    value: Schema = {
        "incident": suggested(vocabulary.incidents),
        "mode": mode(vocabulary, HOURS),
        "evacuate": suggested(["fire"]),
    }.get(word, WORD)
    keys = {word: said(value, f"{summary(kind)} {docs[first]}")}
    if "duration" in words(kind):
        keys["for"] = said(WINDOW, docs["duration"])
    return said(closed(keys, word), summary(kind))


# --- what a test expects ----------------------------------------------------------------------


def expectations(vocabulary: Vocabulary) -> list[Schema]:
    """Return every entry that `expect:` may have."""
    rule = said(suggested(vocabulary.rules), "The rule that orders it; may be left out if clear.")
    by: Schema = {"at": MOMENT, "rule": rule}
    found: list[Schema] = []
    for word, kind in BY_KIND.items():
        parameters, _ = _parameters(kind, vocabulary)
        told = _one_device(vocabulary.accepting(word), vocabulary)
        keys = {**by, word: said(told, f"{summary(kind)} One device."), **parameters}
        found.append(closed(keys, "at", word, description=f"The order to {word} is given."))
    for word in SITE_COMMANDS:
        own = _of_the_site(word, vocabulary)["properties"]
        found.append(closed({**by, **own}, "at", word, description=f"{word}, of the site."))
    leased = {
        name: text
        for word, kind in BY_KIND.items()
        if kind.holds != "no"
        for name, text in vocabulary.accepting(word).items()
    }
    ends = said(_one_device(leased, vocabulary), "The lease on this device ends.")
    found.append(closed({**by, "ends": ends}, "at", "ends", description="A lease ends."))
    quiet = closed(
        {"rule": rule, "because": said(WORD, "A part of the reason that is given.")}, "rule"
    )
    text = "The trigger was complete, or nearly, and the rule did not fire."
    not_fired = {"at": MOMENT, "not_fired": said(quiet, text)}
    return [*found, closed(not_fired, "not_fired", description=text)]


def _one_device(able: dict[str, str], vocabulary: Vocabulary) -> Schema:
    if not vocabulary.at_home:
        return {"type": "string"}
    devices = {name: text for name, text in able.items() if name in vocabulary.devices()}
    return one_of(devices) if devices else {"enum": []}
