"""Markdown of what may be written and said: device types, their settings, signals and states."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from drivers import catalog, signals
from drivers.commands import BY_KIND
from drivers.contract import Driver
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
from drivers.signals import SAID_BY_ALL, SAID_OF_ORDERS, UNKNOWN, Signal
from edge.config.site_file import SiteAsWritten, documented
from rules import convert
from rules.model import FieldWords
from rules.source_docs import field_docs, summary
from rules.words import JOURNAL_ONLY, LINK, SITE_SIGNALS, fields_of, site_words

_WORDS: dict[Any, str] = {
    str: "word",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    Path: "path",
    Seconds: "duration",
    ByteSize: "size",
    Secret: "`!secret NAME`",
    SecretPath: "path or `!secret NAME`",
    LocalTimes: "local times",
    PortName: "id of a text port",
    InputSetting: "input",
    OutputSetting: "output",
    Any: "see below",
}


def types_table() -> str:
    """Return every device type and I/O module type with its settings, as Markdown."""
    parts = ["## Device types"]
    parts += [_type(name, catalog.load(name)) for name in catalog.names()]
    parts += ["## I/O module types"]
    parts += [_type(name, catalog.load_io(name)) for name in sorted(catalog.IO_TYPES)]
    parts += ["## Inputs and outputs"]
    parts += [_class("input", InputSetting), _class("output", OutputSetting)]
    return "\n\n".join(parts) + "\n"


def site_table() -> str:
    """Return the settings of site.yaml, as Markdown."""
    parts = [settings_table(SiteAsWritten)]
    for key, of in documented().items():
        parts += [f"### `{key}:`\n\n{summary(of)}\n\n{settings_table(of)}"]
    return "\n\n".join(parts) + "\n"


def signals_table() -> str:
    """Return every signal with its fields, and what each device type says, as Markdown."""
    by_kind = signals.by_kind()
    every = ["| signal | priority | fields | sets | meaning |", "|---|---|---|---|---|"]
    every += [_signal(of) for of in by_kind.values()]
    any_device = ", ".join(f"`{s.kind}`" for s in sorted(SAID_BY_ALL, key=lambda s: s.kind))
    ordered = ", ".join(f"`{s.kind}`" for s in sorted(SAID_OF_ORDERS, key=lambda s: s.kind))
    types_ = ["| type | says | states | accepts |", "|---|---|---|---|"]
    types_ += [_says(name, catalog.load(name)) for name in catalog.names()]
    types_ += [_says(name, catalog.load_io(name)) for name in sorted(catalog.IO_TYPES)]
    site = _of_site(site_words().says)
    written = _of_site({k: f for k, f in SITE_SIGNALS.items() if k in JOURNAL_ONLY})
    return "\n".join(
        [
            "## Signals",
            "",
            *every,
            "",
            "## By device type",
            "",
            f"Every device may also say {any_device}, and has the state `link` "
            f"({_values(LINK)}). What accepts commands may say {ordered}. "
            f"Every state may also be `{UNKNOWN}`.",
            "",
            *types_,
            "",
            "## The site itself",
            "",
            "As the device `site`. Each schedule adds `<schedule>.started` and "
            "`<schedule>.ended`, and a state of its name. States: "
            + ", ".join(f"`{s}`" + (f" ({_values(v)})" if v else "")
                        for s, v in site_words().states.items())
            + ".",
            "",
            *site,
            "",
            "What follows is journaled and forwarded as said by the site; rules don't hear it.",
            "",
            *written,
            "",
        ]
    )  # fmt: skip


def _of_site(says: Mapping[str, Mapping[str, FieldWords]]) -> list[str]:
    rows = [
        f"| `{kind}` | {', '.join(f'`{name}`' for name in fields) or '–'} |"  # noqa: RUF001
        for kind, fields in says.items()
    ]
    return ["| signal | fields |", "|---|---|", *rows]


def settings_table(of: type[Any]) -> str:
    """Return the settings of a dataclass with type, default and meaning, as a Markdown table."""
    hints, docs = typing.get_type_hints(of), field_docs(of)
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for word, setting in convert.words(of).items():
        meaning = docs.get(setting.name, "").replace("|", "\\|")
        kind = in_words(hints[setting.name]).replace("|", "\\|")
        rows.append(f"| `{word}` | {kind} | {_default(setting)} | {meaning} |")
    return "\n".join(rows)


def in_words(wanted: Any) -> str:
    """Return a setting's type in words: `duration`, `one of `on`, `off``."""
    origin, args = get_origin(wanted), get_args(wanted)
    if wanted in _WORDS:
        return _WORDS[wanted]
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(in_words(option) for option in args if option is not type(None))
    if origin in (list, tuple, frozenset):
        return f"list of {in_words(args[0])}"
    if origin in (dict, Mapping):
        return f"mapping of word to {in_words(args[1])}"
    if dataclasses.is_dataclass(wanted):
        of = typing.cast("type[Any]", wanted)
        return "{" + ", ".join(f"`{word}`" for word in convert.words(of)) + "}"
    return "value"


def _type(name: str, of: type[Driver]) -> str:
    return _class(name, of)


def _class(name: str, of: type[Any]) -> str:
    return f"### `{name}`\n\n{summary(of)}\n\n{settings_table(of)}"


def _default(setting: dataclasses.Field[Any]) -> str:
    missing = dataclasses.MISSING
    if convert.required(setting):
        return "**required**"
    value = setting.default
    if setting.default_factory is not missing:
        value = setting.default_factory()
    if value is None or value in ((), [], {}) or dataclasses.is_dataclass(value):
        return "–"  # noqa: RUF001
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    kind = str(setting.type)
    if "Seconds" in kind and isinstance(value, float | int):
        return f"`{duration(value)}`"
    if "ByteSize" in kind and isinstance(value, int):
        return f"`{value // 1_000_000}MB`"
    return f"`{value}`"


def duration(seconds: float) -> str:
    """Return `seconds` as it is written in YAML: `250ms`, `8s`, `2m`, `1h`, `30d`."""
    for unit, size in sorted(convert.UNITS.items(), key=lambda unit: -unit[1]):
        if seconds >= size and seconds / size == round(seconds / size):
            return f"{round(seconds / size)}{unit}"
    return f"{seconds:g}s"


def _signal(of: type[Signal]) -> str:
    fields = [name for name in fields_of(of) if name != "changed_while_down"]
    sets = ", ".join(f"`{state}` = `{value}`" for state, value in of.sets.items())
    said = ", ".join(f"`{name}`" for name in fields)
    none = "–"  # noqa: RUF001
    return f"| `{of.kind}` | {of.priority.name} | {said or none} | {sets or none} | {summary(of)} |"


def _says(name: str, of: type[Driver]) -> str:
    none = "–"  # noqa: RUF001
    said = ", ".join(f"`{s.kind}`" for s in sorted(of.says, key=lambda s: s.kind))
    states = ", ".join(f"`{state}` ({_values(v)})" for state, v in of.has_states.items())
    accepts = ", ".join(f"`{kind}`" for kind, command in BY_KIND.items() if command in of.accepts)
    return f"| `{name}` | {said or none} | {states or none} | {accepts or none} |"


def _values(values: tuple[str, ...]) -> str:
    return ", ".join(value for value in values if value != UNKNOWN) or "any word"
