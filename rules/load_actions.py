"""Read `do`: which command, to whom, with what parameters, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drivers.commands import BY_KIND, SITE_COMMANDS, Command, Goto, SetMode
from drivers.event import SITE
from drivers.settings import Seconds
from rules import yaml_source as ys
from rules.convert import settings, words
from rules.load_scope import Scope, spell
from rules.model import OF_DEVICE, Action, DeviceWords
from rules.modes import HOURS, spelt
from rules.problems import Mark, did_you_mean

COMMANDS = (*BY_KIND, *SITE_COMMANDS)
NEAR = "event.near."


def actions(node: ys.Node, scope: Scope, members: tuple[str, ...]) -> tuple[Action, ...]:
    """Return the steps of `do`; `members` are the devices whose events complete the trigger."""
    items = scope.items(node)
    if not items:
        scope.problems.error(node.mark, "do: says nothing to do")
    return tuple(action for item in items for action in _step(item, scope, members))


def _step(node: ys.Node, scope: Scope, members: tuple[str, ...]) -> list[Action]:
    found = scope.mapping(node, "write {<command>: <device or group>}")
    word = None if found is None else _word(found, scope)
    if found is None or word is None or word not in found.items:
        return []
    if scope.life_safety and word == "relock":
        hint = "people relock, one lock at a time"
        scope.problems.error(found.keys[word], "nothing is locked at life_safety", hint)
    if word in SITE_COMMANDS:
        return _site_command(found, scope, word)
    kind = BY_KIND[word]
    command = _command(found, scope, word, kind)
    lasts = _lasts(found, scope, kind)
    asked = _Asked(node=found, scope=scope, word=word, lasts=lasts, members=members)
    devices, near = asked.targets()
    if command is None:
        return []
    if isinstance(command, Goto):
        _preset(found.items["preset"], command.preset, members, scope)
    made = [Action(mark=found.mark, command=command, near=key, lasts=lasts) for key in near]
    if devices or not near:
        made.append(Action(mark=found.mark, command=command, devices=devices, lasts=lasts))
    return made


def _preset(node: ys.Node, preset: str, members: tuple[str, ...], scope: Scope) -> None:
    """Say a preset that is to follow from the event and can't."""
    if preset == OF_DEVICE and SITE in members:
        hint = "the site completes this trigger; write the preset's name"
        scope.problems.error(node.mark, "no preset is called like the site", hint)
    elif preset != OF_DEVICE and preset.startswith("event."):
        hint = f"write {OF_DEVICE}, or the preset's name"
        scope.problems.error(node.mark, f"{preset!r} is no preset", hint)


def _word(node: ys.Mapping, scope: Scope) -> str | None:
    """Return the command that a step gives."""
    given = [key for key in node.keys if key in COMMANDS]
    if len(given) == 1:
        return given[0]
    if given:
        hint = "write a step for each"
        scope.problems.error(node.keys[given[1]], "two commands in one step", hint)
    elif not node.keys:
        scope.problems.error(node.mark, "a step gives no command", f"known: {spell(COMMANDS)}")
    else:
        first = next(iter(node.keys))
        scope.unknown(node.keys[first], "command", first, COMMANDS)
    return None


def _site_command(node: ys.Mapping, scope: Scope, word: str) -> list[Action]:
    kind = SITE_COMMANDS[word]
    lasting = "duration" in words(kind)
    scope.known_keys(node, (word, "for") if lasting else (word,), "parameter")
    value = scope.word(node.items[word])
    if value is None or (kind is SetMode and not known_mode(node.items[word], scope, HOURS)):
        return []
    given: dict[str, Any] = {next(iter(words(kind).values())).name: value}
    if lasting and "for" in node.items:
        lasts = mode_lasts(node, value, scope)
        if lasts is None:
            return []
        given["duration"] = Seconds(lasts)
    return [Action(mark=node.mark, command=kind(**given), devices=(SITE,))]


def known_mode(node: ys.Node, scope: Scope, *others: str) -> bool:
    """Return whether a word is a mode of the site, or one of `others`, after saying that not."""
    mode = scope.word(node)
    known = (*scope.world.modes, *others)
    if mode is not None and mode not in known:
        hint = did_you_mean(mode, known) or f"known: {spell(known)}; more: modes: of site.yaml"
        scope.problems.error(node.mark, f"unknown mode {mode!r}", hint)
    return mode in known


def mode_lasts(node: ys.Mapping, mode: str, scope: Scope) -> float | None:
    """Return the `for:` beside a mode in seconds; None after saying that it lasts too long."""
    item = node.items["for"]
    seconds = scope.window(item)
    if seconds is not None and mode == HOURS:
        hint = "the hours last until somebody sets a mode"
        scope.problems.error(node.keys["for"], f"mode: {HOURS} takes no for:", hint)
        return None
    longest = scope.world.modes.get(mode)
    if seconds is not None and longest is not None and seconds > longest:
        hint = "longest: of the mode in site.yaml says so"
        scope.problems.error(item.mark, f"{mode} lasts {spelt(longest)} at most", hint)
        return None
    return seconds


