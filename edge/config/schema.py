"""JSON Schema of site.yaml and devices.yaml, for editors, from the dataclasses that read them."""

from __future__ import annotations

import dataclasses
import types
import typing
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import drivers
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
    SecretPath,
)
from edge.config.hours import DAYS
from edge.config.ids import RESERVED
from edge.config.model import Configuration
from edge.config.schema_store import lines
from edge.config.site_file import OF_THE_SITE, SiteAsWritten
from edge.config.site_modes import ModeAsWritten
from rules import convert
from rules import yaml_source as ys
from rules.schema_words import ID, VARIABLE, WINDOW, Schema, closed, one_of, said
from rules.source_docs import field_docs, summary

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""`!var NAME`, as an editor sees it."""
_TIMES = r"([01]\d|2[0-3]):[0-5]\d-(24:00|([01]\d|2[0-3]):[0-5]\d)"
_RANGE: Schema = {
    "type": "string",
    "pattern": f"^({_TIMES}|{_NAME})$",
    "examples": ["09:00-21:00"],
}
_DURATION: Schema = {
    "type": "string",
    "pattern": rf"^(\d+(\.\d+)?(ms|s|m|h|d)|{_NAME})$",
    "examples": ["500ms", "10s", "2m", "1h", "30d"],
}
_LINE: Schema = {"type": "string", "pattern": rf"^([a-z][a-z0-9_]*\.\S+|{_NAME})$"}
_SCALARS: dict[Any, Schema] = {
    str: {"type": ["string", "number", "boolean"]},
    int: {"anyOf": [{"type": "integer"}, VARIABLE]},
    float: {"anyOf": [{"type": "number"}, VARIABLE]},
    bool: {"enum": ["yes", "no", "on", "off", True, False]},
    Path: {"type": "string"},
    Seconds: _DURATION,
    ByteSize: {"type": "string", "pattern": rf"^(\d+(B|kB|MB|GB|KiB|MiB)|{_NAME})$",
               "examples": ["512MB", "2GB"]},
    Secret: {"type": "string", "examples": ["!secret NAME"]},
    SecretPath: {"type": "string"},
    LocalTimes: _RANGE,
    PortName: {"type": "string", "pattern": ID},
}  # fmt: skip
FORMS: Mapping[str, Mapping[str, Schema]] = {
    "mqtt": {
        "url": {
            "type": "string",
            "pattern": r"^mqtts?://[^/@\s]+/?$",
            "examples": ["mqtts://broker.example.com:8883", "mqtt://127.0.0.1:1883"],
        },
        "drain_rate": {"type": "string", "pattern": r"^[1-9]\d{0,5}/s$", "examples": ["200/s"]},
        "topic_root": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"},
        "home_assistant": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"},
        "sparkplug": {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}$"},
        "window": {"type": "integer", "minimum": 1, "maximum": 50},
    },
    "http": {
        "listen": {"type": "string", "pattern": r"^\S+:\d{1,5}$", "examples": ["127.0.0.1:9464"]}
    },
    "buffer": {"keep": {**WINDOW, "examples": ["30d", "90d"]}},
}
"""Settings of site.yaml whose form their type does not say."""
_MEANT: dict[Any, str] = {
    InputSetting: "An input: annex.di0, or {line: annex.di0, active: off, debounce: 30ms}.",
    OutputSetting: "An output: annex.do0, or {line: annex.do0, active: off}.",
    PortName: "The id of a text port under io:.",
    Seconds: "A duration: 250ms, 5s, 2m, 1h.",
    Secret: "!secret NAME: the file secrets/NAME, or a systemd credential.",
}
"""What a setting without words of its own is, by its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What is known of one store; empty: nothing is."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    devices: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Device or group to what it is."""


def of_store(configuration: Configuration) -> Store:
    """Return what the schemas of site.yaml and devices.yaml know of a store."""
    inputs, outputs = lines(configuration)
    named = {d.id: f"{d.name} ({d.type})" for d in configuration.devices.values()}
    named |= {g: f"group: {', '.join(of)}" for g, of in configuration.groups.items()}
    texts = tuple(io.id for io in configuration.io.values() if io.type == "text")
    return Store(inputs=inputs, outputs=outputs, ports=texts, devices=named)


