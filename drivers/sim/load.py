"""What hangs on a relay: it is powered or not, and it counts for how long."""

from __future__ import annotations


class Load:
    """A load that is told the level of its relay. Times are seconds of any one clock."""

    def __init__(self, *, limit: float | None = None) -> None:
        """`limit`: longest time in one go that it stands; longer is counted as a fault."""
        self._limit = limit
        self._since: float | None = None
        self._seconds = 0.0
        self._longest = 0.0
        self.switched_on = 0
        """How often."""

    def relay(self, on: bool, at: float) -> None:  # noqa: FBT001 - a level is a bool
        """Take the relay's level at `at`."""
        if on and self._since is None:
            self._since = at
            self.switched_on += 1
        elif not on and self._since is not None:
            self._seconds += at - self._since
            self._longest = max(self._longest, at - self._since)
            self._since = None

    @property
    def on(self) -> bool:
        return self._since is not None

    def seconds(self, now: float) -> float:
        """Return for how long it was on in all."""
        return self._seconds + (0.0 if self._since is None else now - self._since)

    def overheated(self, now: float) -> bool:
        """Return whether it was ever on for longer than it stands."""
        longest = max(self._longest, 0.0 if self._since is None else now - self._since)
        return self._limit is not None and longest > self._limit
