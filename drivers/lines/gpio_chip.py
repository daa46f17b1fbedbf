"""The seam between the GPIO module and what reaches the pins: kernel, gpiozero or simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from drivers.settings import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioInput:
    """A pin that is read: `{line: 17, pull: up}`."""

    line: str | int
    """The line's number on the chip, or its name there; with gpiozero any name it knows."""
    pull: Literal["up", "down", "none"] = "none"
    debounce: Seconds = Seconds(0.0)
    """The kernel's own: a level is told once it has held so long, so a shorter pulse is not seen
    and an edge comes this much later. A `debounce` at a device's setting instead tells the first
    edge at once. Up to 1 s."""
    active_low: bool | None = None
    """Whether `on` is the low level. None: it is with `pull: up`, as a contact that closes then
    pulls the line to ground, and a cut wire reads as an open contact."""

    @property
    def inverted(self) -> bool:
        return self.pull == "up" if self.active_low is None else self.active_low


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioOutput:
    """A pin that is driven: `{line: 27}`."""

    line: str | int
    active_low: bool = False
    """Whether `on` is the low level."""
    drive: Literal["push-pull", "open-drain", "open-source"] = "push-pull"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One change of an input."""

    line: str
    """Its name in devices.yaml."""
    level: bool
    """After `active_low`."""
    at: float
    """Loop time in seconds, as the kernel or the pin's thread saw it."""
    sequence: int | None = None
    """Counted from 1 for each line since the chip was opened; None where nobody counts."""


class Chip(Protocol):
    """The lines of one chip, held until `close`. Levels are logical: after `active_low`.

    Every method raises OSError when the chip is gone.
    """

    def level(self, line: str) -> bool:
        """Return what an input or output reads now."""
        ...

    def set(self, line: str, *, on: bool) -> None:
        """Set an output."""
        ...

    def listen(self, notify: Callable[[], None]) -> None:
        """Call `notify` on the loop whenever `edges` has something to return or to raise."""
        ...

    def ignore(self) -> None:
        """Stop calling `notify`. Edges go on being kept, as many as there is room for."""
        ...

    def edges(self, most: int) -> list[Edge]:
        """Return the oldest edges not returned yet, in order, without waiting."""
        ...

    def close(self) -> None:
        """Let the lines go. Never raises."""
        ...


OpenChip = Callable[[str, Mapping[str, GpioInput], Mapping[str, GpioOutput]], Chip]
"""Take hold of a chip's lines, given the chip and the lines by name, touching no output's level.

Raises OSError when there is no such chip or line, or another program holds one, and ImportError
when the package for it is not installed.
"""


def rises_missed(before: bool | None, lost: int, level: bool) -> int:  # noqa: FBT001 - levels are
    """Return how many of `lost` edges and the one after them, which led to `level`, were rising.

    Edges of one line alternate, starting from the level `before`. 0 when none was lost: then the
    change of level says it all.
    """
    if not lost:
        return 0
    first_rises = not before
    return max((lost + 1 + first_rises) // 2, int(level))
