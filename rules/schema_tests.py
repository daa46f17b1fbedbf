"""The JSON Schema of `tests:`: what is given, what happens, what is expected."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.event import SITE
from drivers.signals import UNKNOWN
from rules.load_cases import GIVEN
from rules.load_timeline import LINKS
from rules.schema_words import (
    DURATION,
    MOMENT,
    WORD,
    YES_NO,
    Schema,
    Vocabulary,
    closed,
    fields,
    mode,
    one_of,
    ref,
    said,
    spoken,
    suggested,
)


def case(vocabulary: Vocabulary) -> Schema:
    """Return one test."""
    files = suggested(vocabulary.files)
    keys = {
        "name": said(WORD, "What happens, in a sentence."),
        "with": said(
            {"anyOf": [files, {"type": "array", "items": files}]},
            "Other rule files whose rules are played too.",
        ),
        "given": said(_given(vocabulary), "How it is at the beginning."),
        "timeline": {
            "type": ["array", "null"],
            "items": ref("happening"),
            "description": "What happens, and when.",
        },
        "expect": {
            "type": "array",
            "items": ref("expectation"),
            "description": "All that the rules do: anything more or less fails.",
        },
    }
    return closed(keys, "name", "expect", description="A timeline, and all that follows from it.")


def _given(vocabulary: Vocabulary) -> Schema:
    site = vocabulary.devices()[SITE]
    now = {
        "type": "string",
        "pattern": r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?$",
        "examples": ["2026-11-20T12:00:00", "2026-11-20T23:00:00"],
    }
    every = closed({
        device.id: said(_states(device.states), vocabulary.about(device.id))
        for device in vocabulary.kinds
    })  # fmt: skip
    states: Schema = every if vocabulary.at_home else {
        "type": "object",
        "additionalProperties": said(
            {"type": "object", "additionalProperties": WORD}, "A device: its states."
        ),
    }  # fmt: skip
    of_site = _states(site.states)
    if not vocabulary.at_home:
        of_site["additionalProperties"] = {"enum": [*YES_NO["enum"], UNKNOWN]}
    keys: dict[str, Schema] = {
        "now": said(now, "Local time of the site; between opening and closing it is open."),
        "site": said(of_site, "States of the site."),
        "vars": {
            "type": "object",
            "additionalProperties": WORD,
            "description": "Other values for !var than those of site.yaml.",
        },
        "mode": said(mode(vocabulary), "The mode that is set."),
        "modes": said(
            {"anyOf": [mode(vocabulary), {"type": "array", "items": mode(vocabulary)}]},
            "The mode that is set.",
        ),
        "states": said(states, "States of devices; else they are known and quiet."),
    }
    assert set(keys) == set(GIVEN)  # noqa: S101 - a key without its schema
    return closed(dict(keys))


def _states(states: Mapping[str, tuple[str, ...]]) -> Schema:
    return closed(
        {
            state: said({"enum": [*values, UNKNOWN]} if values else WORD, f"The state {state}.")
            for state, values in states.items()
        }
    )


def happenings(vocabulary: Vocabulary) -> list[Schema]:
    """Return every entry that `timeline:` may have."""
    device = _device(vocabulary)
    texts = {
        "down": "This device can't be heard any more.",
        "up": "This device can be heard again.",
        "fail": "Orders to this device fail from now on.",
    }
    found = [
        closed({"at": MOMENT, word: said(device, texts[word])}, "at", word, description=texts[word])
        for word in LINKS
    ]
    down = "The daemon is down for so long."
    found.append(closed({"at": MOMENT, "restart": said(DURATION, down)}, "at", "restart"))
    seen = "A person acknowledges this incident."
    known = said(suggested(vocabulary.incidents), seen)
    found.append(closed({"at": MOMENT, "acknowledge": known}, "at", "acknowledge"))
    set_by = "A person sets this mode."
    keys = {"at": MOMENT, "mode": said(mode(vocabulary, "hours"), set_by),
            "for": said(DURATION, "For how long.")}  # fmt: skip
    found.append(closed(keys, "at", "mode", description=set_by))
    return [*found, *_said(vocabulary)]


def _device(vocabulary: Vocabulary) -> Schema:
    if not vocabulary.at_home:
        return {"type": "string"}
    return one_of({w.id: vocabulary.about(w.id) for w in vocabulary.kinds if w.id != SITE})


def _said(vocabulary: Vocabulary) -> list[Schema]:
    if not vocabulary.at_home:
        words = {kind: text for one in vocabulary.kinds for kind, text in spoken(one).items()}
        schedule = {"type": "string", "pattern": r"^[a-z][a-z0-9_]*\.(started|ended)$"}
        any_device = said({"anyOf": [one_of(words), schedule]}, "A device, and what it says.")
        keys = {"at": MOMENT, **fields(vocabulary.kinds, many=False)}
        return [closed(keys, "at", minProperties=2, additionalProperties=any_device,
                       description="A device says something.")]  # fmt: skip
    found = []
    for one in vocabulary.kinds:
        about = vocabulary.about(one.id)
        keys = {
            "at": MOMENT,
            one.id: said(one_of(spoken(one)), about),
            **fields([one], many=False),
        }
        found.append(closed(keys, "at", one.id, description=about))
    return found
