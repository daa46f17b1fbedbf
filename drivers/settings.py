"""The types that a driver's settings are made of, beyond str, int, float and bool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NewType

Seconds = NewType("Seconds", float)
"""A duration in seconds; written with a unit in YAML (`250ms`, `5s`, `2m`, `1h`, `30d`)."""

ByteSize = NewType("ByteSize", int)
"""A size in bytes; written with a unit in YAML (`512MB`, 1 MB = 1,000,000 bytes)."""

PortName = NewType("PortName", str)
"""The id of an I/O module of type `text`."""

SecretPath = NewType("SecretPath", Path)
"""The path of a file that holds a secret, or `!secret NAME`: the file of that secret."""

LocalTimes = NewType("LocalTimes", str)
"""A range of local time: `22:00-07:00`; an end at or before the start means the next day."""


class Secret:
    """A secret's value. `str`, `repr` and formats show stars; only `reveal` shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSetting:
    """An input of a device: `annex.di0`, or `{line: annex.di1, active: off, debounce: 30ms}`."""

    line: str
    """`<I/O module>.<line>`."""
    active: Literal["on", "off"] | None = None
    """Which level is active; None takes the device's own default."""
    debounce: Seconds | None = None
    """Changes within it after an edge are ignored; None takes the line's own, default 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSetting:
    """An output of a device: `annex.do0`, or `{line: annex.do1, active: off}`."""

    line: str
    active: Literal["on", "off"] = "on"
    """`off` when the relay's rest position is the device's active one."""
