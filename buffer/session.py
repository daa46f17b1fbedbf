"""Send by lanes over one connection, with a window of messages in flight."""

import asyncio
import logging
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial

from buffer.lanes import Fetch, Lanes, TokenBucket
from buffer.message import Message, Publisher, Refused, Unreachable
from buffer.record import Record
from buffer.refusals import Refusals
from buffer.storage import JournalError
from buffer.writer import Writer

log = logging.getLogger(__name__)

ACK_WAIT = 10.0
"""Seconds without an answer to a message after which the link counts as dead."""
TICK = 0.25
"""Seconds between looks at what only time changes."""

Render = Callable[[Record, bool], Message]
"""Makes the message of a record; the second argument is whether it is replayed from the backlog."""


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
        self._counts = counts
        self._window = min(window, link.receive_maximum)
        self._loop = asyncio.get_running_loop()
        self._flying: dict[asyncio.Future[None], float] = {}
        self._news = asyncio.Event()
        self._fetching: set[asyncio.Task[None]] = set()
        self._early: list[Record] | None = None

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
        """Look again: there is a new state."""
        self._news.set()

    async def run(self) -> None:
        """Send until the link ends.

        Raises:
            Unreachable: the link ended, or the broker leaves messages unanswered.
        """
        self._link.ended.add_done_callback(lambda _: self._news.set())
        ticking = self._loop.create_task(self._tick())
        try:
            while not self._link.ended.done():
                self._fetch()
                self._send()
                await self._news.wait()
                self._news.clear()
                self._check_age()
                await self._sweep()
        finally:
            for task in (ticking, *self._fetching):
                task.cancel()
            await asyncio.gather(ticking, *self._fetching, return_exceptions=True)
        raise self._link.ended.result()

    def _send(self) -> None:
        while len(self._flying) < self._window:
            now = self._loop.time()
            if (picked := self._lanes.urgent()) is not None:
                self._send_record(*picked)
            elif self._states:
                topic = next(iter(self._states))
                self._send_state(topic, self._states.pop(topic))
            elif (picked := self._lanes.other(now)) is not None:
                self._send_record(*picked)
            else:
                if pause := self._lanes.pause(now):
                    self._loop.call_later(pause, self._news.set)
                return

    def _send_record(self, record: Record, live: bool) -> None:  # noqa: FBT001
        if self._refusals.waits(record.sequence, self._loop.time()):
            return
        answer = self._link.publish(self._render(record, not live))
        self._flying[answer] = self._loop.time()
        answer.add_done_callback(partial(self._answered, record))

    def _send_state(self, topic: str, payload: bytes) -> None:
        answer = self._link.publish(Message(topic=topic, payload=payload, retain=True))
        self._flying[answer] = self._loop.time()
        answer.add_done_callback(partial(self._state_answered, topic))

    def _answered(self, record: Record, answer: "asyncio.Future[None]") -> None:
        self._flying.pop(answer)
        self._news.set()
        error = answer.exception()
        if error is None:
            self._counts.published += 1
            self._writer.mark_sent(record)
            self._refusals.delivered(record.sequence)
        elif isinstance(error, Refused):
            self._counts.rejected += 1
            self._refusals.refused(record, error, self._loop.time())

    def _state_answered(self, topic: str, answer: "asyncio.Future[None]") -> None:
        self._flying.pop(answer)
        self._news.set()
        if isinstance(error := answer.exception(), Refused):
            self._counts.rejected += 1
            log.warning("the broker refuses %s: %s", topic, error)

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
        """Take what was refused a while ago into the lanes again, when nothing else is to do."""
        if not self._refusals or not self._refusals.due(self._loop.time()):
            return
        if self._flying or self._fetching or any(self.waiting):
            return
        early: list[Record] = []
        self._early = early
        self._lanes = await open_lanes(self._writer, self._lanes.bucket)
        self._early = None
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
