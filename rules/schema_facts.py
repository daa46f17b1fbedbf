"""The JSON Schema of triggers and facts: who says what, in which order, within how long."""

from __future__ import annotations

from drivers.event import SITE
from rules.load_daily import DAYS
from rules.model import DeviceWords
from rules.schema_words import (
    ID,
    NAMED,
    UNITS,
    VARIABLE,
    WINDOW,
    Schema,
    Vocabulary,
    closed,
    entered,
    fields,
    one_of,
    one_or_more,
    ref,
    said,
    spoken,
    suggested,
)

EXPRESSIONS = (
    "site.open",
    "not site.open",
    "site.mode == 'delivery'",
    "event.direction == 'out'",
    "count('gates', 'eas.alarm', '10m', direction='in') >= 3",
    "since('tills', 'eas.deactivated') > duration('30s')",
)
MOST_EXAMPLES = 60


def condition(vocabulary: Vocabulary) -> Schema:
    """Return an expression; those of the store's states are suggested."""
    states = [
        f"{words.id}.{state} == '{values[0]}'"
        for words in vocabulary.kinds
        for state, values in words.states.items()
        if values and words.id != SITE and vocabulary.at_home
    ]
    text = "Python's syntax over site.*, event.*, <device>.<state>, var('name'): site.open and …"
    examples = [*(states or EXPRESSIONS[3:]), *EXPRESSIONS[:3]][:MOST_EXAMPLES]
    return {"type": "string", "examples": examples, "description": text}


def fact(vocabulary: Vocabulary) -> Schema:
    """Return a fact: of the devices of a store each with what it says, else of any device."""
    devices = vocabulary.devices()
    if vocabulary.at_home:
        every = [
            one
            for name, of in vocabulary.named().items()
            for one in _of(name, [devices[device] for device in of], vocabulary)
        ]
        return {"anyOf": every}
    signals: dict[str, str] = {}
    states: dict[str, str] = {}
    for one in vocabulary.kinds:
        signals, states = signals | spoken(one), states | entered(one)
    schedule = {"type": "string", "pattern": r"^[a-z][a-z0-9_]*\.(started|ended)$"}
    mode = {"type": "string", "pattern": "^mode=[a-z][a-z0-9_]*$"}
    said_ = said({"anyOf": [one_of(signals), schedule]}, "A device or group, and what it says.")
    text = "A device or group, and the state that it enters."
    is_ = said({"anyOf": [one_of(states), mode]}, text)
    ids = {"propertyNames": {"pattern": ID}, "minProperties": 1}
    fields_ = fields(vocabulary.kinds, many=True)
    return {
        "anyOf": [
            closed(
                {**_across(), **fields_},
                title="<device>: <signal>",
                description="A device says something; fields beside it narrow it down.",
                additionalProperties=said_,
                **ids,
            ),
            closed(
                _lasting(vocabulary),
                title="<device>: <state>",
                description="A device enters a state, or has been in it for a time.",
                additionalProperties=is_,
                dependentRequired={"while": ["for"]},
                **ids,
            ),
        ]
    }


def _of(name: str, kinds: list[DeviceWords], vocabulary: Vocabulary) -> list[Schema]:
    """Return the facts of a device or group: what it says, and the states that it enters."""
    signals = _shared([spoken(one) for one in kinds])
    states = _shared([entered(one) for one in kinds])
    about = vocabulary.about(name)
    group = _across() if name in (vocabulary.groups or {}) else {}
    says = {name: said(one_of(signals), about), **group, **fields(kinds, many=True)}
    enters = {name: said(one_of(states), about), **_lasting(vocabulary)}
    if not group:
        del enters["across"]
    return [
        closed(says, name, title=f"{name}: <signal>", description=about),
        closed(
            enters,
            name,
            title=f"{name}: <state>",
            description=about,
            dependentRequired={"while": ["for"]},
        ),
    ]


def _shared(every: list[dict[str, str]]) -> dict[str, str]:
    """Return the words that all have."""
    return {word: text for word, text in every[0].items() if all(word in one for one in every)}


def _across() -> Schema:
    return {"across": {"const": "group", "description": "The group counts as one."}}


def _lasting(vocabulary: Vocabulary) -> Schema:
    while_ = "What must hold as well, all the time of for:. " + condition(vocabulary)["description"]
    return {
        "for": said(WINDOW, "How long the state must last."),
        "while": said(condition(vocabulary), while_),
        **_across(),
    }


def triggers() -> list[Schema]:
    """Return every form of a trigger."""
    facts = one_or_more({"anyOf": [ref("fact"), ref("daily")]})
    several = {"type": "array", "items": facts, "minItems": 2}
    by = said(suggested(["device"]), "The same device, or value of this field, in all of them.")
    window = {"within": said(WINDOW, "The window; what comes exactly at its end is late."),
              "by": by}  # fmt: skip
    blind = {
        "enum": ["skip", "fire"],
        "description": "What happens when a device could not be heard in the window.",
    }
    without = {"without": said(facts, "What must not come."), **window, "blind": blind}
    times = {"anyOf": [{"type": "integer", "minimum": 2}, VARIABLE]}
    count: Schema = {
        "count": said(times, "How often; 2 or more."),
        "of": said(facts, "What is counted."),
        **window,
    }
    order = said(several, "Facts in this order.")
    return [
        ref("fact"),
        closed({"sequence": order, **window}, "sequence", "within"),
        closed({"together": said(several, "Facts in any order."), **window}, "together", "within"),
        closed(count, "count", "of", "within"),
        closed(
            {"after": said(facts, "What begins the window."), **without},
            "after",
            "without",
            "within",
        ),
        closed(
            {"before": said(facts, "What fires, unless without: came before it."), **without},
            "before",
            "without",
            "within",
        ),
        ref("daily"),
    ]


def daily() -> Schema:
    """Return a moment of the day."""
    clock, edge = r"([01]\d|2[0-3]):[0-5]\d", rf"(opening|closing)([+-]{UNITS})?"
    moment: Schema = {
        "type": "string",
        "pattern": f"^({clock}|{edge}|{NAMED})$",
        "examples": ["21:30", "opening", "opening-15m", "closing", "closing+30m"],
        "description": "A local time, or one counted from opening or closing.",
    }
    one = f"({'|'.join(DAYS)})"
    some = f"{one}(-{one})?"
    day = {
        "type": "string",
        "pattern": f"^({some}(, ?{some})*|{NAMED})$",
        "examples": [*DAYS, "mon-fri", "mon-sat", "sat-sun"],
    }
    days = said(
        {"anyOf": [day, {"type": "array", "items": day, "minItems": 1}]},
        f"{', '.join(DAYS)}, or a range: mon-sat. Default: each day.",
    )
    text = "At a local time, once per local date."
    return closed({"daily": moment, "days": days}, "daily", description=text)
