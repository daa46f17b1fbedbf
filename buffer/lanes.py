"""What to send next: live or backlog, by priority, each lane in order.

A record is live if it was committed after this connection began; all that was unsent before is
backlog. Sent first: life_safety of either kind, older first; then live by priority; then backlog by
priority. A lane keeps few records in memory and knows the others as spans on disk.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field

from buffer.marks import Spans
from buffer.record import LIFE_SAFETY, PRIORITIES, SECURITY, Record
from buffer.unsent import Span

HELD = 400
"""Live records of one lane that stay in memory until they are sent; the others are read again."""
LOW = 100
"""A lane with fewer in memory is filled from disk."""
FETCH = 200
"""Records read at a time."""
_WHOLE = 1.0 - 1e-6
"""A token, give or take what adding up fractions loses."""


class TokenBucket:
    """At most `rate` a second, with a burst of a tenth of that. Times are any steady seconds."""

    def __init__(self, rate: float | None) -> None:
        """None is no limit."""
        self._rate = rate
        self._burst = max(1.0, (rate or 0.0) / 10)
        self._level = self._burst
        self._at = 0.0
        self._opens = float("-inf")
        self._early = 0

    def begin(self, now: float, *, wait: float, early: int) -> None:
        """Give only `early` ones away before `wait` seconds are over."""
        self._opens, self._early = now + wait, early

    def ready(self, now: float) -> float:
        """Return seconds until one may go; 0 when it may now."""
        if now < self._opens:
            return 0.0 if self._early else self._opens - now
        self._early = 0
        if self._rate is None:
            return 0.0
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._level >= _WHOLE else (1.0 - self._level) / self._rate

    def take(self) -> None:
        """Count one that goes."""
        if self._early:
            self._early -= 1
        else:
            self._level -= 1.0


def spread(word: str, number: int) -> float:
    """Return a number from 0 to 1 that differs from site to site, and from time to time."""
    digest = hashlib.sha256(f"{word}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@dataclass(frozen=True, slots=True)
class Fetch:
    """Records of one lane that are wanted from disk."""

    live: bool
    priority: int
    first: int
    last: int
    limit: int = FETCH


@dataclass(slots=True)
class _Lane:
    queue: deque[Record] = field(default_factory=deque)
    spans: deque[Span] = field(default_factory=deque)
    """What comes after the queue."""
    fetching: bool = False
    stalled: bool = False
    """The disk did not give what comes next, so others need not wait for it."""

    @property
    def waiting(self) -> int:
        return len(self.queue) + sum(span.count for span in self.spans)


_GRAVEST = ((False, LIFE_SAFETY), (True, LIFE_SAFETY))
_URGENT = ((False, LIFE_SAFETY), *((True, p) for p in PRIORITIES if p <= SECURITY))
_REST = (
    *((True, p) for p in PRIORITIES if p > SECURITY),
    *((False, p) for p in PRIORITIES if p > LIFE_SAFETY),
)


class Lanes:
    """The lanes of one connection."""

    def __init__(self, backlog: Spans, head: int, bucket: TokenBucket) -> None:
        """`backlog` is what was unsent when `head` was the last sequence committed.

        `bucket` caps the backlog below life_safety.
        """
        self._head = head
        self.bucket = bucket
        self._lanes = {(live, p): _Lane() for live in (True, False) for p in PRIORITIES}
        for priority, spans in backlog.items():
            self._lanes[False, priority].spans.extend(spans)

    def waiting(self, *, live: bool) -> int:
        """Return how many records wait in the live or the backlog lanes."""
        return sum(lane.waiting for (kind, _), lane in self._lanes.items() if kind is live)

    def committed(self, record: Record) -> None:
        """Take a record that was just committed; those of the backlog are known already."""
        if record.topic is None or record.sequence <= self._head:
            return
        lane = self._lanes[True, record.priority]
        if not lane.spans and len(lane.queue) < HELD:
            lane.queue.append(record)
        elif lane.spans:
            tail = lane.spans.pop()
            lane.spans.append(Span(first=tail.first, last=record.sequence, count=tail.count + 1))
        else:
            lane.spans.append(Span(first=record.sequence, last=record.sequence, count=1))

    def urgent(self, *, gravest: bool = False) -> tuple[Record, bool] | None:
        """Return the next record of life_safety, or live down to security, and whether it is live.

        It leaves its lane. `gravest` is life_safety only.
        """
        for live, priority in _GRAVEST if gravest else _URGENT:
            lane = self._lanes[live, priority]
            if lane.queue:
                return lane.queue.popleft(), live
            if lane.spans and not lane.stalled:
                return None
        return None

    def other(self, now: float) -> tuple[Record, bool] | None:
        """Return the next of the other records likewise, as far as the drain rate allows."""
        if any(self._blocks(key) for key in _URGENT):
            return None
        for key in _REST:
            lane = self._lanes[key]
            if not key[0] and self.bucket.ready(now):
                return None
            if lane.queue:
                if not key[0]:
                    self.bucket.take()
                return lane.queue.popleft(), key[0]
            if lane.spans and not lane.stalled:
                return None
        return None

    def put_back(self, record: Record, *, live: bool) -> None:
        """Take a record back that was not taken, to its place before those after it."""
        queue = self._lanes[live, record.priority].queue
        place = sum(1 for other in queue if other.sequence < record.sequence)
        queue.insert(place, record)

    def pause(self, now: float) -> float:
        """Return seconds until the drain rate allows the next of the backlog."""
        return self.bucket.ready(now)

    def wanted(self) -> Fetch | None:
        """Return what should be read from disk next, most urgent first; `fetched` must follow."""
        for live, priority in (*_URGENT, *_REST):
            lane = self._lanes[live, priority]
            if lane.spans and len(lane.queue) < LOW and not lane.fetching:
                lane.fetching = True
                return Fetch(live, priority, lane.spans[0].first, lane.spans[0].last)
        return None

    def fetched(self, fetch: Fetch, records: list[Record]) -> None:
        """Take the records that were read for `fetch`."""
        lane = self._lanes[fetch.live, fetch.priority]
        lane.fetching = lane.stalled = False
        lane.queue.extend(records)
        span = lane.spans.popleft()
        first = records[-1].sequence + 1 if len(records) == fetch.limit else fetch.last + 1
        left = span.count - len(records)
        if first <= span.last and left > 0:
            lane.spans.appendleft(Span(first=first, last=span.last, count=left))

    def stalled(self, fetch: Fetch) -> None:
        """Take note that the disk did not give what was wanted."""
        lane = self._lanes[fetch.live, fetch.priority]
        lane.fetching, lane.stalled = False, True

    def _blocks(self, key: tuple[bool, int]) -> bool:
        lane = self._lanes[key]
        return bool(lane.queue) or (bool(lane.spans) and not lane.stalled)