def schema_site(store: Store | None = None) -> Schema:
    """Return the schema of site.yaml; with a store it knows the devices."""
    schema = of_class(SiteAsWritten, Store())
    properties = schema["properties"]
    properties["site"] |= {"pattern": "^[a-z0-9_-]+$"}
    properties["hours"] = {**_week(), **_described(properties["hours"])}
    properties["schedules"] = {
        "type": "object",
        "additionalProperties": said(_week(), "Days to ranges of local time."),
        **_described(properties["schedules"]),
    }
    names = "|".join(sorted(OF_THE_SITE))
    properties["schedules"]["propertyNames"] = {"pattern": f"^(?!({names})$){ID[1:]}"}
    each = said(of_class(ModeAsWritten), summary(ModeAsWritten))
    properties["modes"] = {
        "type": "object",
        "additionalProperties": each,
        "propertyNames": {"pattern": ID},
        **_described(properties["modes"]),
    }
    zones = sorted(zoneinfo.available_timezones())
    properties["timezone"] = {"enum": zones, **_described(properties["timezone"])}
    for section, of in FORMS.items():
        part = _mapping(properties[section])
        for key, form in of.items():
            part["properties"][key] = {**form, **_described(part["properties"][key])}
    _mapping(properties["mqtt"])["dependentRequired"] = {"cert": ["key"], "key": ["cert"]}
    for section in ("evacuation", "http"):  # a key without a value is a mistake there
        properties[section] = {**_mapping(properties[section]), **_described(properties[section])}
    if store is not None and store.devices:
        _evacuation(properties["evacuation"], store.devices)
    return {"$schema": DRAFT, **schema, "title": "site.yaml"}


def _mapping(schema: Schema) -> Schema:
    """Return the alternative of a schema that is a mapping."""
    options: list[Schema] = schema.get("anyOf", [schema])
    return next(option for option in options if "properties" in option)


def _evacuation(schema: Schema, devices: Mapping[str, str]) -> None:
    """Let `evacuation:` name the store's devices only."""
    plan = schema["properties"]
    for key in ("on", "release", "silence", "sound", "record"):
        known = {**devices, "all": "Every recorder."} if key == "record" else dict(devices)
        each = one_of(known)
        plan[key] = {"anyOf": [each, {"type": "array", "items": each}], **_described(plan[key])}
    keys = {device: said({"type": "string"}, text) for device, text in devices.items()}
    plan["goto"] = closed(keys, **_described(plan["goto"]))


def _week() -> Schema:
    """Return hours or a schedule: days, and dates that differ."""
    ranges: Schema = {"anyOf": [_RANGE, {"const": "closed"}, {"type": "array", "items": _RANGE}]}
    known = [*DAYS, "mon-fri", "mon-sat", "sat-sun"]
    days = {day: said(ranges, f"Local times on {day}: 09:00-21:00, or closed.") for day in known}
    dates: Schema = {
        "type": "object",
        "additionalProperties": ranges,
        "propertyNames": {"pattern": r"^(\d{4}-)?\d\d-\d\d(\.\.(\d{4}-)?\d\d-\d\d)?$"},
    }
    special = {
        key: said(dates, "Dates to hours, or to closed.") for key in ("holidays", "exceptions")
    }
    day = f"({'|'.join(DAYS)})"
    some = f"{day}(-{day})?"
    several = {f"^{some}(, ?{some})*$": ranges}
    return closed({**days, **special}, patternProperties=several)


def schema_devices(store: Store | None = None) -> Schema:
    """Return the schema of devices.yaml and of the files in devices.d.

    With a store it suggests the lines of its modules; what is being written may declare more.
    """
    known = store or Store()
    word: Schema = {"type": "string", "pattern": ID}
    device = {**word, "examples": sorted(known.devices)} if known.devices else word
    devices: Schema = {"anyOf": [device, {"type": "array", "items": device}]}
    words: Schema = {"anyOf": [word, {"type": "array", "items": word}]}
    name = {"name": said({"type": "string"}, "What people call it; default its id.")}
    urgent = "What it says is at least so urgent; it may only be raised."
    beside: Schema = {
        **name,
        "near": {
            "type": "object",
            "additionalProperties": devices,
            "description": "Neighbours by a word of one's own: `event.near.<word>` in rules.",
        },
        "tags": said(words, "Words by which groups gather devices."),
        "priority": {"enum": [p.name for p in Priority], "description": urgent},
    }
    io = {k: _typed(k, catalog.load_io(k), name, known) for k in sorted(catalog.IO_TYPES)}
    types_ = {kind: _typed(kind, catalog.load(kind), beside, known) for kind in catalog.names()}
    tagged = closed({"tags": said(words, "Every device that has one of them.")}, "tags")
    return {
        "$schema": DRAFT,
        **closed(
            {
                "io": _by_id(_one_type(io), "I/O modules and text ports by id."),
                "devices": _by_id(_one_type(types_), "Devices by id."),
                "groups": _by_id({"anyOf": [*devices["anyOf"], tagged]}, "Groups by id."),
            },
            title="devices.yaml",
        ),
    }


