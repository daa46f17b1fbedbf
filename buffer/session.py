"""Send by lanes over one connection, with a window of messages in flight."""

import asyncio
import logging
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial

from buffer.lanes import Fetch, Lanes, TokenBucket
from buffer.message import Message, Publisher, Refused, Unreachable
from buffer.reasons import TOO_MUCH
from buffer.record import Record
from buffer.refusals import Refusals
from buffer.storage import JournalError
from buffer.suspicion import Suspicion
from buffer.writer import Writer

log = logging.getLogger(__name__)

ACK_WAIT = 10.0
"""Seconds without an answer to a message after which the link counts as dead."""
LOOK_AGAIN = 5.0
"""Seconds between looks for what is unsent and in no lane."""
TICK = 0.25
"""Seconds between looks at what only time changes."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds in which nothing is sent after the broker said that it is too much; they double. For
life_safety it is always the first."""
FINISH_WAIT = 1.0
"""Seconds that what is in flight has to be answered, before a link is left on purpose."""

Render = Callable[[Record, bool], Message]
"""Makes the message of a record; the second argument is whether it is replayed from the backlog.
Raises Refused for a record that no message can be made of."""
Sent = Record | str
"""A record, or the topic of a state."""


@dataclass(slots=True)
class Counts:
    """What an uplink has done since it was made."""

    published: int = 0
    """Records that the broker has acknowledged."""
    rejected: int = 0
    """Answers that refused a record or a state."""


