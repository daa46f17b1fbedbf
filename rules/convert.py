"""From YAML as written to typed values, saying at its place what does not fit."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

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
from rules import yaml_source as ys
from rules.problems import Mark, Problems, did_you_mean, nearest_or_all

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2}
YES = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_NEARLY = re.compile(
    r"([0-9]{1,9}) ?(ms|millis|s|sec|secs|seconds?|m|min|mins|minutes?|h|hrs?|hours?|d|days?)",
    re.IGNORECASE,
)
_SPELT = {
    **dict.fromkeys(("ms", "millis"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}
_SUM = re.compile(r"([0-9]{1,6})(d|h|m) ?([0-9]{1,6})(h|m|s)")
_TIMES = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)")

WRONG: Any = object()
"""What a conversion returns after it has said a problem."""


@dataclass(slots=True, kw_only=True)
class Context:
    """What a conversion needs to know beside the text."""

    problems: Problems
    variables: Mapping[str, ys.Node] = field(default_factory=dict)
    """`vars:` of the site, over those declared in the rule file."""
    types: Mapping[str, str] = field(default_factory=dict)
    """The types of those that the rule file declares; conditions read only them."""
    refused: frozenset[str] = frozenset()
    """Variables whose value is wrong, which was said where it is written."""
    secret: Callable[[str], str | None] = lambda _name: None
    """Return a secret's value by name, or None."""
    secret_file: Callable[[str], Path | None] = lambda _name: None
    """Return the file that holds a secret by name, or None."""


def resolve(node: ys.Node, context: Context) -> ys.Node | None:
    """Return what `!var NAME` stands for, or `node` itself; None after saying a problem."""
    seen: set[str] = set()
    while isinstance(node, ys.Scalar) and node.tag == "!var":
        if node.text in context.refused:
            return None
        if node.text in seen:
            context.problems.error(node.mark, f"the variable {node.text!r} stands for itself")
            return None
        if node.text not in context.variables:
            hint = nearest_or_all(node.text, context.variables)
            context.problems.error(node.mark, f"unknown variable {node.text!r}", hint)
            return None
        seen.add(node.text)
        value = context.variables[node.text]
        node = dataclasses.replace(value, mark=node.mark)
        if isinstance(node, ys.Scalar):
            node = dataclasses.replace(node, inset=None)
    return node


def duration(text: str) -> float | None:
    """Return the seconds of `90s`, `1.5m`, `250ms`; None when it is no duration."""
    found = _DURATION.fullmatch(text)
    return float(found[1]) * UNITS[found[2]] if found else None


def duration_hint(text: str) -> str:
    """Return what to write instead of `text`."""
    if _NUMBER.fullmatch(text):
        return f"did you mean {text.lstrip('-')}s?"
    if found := _NEARLY.fullmatch(text):
        return f"did you mean {found[1]}{_SPELT[found[2].lower()]}?"
    if found := _SUM.fullmatch(text):
        smaller = UNITS[found[2]] / UNITS[found[4]]
        return f"did you mean {int(found[1]) * int(smaller) + int(found[3])}{found[4]}?"
    return "write a number and a unit: 250ms, 5s, 2m, 1h, 30d"


def convert(node: ys.Node, wanted: Any, context: Context) -> Any:
    """Return `node` as the type `wanted`, or WRONG after saying what does not fit.

    Knows str, int, float, bool, Path, Seconds, ByteSize, Secret, SecretPath, LocalTimes, PortName,
    InputSetting, OutputSetting, Literal, X | None, list, tuple[X, ...], frozenset, dict[str, X],
    dataclasses (with `metadata={"yaml": word}` where the word is no Python name) and ys.Node.
    """
    found = resolve(node, context)
    if found is None:
        return WRONG
    origin = get_origin(wanted)
    if wanted is ys.Node or wanted is Any:
        return found
    if origin in (typing.Union, types.UnionType):
        return _union(found, get_args(wanted), context)
    if wanted in (InputSetting, OutputSetting) and isinstance(found, ys.Scalar):
        return WRONG if (text := _text(found, "a line", context)) is None else wanted(line=text)
    if origin in (list, tuple, frozenset):
        return _list(found, wanted, context)
    if origin in (dict, Mapping) or wanted is dict:
        return _dict(found, (get_args(wanted) or (str, ys.Node))[1], context)
    if dataclasses.is_dataclass(wanted):
        return mapping(found, typing.cast("type[Any]", wanted), context)
    if not isinstance(found, ys.Scalar):
        context.problems.error(found.mark, f"{_wish(wanted)} is wanted, not {ys.describe(found)}")
        return WRONG
    return _scalar(found, wanted, context)


