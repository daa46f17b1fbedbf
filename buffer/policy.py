"""When to commit: what matters at once, small things together when there are many."""

from collections import deque

from buffer.record import SECURITY

BUSY = 50
"""Records a second of operations and telemetry from which on they may wait for each other."""


class CommitPolicy:
    """Feed it every arrival; it says when to commit what waits. Times are any steady seconds."""

    def __init__(self, max_wait: float) -> None:
        """`max_wait` is the longest a record of operations or telemetry waits, in seconds."""
        self._max_wait = max_wait
        self._recent: deque[float] = deque(maxlen=BUSY)
        self._due: float | None = None

    @property
    def due(self) -> float | None:
        """When to commit; may be past; None while nothing waits."""
        return self._due

    def arrived(self, now: float, priority: int) -> None:
        """Take note of a record that waits from `now` on."""
        if priority <= SECURITY:
            self._due = now
            return
        self._recent.append(now)
        busy = len(self._recent) == BUSY and now - self._recent[0] < 1.0
        if self._due is None:
            self._due = now + self._max_wait if busy else now
        elif not busy:
            self._due = min(self._due, now)

    def committed(self) -> None:
        """Take note that nothing waits any more."""
        self._due = None
