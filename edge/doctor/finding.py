"""What is looked at, and what was found: each finding has what was seen and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge.doctor.box import Box

Level = Literal["ok", "warning", "problem", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer."""

    check: str
    level: Level
    seen: str
    """With numbers; never a secret."""
    remedy: str = ""
    """A command, or what somebody has to do; empty when all is well."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question, with its usual remedy: `{words}` in it are filled in when it is given."""

    id: str
    asks: str
    remedy: str

    def ok(self, seen: str) -> Finding:
        return Finding(check=self.id, level="ok", seen=seen)

    def warning(self, seen: str, remedy: str = "", /, **words: object) -> Finding:
        return self._with(seen, "warning", remedy, words)

    def problem(self, seen: str, remedy: str = "", /, **words: object) -> Finding:
        return self._with(seen, "problem", remedy, words)

    def unknown(self, seen: str, remedy: str = "sudo storewarden doctor") -> Finding:
        """It could not be seen: never said as ok."""
        return self._with(seen, "unknown", remedy, {})

    def _with(self, seen: str, level: Level, remedy: str, words: dict[str, object]) -> Finding:
        told = remedy or self.remedy.format(**words)
        return Finding(check=self.id, level=level, seen=seen, remedy=told)


@dataclass(frozen=True, slots=True)
class Subject:
    """Checks that are made together. One that does not apply to this box says nothing."""

    name: str
    checks: tuple[Check, ...]
    look: Callable[[Box], AsyncIterator[Finding]]
    within: float = 8.0
    """Seconds; what has not been said by then is unknown."""