def _wish(wanted: Any) -> str:
    wishes: dict[Any, str] = {
        str: "a word",
        int: "a whole number",
        float: "a number",
        bool: "yes or no",
        Path: "a path",
        SecretPath: "a path or a secret",
        Seconds: "a duration",
        ByteSize: "a size",
        Secret: "a secret",
        LocalTimes: "a range of local time",
        PortName: "the id of a text port",
    }
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(str, get_args(wanted)))
    return wishes.get(wanted, "a value")


def _text(node: ys.Scalar, what: str, context: Context) -> str | None:
    if node.tag == "!secret":
        context.problems.error(node.mark, f"{what} is wanted here, not a secret")
    elif node.null:
        context.problems.error(node.mark, f"{what} is wanted here, not nothing")
    else:
        return node.text
    return None


def _scalar(node: ys.Scalar, wanted: Any, context: Context) -> Any:
    problems = context.problems
    if wanted is Secret:
        return _secret(node, context)
    if wanted is SecretPath and node.tag == "!secret":
        found = context.secret_file(node.text)
        return _no_secret(node, context) if found is None else found
    text = _text(node, _wish(wanted), context)
    if text is None:
        return WRONG
    if wanted in (str, PortName):
        return text
    if wanted in (Path, SecretPath):
        return Path(text)
    if get_origin(wanted) is Literal:
        known = {str(v): v for v in get_args(wanted)}
        if text not in known:
            meant = "yes" if YES.get(text) else "no"
            hint = f"did you mean {meant}?" if text in YES and meant in known else ""
            hint = hint or did_you_mean(text, known)
            problems.error(node.mark, f"{text!r} is not one of {', '.join(known)}", hint)
        return known.get(text, WRONG)
    if wanted is bool:
        if node.text not in YES:
            problems.error(node.mark, f"{text!r} is neither yes nor no")
        return YES.get(text, WRONG)
    parsers: dict[Any, Callable[[str], Any]] = {
        Seconds: duration,
        ByteSize: _size,
        LocalTimes: lambda t: t if _TIMES.fullmatch(t) else None,
        int: lambda t: int(t) if re.fullmatch(r"-?[0-9]{1,18}", t) else None,
        float: lambda t: float(t) if _NUMBER.fullmatch(t) else None,
    }
    value = parsers[wanted](text)
    if value is None:
        hints = {
            Seconds: duration_hint(text),
            ByteSize: "write a number and a unit: 512MB, 2GB",
            LocalTimes: 'write it like "22:00-07:00"',
        }
        problems.error(node.mark, f"{text!r} is not {_wish(wanted)}", hints.get(wanted, ""))
        return WRONG
    return value


def _size(text: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,12})(B|kB|MB|GB|KiB|MiB)", text)
    return int(found[1]) * SIZES[found[2]] if found else None


def _secret(node: ys.Scalar, context: Context) -> Any:
    if node.tag != "!secret":
        hint = "keep it in secrets/NAME and write !secret NAME"
        context.problems.error(node.mark, "a secret is never written here", hint)
        return WRONG
    value = context.secret(node.text)
    return _no_secret(node, context) if value is None else Secret(value)


def _no_secret(node: ys.Scalar, context: Context) -> Any:
    hint = f"looked in $CREDENTIALS_DIRECTORY/{node.text} and secrets/{node.text}"
    context.problems.error(node.mark, f"there is no secret {node.text!r}", hint)
    return WRONG


