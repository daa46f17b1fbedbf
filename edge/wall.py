"""The course of the wall clock over the ticks: where it stepped, and when it was wrong. Pure.

A course is a stretch of ticks in which the wall clock went on without a step and without a change
of its trust. Which of two courses was wrong is decided by what is independent of both:

* one that was not trusted is wrong once the clock is trusted;
* one that no time server ever confirmed is wrong once a time server has set the clock;
* one that the battery clock denied at the start is wrong once the clock agrees with it;
* what lay between is wrong once the clock is back on a course that it was on before.

Where none of them holds, nobody knows, and nothing is called wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

STEP = 2.0
"""Seconds by which the wall clock may part from the tick without having been set."""
DRIFT = 1e-4
"""Seconds a second by which a wall clock may be slewed or run wrong."""
BACK = 5.0
"""Seconds by which a clock that is back on a course may miss it."""
BATTERY = 60.0
"""Seconds by which a clock that agrees with the battery clock may differ from it."""
DENIED = 240.0
"""Seconds beyond which the battery clock denies a time."""
MOST = 8
"""Courses that are kept."""
MICROSECOND = 1e-6


@dataclass(slots=True, kw_only=True)
class Course:
    """A stretch of ticks of one boot in which the wall clock went on."""

    began: float
    """Its first tick."""
    tick: float
    """Where it was seen last."""
    at: datetime
    """The wall clock at `tick`."""
    trusted: bool
    server: bool = False
    """Whether a time server has confirmed it."""

    def expected(self, tick: float) -> datetime:
        """Return what the wall clock shows at `tick` if it goes on like this."""
        return self.at + timedelta(seconds=tick - self.tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """The wall clock was wrong from the tick `since` up to now."""

    since: float
    seconds: float
    """How far it was ahead at last; negative: behind."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look has found."""

    step: float = 0.0
    """Seconds by which the clock was set forward, negative: back; 0: it was not."""
    before: datetime | None = None
    """What it would show if it had not been set."""
    wrong: Wrong | None = None


class Wall:
    """The courses of this boot's wall clock as they were seen, oldest first."""

    def __init__(self, began: float, battery: datetime | None = None) -> None:
        """Begin at a tick; `battery` is what the battery clock shows then, if there is one."""
        self._began = self._battery_tick = began
        self._battery = battery
        self._courses: list[Course] = []

    def parted(self, tick: float, at: datetime) -> bool:
        """Return whether the clock was set since it was seen last; if not, it is seen."""
        if not self._courses:
            return False
        course = self._courses[-1]
        if self._step(course, tick, at):
            return True
        if tick > course.tick:
            course.tick, course.at = tick, at
        return False

    def look(self, tick: float, at: datetime, *, trusted: bool, server: bool) -> Found:
        """See the clock; return whether it was set, and whether it is now known to have been wrong.

        `trusted` and `server` tell whether it may be believed, and whether a time server says so.
        """
        step, before = self.see(tick, at, trusted=trusted)
        self._courses[-1].server |= server
        return Found(step=step, before=before, wrong=self._judge(tick, step))

    def see(self, tick: float, at: datetime, *, trusted: bool) -> tuple[float, datetime | None]:
        """See the clock, or what a record says of it; return the step and what was expected."""
        if not self._courses:
            self._courses = [
                Course(began=min(self._began, tick), tick=tick, at=at, trusted=trusted)
            ]
            return 0.0, None
        course = self._courses[-1]
        if tick < course.tick:
            return 0.0, None  # of a record that was overtaken
        step, expected = self._step(course, tick, at), course.expected(tick)
        if step or trusted is not course.trusted:
            began = min(course.tick + MICROSECOND, tick)
            self._courses.append(Course(began=began, tick=tick, at=at, trusted=trusted))
            if len(self._courses) > MOST:
                self._courses[2].began = self._courses[1].began
                del self._courses[1]
        else:
            course.tick, course.at = tick, at
        return step, expected if step else None

    def corrected(self, since: float) -> None:
        """Take note of a correction that was made before a restart."""
        if self._courses:
            self._courses[:-1] = [c for c in self._courses[:-1] if c.began < since]

    def save(self) -> dict[str, Any]:
        """Return what was seen as JSON values."""
        courses = [[c.began, c.tick, c.at.isoformat(), c.trusted, c.server] for c in self._courses]
        return {"began": self._began, "courses": courses}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned.

        Raises:
            KeyError, TypeError, ValueError: it is not what `save` returns.
        """
        made = []
        for began, tick, at, trusted, server in saved["courses"]:
            course = Course(
                began=float(began),
                tick=float(tick),
                at=datetime.fromisoformat(at),
                trusted=bool(trusted),
                server=bool(server),
            )
            if course.at.tzinfo is None:
                raise ValueError(f"a time without a zone: {at}")
            made.append(course)
        self._began, self._courses = float(saved["began"]), made

    def _step(self, course: Course, tick: float, at: datetime) -> float:
        step = (at - course.at).total_seconds() - (tick - course.tick)
        return step if abs(step) > STEP + DRIFT * abs(tick - course.tick) else 0.0

    def _judge(self, tick: float, step: float) -> Wrong | None:
        """Take out the courses that are known to be wrong by now, and tell since when they were."""
        now, earlier = self._courses[-1], self._courses[:-1]
        if not now.trusted or not earlier:
            return None
        first, reason = len(earlier), ""
        while first > 0 and (why := self._why_wrong(earlier[first - 1], tick)):
            first, reason = first - 1, why
        back = next((n for n in range(first) if self._is_back_on(earlier[n], tick, step)), None)
        if back is not None:
            first, reason = back + 1, reason or "the clock is back where it was"
        if first == len(earlier) and back is None:
            return None
        wrong, self._courses[first:-1] = earlier[first:], []
        if back is not None:
            del self._courses[back]
            now.began = earlier[back].began
            now.server |= earlier[back].server
        if not wrong:
            return None
        ahead = (wrong[-1].expected(tick) - now.at).total_seconds()
        return Wrong(since=wrong[0].began, seconds=round(ahead, 3), reason=reason)

    def _why_wrong(self, course: Course, tick: float) -> str:
        now = self._courses[-1]
        if now.server and not course.server:
            return "a time server has set the clock"
        if not course.trusted:
            return "the clock can be trusted again"
        denied = abs(self._beside_battery(course, tick)) > DENIED
        if not course.server and denied and abs(self._beside_battery(now, tick)) <= BATTERY:
            return "the clock agrees with the battery clock"
        return ""

    def _beside_battery(self, course: Course, tick: float) -> float:
        if self._battery is None:
            return float("nan")  # neither agrees nor denies
        shown = self._battery + timedelta(seconds=tick - self._battery_tick)
        return (course.expected(tick) - shown).total_seconds()

    def _is_back_on(self, course: Course, tick: float, step: float) -> bool:
        missed = (course.expected(tick) - self._courses[-1].at).total_seconds()
        allowed = BACK + DRIFT * (self._courses[-1].began - course.tick)
        if step:
            allowed = min(allowed, abs(step) / 4)
        return course.trusted and abs(missed) <= allowed
