"""Which record it is that makes the broker end the link: sent alone, it gives itself away."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from buffer.message import Refused, Unreachable
from buffer.reasons import POISON, name

T = TypeVar("T")

BLAMED = POISON | {0x81, 0x82, 0x87, 0x94}
"""Reasons for which a broker may end a link because of one message: malformed packet, protocol
error, not authorised, topic alias invalid, and those that refuse a record for ever."""
WORDLESS = 3
"""Times that a link must end without a word, before what was in flight is suspected."""
_UNSPECIFIED = 0x80


class Suspicion(Generic[T]):
    """Outlives connections. `T` is what is sent."""

    def __init__(self) -> None:
        self._careful = 0
        self._fruitless = 0
        self._alone: tuple[T | None, int] = (None, 0)

    def window(self, window: int) -> int:
        """Return how many may be in flight, where `window` may be without a suspicion."""
        return 1 if self._careful else window

    def acknowledged(self) -> None:
        """Take note that one was taken."""
        self._fruitless = 0
        if self._careful:
            self._careful -= 1

    def ended(self, why: Unreachable, flying: Sequence[T]) -> tuple[T, Refused] | None:
        """Take note that the link ended with these unanswered; returns the culprit, if known."""
        certain = why.code in BLAMED
        if not flying or not (certain or why.hung_up):
            return None
        if len(flying) > 1:
            self._fruitless += 1
            if certain or self._fruitless >= WORDLESS:
                self._careful = len(flying)
            return None
        (one,) = flying
        times = self._alone[1] + 1 if one == self._alone[0] else 1
        self._alone = (one, times)
        if not certain and times < WORDLESS:
            return None
        code = _UNSPECIFIED if why.code is None else why.code
        return one, Refused(code, name(code))
