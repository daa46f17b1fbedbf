"""How long ago a record was committed, roughly, without keeping a time for each."""

from bisect import bisect_left

_MOST = 2048
"""Points kept; when there are more, every other goes."""


class Ages:
    """Times are any steady seconds."""

    def __init__(self) -> None:
        self._points: list[tuple[int, float]] = []
        self._every = 1.0

    def committed(self, head: int, now: float) -> None:
        """Take note that everything up to `head` is committed at `now`."""
        if self._points and (
            head <= self._points[-1][0] or now - self._points[-1][1] < self._every
        ):
            return
        self._points.append((head, now))
        if len(self._points) > _MOST:
            del self._points[1::2]
            self._every *= 2

    def sent(self, before: int) -> None:
        """Take note that nobody will ask for a sequence below `before` any more."""
        del self._points[: bisect_left(self._points, (before, 0.0))]
        if not self._points:
            self._every = 1.0

    def age(self, sequence: int, now: float) -> float:
        """Return seconds since `sequence` was committed; for one before the start, since then."""
        index = bisect_left(self._points, (sequence, 0.0))
        if index == len(self._points):
            return 0.0
        return now - self._points[index][1]
