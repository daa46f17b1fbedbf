"""What every part of the rule loader needs: the world, the place for problems, small readers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from drivers.settings import Seconds
from rules import yaml_source as ys
from rules.convert import WRONG, Context, convert, resolve
from rules.model import DeviceWords, Moment, World
from rules.problems import Mark, Problems, did_you_mean, nearest_or_all
from rules.words import JOURNAL_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The world that one rule or test may speak of."""

    world: World
    context: Context
    life_safety: bool = False
    """Conditions may read the event only, and nothing may be locked."""
    moments: dict[str, Moment] = field(default_factory=dict)
    """Filled with the `daily` moments met; by key."""

    @property
    def problems(self) -> Problems:
        return self.context.problems

    def resolved(self, node: ys.Node) -> ys.Node | None:
        """Return what a `!var` stands for, or the node; None after saying a problem."""
        return resolve(node, self.context)

    def mapping(self, node: ys.Node, hint: str = "") -> ys.Mapping | None:
        """Return a mapping, or None after saying that it is none."""
        found = self.resolved(node)
        if found is None or isinstance(found, ys.Mapping):
            return found
        self.problems.error(found.mark, f"a mapping is wanted, not {ys.describe(found)}", hint)
        return None

    def known_keys(self, node: ys.Mapping, known: Iterable[str], noun: str = "key") -> None:
        """Say each key that is not known."""
        words = list(known)
        for key in node.keys:
            if key not in words:
                self.unknown(node.keys[key], noun, key, words)

    def unknown(self, mark: Mark, noun: str, word: str, known: Iterable[str]) -> None:
        """Say that a word is not known, with the nearest that is, or with all."""
        self.problems.error(mark, f"unknown {noun} {word!r}", nearest_or_all(word, known))

    def no_value(self, mark: Mark, word: str, of: str, known: Iterable[str]) -> None:
        """Say that a state or field can't have the value `word`."""
        self.problems.error(mark, f"unknown value {word!r} of {of}", nearest_or_all(word, known))

    def items(self, node: ys.Node) -> tuple[ys.Node, ...]:
        """Return the items of a list; one that is no list counts as a list of one."""
        found = self.resolved(node)
        if found is None:
            return ()
        return found.items if isinstance(found, ys.Sequence) else (found,)

    def convert(self, node: ys.Node, wanted: Any) -> Any:
        """Return the value as `wanted`, or None after saying a problem."""
        found = convert(node, wanted, self.context)
        return None if found is WRONG else found

    def word(self, node: ys.Node) -> str | None:
        found: str | None = self.convert(node, str)
        return found

    def window(self, node: ys.Node) -> float | None:
        """Return a duration above 0 in seconds, or None after saying a problem."""
        seconds: float | None = self.convert(node, Seconds)
        if seconds == 0:
            self.problems.error(node.mark, "it must be longer than 0s")
            return None
        return seconds

    def missing(self, node: ys.Mapping, *keys: str) -> bool:
        """Return whether a key is missing, after saying which."""
        absent = [key for key in keys if key not in node.keys]
        for key in absent:
            self.problems.error(node.mark, f"{key!r} is missing")
        return bool(absent) or any(key not in node.items for key in keys)

    def members(self, name: str) -> tuple[str, ...] | None:
        """Return the devices that a name stands for; None when there is no such name."""
        if name in self.world.groups:
            return self.world.groups[name]
        return (name,) if name in self.world.devices else None

    def names(self) -> list[str]:
        """Return the ids of all devices and groups."""
        return [*self.world.devices, *self.world.groups]

    def said_by(self, mark: Mark, device: DeviceWords, signal: str) -> bool:
        """Return whether the device can say the signal, after saying that it can't."""
        if signal in device.says:
            return True
        hint = did_you_mean(signal, device.says) or f"it says: {spell(device.says)}"
        self.problems.error(mark, f"{device.id} never says {signal!r}", hint)
        return False


def spell(words: Collection[str]) -> str:
    """Return words in order, for a hint; `nothing` for none."""
    return ", ".join(sorted(words)) or "nothing"


RAW = "input.edge"


def refuse_raw(scope: Scope, mark: Mark, signal: str) -> bool:
    """Return whether the signal is only written down, so that no rule hears it, after saying so."""
    if signal != RAW and signal not in JOURNAL_ONLY:
        return False
    hint = "name the device that uses the line, and what it says"
    if signal != RAW:
        hint = "the journal and the cloud have it; let the rule hear what the devices say"
    scope.problems.error(mark, f"{signal} is for history, not for rules", hint)
    return True
