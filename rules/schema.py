"""JSON Schema of rule files, for editors: of every device type, or of one store's devices.

What devices.yaml and site.yaml declare is asked for; what rule files themselves declare (rules,
incidents, presets, templates, variables) is suggested only: the file that is being written may
declare another.
"""

from __future__ import annotations

from drivers.priorities import Priority
from rules.from_template import KEYS as MADE_KEYS
from rules.load_vars import TYPES
from rules.loader import RESERVED
from rules.schema_facts import condition, daily, fact, triggers
from rules.schema_steps import expectations, steps
from rules.schema_tests import case, happenings
from rules.schema_words import (
    DURATION,
    ID,
    LONG_NAME,
    WINDOW,
    WORD,
    Schema,
    Vocabulary,
    closed,
    of_all_types,
    one_of,
    one_or_more,
    ref,
    said,
    suggested,
)
from rules.templates import TYPES as PARAMETER_TYPES

PRIORITIES = {
    "life_safety": "Fire and evacuation. Reads event.* only; has no cooldown.",
    "personal_safety": "Panic, medical, hold-up. Has no cooldown.",
    "security": "Theft and doors; the default.",
    "operations": "The running of the store, and people's own orders.",
    "telemetry": "What is only counted.",
}
KINDS = {
    "duration": "90s, 2m",
    "number": "a number",
    "whole": "a whole number",
    "text": "a word",
    "bool": "yes or no",
}


def schema_rules(vocabulary: Vocabulary | None = None) -> Schema:
    """Return the schema of a file in rules/ or rules.local/.

    Without a vocabulary it knows form, and all that devices of any type say.
    """
    known = vocabulary or of_all_types()
    by_id = {"type": ["object", "null"], "additionalProperties": False}
    free = f"^(?!({'|'.join(sorted(RESERVED))})$){ID[1:]}"
    rules = {free: {"anyOf": [ref("rule"), ref("made")]}}
    at = said({"type": "string"}, "The site whose devices the tests name; elsewhere left out.")
    tests = {"type": ["array", "null"], "items": ref("case"), "description": "Played on a clock."}
    sections: Schema = {
        "vars": {
            "type": "object",
            "additionalProperties": ref("variable"),
            "description": "Variables of this file: !var NAME, and in conditions var('NAME').",
        },
        "templates": {
            **by_id,
            "patternProperties": {ID: ref("template")},
            "description": "Rules with parameters, of which rules are made.",
        },
        "rules": {
            **by_id,
            "patternProperties": rules,
            "description": "Rules by their id: small letters, digits, _.",
        },
        "tests_at": at,
        "tests": tests,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **closed(sections, title="rules/*.yaml"),
        "$defs": {
            "variable": _variable(),
            "template": _template(known),
            "made": _made(known),
            "rule": _rule(known),
            "fact": fact(known),
            "daily": daily(),
            "trigger": {"anyOf": triggers()},
            "step": {"anyOf": steps(known)},
            "case": case(known),
            "happening": {"anyOf": happenings(known)},
            "expectation": {"anyOf": expectations(known)},
        },
    }


def _variable() -> Schema:
    keys = {
        "type": said(one_of({kind: KINDS.get(kind, kind) for kind in TYPES}), "What it holds."),
        "default": said(WORD, "Its value where site.yaml gives none."),
        "min": said(WORD, "The least value."),
        "max": said(WORD, "The greatest value."),
        "description": said(WORD, "What it is for."),
    }
    return closed(keys, "type", description="A variable with its type.")


def _template(known: Vocabulary) -> Schema:
    kinds = one_of({kind: KINDS.get(kind, kind.replace("_", " ")) for kind in PARAMETER_TYPES})
    parameter = {**_variable()["properties"], "type": said(kinds, "What it holds.")}
    either = {"anyOf": [kinds, closed(parameter, "type", description="A parameter.")]}
    rule = _keys(known)
    body = {key: {"description": of["description"]} for key, of in rule.items()}
    text = "A rule in which $name stands for the parameter of that name."
    keys = {
        "description": said(WORD, "What rules that are made of it are for."),
        "parameters": {
            "type": "object",
            "additionalProperties": either,
            "description": "What a rule gives below with:.",
        },
        "rule": said(closed(body, "when", "do"), text),
    }
    return closed(keys, "rule", description=text)


def _made(known: Vocabulary) -> Schema:
    rule = _keys(known)
    given = {
        "type": "object",
        "additionalProperties": WORD,
        "description": "The parameters of the template.",
    }
    keys: Schema = {
        "template": said(suggested(known.templates), "The template that the rule is made of."),
        "with": given,
    }
    keys |= {key: rule[key] for key in MADE_KEYS if key in rule}
    return closed(keys, "template", description="A rule that is made of a template.")


def _rule(known: Vocabulary) -> Schema:
    return closed(_keys(known), "when", "do", description="A rule: when … if … do … until.")


def _keys(known: Vocabulary) -> Schema:
    """Return the keys of a rule, each with what it means."""
    names = suggested(n for n in known.named() if n != "site")
    several = {"anyOf": [names, {"type": "array", "items": names, "minItems": 1}]}
    after = said(WINDOW, "How long after the firing.")
    step = closed(
        {"after": after, "do": said(one_or_more(ref("step")), "What follows.")},
        "after",
        "do",
        description="Follows when nobody has acknowledged the incident of this firing.",
    )
    storm = closed(
        {
            "for": said(WINDOW, "A pause of so long ends the storm."),
            "at_most": said(WINDOW, "Then it fires again, storm or not."),
        },
        "for",
        description="When a storm is over, and when it fires again all the same.",
    )
    enabled = {
        "yes": "It works.",
        "no": "It is left out.",
        "shadow": "It decides and is journaled, and does nothing.",
    }
    restart = {
        "resume": "What fell due while down fires at its own time, marked late.",
        "late": "It fires at the restart, marked late.",
        "expire": "It is forgotten.",
    }
    unknown = {"fire": "Fire all the same.", "skip": "Don't, and say rule.blind."}
    keys: dict[str, tuple[Schema, str]] = {
        "description": (WORD, "What it is for, in a sentence."),
        "priority": (one_of(PRIORITIES), "How urgent it is; default security."),
        "requires": (several, "Devices and groups without which the rule is inactive here."),
        "enabled": (
            {"anyOf": [one_of(enabled), LONG_NAME]},
            "Whether it works; default yes. With !var some_name each store says.",
        ),
        "replaces": (
            suggested(known.rules),
            "The rule of the fleet that this one replaces; in rules.local/ only.",
        ),
        "when": (one_or_more(ref("trigger")), "The trigger, or a list: any of them."),
        "if": (condition(known), "Asked once, when the trigger is complete. "),
        "if_unknown": (one_of(unknown), "What is done when nobody knows."),
        "do": (one_or_more(ref("step")), "The steps, in this order; nothing waits for a device."),
        "until": (one_or_more(ref("trigger")), "What ends the orders that have no for:."),
        "cooldown": (DURATION, "How long after a firing it does not fire again."),
        "quiet": (
            {"anyOf": [WINDOW, storm]},
            "A storm of one device, without a pause of so long, is one firing.",
        ),
        "escalate": (one_or_more(step), "What follows until the incident is acknowledged."),
        "after_restart": (one_of(restart), "What becomes of what was waiting; default resume."),
    }
    found = {key: said(schema, text) for key, (schema, text) in keys.items()}
    found["if"] = said(found["if"], keys["if"][1] + condition(known)["description"])
    return found


assert set(PRIORITIES) == {p.name for p in Priority}  # noqa: S101 - each is explained
