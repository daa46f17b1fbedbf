"""What the records of a text device mean: regular expressions with named groups, from YAML.

A profile is data in `drivers/profiles/<kind>/<name>.yaml`; an installer's own patterns in
devices.yaml have the same form and are tried first. The first pattern that matches counts.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from drivers.contract import SettingError
from drivers.signals import Signal

LONGEST_PATTERN = 500
"""Characters in one regular expression."""
LONGEST_RECORD = 300
"""Characters at the start, and as many at the end, of a record that patterns look at: what a
record says stands at its end when noise ran into it."""
OF_THE_HOST = ("changed_while_down", "test")
"""Fields that no record tells by a group of that name."""
MANY = 10
"""Repeats beyond it count as without end when a pattern is checked for its cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPattern:
    """One kind of record and what it says."""

    pattern: str
    """A regular expression, searched in the record; named groups become the signal's fields."""
    signal: str
    """The signal, or a word that this kind of device knows: `ignore`, `reset`, `normal`."""
    fields: dict[str, str] = field(default_factory=dict)
    """Fields that the record does not tell: `{direction: out}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextProfile:
    """A family of devices that print alike."""

    description: str = ""
    source: str = ""
    """Where the records are documented, and what of them is not."""
    patterns: tuple[TextPattern, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else this kind of device needs to know, seconds as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a record means: a word and the values of the named groups and fixed fields."""

    word: str
    values: Mapping[str, str]


class PatternTable:
    """Patterns in order, compiled."""

    def __init__(
        self,
        patterns: Iterable[TextPattern],
        *,
        signals: Mapping[str, type[Signal]],
        words: frozenset[str] = frozenset(),
        groups: frozenset[str] = frozenset(),
        noted: frozenset[str] = frozenset(),
    ) -> None:
        """Compile `patterns`, which may say `signals` or `words`.

        `groups` are named groups beside the signal's fields. `noted` are groups of `words` that
        the device keeps for the records after them; what one of them tells no signal must tell.

        Raises:
            SettingError: a pattern that can't be used, with the reason; its setting is `patterns`.
        """
        self._table: list[tuple[re.Pattern[str], TextPattern]] = []
        told: set[str] = set()
        for each in patterns:
            if each.signal not in signals and each.signal not in words:
                known = ", ".join(sorted([*signals, *words]))
                raise SettingError("patterns", f"{each.signal!r} is nothing it says", known)
            compiled = compile_pattern(each.pattern)
            spoken = signals.get(each.signal)
            fields = set(_fields(spoken)) if spoken else noted
            named = {*compiled.groupindex, *each.fields}
            for name in sorted(named - fields - groups):
                raise SettingError("patterns", f"{each.signal} has no field {name!r}")
            if spoken is None:
                told |= named
            self._table.append((compiled, each))
        for compiled, each in self._table:
            if each.signal in signals:
                _check(each, compiled, signals[each.signal], told)

    def read(self, record: str) -> Meaning | None:
        """Return what `record` means, or None when no pattern matches."""
        looks = [(0, LONGEST_RECORD)]
        if len(record) > LONGEST_RECORD:
            looks.append((len(record) - LONGEST_RECORD, len(record)))
        for compiled, each in self._table:
            for start, end in looks:
                if found := compiled.search(record, start, end):
                    told = {k: v.strip() for k, v in found.groupdict().items() if v is not None}
                    return Meaning(word=each.signal, values={**each.fields, **told})
        return None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return `pattern` compiled.

    Raises:
        SettingError: it is too long, no regular expression, or could take for ever.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise SettingError("patterns", f"a pattern has at most {LONGEST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(pattern)
            parsed = importlib.import_module("re._parser").parse(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise SettingError("patterns", f"{pattern!r} is no regular expression: {error}") from error
    if _endless(parsed, inside=False):
        hint = "what contains +, *, ? or | can't be repeated as a whole"
        raise SettingError("patterns", f"{pattern!r} could take for ever on some records", hint)
    return compiled


def _endless(parsed: Iterable[Any], *, inside: bool) -> bool:
    """Return whether a repeat stands inside a repeat: the cost then grows without bound."""
    for operation, argument in parsed:
        word = str(operation)
        if inside and (word == "BRANCH" or (word.endswith("_REPEAT") and argument[1] > 1)):
            return True
        many = word in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] > MANY
        if any(_endless(part, inside=inside or many) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> Iterator[Iterable[Any]]:
    if hasattr(argument, "getwidth"):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for each in argument:
            yield from _parts(each)


def build(signal: type[Signal], values: Mapping[str, str]) -> Signal | None:
    """Return `signal` with its fields from text; None if a value does not fit its field."""
    types = _fields(signal)
    fields = {k: _value(v, types[k]) for k, v in values.items() if k in types}
    return None if None in fields.values() else signal(**fields)


def _value(text: str, wanted: Any) -> Any:
    if get_origin(wanted) is Literal:
        return text if text in get_args(wanted) else None
    if get_args(wanted):
        wanted = next(each for each in get_args(wanted) if each is not type(None))
    if wanted is int:
        return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
    if wanted is float:
        return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) else None
    return text


def _fields(signal: type[Signal]) -> dict[str, Any]:
    """Return the types of the fields that a record may tell."""
    hints = typing.get_type_hints(signal)
    names = [f.name for f in dataclasses.fields(signal) if f.name not in OF_THE_HOST]
    return {name: hints[name] for name in names}


def _check(
    each: TextPattern, compiled: re.Pattern[str], signal: type[Signal], told: Collection[str]
) -> None:
    """Raise SettingError if a fixed field does not fit, or a needed one is told nowhere.

    `told`: the fields that other records tell.
    """
    types = _fields(signal)
    for name, value in each.fields.items():
        if name in types and _value(value, types[name]) is None:
            raise SettingError("patterns", f"{value!r} is no {name} of {each.signal}")
    for field_ in dataclasses.fields(signal):
        needed = field_.default is dataclasses.MISSING and field_.name != "text"
        if needed and field_.name not in {*compiled.groupindex, *each.fields, *told}:
            hint = f"name a group, (?P<{field_.name}>…), or give it under fields"
            raise SettingError("patterns", f"{each.signal} needs its {field_.name}", hint)


def load_profile(kind: str, name: str) -> TextProfile:
    """Return the shipped profile `name` of a kind of device, `eas`, `fire` or `pos`.

    Raises:
        SettingError: there is none of that name; its setting is `profile`.
    """
    folder = Path(__file__).parents[1] / "profiles" / kind
    known = sorted(p.name.removesuffix(".yaml") for p in folder.iterdir())
    if name not in known:
        raise SettingError("profile", f"unknown profile {name!r}", f"known: {', '.join(known)}")
    found = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    patterns = tuple(TextPattern(**each) for each in found.pop("patterns", ()))
    description, source = found.pop("description", ""), found.pop("source", "")
    return TextProfile(description=description, source=source, patterns=patterns, settings=found)


def spoken(signals: Sequence[type[Signal]]) -> dict[str, type[Signal]]:
    """Return `signals` by their kind."""
    return {each.kind: each for each in signals}
