"""JSON Schema of site.yaml and devices.yaml, for editors, from the dataclasses that read them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from drivers import catalog
from drivers.contract import Driver
from drivers.priorities import Priority
from drivers.settings import (
    ByteSize,
    InputSetting,
    LocalTimes,
    OutputSetting,
    PortName,
    Seconds,
    Secret,
)
from edge.config.site_file import SiteAsWritten
from edge.config.site_modes import ModeAsWritten
from rules.source_docs import field_docs, summary
from rules import convert
from rules import yaml_source as ys

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_ID = "^[a-z][a-z0-9_]*$"
_DURATION: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"}
_RANGE: Schema = {
    "type": "string",
    "pattern": r"^([01]\d|2[0-3]):[0-5]\d-(24:00|([01]\d|2[0-3]):[0-5]\d)$",
}
_RANGES: Schema = {"anyOf": [_RANGE, {"const": "closed"}, {"type": "array", "items": _RANGE}]}
_WEEK: Schema = {
    "type": "object",
    "properties": {"holidays": {"type": "object", "additionalProperties": _RANGES}},
    "additionalProperties": _RANGES,
}
_LINE: Schema = {"type": "string", "pattern": r"^[a-z][a-z0-9_]*\.\S+$"}
_SCALARS: dict[Any, Schema] = {
    str: {"type": ["string", "number", "boolean"]},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"enum": ["yes", "no", "on", "off", True, False]},
    Path: {"type": "string"},
    Seconds: _DURATION,
    ByteSize: {"type": "string", "pattern": r"^\d+(B|kB|MB|GB|KiB|MiB)$"},
    Secret: {"type": "string", "description": "!secret NAME"},
    LocalTimes: _RANGE,
    PortName: {"type": "string", "pattern": _ID},
}


def schema_site() -> Schema:
    """Return the schema of site.yaml."""
    schema = of_class(SiteAsWritten)
    properties = schema["properties"]
    properties["site"] |= {"pattern": "^[a-z0-9_-]+$"}
    properties["hours"] = _WEEK | _described(properties["hours"])
    schedules = {"type": "object", "additionalProperties": _WEEK}
    properties["schedules"] = schedules | _described(properties["schedules"])
    modes = {"type": "object", "additionalProperties": of_class(ModeAsWritten)}
    properties["modes"] = modes | _described(properties["modes"])
    return {"$schema": DRAFT, "title": "site.yaml", **schema}


def schema_devices() -> Schema:
    """Return the schema of devices.yaml and of the files in devices.d."""
    word: Schema = {"type": "string", "pattern": _ID}
    words: Schema = {"anyOf": [word, {"type": "array", "items": word}]}
    beside: Schema = {
        "name": {"type": "string", "description": "What people call it; default its id."},
        "near": {
            "type": "object",
            "additionalProperties": words,
            "description": "Neighbours by a word of one's own: `event.near.<word>` in rules.",
        },
        "tags": words | {"description": "Words by which groups gather devices."},
        "priority": {
            "enum": [p.name for p in Priority],
            "description": "What it says is at least so urgent; it may only be raised.",
        },
    }
    name = {"name": beside["name"]}
    io = {kind: _typed(kind, catalog.load_io(kind), name) for kind in sorted(catalog.IO_TYPES)}
    devices = {kind: _typed(kind, catalog.load(kind), beside) for kind in catalog.names()}
    tagged = {
        "type": "object",
        "properties": {"tags": words},
        "required": ["tags"],
        "additionalProperties": False,
    }
    return {
        "$schema": DRAFT,
        "title": "devices.yaml",
        "type": "object",
        "properties": {
            "io": _by_id({"oneOf": list(io.values())}),
            "devices": _by_id({"oneOf": list(devices.values())}),
            "groups": _by_id({"anyOf": [word, {"type": "array", "items": word}, tagged]}),
        },
        "additionalProperties": False,
    }


def _by_id(each: Schema) -> Schema:
    return {
        "type": ["object", "null"],
        "patternProperties": {_ID: each},
        "additionalProperties": False,
    }


def _typed(kind: str, of: type[Driver], beside: Schema) -> Schema:
    schema = of_class(of)
    schema["properties"] = {"type": {"const": kind}, **beside, **schema["properties"]}
    schema["required"] = ["type", *schema["required"]]
    return schema


def of_class(of: type[Any]) -> Schema:
    """Return the schema of a dataclass as `rules.convert` reads it."""
    hints, docs = typing.get_type_hints(of), field_docs(of)
    properties: Schema = {}
    for word, setting in convert.words(of).items():
        described = {"description": docs[setting.name]} if setting.name in docs else {}
        properties[word] = of_type(hints[setting.name]) | described
    return {
        "type": "object",
        "description": summary(of),
        "properties": properties,
        "required": [word for word, f in convert.words(of).items() if convert.required(f)],
        "additionalProperties": False,
    }


def of_type(wanted: Any) -> Schema:
    """Return the schema of one type that a setting may have."""
    origin, args = get_origin(wanted), get_args(wanted)
    if wanted in _SCALARS:
        return dict(_SCALARS[wanted])
    if wanted in (InputSetting, OutputSetting):
        return {"anyOf": [_LINE, of_class(wanted)]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        options = [of_type(option) for option in args if option is not type(None)]
        options += [{"type": "null"}] if type(None) in args else []
        return {"anyOf": options}
    if origin in (list, tuple, frozenset):
        each = of_type(args[0])
        return {"anyOf": [each, {"type": "array", "items": each}]}
    if origin in (dict, Mapping) or wanted is dict:
        return {"type": "object", "additionalProperties": of_type(args[1]) if args else True}
    if dataclasses.is_dataclass(wanted) and wanted not in (ys.Node,):
        return of_class(typing.cast("type[Any]", wanted))
    return {}


def _described(schema: Schema) -> Schema:
    return {"description": schema["description"]}
