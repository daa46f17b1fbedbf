"""Records that wait in memory for the disk: bounded, and the least important go first."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from buffer.record import PRIORITIES, Draft, Kind

_KEPT_SHARE = 0.9
"""How full it is after some had to go; a few at a time would cost a search each."""
MOST_BYTES = 48 << 20
"""Bytes of bodies that it holds at most."""


class Group(NamedTuple):
    """Drafts that were added together."""

    number: int
    drafts: list[Draft]

    @property
    def level(self) -> int:
        """What it matters as much as: its highest priority; the state of the house is above all."""
        if any(draft.kind is Kind.SNAPSHOT for draft in self.drafts):
            return PRIORITIES[0]
        return min(draft.priority for draft in self.drafts)


class Held:
    """A queue of drafts, in the order they came; those that were added together stay so."""

    def __init__(self, limit: int) -> None:
        """`limit` is the most drafts it holds."""
        self._limit = limit
        self._drafts: deque[tuple[Draft, int]] = deque()
        """Each with the number of what was added together."""
        self._added = 0
        self._size = 0
        self.lost: Counter[tuple[int, Kind]] = Counter()
        """What had to go so far, by priority and kind."""

    def __len__(self) -> int:
        return len(self._drafts)

    def add(self, drafts: Sequence[Draft]) -> int:
        """Take drafts that belong together; returns how many drafts had to go for them."""
        self._added += 1
        self._drafts.extend((draft, self._added) for draft in drafts)
        self._size += sum(len(draft.body) for draft in drafts)
        full = len(self._drafts) > self._limit or self._size > MOST_BYTES
        return self._shed() if full else 0

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
            draft, _group = self._drafts.popleft()
            self._size -= len(draft.body)

    def drop_known(self, ids: Iterable[str]) -> int:
        """Take out the drafts with these ids: they are on disk after all. Returns how many."""
        known = set(ids)
        before = len(self._drafts)
        self._keep(one for one in self._drafts if one[0].id not in known)
        return before - len(self._drafts)

    def by_level(self, last: int) -> Iterator[tuple[int, list[Group]]]:
        """Yield what was added together by what it matters as much as, the highest level first.

        Levels after `last` are left out; within a level the order stays.
        """
        groups: list[Group] = []
        for draft, number in self._drafts:
            if not groups or groups[-1].number != number:
                groups.append(Group(number, []))
            groups[-1].drafts.append(draft)
        for level in range(last + 1):
            found = [group for group in groups if group.level == level]
            if found:
                yield level, found

    def take_out(self, groups: Iterable[Group]) -> None:
        """Take out these groups: they are on disk."""
        numbers = {group.number for group in groups}
        self._keep(one for one in self._drafts if one[1] not in numbers)

    def lose(self, group: Group) -> int:
        """Give up a group that fits nowhere; returns how many drafts it had."""
        self.lost.update((draft.priority, draft.kind) for draft in group.drafts)
        self.take_out([group])
        return len(group.drafts)

    def lose_all(self) -> int:
        """Give up all that waits; returns how many drafts it was."""
        self.lost.update((draft.priority, draft.kind) for draft, _group in self._drafts)
        count = len(self._drafts)
        self._keep(())
        return count

    def _keep(self, those: Iterable[tuple[Draft, int]]) -> None:
        self._drafts = deque(those)
        self._size = sum(len(draft.body) for draft, _ in self._drafts)

    def _shed(self) -> int:
        before = len(self._drafts)
        excess = before - int(self._limit * _KEPT_SHARE)
        size = self._size - int(MOST_BYTES * _KEPT_SHARE)
        for priority in reversed(PRIORITIES):
            kept: list[tuple[Draft, int]] = []
            for draft, group in self._drafts:
                if (excess > 0 or size > 0) and draft.priority == priority:
                    self.lost[priority, draft.kind] += 1
                    excess -= 1
                    size -= len(draft.body)
                else:
                    kept.append((draft, group))
            self._keep(kept)
        return before - len(self._drafts)


def groups_within(groups: Sequence[Group], size: int) -> list[Group]:
    """Return the first of `groups`, and more up to `size` bytes of bodies."""
    found: list[Group] = []
    for group in groups:
        size -= sum(len(draft.body) for draft in group.drafts)
        if found and size < 0:
            break
        found.append(group)
    return found