def _command(node: ys.Mapping, scope: Scope, word: str, kind: type[Command]) -> Command | None:
    """Return the command with its parameters; the duration of a recording is written `for:`."""
    known = {"for" if name == "duration" else name: name for name in words(kind)}
    lasts = {"for"} if kind.holds != "no" else set()
    items: dict[str, ys.Node] = {}
    keys: dict[str, Mark] = {}
    for key, mark in node.keys.items():
        if key in known:
            keys[known[key]] = mark
            items |= {known[key]: node.items[key]} if key in node.items else {}
        elif key == "for" and not lasts:
            scope.problems.error(mark, f"{word} takes no for:", "only what lasts takes for:")
        elif key != word and key not in lasts:
            scope.unknown(mark, "parameter", key, {*known, *lasts})
    parameters = ys.Mapping(mark=node.mark, items=items, keys=keys)
    values = settings(parameters, kind, scope.context)
    return None if values is None else kind(**values)


def _lasts(node: ys.Mapping, scope: Scope, kind: type[Command]) -> float | None:
    if kind.holds == "no" or "for" not in node.items:
        return None
    return scope.window(node.items["for"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One step: who is asked for what."""

    node: ys.Mapping
    scope: Scope
    word: str
    """The command."""
    lasts: float | None
    members: tuple[str, ...]
    """Devices whose events complete the trigger."""

    def targets(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the devices and the keys of `event.near`, checked to accept the command."""
        devices: dict[str, None] = {}
        near: dict[str, None] = {}
        items = self.scope.items(self.node.items[self.word])
        if not items:
            mark = self.node.items[self.word].mark
            self.scope.problems.error(mark, f"{self.word}: names no device")
        for item in items:
            text = self.scope.word(item)
            if text is None:
                continue
            if text.startswith("event."):
                key = text.removeprefix(NEAR)
                if key == text or not key:
                    hint = "write event.near.<a key of near:>"
                    self.scope.problems.error(item.mark, f"{text!r} is no device", hint)
                elif self._near(item.mark, key):
                    near[key] = None
            else:
                devices |= dict.fromkeys(self._named(item.mark, text))
        return tuple(devices), tuple(near)

    def _named(self, mark: Mark, name: str) -> tuple[str, ...]:
        members = self.scope.members(name)
        if members is None:
            able = self._able()
            hint = f"known: {spell(able)}" if able else f"nothing here accepts {self.word}"
            hint = did_you_mean(name, self.scope.names()) or hint
            self.scope.problems.error(mark, f"unknown device or group {name!r}", hint)
            return ()
        for device in members:
            self._accepts(mark, self.scope.world.devices[device])
        return members

    def _near(self, mark: Mark, key: str) -> bool:
        good = True
        for member in self.members:
            near = self.scope.world.devices[member].near
            if key not in near:
                hint = did_you_mean(key, near) or f"it has near: {spell(near)}"
                self.scope.problems.error(mark, f"{member} has no near: {key}", hint)
                good = False
            for device in near.get(key, ()):
                if device in self.scope.world.devices:
                    self._accepts(mark, self.scope.world.devices[device])
        return good

    def _able(self) -> list[str]:
        """Return every device that accepts the command."""
        return [d.id for d in self.scope.world.devices.values() if self.word in d.accepts]

    def _accepts(self, mark: Mark, device: DeviceWords) -> None:
        """Say that a device does not accept the command, or not for so long."""
        word = self.word
        if word not in device.accepts:
            hint = f"it accepts: {spell(device.accepts)}; {word}: {spell(self._able())}"
            self.scope.problems.error(mark, f"{device.id} does not accept {word}", hint)
            return
        limit = device.limits.get(word)
        if limit is not None and self.lasts is not None and self.lasts > limit:
            message = f"{device.id} takes {word} for {limit:g}s at most"
            hint = f"write for: {limit:g}s or less"
            self.scope.problems.error(self.node.items["for"].mark, message, hint)


def holds(action: Action) -> bool:
    """Return whether an action is a lease."""
    kind = action.command.holds
    return kind == "yes" or (kind == "with_for" and action.lasts is not None)


def endless(action: Action) -> bool:
    """Return whether an action is a lease that only `until` or the device's limit ends."""
    return holds(action) and action.lasts is None


def say_endless(action: Action, scope: Scope, members: tuple[str, ...]) -> None:
    """Warn where nothing ends a lease: neither the rule, which has no `until`, nor the device.

    A release at life_safety lasts until a person relocks.
    """
    word = action.command.kind
    if not endless(action) or (scope.life_safety and word == "release"):
        return
    devices = scope.world.devices
    near = (n for m in members for n in devices[m].near.get(action.near or "", ()))
    for device in dict.fromkeys((*action.devices, *near)):
        words = devices.get(device)
        if words is not None and word in words.accepts and word not in words.limits:
            hint = "add for:, or until: with what ends it"
            scope.problems.warning(action.mark, f"nothing ends {word} {device}", hint)
