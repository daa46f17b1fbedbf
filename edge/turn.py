"""What one event, or the passing of time, leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.priorities import Priority
from edge.dispatch import Given
from rules.model import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An order that was not handed to its device, and why."""

    given: Given
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Something that the site says because of this turn."""

    kind: str
    priority: Priority = Priority.operations
    fields: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """Orders to hand over, orders refused, decisions to journal, words of the site."""

    given: list[Given] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    unmoved: list[Refusal] = field(default_factory=list)
    """Orders that have their lease and moved nothing: the output is so, or another stands above."""
    decisions: list[Decision] = field(default_factory=list)
    said: list[Word] = field(default_factory=list)
    answer: str = ""
    """Why a person's request was refused; empty when it was not."""
