"""Records that wait in memory for the disk: bounded, and the least important go first."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from buffer.record import PRIORITIES, Draft, Kind

_KEPT_SHARE = 0.9
"""How full it is after some had to go; a few at a time would cost a search each."""


class Held:
    """A queue of drafts, in the order they came; those that were added together stay so."""

    def __init__(self, limit: int) -> None:
        """`limit` is the most drafts it holds."""
        self._limit = limit
        self._drafts: deque[tuple[Draft, int]] = deque()
        """Each with the number of what was added together."""
        self._added = 0
        self.lost: Counter[tuple[int, Kind]] = Counter()
        """What had to go so far, by priority and kind."""

    def __len__(self) -> int:
        return len(self._drafts)

    def add(self, drafts: Sequence[Draft]) -> int:
        """Take drafts that belong together; returns how many drafts had to go for them."""
        self._added += 1
        self._drafts.extend((draft, self._added) for draft in drafts)
        return self._shed() if len(self._drafts) > self._limit else 0

    def first(self, count: int, size: int) -> list[Draft]:
        """Return the first drafts, about `count` and `size` bytes at most; they stay.

        What was added together is returned together.
        """
        found: list[Draft] = []
        last = 0
        for draft, group in self._drafts:
            if (len(found) >= count or size <= 0) and group != last:
                break
            found.append(draft)
            size -= len(draft.body)
            last = group
        return found

    def drop(self, count: int) -> None:
        """Take out the first `count` drafts: they are on disk."""
        for _ in range(count):
            self._drafts.popleft()

    def drop_known(self, ids: Iterable[str]) -> int:
        """Take out the drafts with these ids: they are on disk after all. Returns how many."""
        known = set(ids)
        before = len(self._drafts)
        self._drafts = deque(one for one in self._drafts if one[0].id not in known)
        return before - len(self._drafts)

    def _shed(self) -> int:
        excess = len(self._drafts) - int(self._limit * _KEPT_SHARE)
        gone = excess
        for priority in reversed(PRIORITIES):
            kept: deque[tuple[Draft, int]] = deque()
            for draft, group in self._drafts:
                if excess and draft.priority == priority:
                    self.lost[priority, draft.kind] += 1
                    excess -= 1
                else:
                    kept.append((draft, group))
            self._drafts = kept
        return gone
