"""The one road: take an event, decide, hand over the orders, then write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from buffer.record import Draft
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import UNKNOWN, InputEdge, LinkDown, LinkUp, OrderFailed
from edge.clock import Clock
from edge.decide import Decider, Turn, described
from edge.dispatch import Dispatch
from edge.encode import Encoder
from edge.inbox import Inbox
from edge.metrics import Metrics
from edge.notify import Notify
from edge.speaker import Speaker
from rules.model import Fired, NotFired

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
        keep: Callable[[Draft], None],
        publish_state: Callable[[str], None],
        metrics: Metrics,
        notify: Notify,
    ) -> None:
        self.inbox, self.decider, self.clock = inbox, decider, clock
        self.speaker, self.dispatch, self.encoder = speaker, dispatch, encoder
        self.keep, self.publish_state = keep, publish_state
        self.metrics, self.notify = metrics, notify
        self.followers: list[Following] = []
        self.turned = clock.tick()
        """Tick of the last turn."""
        self._fed = 0.0
        self._answers: dict[str, asyncio.Future[Turn]] = {}

    async def run(self) -> None:
        """Handle events until cancelled."""
        while True:
            if not len(self.inbox):
                await self._wait()
            self.turn()
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        due = self.decider.next_deadline()
        wait = IDLE if due is None else min(max(due - self.clock.tick(), 0.0), IDLE)
        try:
            async with asyncio.timeout(wait):
                await self.inbox.wait()
        except TimeoutError:
            return

    def turn(self) -> None:
        """Handle what is due, then the most urgent event if there is one."""
        if len(self.inbox):
            event = self.inbox.take()
            oldest = self.inbox.oldest_tick()
            self._advance(event.tick if oldest is None else min(event.tick, oldest))
            self._handle(event)
        else:
            self._advance(self.clock.tick())
        self.turned = self.clock.tick()
        beat = self.notify.watchdog_seconds / 4
        if beat and self.turned - self._fed >= beat:
            self._fed = self.turned
            self.notify.alive()

    def catch_up(self) -> None:
        """Carry out what fell due while nobody was there."""
        self._advance(self.clock.tick())

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

    def _advance(self, tick: float) -> None:
        due = self.decider.next_deadline()
        if due is None or due > tick:
            return
        stamp = self.speaker.stamp(SITE, "time", Priority.operations, {}, {})
        turn = self.decider.advance(tick, stamp)
        self._carry_out(stamp, turn)

    def _handle(self, event: Event) -> None:
        self.metrics.events.labels(event.device, event.kind).inc()
        self.metrics.handled += 1
        if event.kind == InputEdge.kind:
            self.keep(self.encoder.event(event))
            return
        turn = self.decider.feed(event)
        self._carry_out(event, turn, first=(self.encoder.event(event),))
        if event.sets:
            self.publish_state(event.device)
        if event.kind in {LinkUp.kind, LinkDown.kind}:
            self.metrics.up.labels(event.device).set(event.kind == LinkUp.kind)
        if UNKNOWN not in event.sets.values():
            self.metrics.seen.labels(event.device).set(event.at.timestamp())
        answer = self._answers.get(event.id)
        if answer is not None and not answer.done():
            answer.set_result(turn)

    def _carry_out(self, event: Event, turn: Turn, first: Sequence[Draft] = ()) -> None:
        """Act first, then write."""
        for given in turn.given:
            self.dispatch.give(given)
        for draft in first:
            self.keep(draft)
        for decision in turn.decisions:
            words = described(decision)
            if words is None:
                continue
            priority = self.decider.priority_of(decision.rule)
            self.keep(self.encoder.decision(event, *words, priority))
            if isinstance(decision, Fired):
                self.metrics.fired.labels(decision.rule).inc()
                self.metrics.firings += 1
            elif isinstance(decision, NotFired):
                self.metrics.blind.labels(decision.rule).inc()
        for given in turn.given:
            if not given.quiet:
                self.keep(self.encoder.order(event, given))
        for refusal in turn.refused:
            given = refusal.given
            failed = OrderFailed(
                command=given.command.kind, rule=given.rule, by=given.by, reason=refusal.reason
            )
            self.speaker.say(given.device, failed, given.priority)
        for word in turn.said:
            self.speaker.site(word.kind, word.priority, word.fields, word.sets)
        for follower in self.followers:
            follower.show(event if first else None, event, turn)