class Session:
    """One connection's worth of sending; `run` ends only with the link."""

    def __init__(
        self,
        link: Publisher,
        writer: Writer,
        lanes: Lanes,
        *,
        render: Render,
        states: MutableMapping[str, bytes],
        refusals: Refusals,
        suspicion: Suspicion[Sent],
        set_aside: Callable[[Record, Refused], None],
        counts: Counts,
        window: int,
    ) -> None:
        """`states` are those waiting to be sent, newest by topic; the session takes them out."""
        self._link = link
        self._writer = writer
        self._lanes = lanes
        self._render = render
        self._states = states
        self._refusals = refusals
        self._suspicion = suspicion
        self._set_aside = set_aside
        self._counts = counts
        self._window = min(window, link.receive_maximum)
        self._loop = asyncio.get_running_loop()
        self._flying: dict[asyncio.Future[None], float] = {}
        self.unanswered: list[Sent] = []
        """What was in flight when the link ended."""
        self._news = asyncio.Event()
        self._fetching: set[asyncio.Task[None]] = set()
        self._early: list[Record] | None = None
        self._look_at = self._loop.time() + LOOK_AGAIN
        self._later: asyncio.TimerHandle | None = None
        self._pause = 0.0
        self._paused_until = self._grave_at = float("-inf")
        self._finishing: tuple[str, float] | None = None

    @property
    def waiting(self) -> tuple[int, int]:
        """How many records wait in the live lanes and in the backlog lanes."""
        return self._lanes.waiting(live=True), self._lanes.waiting(live=False)

    def committed(self, records: Sequence[Record]) -> None:
        """Take records that were just committed."""
        if self._early is not None:
            self._early.extend(records)
            return
        for record in records:
            self._lanes.committed(record)
        self._news.set()

    def wake(self) -> None:
        """Look again: there is something new."""
        self._news.set()

    def finish(self, reason: str) -> None:
        """Leave the link for `reason`, as soon as what is in flight is answered."""
        self._finishing = (reason, self._loop.time() + FINISH_WAIT)
        self._news.set()

    async def run(self) -> None:
        """Send until the link ends.

        Raises:
            Unreachable: the link ended, the broker leaves messages unanswered, or `finish`.
        """
        self._link.ended.add_done_callback(lambda _: self._news.set())
        ticking = self._loop.create_task(self._tick())
        try:
            while not self._link.ended.done():
                if self._finishing is None:
                    self._fetch()
                    self._send()
                elif not self._flying or self._loop.time() >= self._finishing[1]:
                    raise Unreachable(self._finishing[0])
                await self._news.wait()
                self._news.clear()
                self._check_age()
                await self._sweep()
            await asyncio.sleep(0)  # until all that was in flight has heard of it
        finally:
            if self._later is not None:
                self._later.cancel()
            for task in (ticking, *self._fetching):
                task.cancel()
            await asyncio.gather(ticking, *self._fetching, return_exceptions=True)
        raise self._link.ended.result()

    def _send(self) -> None:
        window = self._suspicion.window(self._window)
        while len(self._flying) < window:
            now = self._loop.time()
            if now < self._paused_until:
                picked = self._lanes.urgent(gravest=True) if now >= self._grave_at else None
                if picked is None:
                    return
                self._send_record(*picked)
            elif (picked := self._lanes.urgent()) is not None:
                self._send_record(*picked)
            elif self._states:
                topic = next(iter(self._states))
                self._send_state(topic, self._states.pop(topic))
            elif (picked := self._lanes.other(now)) is not None:
                self._send_record(*picked)
            else:
                if pause := self._lanes.pause(now):
                    self._look_again(now + pause)
                return

    def _look_again(self, at: float) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = self._loop.call_at(at, self._news.set)

    def _send_record(self, record: Record, live: bool) -> None:  # noqa: FBT001
        if self._refusals.waits(record.sequence, self._loop.time()):
            return
        self._refusals.trying(record.sequence)
        try:
            message = self._render(record, not live)
        except Refused as error:
            self._refused(record, error, live=live)
            return
        answer = self._link.publish(message)
        self._flying[answer] = self._loop.time()
        answer.add_done_callback(partial(self._answered, record, live))

    def _send_state(self, topic: str, payload: bytes) -> None:
        answer = self._link.publish(Message(topic=topic, payload=payload, retain=True))
        self._flying[answer] = self._loop.time()
        answer.add_done_callback(partial(self._state_answered, topic, payload))

    def _answered(self, record: Record, live: bool, answer: "asyncio.Future[None]") -> None:  # noqa: FBT001
        self._flying.pop(answer)
        self._news.set()
        error = answer.exception()
        if error is None:
            self._counts.published += 1
            self._pause = 0.0
            self._writer.mark_sent(record)
            self._refusals.delivered(record.sequence)
            self._suspicion.acknowledged()
        elif isinstance(error, Refused):
            self._refused(record, error, live=live)
        else:
            self.unanswered.append(record)

    def _refused(self, record: Record, error: Refused, *, live: bool) -> None:
        self._counts.rejected += 1
        now = self._loop.time()
        if error.final:
            self._set_aside(record, error)
        elif error.code in TOO_MUCH:
            self._lanes.put_back(record, live=live)
            self._rest(error)
            self._grave_at = now + FIRST_PAUSE
        else:
            self._refusals.refused(record, error, now)

    def _rest(self, error: Refused) -> None:
        """Send nothing for a while: the broker says that it is too much."""
        now = self._loop.time()
        if now >= self._paused_until:
            log.warning("the broker asks for a pause: %s", error)
            self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
            self._paused_until = now + self._pause

    def _state_answered(self, topic: str, payload: bytes, answer: "asyncio.Future[None]") -> None:
        self._flying.pop(answer)
        self._news.set()
        error = answer.exception()
        if error is None:
            self._suspicion.acknowledged()
        elif isinstance(error, Refused) and error.code in TOO_MUCH:
            self._counts.rejected += 1
            self._states.setdefault(topic, payload)
            self._rest(error)
        elif isinstance(error, Refused):
            self._counts.rejected += 1
            log.warning("the broker refuses %s: %s", topic, error)
        else:
            self.unanswered.append(topic)

    def _fetch(self) -> None:
        while (fetch := self._lanes.wanted()) is not None:
            task = self._loop.create_task(self._read(fetch))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)

    async def _read(self, fetch: Fetch) -> None:
        try:
            records = await self._writer.call(
                lambda journal: journal.published(
                    fetch.priority, fetch.first, fetch.last, fetch.limit
                )
            )
        except JournalError as error:
            log.debug("reading the backlog: %s", error)
            self._lanes.stalled(fetch)
            return
        self._lanes.fetched(fetch, records)
        self._news.set()

    async def _sweep(self) -> None:
        """Take what was refused a while ago into the lanes again, when nothing else is to do.

        So with what a broken journal's salvage has brought back since the lanes were opened.
        """
        now = self._loop.time()
        for record in self._refusals.grave(now):
            self._lanes.put_back(record, live=False)
            self._news.set()
        found = now >= self._look_at and any(self._writer.stats.unsent)
        if not found and not self._refusals.due(now):
            return
        if self._flying or self._fetching or any(self.waiting):
            return
        self._look_at = now + LOOK_AGAIN
        early: list[Record] = []
        self._early = early
        self._lanes = await open_lanes(self._writer, self._lanes.bucket)
        self._early = None
        self._refusals.swept()
        self.committed(early)

    def _check_age(self) -> None:
        oldest = next(iter(self._flying.values()), None)
        if oldest is not None and self._loop.time() - oldest > ACK_WAIT:
            raise Unreachable(f"no answer to a message for {ACK_WAIT:.0f} s")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._news.set()


async def open_lanes(writer: Writer, bucket: TokenBucket) -> Lanes:
    """Return lanes in which all that is unsent by now is backlog.

    Raises:
        JournalError: the journal cannot be read now.
    """
    backlog, head = await writer.begin_lanes()
    return Lanes(backlog, head, bucket)