def _union(node: ys.Node, options: tuple[Any, ...], context: Context) -> Any:
    null = isinstance(node, ys.Scalar) and node.null
    if type(None) in options and null:
        return None
    wanted = [o for o in options if o is not type(None)]
    if len(wanted) > 1:
        shapes = {ys.Scalar: 0, ys.Sequence: 1, ys.Mapping: 2}
        fitting = [o for o in wanted if _shape(o) == shapes[type(node)]]
        wanted = fitting or wanted
    for option in wanted[:-1]:
        attempt = dataclasses.replace(context, problems=Problems())
        value = convert(node, option, attempt)
        if value is not WRONG and not attempt.problems.errors:
            return value
    return convert(node, wanted[-1], context)


def _shape(wanted: Any) -> int:
    origin = get_origin(wanted)
    if origin in (list, tuple, frozenset):
        return 1
    return 2 if origin in (dict, Mapping) or dataclasses.is_dataclass(wanted) else 0


def _list(node: ys.Node, wanted: Any, context: Context) -> Any:
    each, make = get_args(wanted)[0], get_origin(wanted)
    if isinstance(node, ys.Mapping):
        context.problems.error(node.mark, "a list is wanted, not a mapping")
        return WRONG
    items = node.items if isinstance(node, ys.Sequence) else (node,)
    values = [convert(item, each, context) for item in items]
    return WRONG if WRONG in values else make(values)


def _dict(node: ys.Node, each: Any, context: Context) -> Any:
    if not isinstance(node, ys.Mapping):
        context.problems.error(node.mark, f"a mapping is wanted, not {ys.describe(node)}")
        return WRONG
    values = {key: convert(item, each, context) for key, item in node.items.items()}
    return WRONG if any(v is WRONG for v in values.values()) else values


def words(wanted: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Return the settings of a dataclass by their word in YAML."""
    return {str(f.metadata.get("yaml", f.name)): f for f in dataclasses.fields(wanted) if f.init}


_HINTS: dict[type[Any], dict[str, Any]] = {}


def _hints(wanted: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields, looked up once."""
    if wanted not in _HINTS:
        _HINTS[wanted] = typing.get_type_hints(wanted)
    return _HINTS[wanted]


def required(setting: dataclasses.Field[Any]) -> bool:
    """Return whether a setting has no default."""
    missing = dataclasses.MISSING
    return setting.default is missing and setting.default_factory is missing


def mapping(
    node: ys.Node, wanted: type[Any], context: Context, *, beside: frozenset[str] = frozenset()
) -> Any:
    """Return an instance of the dataclass `wanted` from a mapping; keys in `beside` are left."""
    values = settings(node, wanted, context, beside=beside)
    if values is None:
        return WRONG
    try:
        return wanted(**values)
    except ValueError as error:
        name = getattr(error, "setting", "")
        word = next((w for w, setting in words(wanted).items() if setting.name == name), name)
        mark = place(node, word)
        context.problems.error(mark, str(error), getattr(error, "hint", ""))
        return WRONG


def place(node: ys.Node, key: str) -> Mark:
    """Return where the value of `key` stands in a mapping, else where `node` stands."""
    if isinstance(node, ys.Mapping) and key in node.items:
        return node.items[key].mark
    return node.mark


def settings(
    node: ys.Node, wanted: type[Any], context: Context, *, beside: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """Return the keyword arguments for the dataclass `wanted`, or None after saying problems."""
    if not isinstance(node, ys.Mapping):
        context.problems.error(node.mark, f"a mapping is wanted, not {ys.describe(node)}")
        return None
    known, hints = words(wanted), _hints(wanted)
    values: dict[str, Any] = {}
    good = True
    for key, item in node.items.items():
        if key in known:
            values[known[key].name] = convert(item, hints[known[key].name], context)
            good = good and values[known[key].name] is not WRONG
        elif key not in beside:
            hint = did_you_mean(key, [*known, *beside])
            hint = hint or f"known: {', '.join(sorted([*known, *beside]))}"
            context.problems.error(node.keys[key], f"unknown setting {key!r}", hint)
            good = False
    for word, setting in known.items():
        if word not in node.keys and required(setting):
            context.problems.error(node.mark, f"{word!r} is missing")
            good = False
        elif word in node.keys and word not in node.items:
            good = False
    return values if good else None
