"""What is wrong in a file, where, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake (or warning, or note: what is no mistake and good to know) at its place."""

    mark: Mark
    message: str
    hint: str = ""
    level: Literal["error", "warning", "note"] = "error"

    def __str__(self) -> str:
        where = f"{self.mark.file}:{self.mark.line}:{self.mark.column}"
        level = "" if self.level == "error" else f"{self.level}: "
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{where}: {level}{self.message}{hint}"


class Problems:
    """Collects every problem instead of stopping at the first."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def error(self, mark: Mark, message: str, hint: str = "") -> None:
        self._add(Problem(mark, message, hint))

    def warning(self, mark: Mark, message: str, hint: str = "") -> None:
        self._add(Problem(mark, message, hint, "warning"))

    def note(self, mark: Mark, message: str, hint: str = "") -> None:
        self._add(Problem(mark, message, hint, "note"))

    def _add(self, problem: Problem) -> None:
        self._found[problem] = None

    @property
    def all(self) -> list[Problem]:
        """Every problem in file order."""
        return sorted(self._found)

    @property
    def errors(self) -> list[Problem]:
        return [p for p in self.all if p.level == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [p for p in self.all if p.level == "warning"]

    def __str__(self) -> str:
        return "\n".join(map(str, self.all))


class ConfigurationRefused(Exception):
    """The files can't be used as they are; `problems` says why."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(str(problems))
        self.problems = problems


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """Return `did you mean X?` for the known word nearest to `written`, or an empty string."""
    near = difflib.get_close_matches(written, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def nearest_or_all(written: str, known: Iterable[str], label: str = "known") -> str:
    """Return `did you mean X?`, else a list of what is known, for a hint."""
    words = sorted(known)
    return did_you_mean(written, words) or (f"{label}: {', '.join(words)}" if words else "")
