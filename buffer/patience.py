"""How long to wait before the next connection: by what ended or refused the one before."""

from collections.abc import Callable
from dataclasses import dataclass

from buffer.reasons import BUSY, DENIED, SENT_AWAY, TAKEN_OVER

LONGEST_WAIT = 0.8
"""Short for ever: what waits leaves within a second of the broker's return, however long it was."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Waits that double, in seconds."""

    first: float
    longest: float
    settled: float
    """A connection that lasted so long begins from the first again."""


AWAY = Ladder(0.1, LONGEST_WAIT, 1.0)
"""Nobody answers, or the link was cut."""
BROKEN = Ladder(0.1, 5.0, 5.0)
"""The broker grants a link, and ends it soon without a word: a record may be the reason, or another
client of our name."""
OCCUPIED = Ladder(1.0, 10.0, 10.0)
"""The broker answers that it has no time."""
REFUSED = Ladder(10.0, 60.0, 10.0)
"""The broker answers that it does not want us. New credentials are tried at once all the same."""
TAKEN = Ladder(1.0, 60.0, 300.0)
"""Another client has taken our name: two that take it from each other in turn help nobody."""


class Patience:
    """Counts up one ladder at a time."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        """`jitter` gives numbers from 0 to 1; it takes up to half of each wait away."""
        self._jitter = jitter
        self._ladder = AWAY
        self._wait = AWAY.first

    def after(self, code: int | None, lasted: float) -> float:
        """Return seconds to wait after a connection that lasted so long, 0 for none at all.

        `code` is the reason code that the broker gave, if it gave one.
        """
        ladder = _ladder(code, lasted)
        if ladder is not self._ladder or lasted >= ladder.settled:
            self._wait = ladder.first
        self._ladder, wait = ladder, self._wait
        self._wait = min(wait * 2, ladder.longest)
        return wait * (1 - self._jitter() / 2)


def _ladder(code: int | None, lasted: float) -> Ladder:
    if code == TAKEN_OVER:
        return TAKEN
    if code in DENIED and not lasted:
        return REFUSED
    if code in BUSY or code in SENT_AWAY:
        return OCCUPIED
    return BROKEN if 0 < lasted < BROKEN.settled else AWAY
