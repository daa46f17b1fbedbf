"""The one road: take an event, decide, hand over the orders, then write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from buffer.record import Draft, Kind, Record
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import InputEdge, InputFault, LinkDown, LinkUp, OrderFailed
from edge.clock import Clock
from edge.decide import Decider
from edge.described import described
from edge.dispatch import Dispatch
from edge.encode import Encoder, event_of
from edge.inbox import Inbox
from edge.metrics import Metrics
from edge.notify import Notify
from edge.speaker import Speaker
from edge.traces import Note, Traces
from edge.turn import Turn
from rules.model import Fired, NotFired

Done = tuple[Event | None, Event, Turn]
"""The event (None: time alone did it), what gives the stamp, and what it led to."""

STARTED = f"/event/{SITE}/journal.started"
NOT_HEARD = frozenset({LinkDown.kind, InputFault.kind, OrderFailed.kind})
"""What is said about a device that did not say anything."""
IDLE = 1.0
"""Seconds after which the road turns once without an event, to show that it moves."""


class Following(Protocol):
    """Who is shown what goes past."""

    def show(self, event: Event | None, stamp: Event, turn: Turn) -> None:
        """Take what was handled; `event` is None when time alone did it, at `stamp`."""
        ...


class Pipeline:
    """Handles one event at a time. Nobody it serves can make it wait."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        decider: Decider,
        clock: Clock,
        speaker: Speaker,
        dispatch: Dispatch,
        encoder: Encoder,
        keep: Callable[..., None],
        publish_state: Callable[[str], None],
        metrics: Metrics,
        notify: Notify,
    ) -> None:
        self.inbox, self.decider, self.clock = inbox, decider, clock
        self.speaker, self.dispatch, self.encoder = speaker, dispatch, encoder
        self.keep, self.publish_state = keep, publish_state
        self.metrics, self.notify = metrics, notify
        self.traces = Traces(decider.priority_of)
        self._drafts: list[Draft] = []
        """Of what is being written: they survive together or not at all."""
        self.followers: list[Following] = []
        self.turned = clock.tick()
        """Tick of the last turn."""
        self._taken: Event | None = None
        """What was taken from the inbox and is not written yet."""
        self._rests = asyncio.Event()
        self._rests.set()
        self._fed = 0.0
        self._in_journal: set[str] = set()
        """Ids of events that the journal has written itself."""
        self._answers: dict[str, asyncio.Future[Turn]] = {}

    async def run(self) -> None:
        """Handle events until cancelled: decide, let the devices have their orders, then write."""
        while True:
            if not len(self.inbox):
                await self._wait()
            self._rests.clear()
            done = self.decide()
            try:
                if any(turn.given for _event, _stamp, turn in done):
                    await asyncio.sleep(0)  # the devices' workers go first
                    await asyncio.sleep(0)  # and begin to perform
            finally:
                self.write(done)  # at a stop too: what was ordered is journaled
                self._rests.set()
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """Wait until no turn is under way. What is then done without a wait cuts none in two."""
        while not self._rests.is_set():
            await self._rests.wait()

    def carry_out(self, stamp: Event, turn: Turn) -> None:
        """Hand over and journal what something other than an event led to."""
        self.write([(None, stamp, self._given(turn))])

    async def _wait(self) -> None:
        due = self.decider.next_deadline()
        wait = IDLE if due is None else min(max(due - self.clock.tick(), 0.0), IDLE)
        try:
            async with asyncio.timeout(wait):
                await self.inbox.wait()
        except TimeoutError:
            return

    def decide(self) -> list[Done]:
        """Decide what is due, then the most urgent event if there is one; hand the orders over."""
        if len(self.inbox):
            event = self._taken = self.inbox.take()
            oldest = self.inbox.oldest_tick()
            done = self._advance(event.tick if oldest is None else min(event.tick, oldest))
            event = self.decider.modes.amended(event)
            edge = event.kind == InputEdge.kind
            done.append((event, event, Turn() if edge else self._given(self.decider.feed(event))))
        else:
            done = self._advance(self.clock.tick())
        self.turned = self.clock.tick()
        beat = self.notify.watchdog_seconds / 4
        if beat and self.turned - self._fed >= beat:
            self._fed = self.turned
            self.notify.alive()
        return done

    def write(self, done: list[Done]) -> None:
        """Journal what was decided, count it, show it, and answer who asked."""
        for event, stamp, turn in done:
            self._write(event, stamp, turn)
        self._taken = None
        if self.traces.next_due <= self.turned:
            self._trace(self._now(), self.traces.due(self.turned))
        self._keep()

    def finish(self) -> None:
        """Journal the near misses that wait for their ten minutes: at a stop, at other rules.

        And the event whose handling a bug has cut short: it was said.
        """
        taken, self._taken = self._taken, None
        known = {*self._in_journal, *(draft.id for draft in self._drafts)}
        if taken is not None and taken.id not in known:
            self._drafts.append(self.encoder.event(taken))
        self._trace(self._now(), self.traces.close())
        self._keep()

    def _keep(self) -> None:
        drafts, self._drafts = self._drafts, []
        if drafts:
            self.keep(*drafts)

    def _now(self) -> Event:
        return self.speaker.stamp(SITE, "time", Priority.operations, {}, {})

    def heard(self, records: Iterable[Record]) -> None:
        """Take what the journal wrote of itself, gaps and a new file, as events for the rules."""
        for record in records:
            if record.kind is Kind.GAP or (record.topic or "").endswith(STARTED):
                self._in_journal.add(record.id)
                self.inbox.put(event_of(record))

    def catch_up(self) -> None:
        """Carry out what fell due while nobody was there."""
        self.write(self._advance(self.clock.tick()))

    async def request(self, kind: str, fields: dict[str, Any], priority: Priority) -> Turn:
        """Put a person's request into the inbox; return what it led to."""
        event = self.speaker.stamp(SITE, kind, priority, fields, {})
        answer: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._answers[event.id] = answer
        self.inbox.put(event)
        try:
            return await answer
        finally:
            del self._answers[event.id]

    def _advance(self, tick: float) -> list[Done]:
        due = self.decider.next_deadline()
        if due is None or due > tick:
            return []
        stamp = replace(self._now(), tick=tick)  # a replay goes no further than this
        return [(None, stamp, self._given(self.decider.advance(tick, stamp)))]

    def _given(self, turn: Turn) -> Turn:
        for given in turn.given:
            self.dispatch.give(given)
        return turn

    def _write(self, event: Event | None, stamp: Event, turn: Turn) -> None:
        if event is not None:
            if event.id not in self._in_journal:
                self._drafts.append(self.encoder.event(event))
            self._in_journal.discard(event.id)
            self._count(event)
        self._write_decisions(stamp, turn)
        for given in turn.given:
            if not given.quiet:
                self._drafts.append(self.encoder.order(stamp, given))
        for refusal in turn.refused:
            given = refusal.given
            failed = OrderFailed(
                command=given.command.kind,
                rule=given.rule,
                firing=given.firing,
                by=given.by,
                reason=refusal.reason,
            )
            self.speaker.say(given.device, failed, given.priority)
        for word in turn.said:
            self.speaker.site(word.kind, word.priority, word.fields, word.sets)
        for follower in self.followers:
            follower.show(event, stamp, turn)
        answer = self._answers.get(stamp.id)
        if answer is not None and not answer.done():
            answer.set_result(turn)

    def _trace(self, stamp: Event, notes: list[Note]) -> None:
        for note in notes:
            self._drafts.append(self.encoder.trace(stamp, note.signal, note.data, note.priority))

    def _count(self, event: Event) -> None:
        self.metrics.heard(event)
        if event.sets:
            self.publish_state(event.device)
        if event.kind in {LinkUp.kind, LinkDown.kind}:
            self.metrics.up.labels(event.device).set(event.kind == LinkUp.kind)
        if event.kind not in NOT_HEARD:
            self.metrics.seen.labels(event.device).set(event.at.timestamp())

    def _write_decisions(self, event: Event, turn: Turn) -> None:
        for decision in turn.decisions:
            if isinstance(decision, Fired):
                self._trace(event, [self.traces.fired(decision, turn)])
            elif isinstance(decision, NotFired):
                self._trace(event, self.traces.missed(decision))
            words = described(decision)
            if words is None:
                continue
            priority = self.decider.priority_of(decision.rule)
            self._drafts.append(self.encoder.decision(event, *words, priority))
            if isinstance(decision, Fired):
                self.metrics.fired.labels(decision.rule).inc()
                self.metrics.firings += 1
            elif isinstance(decision, NotFired):
                self.metrics.blind.labels(decision.rule).inc()
