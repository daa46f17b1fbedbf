"""Which words may name an I/O module, a device or a group: one namespace, without the grammar's."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field

from drivers.commands import BY_KIND, SITE_COMMANDS
from rules.problems import Mark, Problems

_ID = re.compile(r"[a-z][a-z0-9_]*")

GRAMMAR = frozenset(
    {
        *("rules", "vars", "tests", "io", "devices", "groups"),
        *("templates", "template", "parameters", "tests_at", "quiet", "at_most", "all"),
        *("description", "enabled", "priority", "requires", "replaces", "when", "do", "until"),
        *("if_unknown", "cooldown", "escalate", "after_restart"),
        *("sequence", "together", "count", "of", "within", "by", "after", "before", "without"),
        *("blind", "across", "daily", "days", "opening", "closing"),
        *("name", "given", "timeline", "expect", "at", "rule", "ends", "not_fired", "because"),
        *("down", "up", "fail", "restart", "acknowledge", "now", "states", "modes"),
        *("since", "held", "duration", "near", "unknown"),
        *("on", "off", "yes", "no", "true", "false", "null"),
        *BY_KIND,
        *SITE_COMMANDS,
    }
)
"""Words with a meaning of their own in a rule or a test."""

RESERVED = frozenset({"site", "event"}) | GRAMMAR | frozenset(keyword.kwlist)
"""Words that can be no id; Python's because expressions are written in its syntax."""


@dataclass(slots=True, kw_only=True)
class Ids:
    """The ids of one configuration, each with its place."""

    problems: Problems
    places: dict[str, Mark] = field(default_factory=dict)

    def claim(self, word: str, mark: Mark) -> bool:
        """Take `word` as a new id; False after saying why it can't be one."""
        if not _ID.fullmatch(word):
            hint = "a small letter, then small letters, digits and _"
            self.problems.error(mark, f"{word!r} is not an id", hint)
        elif word in RESERVED:
            hint = "rules and expressions use this word; choose another"
            self.problems.error(mark, f"{word!r} can't be an id", hint)
        elif word in self.places:
            first = self.places[word]
            hint = f"first: {first.file}:{first.line}:{first.column}"
            self.problems.error(mark, f"the id {word!r} is used twice", hint)
        else:
            self.places[word] = mark
            return True
        return False
