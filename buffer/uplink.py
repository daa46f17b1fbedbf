"""Forward the journal to the broker: connect, send, and connect again for as long as it takes."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from buffer.lanes import TokenBucket
from buffer.message import Connect, Message, Publisher, Refused, Unreachable
from buffer.record import Record
from buffer.refusals import Refusals
from buffer.session import Counts, Render, Session, open_lanes
from buffer.storage import JournalError
from buffer.writer import Writer

log = logging.getLogger(__name__)

FIRST_WAIT = 0.1
"""Seconds before the first attempt to connect again; doubles up to the longest."""
LONGEST_WAIT = 0.8
"""Short for ever: what waits leaves within a second of the broker's return, however long it was."""
BIRTH_WAIT = 10.0
"""Seconds that the first messages may take."""
FAREWELL_WAIT = 2.0
"""Seconds that saying goodbye may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStats:
    """How the uplink stands."""

    connected: bool
    error: str | None
    """Why it is not connected; None while it is."""
    live: int
    """Records that wait in the live lanes; 0 while not connected."""
    backlog: int
    """Records that wait in the backlog lanes; all that are unsent while not connected."""
    oldest_unsent: float
    """Seconds since the oldest unsent record was committed, at least; 0 when all is sent."""
    published: int
    """Records acknowledged since the start."""
    rejected: int
    """Answers since the start by which the broker refused a record or a state."""
    refused: int
    """Records that the broker refused and that wait to be tried again."""


class Uplink:
    """`await uplink.run()` until cancelled. Used from the loop's thread."""

    def __init__(
        self,
        writer: Writer,
        connect: Connect,
        render: Render,
        *,
        birth: Callable[[], Sequence[Message]] = lambda: (),
        farewell: Callable[[], Sequence[Message]] = lambda: (),
        window: int = 20,
        drain_rate: float | None = None,
        on_refused: Callable[[Record, Refused], None] = lambda _record, _reason: None,
        on_link: Callable[[str | None], None] = lambda _reason: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Use `mqtt.connector(...)` for `connect`.

        `birth` is published first on each connection and `farewell` last on a clean stop. `window`
        is the most messages in flight, `drain_rate` the most of the backlog below life_safety a
        second. `on_refused` hears of each record that the broker refuses, `on_link` of each change
        of the link: None when up, else why not. `jitter` gives numbers from 0 to 1.
        """
        self._writer = writer
        self._connect = connect
        self._render = render
        self._birth = birth
        self._farewell = farewell
        self._window = window
        self._bucket = TokenBucket(drain_rate)
        self._on_link = on_link
        self._jitter = jitter
        self._states: dict[str, bytes] = {}
        self._unsent_states: dict[str, bytes] = {}
        self._refusals = Refusals(on_refused)
        self._counts = Counts()
        self._session: Session | None = None
        self._error: str | None = "not connected yet"

    @property
    def stats(self) -> UplinkStats:
        """How the uplink stands."""
        stats = self._writer.stats
        live, backlog = self._session.waiting if self._session else (0, sum(stats.unsent))
        return UplinkStats(
            connected=self._session is not None,
            error=self._error,
            live=live,
            backlog=backlog,
            oldest_unsent=stats.oldest_unsent,
            published=self._counts.published,
            rejected=self._counts.rejected,
            refused=len(self._refusals),
        )

    def publish_state(self, topic: str, payload: bytes) -> None:
        """Keep `payload` as the retained state of `topic` and send it; of several, the newest.

        All states are sent again on each connection: a broker may have lost them.
        """
        self._states[topic] = self._unsent_states[topic] = payload
        if self._session is not None:
            self._session.wake()

    def announce(self) -> None:
        """Publish `birth` again over a link that is up: what it says has changed."""
        if self._session is not None:
            for message in self._birth():
                self._unsent_states[message.topic] = message.payload
            self._session.wake()

    async def run(self) -> NoReturn:
        """Forward for ever. Cancelling it says goodbye first."""
        wait = FIRST_WAIT
        while True:
            try:
                async with self._connect() as link:
                    self._unsent_states = dict(self._states)
                    await self._serve(link)
            except (Unreachable, JournalError) as error:
                if self._session is not None:
                    wait = FIRST_WAIT
                self._down(str(error))
            await asyncio.sleep(wait * (1 - self._jitter() / 2))
            wait = min(wait * 2, LONGEST_WAIT)

    async def _serve(self, link: Publisher) -> None:
        try:
            await self._send_over(link)
        except asyncio.CancelledError:
            with suppress(Unreachable):
                await _deliver(link, self._farewell(), FAREWELL_WAIT)
            self._session, self._error = None, "stopped"
            raise

    async def _send_over(self, link: Publisher) -> None:
        early: list[Record] = []
        unfollow = self._writer.follow(early.extend)
        try:
            lanes = await open_lanes(self._writer, self._bucket)
            await _deliver(link, self._birth(), BIRTH_WAIT)
        finally:
            unfollow()
        session = Session(
            link,
            self._writer,
            lanes,
            render=self._render,
            states=self._unsent_states,
            refusals=self._refusals,
            counts=self._counts,
            window=self._window,
        )
        session.committed(early)
        unfollow = self._writer.follow(session.committed)
        self._session, self._error = session, None
        log.info("connected to the broker")
        self._on_link(None)
        try:
            await session.run()
        finally:
            unfollow()

    def _down(self, reason: str) -> None:
        if self._session is not None or self._error == "not connected yet":
            log.warning("no link to the broker: %s", reason)
            self._on_link(reason)
        self._session, self._error = None, reason


async def _deliver(link: Publisher, messages: Sequence[Message], limit: float) -> None:
    """Publish `messages` and wait `limit` seconds for their answers; a refusal is only logged.

    Raises:
        Unreachable: the link ended before.
    """
    if not messages:
        return
    answers = [link.publish(message) for message in messages]
    _, pending = await asyncio.wait(answers, timeout=limit)
    if pending:
        raise Unreachable("no answer to the first messages")
    for message, answer in zip(messages, answers, strict=True):
        error = answer.exception()
        if isinstance(error, Refused):
            log.warning("the broker refuses %s: %s", message.topic, error)
        elif error is not None:
            raise error
