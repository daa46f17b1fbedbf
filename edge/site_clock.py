"""What the clock puts into the inbox: hours, schedules, daily moments, and its own trust."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import UNKNOWN
from edge.clock import Clock
from edge.encode import utc
from edge.speaker import Speaker
from edge.true_time import CORRECTED, Correction, Corrections
from edge.wall import Found, Wall
from rules.calendar import Calendar, Diary
from rules.model import Moment

log = logging.getLogger(__name__)

LOOK = 15.0
"""Seconds between two looks at most, so that a step of the wall clock is noticed."""


class SiteClock:
    """Says `opened`, `closed`, `<schedule>.started`, `.ended`, `daily`, and of its trust."""

    def __init__(
        self,
        clock: Clock,
        speaker: Speaker,
        calendar: Calendar,
        diary: Diary,
        corrections: Corrections | None = None,
        on_corrected: Callable[[], None] = lambda: None,
    ) -> None:
        """Add to `corrections` what it learns, and call `on_corrected` then."""
        self._clock, self._speaker = clock, speaker
        self._calendar, self._diary = calendar, diary
        self.corrections = Corrections() if corrections is None else corrections
        self._on_corrected = on_corrected
        self._wall = Wall(clock.tick(), clock.shown())
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
        """Say what the site's states are now, and whether the clock was set while down."""
        trusted = self._clock.believed = self._clock.trusted()
        tick, at = self._clock.read()
        found = self._wall.look(tick, at, trusted=trusted, server=self._clock.follows_server())
        self._speaker.watch = self._noticed
        self._say_found(found, at)
        if trusted:
            self._say_due()
            sets = self._calendar.states(self._clock.now())
        else:
            sets = self._unknown()
            self._speaker.site("clock.untrusted", fields={"reason": self._clock.doubt()})
        self._speaker.site("state.known", Priority.operations, {"values": sets}, sets)

    def save(self) -> dict[str, Any]:
        """Return what is known of the wall clock as JSON values."""
        return {
            "boot": self._clock.boot,
            "wall": self._wall.save(),
            "corrections": self.corrections.save(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned, as far as it is of this boot. Corrections stay."""
        if self._clock.continues and saved.get("boot") == self._clock.boot:
            with suppress(KeyError, TypeError, ValueError):
                self._wall.restore(saved["wall"])

    def replayed(self, event: Event) -> None:
        """Take note of what was said before a restart, so that it is not said again."""
        kinds = {"daily", "opened", "closed", "hours.opened", "hours.closed"}
        for name in self._calendar.schedules:
            kinds |= {f"{name}.started", f"{name}.ended"}
        if event.device == SITE and event.kind in kinds and event.trusted:
            self._diary.look(event.at)
        if self._clock.continues and event.boot == self._clock.boot:
            self._wall.see(event.tick, event.at, trusted=event.trusted)
            if event.device == SITE and event.kind == CORRECTED:
                self._wall.corrected(float(event.fields.get("since", event.tick)))

    def look(self) -> None:
        """Say what happened since the last look."""
        was = self._speaker.trusted
        trusted = self._clock.believed = self._clock.trusted()
        tick, at = self._clock.read()
        found = self._wall.look(tick, at, trusted=trusted, server=self._clock.follows_server())
        self._say_found(found, at)
        if trusted is not was:
            sets = self._calendar.states(at) if trusted else self._unknown()
            kind = "clock.trusted" if trusted else "clock.untrusted"
            fields = {} if trusted else {"reason": self._clock.doubt()}
            self._speaker.site(kind, fields=fields, sets=sets)
        if trusted:
            self._say_due()
            if found.step:
                sets = self._calendar.states(self._clock.now())
                self._speaker.site("state.known", Priority.operations, {"values": sets}, sets)

    def _noticed(self, tick: float, at: datetime) -> bool:
        """Look at once where a stamp shows that the clock was set; return whether it does."""
        parted = self._wall.parted(tick, at)
        if parted:
            self.look()
            self._changed.set()
        return parted

    def _say_found(self, found: Found, at: datetime) -> None:
        if found.wrong is not None:
            since = round(found.wrong.since, 6)
            told = {"seconds": found.wrong.seconds, "reason": found.wrong.reason}
            said = self._speaker.site(CORRECTED, fields={"since": since, **told})
            correction = Correction(boot=said.boot, since=since, tick=said.tick, at=said.at)
            self.corrections.add(correction)
            self._on_corrected()
        if found.before is not None:
            both = {"before": utc(found.before), "after": utc(at)}
            self._speaker.site("clock.stepped", fields={"seconds": round(found.step, 3), **both})

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
