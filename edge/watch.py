"""The watch over rules that were just applied: how much of what is too much. Pure, on ticks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.event import SITE
from drivers.priorities import Priority

Word = Literal["alarms", "blind", "order_failures"]
WORDS: tuple[Word, ...] = ("alarms", "blind", "order_failures")
CALLED: Mapping[Word, tuple[str, str]] = {
    "alarms": ("alarm", "alarms"),
    "blind": ("blind rule", "blind rules"),
    "order_failures": ("failed order", "failed orders"),
}
"""One and many of what is counted, for people."""
UNKNOWN_RATE = 60.0
"""An hour, of each, is taken as usual where there is no history to compare with."""
PARTS = 10
"""Parts of a watch that are looked at by themselves, so that a storm is noticed early."""
SIGMAS, SIGMAS_OF_PART = 3.0, 5.0
CRASHES = 3
"""Starts without a stop before, within one watch and one boot, that the rules are blamed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is watched, for how long, and against what; the same after a restart."""

    config: str
    """Hash of the configuration that is watched."""
    before: str
    """Hash of the one to go back to."""
    began: float
    """Tick."""
    lasts: float
    """Seconds."""
    expected: Mapping[str, float] | None
    """How many of each the history has in such a time; None: there is no history."""
    limits: Mapping[str, float]
    """How much more than that is allowed: 0.2 is +20 %."""
    slack: int = 3
    """That many more never count as a rise."""
    by: str = ""
    reason: str = ""
    at: str = ""
    """When it began, RFC 3339."""
    boot: str = ""
    sequence: int = 0
    """The journal's head when it began."""
    crashes: int = 0
    """Starts within this watch and its boot that no stop came before."""
    stopped: bool = False
    """Whether the daemon was stopped in good order since."""

    @property
    def ends(self) -> float:
        return self.began + self.lasts

    def usual(self, word: Word) -> float:
        """Return how many are to be expected in the whole watch."""
        if self.expected is None:
            return UNKNOWN_RATE * self.lasts / 3600
        return self.expected.get(word, 0.0)

    def at_most(self, word: Word) -> int:
        """Return how many of `word` the whole watch may bring."""
        return allowed(self.usual(word), self.limits.get(word, 0.0), self.slack, SIGMAS)

    def at_most_in_part(self, word: Word) -> int:
        """Return how many of `word` one tenth of it may bring."""
        usual = self.usual(word) / PARTS
        return allowed(usual, self.limits.get(word, 0.0), self.slack, SIGMAS_OF_PART)


def allowed(usual: float, limit: float, slack: int, sigmas: float) -> int:
    """Return the most that is no reason to go back.

    `usual` x (1 + `limit`), and the chance that counts have: `sigmas` standard deviations of a
    Poisson count, and `slack`, which rules where next to nothing is expected.
    """
    mean = max(usual * (1 + limit), 0.0)
    return math.floor(mean + sigmas * math.sqrt(mean) + slack)


def counted(signal: str, data: Mapping[str, Any], priority: Priority) -> Word | None:
    """Return as what a record counts: the firings, blind rules and failed orders of the rules.

    What life_safety rules do counts as nothing: a fire is no reason to go back.
    """
    if priority is Priority.life_safety:
        return None
    if signal == "rule.fired":
        return None if data.get("shadow") or data.get("step") else "alarms"
    if signal == "rule.blind":
        return "blind"
    if signal == "order.failed":
        return "order_failures" if data.get("by", "rule") == "rule" else None
    return None


@dataclass(slots=True, kw_only=True)
class Watch:
    """A watch as it goes: what was counted so far, and whether it is too much."""

    plan: Plan
    counts: Counter[Word] = field(default_factory=Counter)
    too_much: str = ""
    """Why to go back; empty while all is well."""
    applied: bool = False
    """Whether the journal says that it began."""
    _part: int = 0
    _in_part: Counter[Word] = field(default_factory=Counter)
    _evacuating: bool = False

    def see(
        self,
        tick: float,
        device: str,
        signal: str,
        data: Mapping[str, Any],
        priority: Priority,
    ) -> None:
        """Take a record or what will be one. While an evacuation is on nothing is counted."""
        if device == SITE and signal.startswith("evacuation."):
            self._evacuating = signal == "evacuation.started" or (
                self._evacuating and signal != "evacuation.ended"
            )
        if signal == "config.applied" and data.get("config") == self.plan.config:
            self.applied = True
        word = None if self._evacuating else counted(signal, data, priority)
        if word is None or not self.plan.began <= tick < self.plan.ends:
            return
        part = int((tick - self.plan.began) / self.plan.lasts * PARTS)
        if part != self._part:
            self._part, self._in_part = part, Counter()
        self.counts[word] += 1
        self._in_part[word] += 1
        if not self.too_much:
            self.too_much = self._verdict(word)

    def _verdict(self, word: Word) -> str:
        plan = self.plan
        if self.counts[word] > plan.at_most(word):
            return self._told(word, self.counts[word], plan.at_most(word), plan.lasts)
        if self._in_part[word] > plan.at_most_in_part(word):
            seconds = plan.lasts / PARTS
            return self._told(word, self._in_part[word], plan.at_most_in_part(word), seconds)
        return ""

    def _told(self, word: Word, count: int, most: int, seconds: float) -> str:
        share = seconds / self.plan.lasts
        usual = "nothing to compare with"
        if self.plan.expected is not None:
            usual = f"usual are {self.plan.usual(word) * share:.1f}"
        what = CALLED[word][count != 1]
        return f"{count} {what} within {span(seconds)}, at most {most} are allowed ({usual})"

    def seen(self) -> str:
        """Return what was counted, for people."""
        counts = ((CALLED[word], self.counts[word]) for word in WORDS)
        return ", ".join(f"{count} {names[count != 1]}" for names, count in counts)

    def over(self, tick: float) -> bool:
        """Return whether its time is over."""
        return tick >= self.plan.ends


def span(seconds: float) -> str:
    """Return seconds for people: `90 s`, `30 min`, `2 h`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and not seconds % size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
