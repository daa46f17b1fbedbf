"""Merge the pulses of an EAS pedestal into alarms, and tell a stuck contact from an alarm.

A pedestal's relay pulses: once for a detection, again and again while the tag stays (retrigger),
or with a forced pause between pulses. Pulses that follow each other within the merge time are one
alarm, with a count and a duration.
Source for pulse width, pause and retrigger: TAGSYS LSP3 user manual, page 48.
"""

from __future__ import annotations

from drivers.signals import Direction, EasAlarm, EasEnded, InputStuck, InputUnstuck, Signal


class Merger:
    """The alarm of one aisle. Times are loop seconds and never go backwards.

    The alarm is said at its first pulse, and again only when a later pulse tells a direction that
    was not said. It ends when it was quiet for `merge`; a pulse exactly then is a new alarm.
    """

    def __init__(self, *, aisle: int, merge: float, stuck_after: float) -> None:
        self._aisle = aisle
        self._merge = merge
        self._stuck_after = stuck_after
        self._first: float | None = None
        self._last_end = 0.0
        self._pulses = 0
        self._said: set[Direction] = set()
        self._active: dict[str, float] = {}
        self._stuck: dict[str, float] = {}

    @property
    def alarm(self) -> bool:
        """Whether an alarm goes on, the quiet time after its last pulse included."""
        return self._first is not None

    @property
    def stuck(self) -> bool:
        """Whether an input is active for longer than any alarm."""
        return bool(self._stuck)

    @property
    def deadline(self) -> float | None:
        """When `advance` is next needed, or None."""
        due = [since + self._stuck_after for since in self._active.values()]
        if self._first is not None and not self._active:
            due.append(self._last_end + self._merge)
        return min(due, default=None)

    def found(self, name: str, at: float, *, active: bool) -> None:
        """Take an input as it is found; when active, an alarm goes on since `at`, unsaid."""
        if active:
            self._begin(at)
            self._said.add("unknown")
            self._pulses += 1
            self._active[name] = at

    def pulse(
        self, name: str, at: float, *, active: bool, rises: int, direction: Direction = "unknown"
    ) -> list[Signal]:
        """Take a change of an input to `active` at `at`, with `rises` pulses begun by it."""
        signals: list[Signal] = []
        if rises:
            self._begin(at)
            self._pulses += rises
            if not self._said or (direction != "unknown" and direction not in self._said):
                self._said.add(direction)
                signals.append(EasAlarm(aisle=self._aisle, direction=direction))
        if active:
            self._active.setdefault(name, at)
        elif name in self._stuck:
            active_for = round(at - self._stuck.pop(name), 3)
            signals.append(InputUnstuck(input=name, active_for=active_for))
        elif self._active.pop(name, None) is not None or rises:
            self._last_end = at
        return signals

    def lost(self, name: str) -> None:
        """Forget an input and the alarm that goes on: nobody can say when it ends."""
        self._active.pop(name, None)
        self._stuck.pop(name, None)
        self._forget()

    def advance(self, now: float) -> list[Signal]:
        """Return what the passing of time until `now`, included, leads to."""
        signals: list[Signal] = []
        for name, since in list(self._active.items()):
            if now >= since + self._stuck_after:
                del self._active[name]
                self._stuck[name] = since
                self._last_end = since + self._stuck_after
                if self._first is not None and not self._active:
                    signals.append(self._end())
                signals.append(InputStuck(input=name, active_for=self._stuck_after))
        if self._first is not None and not self._active and now >= self._last_end + self._merge:
            signals.append(self._end())
        return signals

    def end(self, at: float) -> list[Signal]:
        """Take word that the alarm is over."""
        if self._first is None:
            return []
        self._last_end = at
        return [self._end()]

    def _begin(self, at: float) -> None:
        if self._first is None:
            self._first = self._last_end = at

    def _end(self) -> Signal:
        assert self._first is not None  # noqa: S101 - checked by every caller
        duration = round(self._last_end - self._first, 3)
        ended = EasEnded(aisle=self._aisle, count=self._pulses, duration=duration)
        self._forget()
        return ended

    def _forget(self) -> None:
        self._first = None
        self._pulses = 0
        self._said.clear()


class Repeats:
    """Tell the first of a run of pulses from its repeats within `merge`."""

    def __init__(self, merge: float) -> None:
        self._merge = merge
        self._last: dict[str, float] = {}

    def first(self, name: str, at: float) -> bool:
        """Take a pulse (or the end of one); return whether it is the first after a quiet time."""
        before = self._last.get(name)
        self._last[name] = at
        return before is None or at >= before + self._merge
