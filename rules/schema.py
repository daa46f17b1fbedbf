"""JSON Schema of rule files, for editors, with the commands' parameters from their classes."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, get_args, get_origin

from drivers.commands import BY_KIND, SITE_COMMANDS, Command
from drivers.priorities import Priority
from drivers.settings import Seconds
from rules.convert import required, words
from rules.from_template import KEYS as MADE_KEYS
from rules.load_cases import GIVEN
from rules.load_daily import DAYS
from rules.load_timeline import LINKS, WORDS
from rules.load_vars import TYPES
from rules.templates import TYPES as PARAMETER_TYPES

Schema = dict[str, Any]

_ID = "^[a-z][a-z0-9_]*$"
_WORD: Schema = {"type": ["string", "number", "boolean"]}
_NAMES: Schema = {"anyOf": [_WORD, {"type": "array", "items": _WORD}]}
_WITH_UNIT = r"[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d)"
_DURATION: Schema = {
    "type": "string",
    "pattern": rf"^({_WITH_UNIT}|[A-Za-z_][A-Za-z0-9_]*)$",
    "description": "250ms, 5s, 2m, 1h, 30d; or !var NAME",
}
_VARIABLE: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
_AT: Schema = {"type": "string", "pattern": f"^{_WITH_UNIT}$"}
_CONDITION: Schema = {
    "type": "string",
    "description": "Python's syntax over site.*, event.* and <device>.<state>: site.open and …",
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Schema, *needed: str, **more: Any) -> Schema:
    closed = {"additionalProperties": False, **more}
    return {"type": "object", "properties": properties, "required": list(needed), **closed}


def _one_or_more(each: Schema) -> Schema:
    return {"anyOf": [each, {"type": "array", "items": each, "minItems": 1}]}


def schema_rules() -> Schema:
    """Return the schema of a file in rules/ or rules.local/.

    It knows form, not meaning: names of devices, signals and states are checked by
    `storewarden check`.
    """
    by_id = {"type": ["object", "null"], "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rules/*.yaml",
        **_object(
            {
                "vars": {"type": "object", "additionalProperties": _ref("variable")},
                "templates": {**by_id, "patternProperties": {_ID: _ref("template")}},
                "rules": {
                    **by_id,
                    "patternProperties": {_ID: {"anyOf": [_ref("rule"), _ref("made")]}},
                },
                "tests_at": {
                    "type": "string",
                    "description": "The site whose devices the tests name; elsewhere left out.",
                },
                "tests": {"type": ["array", "null"], "items": _ref("case")},
            }
        ),
        "$defs": {
            "variable": _variable(),
            "template": _template(),
            "rule": _rule(),
            "made": _made(),
            "fact": _fact(),
            "trigger": {"anyOf": _triggers()},
            "step": {"anyOf": [_step(kind) for kind in BY_KIND.values()] + _site_steps()},
            "case": _case(),
            "happening": {"anyOf": _happenings()},
            "expectation": {"anyOf": _expectations()},
        },
    }


def _variable() -> Schema:
    values = dict.fromkeys(("default", "min", "max"), _WORD)
    keys = {"type": {"enum": list(TYPES)}, **values, "description": _WORD}
    return _object(keys, "type")


def _rule() -> Schema:
    step = _object({"after": _DURATION, "do": _one_or_more(_ref("step"))}, "after", "do")
    keys: dict[str, tuple[Schema, str]] = {
        "description": (_WORD, "What it is for, in a sentence."),
        "priority": ({"enum": [p.name for p in Priority]}, "How urgent it is; default security."),
        "requires": (_NAMES, "Devices and groups without which the rule is inactive here."),
        "enabled": ({"enum": ["yes", "no", "shadow"]}, "shadow decides and does nothing."),
        "replaces": (_WORD, "The rule of the fleet that this one replaces; in rules.local only."),
        "when": (_one_or_more(_ref("trigger")), "Fires on any of them."),
        "if": (_CONDITION, "Asked once, when the trigger is complete."),
        "if_unknown": ({"enum": ["fire", "skip"]}, "What an unknown answer means."),
        "do": (_one_or_more(_ref("step")), "In this order, never waiting for a device."),
        "until": (_one_or_more(_ref("trigger")), "What ends the orders that have no for:."),
        "cooldown": (_DURATION, "How long it does not fire again."),
        "quiet": (
            {
                "anyOf": [_DURATION, _object({"for": _DURATION, "at_most": _DURATION}, "for")],
            },
            "A storm of one device, without a pause of so long, is one firing.",
        ),
        "escalate": (_one_or_more(step), "Until the incident is acknowledged."),
        "after_restart": ({"enum": ["resume", "late", "expire"]}, "What becomes of what waits."),
    }
    described = {key: {**schema, "description": text} for key, (schema, text) in keys.items()}
    return _object(described, "when", "do")


def _template() -> Schema:
    parameter = _object(
        {
            "type": {"enum": list(PARAMETER_TYPES)},
            **dict.fromkeys(("default", "min", "max", "description"), _WORD),
        },
        "type",
    )
    kinds = {"anyOf": [{"enum": list(PARAMETER_TYPES)}, parameter]}
    body = {key: {"description": of["description"]} for key, of in _rule()["properties"].items()}
    text = "A rule in which $name stands for the parameter of that name."
    keys = {
        "description": _WORD,
        "parameters": {"type": "object", "additionalProperties": kinds},
        "rule": {**_object(body, "when", "do"), "description": text},
    }
    return _object(keys, "rule")


def _made() -> Schema:
    of_rule = _rule()["properties"]
    given = {"type": "object", "additionalProperties": _WORD, "description": "Its parameters."}
    own: Schema = {
        "template": {**_WORD, "description": "The template that the rule is made of."},
        "with": given,
    }
    own |= {key: of_rule[key] for key in MADE_KEYS if key in of_rule}
    return _object(own, "template")


def _fact() -> Schema:
    own: Schema = {"for": _DURATION, "while": _CONDITION, "across": {"const": "group"}}
    text = "<device or group>: <signal or state>, and fields of the signal"
    return _object(own, minProperties=1, additionalProperties=_NAMES, description=text)


def _triggers() -> list[Schema]:
    facts = _one_or_more(_ref("fact"))
    several = {"type": "array", "items": facts, "minItems": 2}
    window = {"within": _DURATION, "by": _WORD}
    blind = {"blind": {"enum": ["skip", "fire"]}}
    absence = {"without": facts, **window, **blind}
    several_times = {"anyOf": [{"type": "integer", "minimum": 2}, _VARIABLE]}
    count: Schema = {"count": several_times, "of": facts, **window}
    text = f"{', '.join(DAYS)}, or a range: mon-sat"
    days = {**_NAMES, "description": text}
    return [
        _ref("fact"),
        _object({"sequence": several, **window}, "sequence", "within"),
        _object({"together": several, **window}, "together", "within"),
        _object(count, "count", "of", "within"),
        _object({"after": facts, **absence}, "after", "without", "within"),
        _object({"before": facts, **absence}, "before", "without", "within"),
        _object({"daily": _WORD, "days": days}, "daily"),
    ]


def _step(kind: type[Command]) -> Schema:
    parameters, needed = _parameters(kind)
    targets = {**_NAMES, "description": "Devices, groups, or event.near.<key>"}
    schema = _object({kind.kind: targets, **parameters}, kind.kind, *needed)
    return {**schema, "description": " ".join((kind.__doc__ or "").split())}


def _parameters(kind: type[Command]) -> tuple[Schema, list[str]]:
    """Return the parameters of a command as rules write them, and those without a default."""
    hints = typing.get_type_hints(kind)
    known = {"for" if w == "duration" else w: f for w, f in words(kind).items()}
    found = {word: _type(hints[setting.name]) for word, setting in known.items()}
    if kind.holds != "no":
        found["for"] = _DURATION
    return found, [word for word, setting in known.items() if required(setting)]


def _type(hint: Any) -> Schema:
    if get_origin(hint) is Literal:
        return {"enum": list(get_args(hint))}
    if get_origin(hint) in (typing.Union, types.UnionType):
        return {"anyOf": [_type(o) for o in get_args(hint) if o is not type(None)]}
    return _DURATION if hint is Seconds else _WORD


def _site_steps() -> list[Schema]:
    return [_object({word: _WORD, **_beside(word)}, word) for word in SITE_COMMANDS]


def _beside(word: str) -> Schema:
    """Return the parameters that a command to the site takes beside its word."""
    return {"for": _DURATION} if "duration" in words(SITE_COMMANDS[word]) else {}


def _case() -> Schema:
    states = {"type": "object", "additionalProperties": _WORD}
    given: Schema = dict.fromkeys(GIVEN, _WORD)
    given["modes"] = _NAMES
    given |= {"site": states, "vars": states}
    given["states"] = {"type": "object", "additionalProperties": states}
    keys = {
        "name": _WORD,
        "with": _NAMES,
        "given": _object(given),
        "timeline": {"type": "array", "items": _ref("happening")},
        "expect": {"type": "array", "items": _ref("expectation")},
    }
    return _object(keys, "name", "expect")


def _happenings() -> list[Schema]:
    doings = {**dict.fromkeys((*LINKS, *WORDS), _WORD), "restart": _DURATION}
    said = _object({"at": _AT}, "at", minProperties=2, additionalProperties=_WORD)
    mode = _object({"at": _AT, "mode": _WORD, "for": _DURATION}, "at", "mode")
    found = [_object({"at": _AT, word: of}, "at", word) for word, of in doings.items()]
    return [*found, mode, said]


def _expectations() -> list[Schema]:
    by: Schema = {"at": _AT, "rule": _WORD}
    quiet = _object({"rule": _WORD, "because": _WORD}, "rule")
    found = [
        _object({**by, word: _WORD, **_parameters(kind)[0]}, "at", word)
        for word, kind in BY_KIND.items()
    ]
    for word in SITE_COMMANDS:
        found.append(_object({**by, word: _WORD, **_beside(word)}, "at", word))
    found.append(_object({**by, "ends": _WORD}, "at", "ends"))
    return [*found, _object({"at": _AT, "not_fired": quiet}, "not_fired")]
