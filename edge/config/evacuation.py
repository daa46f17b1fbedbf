"""`evacuation:` of site.yaml with its devices: who starts it, what it releases, sounds, records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from drivers.commands import Command, Goto, RecordClip, Release, Silence, Sound, SwitchOff, SwitchOn
from drivers.contract import Driver
from edge.config.devices_file import Entries
from edge.config.site_file import Drill, EvacuationAsWritten
from edge.config.wiring import named
from rules import convert
from rules import yaml_source as ys
from rules.convert import Context
from rules.model import EvacuationPlan
from rules.problems import Mark

NEEDS_IT = ("fire_panel", "lock")
"""Device types with which `evacuation:` must be written."""
ALL = "all"

Groups = Mapping[str, tuple[str, ...]]
Fits = Callable[[str, type[Driver], Driver | None], bool]


def plan(
    site: ys.Node | None, entries: Entries, grouped: Groups, context: Context
) -> EvacuationPlan | None:
    """Return the plan with groups resolved; None without the key, after saying if it is needed."""
    found = site.items.get("evacuation") if isinstance(site, ys.Mapping) else None
    if found is None:
        _needed(site, entries, context)
        return None
    values = convert.settings(found, EvacuationAsWritten, context)
    if values is None or not isinstance(found, ys.Mapping):
        return None
    reader = _Reader(found, entries, grouped, context)
    drill: Drill = values.get("drill", Drill())
    result = EvacuationPlan(
        on=reader.devices("on", values, "a fire panel or a call point", _starts),
        release=reader.devices("release", values, "a lock", _accepts(Release)),
        silence=reader.devices(
            "silence", values, "a siren, a beacon or a switch", _accepts(Silence, SwitchOff)
        ),
        sound=reader.devices(
            "sound", values, "a siren, a beacon or a switch", _accepts(Sound, SwitchOn)
        ),
        goto=reader.presets(values.get("goto", {})),
        record=reader.record(values),
        drill=dataclasses.asdict(drill),
    )
    for device in sorted(set(result.sound) & set(result.silence)):
        mark = convert.place(found, "silence")
        context.problems.error(mark, f"{device!r} is under sound: too; it can't be both")
    return result


def _needed(site: ys.Node | None, entries: Entries, context: Context) -> None:
    if not isinstance(site, ys.Mapping) or "evacuation" in site.keys:
        return
    panels, locks = (
        [entry for entry in entries.devices.values() if entry.type == kind] for kind in NEEDS_IT
    )
    for first in (panels + locks)[:1]:
        message = f"'evacuation' is missing, and {first.id!r} is a {first.type}"
        written = f"on: [{', '.join(entry.id for entry in panels)}]"
        if locks:
            written += f", release: [{', '.join(entry.id for entry in locks)}]"
        hint = f"write evacuation: {{{written}}}; on: [] means that nothing here starts one"
        context.problems.error(site.mark, message, hint)


def _starts(kind: str, _of: type[Driver], driver: Driver | None) -> bool:
    if kind == "button":
        return driver is None or getattr(driver, "kind", "") == "call_point"
    return kind == "fire_panel"


def _accepts(*commands: type[Command]) -> Fits:
    return lambda _kind, of, _driver: bool(of.accepts & set(commands))


class _Reader:
    def __init__(
        self, node: ys.Mapping, entries: Entries, grouped: Groups, context: Context
    ) -> None:
        self._node, self._entries, self._grouped = node, entries, grouped
        self._problems = context.problems

    def devices(
        self, key: str, values: Mapping[str, Any], wanted: str, fits: Fits
    ) -> tuple[str, ...]:
        """Return the devices under `key`, without those of another sort than `wanted`."""
        node = self._node.items.get(key)
        items = node.items if isinstance(node, ys.Sequence) else (node,)
        words: list[str] = values.get(key, [])
        found: list[str] = []
        for index, word in enumerate(words):
            item = items[index] if index < len(items) else node
            mark = item.mark if item else self._node.mark
            found += self._fitting(word, mark, wanted, fits)
        return tuple(dict.fromkeys(found))

    def _fitting(self, word: str, mark: Mark, wanted: str, fits: Fits) -> list[str]:
        found: list[str] = []
        for device in named(word, mark, self._entries, self._grouped, self._problems):
            entry = self._entries.devices.get(device)
            driver = entry.configured.driver if entry and entry.configured else None
            if entry is None:
                self._problems.error(mark, f"{device!r} is an I/O module, not {wanted}")
            elif entry.driver_class is None:
                continue
            elif not fits(entry.type, entry.driver_class, driver):
                said = f"{device!r} is a {entry.type}, not {wanted}"
                if entry.type == "button":
                    said = f"{device!r} is a button of another kind, not {wanted}"
                self._problems.error(mark, said)
            else:
                found.append(device)
        return found

    def presets(self, written: Mapping[str, str]) -> dict[str, str]:
        """Return camera to preset; a group stands for each of its cameras."""
        node = self._node.items.get("goto")
        turned: dict[str, str] = {}
        for word, preset in written.items():
            mark = node.keys[word] if isinstance(node, ys.Mapping) else self._node.mark
            for device in self._fitting(word, mark, "a camera that turns", _accepts(Goto)):
                turned[device] = preset
        return turned

    def record(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the recorders; `all` stands for each that there is."""
        if values.get("record") != [ALL]:
            return self.devices("record", values, "a recorder", _accepts(RecordClip))
        return tuple(
            entry.id
            for entry in self._entries.devices.values()
            if entry.driver_class is not None and RecordClip in entry.driver_class.accepts
        )
