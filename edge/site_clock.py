"""What the clock puts into the inbox: hours, schedules, daily moments, and its own trust."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime, timedelta

from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import UNKNOWN
from edge.clock import Clock
from edge.speaker import Speaker
from rules.calendar import Calendar, Diary
from rules.model import Moment

log = logging.getLogger(__name__)

LOOK = 15.0
"""Seconds between two looks at most, so that a step of the wall clock is noticed."""
STEP = 2.0
"""Seconds by which the wall clock may part from the tick between two looks."""


class SiteClock:
    """Says `opened`, `closed`, `<schedule>.started`, `.ended`, `daily`, and of its trust."""

    def __init__(self, clock: Clock, speaker: Speaker, calendar: Calendar, diary: Diary) -> None:
        self._clock, self._speaker = clock, speaker
        self._calendar, self._diary = calendar, diary
        self._expected: datetime | None = None
        self._seen: float = clock.tick()
        self._changed = asyncio.Event()

    def moments(self, moments: tuple[Moment, ...]) -> None:
        """Say these daily moments from now on."""
        self._diary.moments = moments
        self._changed.set()

    async def run(self) -> None:
        """Say what falls due until cancelled. Begin with the states as they are."""
        self.begin()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._changed.wait()
            self._changed.clear()
            self.look()

    def begin(self) -> None:
        """Say what the site's states are now."""
        self._note_time()
        if self._speaker.trusted:
            self._say_due()
            sets = self._calendar.states(self._clock.now())
        else:
            sets = self._unknown()
            self._speaker.site("clock.untrusted", fields={"reason": "not set by anything yet"})
        self._speaker.site("state.known", Priority.operations, {"values": sets}, sets)

    def replayed(self, event: Event) -> None:
        """Take note of what was said before a restart, so that it is not said again."""
        kinds = {"daily", "opened", "closed", "hours.opened", "hours.closed"}
        for name in self._calendar.schedules:
            kinds |= {f"{name}.started", f"{name}.ended"}
        if event.device == SITE and event.kind in kinds and event.trusted:
            self._diary.look(event.at)

    def look(self) -> None:
        """Say what happened since the last look."""
        trusted = self._clock.trusted()
        step = self._step()
        self._note_time()
        if step:
            self._speaker.site("clock.stepped", fields={"seconds": round(step, 3)})
        if trusted is not self._speaker.trusted:
            self._speaker.trusted = trusted
            now = self._clock.now()
            sets = self._calendar.states(now) if trusted else self._unknown()
            kind = "clock.trusted" if trusted else "clock.untrusted"
            fields = {} if trusted else {"reason": "no time server, and no battery clock"}
            self._speaker.site(kind, fields=fields, sets=sets)
        if trusted:
            self._say_due()
            if step:
                sets = self._calendar.states(self._clock.now())
                self._speaker.site("state.known", Priority.operations, {"values": sets}, sets)

    def _say_due(self) -> None:
        due, missed = self._diary.look(self._clock.now())
        for one in missed:
            log.warning("%s of %s was missed", one.key, one.day)
        for one, late in due:
            fields = {**one.fields, "late": True} if late else dict(one.fields)
            self._speaker.site(one.kind, fields=fields, sets=one.sets)

    def _until_next(self) -> float:
        if not self._speaker.trusted:
            return LOOK
        now = self._clock.now()
        due = self._calendar.next_due(now, self._diary.moments)
        if due is None:
            return LOOK
        return min(max((due - now).total_seconds(), 0.0) + 0.001, LOOK)

    def _unknown(self) -> dict[str, str]:
        states = self._calendar.states(self._clock.now())
        return dict.fromkeys(states, UNKNOWN)

    def _note_time(self) -> None:
        self._expected, self._seen = self._clock.now(), self._clock.tick()

    def _step(self) -> float:
        """Return by how many seconds the wall clock was set since the last look; 0: it was not."""
        if self._expected is None:
            return 0.0
        passed = timedelta(seconds=self._clock.tick() - self._seen)
        step = (self._clock.now() - (self._expected + passed)).total_seconds()
        return step if abs(step) > STEP else 0.0
