"""What devices.yaml names: lines, text ports, neighbours, and who belongs to which group."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from drivers.contract import Driver, IoModule
from drivers.settings import InputSetting, OutputSetting, PortName
from edge.config.devices_file import Entries, Entry
from rules import convert
from rules import yaml_source as ys
from rules.convert import WRONG, Context
from rules.problems import Mark, Problems, did_you_mean, nearest_or_all

TEXT = "text"
_LINE_HINT = "write <I/O module>.<line>, like annex.di0"


def check(entries: Entries, problems: Problems) -> None:
    """Say every line and port that is not there, and every output that two devices want."""
    owners: dict[str, tuple[str, Mark]] = {}
    for entry in entries.devices.values():
        driver = entry.configured.driver if entry.configured else None
        if driver is None:
            continue
        for setting, value in settings_of(driver):
            mark = _line_mark(entry.node, setting)
            if isinstance(value, InputSetting | OutputSetting):
                _line(value, mark, entries, problems)
            if isinstance(value, OutputSetting):
                _alone(entry.id, value, mark, owners, problems)
        for setting in _ports(driver):
            _port(getattr(driver, setting), _line_mark(entry.node, setting), entries, problems)


def settings_of(driver: Driver) -> Iterator[tuple[str, Any]]:
    """Return each setting by its word in YAML, with its value."""
    for word, setting in convert.words(type(driver)).items():
        yield word, getattr(driver, setting.name)


def _ports(driver: Driver) -> list[str]:
    hints = typing.get_type_hints(type(driver))
    wanted = [
        setting.name
        for setting in convert.words(type(driver)).values()
        if PortName in (hints[setting.name], *typing.get_args(hints[setting.name]))
    ]
    return [name for name in wanted if getattr(driver, name) is not None]


def _line_mark(node: ys.Node, setting: str) -> Mark:
    if isinstance(node, ys.Mapping) and setting in node.items:
        return convert.place(node.items[setting], "line")
    return node.mark


def _line(
    value: InputSetting | OutputSetting, mark: Mark, entries: Entries, problems: Problems
) -> None:
    module, dot, line = value.line.partition(".")
    if not dot or not module or not line:
        problems.error(mark, f"{value.line!r} names no line", _LINE_HINT)
        return
    if module not in entries.io:
        if module not in entries.refused:
            hint = nearest_or_all(module, entries.io)
            problems.error(mark, f"there is no I/O module {module!r}", hint or "none under io:")
        return
    found = entries.io[module].configured
    if found is None:
        return
    if not isinstance(found.driver, IoModule):
        hint = f"it is of the type {found.type}; write port: {module} where a device takes one"
        problems.error(mark, f"{module!r} has no lines", hint)
        return
    side, other = list(found.driver.inputs()), list(found.driver.outputs())
    what, what_else = "input", "output"
    if isinstance(value, OutputSetting):
        side, other, what, what_else = other, side, what_else, what
    if line not in side:
        known = f"known: {', '.join(side) or 'none'}"
        hint = f"{line} is an {what_else}; {known}" if line in other else known
        problems.error(mark, f"{module!r} has no {what} {line!r}", hint)


def _alone(
    device: str,
    value: OutputSetting,
    mark: Mark,
    owners: dict[str, tuple[str, Mark]],
    problems: Problems,
) -> None:
    if value.line not in owners:
        owners[value.line] = (device, mark)
        return
    first, at = owners[value.line]
    hint = f"first: {at.file}:{at.line}:{at.column}"
    problems.error(mark, f"the output {value.line} belongs to {first!r} already", hint)


def _port(port: str, mark: Mark, entries: Entries, problems: Problems) -> None:
    if port in entries.io:
        if entries.io[port].type not in {TEXT, ""}:
            hint = f"it is of the type {entries.io[port].type}; write one of type text"
            problems.error(mark, f"{port!r} is no text port", hint)
    elif port not in entries.refused:
        texts = [entry.id for entry in entries.io.values() if entry.type == TEXT]
        hint = nearest_or_all(port, texts) or "write one of type text under io:"
        problems.error(mark, f"there is no text port {port!r}", hint)


def groups(entries: Entries, context: Context) -> dict[str, tuple[str, ...]]:
    """Return each group's members in the order written, without those that do not exist."""
    return {name: _members(name, node, entries, context) for name, node in entries.groups.items()}


def _members(name: str, node: ys.Node, entries: Entries, context: Context) -> tuple[str, ...]:
    if isinstance(node, ys.Scalar) and node.null:
        return ()
    if isinstance(node, ys.Mapping):
        return _tagged(node, entries, context)
    words = convert.convert(node, list[ys.Node], context)
    members: list[str] = []
    broken = entries.broken()
    for item in [] if words is WRONG else words:
        word = convert.convert(item, str, context)
        if word is WRONG or word in broken:
            continue
        if word in members:
            context.problems.error(item.mark, f"{word!r} is in the group already")
        elif word in entries.devices or word in entries.io:
            members.append(word)
        elif word in entries.groups:
            hint = "write its devices, or {tags: …}"
            context.problems.error(item.mark, f"the group {word!r} can't be in {name!r}", hint)
        else:
            hint = nearest_or_all(word, entries.devices)
            context.problems.error(item.mark, f"there is no device {word!r}", hint)
    return tuple(members)


def _tagged(node: ys.Mapping, entries: Entries, context: Context) -> tuple[str, ...]:
    for key, mark in node.keys.items():
        if key != "tags":
            context.problems.error(mark, f"unknown setting {key!r}", "known: tags")
    if "tags" not in node.items:
        if "tags" not in node.keys:
            context.problems.error(node.mark, "'tags' is missing")
        return ()
    tags = convert.convert(node.items["tags"], list[str], context)
    wanted = set() if tags is WRONG else set(tags)
    used = {tag for entry in entries.devices.values() for tag in entry.tags}
    for tag in sorted(wanted - used):
        if hint := did_you_mean(tag, used):
            context.problems.warning(
                node.items["tags"].mark, f"no device has the tag {tag!r}", hint
            )
    return tuple(e.id for e in entries.devices.values() if wanted & set(e.tags))


def near(
    entry: Entry, entries: Entries, grouped: Mapping[str, tuple[str, ...]], problems: Problems
) -> dict[str, tuple[str, ...]]:
    """Return the neighbours of a device with groups resolved, without those that do not exist."""
    resolved: dict[str, tuple[str, ...]] = {}
    if not entry.near or not isinstance(entry.node, ys.Mapping):
        return resolved
    written = entry.node.items["near"]
    for key, words in entry.near.items():
        mark = convert.place(written, key)
        devices = [d for w in words for d in named(w, mark, entries, grouped, problems)]
        resolved[key] = tuple(dict.fromkeys(devices))
    return resolved


def named(
    word: str,
    mark: Mark,
    entries: Entries,
    grouped: Mapping[str, tuple[str, ...]],
    problems: Problems,
) -> tuple[str, ...]:
    """Return the devices that `word` means: itself, or a group's; none after saying why not."""
    if word in entries.devices:
        return (word,)
    if word in grouped:
        return grouped[word]
    if word in entries.io:
        problems.error(mark, f"{word!r} is an I/O module", "write a device or a group")
    elif word not in entries.refused:
        hint = nearest_or_all(word, [*entries.devices, *grouped])
        problems.error(mark, f"there is no device or group {word!r}", hint or "none is written yet")
    return ()