def _by_id(each: Schema, text: str) -> Schema:
    taken = "|".join(sorted(RESERVED))
    return {
        "type": ["object", "null"],
        "patternProperties": {ID: each},
        "propertyNames": {"pattern": f"^(?!({taken})$){ID[1:]}"},
        "additionalProperties": False,
        "description": text,
    }


def _one_type(schemas: Mapping[str, Schema]) -> Schema:
    """Return an entry of one of these types; the types stand apart, to be offered first."""
    kinds = one_of({kind: of["description"] for kind, of in schemas.items()})
    kind = said(kinds, "What it is; its settings follow from it.")
    needed = {"type": "object", "properties": {"type": kind}, "required": ["type"]}
    return {**needed, "oneOf": list(schemas.values())}


def _typed(kind: str, of: type[Driver], beside: Schema, store: Store) -> Schema:
    schema = of_class(of, store)
    about = said({"const": kind}, summary(of))
    schema["properties"] = {"type": about, **beside, **schema["properties"]}
    schema["required"] = ["type", *schema["required"]]
    if "profile" in schema["properties"]:
        profile = schema["properties"]["profile"]
        schema["properties"]["profile"] = {
            **({"enum": known_} if (known_ := _profiles(kind)) else {"type": "string"}),
            **_described(profile),
        }
    return {**schema, "title": kind}


def _profiles(kind: str) -> list[str]:
    folder = {"eas_pedestal": "eas", "fire_panel": "fire"}.get(kind, kind)
    profiles = Path(drivers.__path__[0]) / "profiles" / folder
    return sorted(path.stem for path in profiles.glob("*.yaml"))


def of_class(of: type[Any], store: Store | None = None) -> Schema:
    """Return the schema of a dataclass as `rules.convert` reads it."""
    hints, docs = typing.get_type_hints(of), field_docs(of)
    properties: Schema = {}
    for word, setting in convert.words(of).items():
        hint = hints[setting.name]
        text = docs.get(setting.name) or _meant(hint) or f"The {word.replace('_', ' ')}."
        properties[word] = said(of_type(hint, store or Store()), text)
    needed = [word for word, f in convert.words(of).items() if convert.required(f)]
    return closed(properties, *needed, title=of.__name__, description=summary(of))


def _meant(hint: Any) -> str:
    options = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return next((_MEANT[option] for option in options if option in _MEANT), "")


def of_type(wanted: Any, store: Store) -> Schema:
    """Return the schema of one type that a setting may have."""
    origin, args = get_origin(wanted), get_args(wanted)
    if wanted is PortName and store.ports:
        return {**_SCALARS[PortName], "examples": sorted(store.ports)}
    if wanted in _SCALARS:
        return dict(_SCALARS[wanted])
    if wanted in (InputSetting, OutputSetting):
        return {"anyOf": [_line(wanted, store), of_class(wanted, store)]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        options = [of_type(option, store) for option in args if option is not type(None)]
        options += [{"type": "null"}] if type(None) in args else []
        return {"anyOf": options}
    if origin in (list, tuple, frozenset):
        each = of_type(args[0], store)
        return {"anyOf": [each, {"type": "array", "items": each}]}
    if origin in (dict, Mapping) or wanted is dict:
        return {"type": "object", "additionalProperties": of_type(args[1], store) if args else True}
    if dataclasses.is_dataclass(wanted) and wanted not in (ys.Node,):
        return of_class(typing.cast("type[Any]", wanted), store)
    return {}


def _line(wanted: Any, store: Store) -> Schema:
    known = store.inputs if wanted is InputSetting else store.outputs
    return {**_LINE, "examples": sorted(known)} if known else dict(_LINE)


def _described(schema: Schema) -> Schema:
    return {"description": schema["description"]}
