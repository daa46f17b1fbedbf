"""Forward the journal to the broker: connect, send, and connect again for as long as it takes."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from buffer.journal import Journal
from buffer.lanes import TokenBucket, spread
from buffer.message import Connect, Message, Publisher, Refused, Unreachable
from buffer.patience import BROKEN, Patience
from buffer.patience import LONGEST_WAIT as LONGEST_WAIT
from buffer.record import Record
from buffer.refusals import Refusals
from buffer.refused import TOGETHER, SetAside
from buffer.session import Counts, Render, Sent, Session, open_lanes
from buffer.storage import JournalError
from buffer.suspicion import Suspicion
from buffer.writer import Writer

log = logging.getLogger(__name__)

BIRTH_WAIT = 10.0
"""Seconds that the first messages may take."""
FAREWELL_WAIT = 2.0
"""Seconds that saying goodbye may take."""
SHORT = 3
"""Links in a row that end soon without a word, from which on it is said what that may mean."""
AGAIN_AND_AGAIN = "; it ends every link soon: is there a second box with this site id?"
SHOWN = 20
"""Records set aside that are told one by one."""
_NOT_YET = "not connected yet"


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
    set_aside: int
    """Records that the broker will never take as they are; they are no backlog."""


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
        drain_jitter: float = 0.0,
        site: str = "",
        on_refused: Callable[[Record, Refused], None] = lambda _record, _reason: None,
        on_link: Callable[[str | None], None] = lambda _reason: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Use `mqtt.connector(...)` for `connect`.

        `birth` is published first on each connection and `farewell` last on a clean stop. `window`
        is the most messages in flight, `drain_rate` the most of the backlog below life_safety a
        second. Of that, no more than a second's worth, a window at most, is sent before a part of
        `drain_jitter` seconds is over, another one for each `site` and connection. `on_refused`
        hears once of each record that the broker refuses, `on_link` of each change of the link:
        None when up, else why not. `jitter` gives numbers from 0 to 1.
        """
        self._writer = writer
        self._connect = connect
        self._render = render
        self._birth = birth
        self._farewell = farewell
        self._window = window
        self._bucket = TokenBucket(drain_rate)
        self._early = window if drain_rate is None else max(1, min(window, int(drain_rate)))
        self._drain_jitter = drain_jitter
        self._site = site
        self._on_link = on_link
        self._patience = Patience(jitter)
        self._hurry = asyncio.Event()
        self._connections = 0
        self._short = 0
        self._states: dict[str, bytes] = {}
        self._unsent_states: dict[str, bytes] = {}
        self._refusals = Refusals(on_refused)
        self._refused_known = False
        self._shown: deque[SetAside] = deque(maxlen=SHOWN)
        self._suspicion: Suspicion[Sent] = Suspicion()
        self._noting: set[asyncio.Task[None]] = set()
        self._counts = Counts()
        self._session: Session | None = None
        self._error: str | None = _NOT_YET
        self._code: int | None = None

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
            set_aside=self._refusals.aside,
        )

    def set_aside(self) -> list[SetAside]:
        """Return the last records that were set aside, oldest first."""
        return list(self._shown)

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

    def renew(self, reason: str) -> None:
        """Connect anew, and at once: how we show ourselves to the broker has changed."""
        self._hurry.set()
        if self._session is not None:
            self._session.finish(reason)

    async def retry_refused(self) -> int:
        """Try everything again that the broker refused; returns how many were set aside.

        Raises:
            JournalError: the journal cannot be changed now.
        """
        count = await self._writer.call(lambda journal: journal.refused.clear())
        self._refusals.retry()
        self._shown.clear()
        if self._session is not None:
            self._session.wake()
        return count

    async def run(self) -> NoReturn:
        """Forward for ever. Cancelling it says goodbye first."""
        try:
            while True:
                await self._once()
        finally:
            await asyncio.gather(*self._noting, return_exceptions=True)

    async def _once(self) -> None:
        """Connect, send until the link ends, and wait."""
        loop = asyncio.get_running_loop()
        began, code = float("inf"), None
        try:
            async with self._connect() as link:
                began = loop.time()
                self._unsent_states = dict(self._states)
                await self._serve(link)
        except Unreachable as error:
            code = error.code
            short = error.hung_up and loop.time() - began < BROKEN.settled
            self._short = self._short + 1 if short and began <= loop.time() else 0
            hint = AGAIN_AND_AGAIN if self._short >= SHORT else ""
            self._down(f"{error}{hint}", code)
        except JournalError as error:
            self._down(str(error), None)
        lasted = max(loop.time() - began, 1e-6) if began <= loop.time() else 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.after(code, lasted)):
                await self._hurry.wait()
        self._hurry.clear()

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
            if not self._refused_known:
                known, shown = await self._writer.call(
                    lambda journal: (journal.refused.sequences(), journal.refused.shown(SHOWN))
                )
                self._refusals.remember(known)
                self._shown.extend(shown)
                self._refused_known = True
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
            suspicion=self._suspicion,
            set_aside=self._set_aside,
            counts=self._counts,
            window=self._window,
        )
        self._connections += 1
        self._bucket.begin(
            asyncio.get_running_loop().time(),
            wait=self._drain_jitter * spread(self._site, self._connections),
            early=self._early,
        )
        session.committed(early)
        unfollow = self._writer.follow(session.committed)
        self._session, self._error, self._code = session, None, None
        log.info("connected to the broker")
        self._on_link(None)
        try:
            await session.run()
        except Unreachable as why:
            self._suspect(why, session.unanswered)
            raise
        finally:
            unfollow()

    def _suspect(self, why: Unreachable, unanswered: Sequence[Sent]) -> None:
        """Let a record or a state that the broker ends links for not end the next one too."""
        if (culprit := self._suspicion.ended(why, unanswered)) is None:
            return
        sent, refused = culprit
        self._counts.rejected += 1
        if isinstance(sent, str):
            log.warning("the broker ends the link for %s, which is not sent again", sent)
            self._states.pop(sent, None)
        elif refused.final:
            self._set_aside(sent, refused)
        else:
            self._refusals.refused(sent, refused, asyncio.get_running_loop().time())

    def _set_aside(self, record: Record, refused: Refused) -> None:
        self._refusals.set_aside(record, refused)
        self._shown.append(
            SetAside(
                sequence=record.sequence,
                topic=record.topic or "",
                code=refused.code,
                reason=refused.reason,
            )
        )
        task = asyncio.get_running_loop().create_task(self._note(record, refused))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, record: Record, refused: Refused) -> None:
        def add(journal: Journal) -> frozenset[int] | None:
            journal.refused.add(record, refused.code, refused.reason)
            many = self._refusals.aside > 2 * (len(journal.refused) + TOGETHER)
            return journal.refused.sequences() if many else None

        try:
            if (kept := await self._writer.call(add)) is not None:
                self._refusals.forget_but(kept)
        except JournalError as error:
            log.warning(
                "record %d: %s; it is tried again at the next start", record.sequence, error
            )

    def _down(self, reason: str, code: int | None) -> None:
        told = self._session is None and self._error != _NOT_YET
        if not told or (code is not None and code != self._code):
            log.warning("no link to the broker: %s", reason)
            self._on_link(reason)
        self._session, self._error, self._code = None, reason, code


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
