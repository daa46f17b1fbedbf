"""The site's mode: what the hours say, or what a person or a rule has set for a time. Pure.

A set mode ends by itself, at a tick: a step of the clock makes it neither longer nor shorter.
What a person has set, no rule replaces or ends. `open` and `closed` stand above the hours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from drivers.commands import SetMode
from drivers.event import SITE, Event
from drivers.signals import UNKNOWN
from rules.calendar import PROMPT, Calendar

HOUR = 3600.0
BUILT_IN: Mapping[str, float] = MappingProxyType(
    {
        "open": 12 * HOUR,
        "closed": 24 * HOUR,
        "delivery": 2 * HOUR,
        "stock_take": 12 * HOUR,
        "maintenance": 4 * HOUR,
    }
)
"""Modes that every site has, each with the seconds that it lasts at most."""
HOURS = "hours"
"""In the place of a mode: none is set, the hours say. And who sets a mode that nobody has set."""
REQUESTED = "mode.requested"
"""What a person asks for, as the site's event."""
ABOVE = {"open": "yes", "closed": "no"}
"""Modes that say whether the site is open, whatever the hours say."""
_EDGES = {"opened": "yes", "closed": "no"}
_OWN = frozenset({*_EDGES, "mode.changed"})
"""What is said of modes with `by`."""
_SAYS = {"yes": "opened", "no": "closed"}
MODES = {"yes": "open", "no": "closed", UNKNOWN: UNKNOWN}
_FOUND = frozenset({"state.known", "clock.trusted", "clock.untrusted"})
"""With these the clock says how the site is, not what has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A mode that somebody has set."""

    mode: str
    by: str
    """A person's name, or the id of a rule."""
    person: bool
    reason: str
    since: float
    """Tick."""
    until: float | None
    """Tick at which it ends by itself; None: never (only what a test gives)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSignal:
    """What the site says: to be stamped, journaled and fed to the rules."""

    kind: str
    fields: Mapping[str, Any]
    sets: Mapping[str, str]


@dataclass(slots=True)
class Modes:
    """The mode of one site. `longest` are its modes, with the seconds that each lasts at most."""

    longest: Mapping[str, float]
    calendar: Calendar
    held: Held | None = None
    mode: str = UNKNOWN
    """As it was last said."""
    open: str = UNKNOWN
    """Whether the site is open, as it was last said."""
    _said: tuple[str, datetime] | None = field(default=None)
    """`opened` or `closed`, when the end of a mode said it: the hours' own word at that instant
    says nothing new."""

    # --- what the clock says --------------------------------------------------------------------

    def amended(self, event: Event) -> Event:
        """Return what the site is to say instead of what it was about to say; changes nothing.

        `opened` and `closed` of the clock are `hours.opened` and `hours.closed` while a set mode
        says whether the site is open. The mode goes along with what tells the site's states.
        """
        if event.device != SITE:
            return event
        if "by" in event.fields:
            return self._now(event) if event.kind in _OWN else event
        above = None if self.held is None else ABOVE.get(self.held.mode)
        if event.kind in _EDGES:
            if above is not None or self._repeats(event):
                return dataclasses.replace(event, kind=f"hours.{event.kind}", sets={})
        elif event.kind not in _FOUND:
            return event
        sets = dict(event.sets)
        if above is not None:
            sets["open"] = above
        if self.held is not None:
            sets["mode"] = self.held.mode
        elif "open" in sets:
            sets["mode"] = MODES.get(sets["open"], UNKNOWN)
        elif self.calendar.hours is None:
            sets["mode"] = UNKNOWN
        return dataclasses.replace(event, sets=sets)

    def _now(self, event: Event) -> Event:
        """Return what was said of modes, with the states as they have become since."""
        states = {"mode": self.mode, "open": self.open}
        return dataclasses.replace(event, sets={state: states[state] for state in event.sets})

    def _repeats(self, event: Event) -> bool:
        if self._said is None or self._said[0] != event.kind:
            return False
        return abs(event.at - self._said[1]) <= PROMPT

    def feed(self, event: Event) -> list[ModeSignal]:
        """Return what follows from what the site says, after `amended`."""
        if event.device != SITE or "by" in event.fields:
            return []
        self.open = event.sets.get("open", self.open)
        if event.kind in _FOUND:
            self.mode = event.sets.get("mode", self.mode)
            self._said = None
        elif event.kind.removeprefix("hours.") in _EDGES:
            self._said = None
            mode = MODES.get(event.sets.get("open", ""), self.mode)
            if self.held is None and mode != self.mode:
                return self._says(HOURS, "the hours", mode, event.at, None, {})
        return []

    # --- what people and rules set -------------------------------------------------------------

    def requested(self, event: Event) -> list[ModeSignal] | str:
        """Return what a person's `mode.requested` leads to; in words why it is refused."""
        given = event.fields
        by, reason = str(given["by"]), str(given["reason"])
        if given["action"] == "end":
            if self.held is None:
                return "no mode is set"
            return self._becomes(None, by, reason, event.tick, event)
        mode, lasts = str(given["mode"]), given.get("for")
        if mode not in self.longest:
            return f"this site has no mode {mode!r}"
        if lasts is not None and lasts > self.longest[mode]:
            return f"{mode} lasts {spelt(self.longest[mode])} at most"
        held = self._held(mode, by, reason, lasts, event.tick, person=True)
        return self._becomes(held, by, reason, event.tick, event)

    def ordered(self, command: SetMode, rule: str, tick: float, stamp: Event) -> list[ModeSignal]:
        """Return what a rule's `{mode: …}` leads to at `tick`."""
        if self.held is not None and self.held.person:
            reason = f"{self.held.by} has set {self.held.mode}, and no rule replaces that"
            fields = {"mode": command.name, "by": rule, "reason": reason}
            return [ModeSignal(kind="mode.refused", fields=fields, sets={})]
        reason = f"the rule {rule}"
        if command.name == HOURS:
            return self._becomes(None, rule, reason, tick, stamp) if self.held else []
        lasts, old = command.duration, self.held
        held = self._held(command.name, rule, reason, lasts, tick, person=False)
        if old is not None and (old.mode, old.by) == (held.mode, held.by):
            self.held = held  # it lasts longer, and is not news
            return []
        return self._becomes(held, rule, reason, tick, stamp)

    def assume(self, mode: str, *, is_open: str, given: bool) -> None:
        """Take these as the site's states before anything happens; one `given` is set for ever."""
        if given and mode != UNKNOWN:
            self.held = Held(
                mode=mode, by="given", person=True, reason="given", since=0.0, until=None
            )
        self.mode, self.open = mode, is_open

    def _held(
        self, mode: str, by: str, reason: str, lasts: float | None, tick: float, *, person: bool
    ) -> Held:
        longest = self.longest[mode]
        until = tick + (longest if lasts is None else min(lasts, longest))
        return Held(mode=mode, by=by, person=person, reason=reason, since=tick, until=until)

    # --- time -----------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """The tick at which the mode ends by itself, or None."""
        return None if self.held is None else self.held.until

    def advance(self, tick: float, stamp: Event) -> list[ModeSignal]:
        """Return what follows when time goes on to `tick`; `stamp` gives the wall time."""
        held = self.held
        if held is None or held.until is None or held.until > tick:
            return []
        return self._becomes(None, HOURS, f"{held.mode} of {held.by} is over", held.until, stamp)

    # --- what is said ---------------------------------------------------------------------------

    def _becomes(
        self, held: Held | None, by: str, reason: str, tick: float, stamp: Event
    ) -> list[ModeSignal]:
        at = stamp.at + timedelta(seconds=tick - stamp.tick)
        hours = before = self.open
        if self.held is not None and self.held.mode in ABOVE:
            hours = self._hours(at, trusted=stamp.trusted)
        after = hours if held is None else ABOVE.get(held.mode, hours)
        self.held, self.open = held, after
        mode = MODES[hours] if held is None else held.mode
        sets = {"open": after} if after != before else {}
        ends = None
        if held is not None and held.until is not None:
            ends = at + timedelta(seconds=held.until - tick)
        if after in (before, UNKNOWN):
            return self._says(by, reason, mode, at, ends, sets)
        if held is None or held.mode not in ABOVE:
            self._said = (_SAYS[after], at)
        edge = ModeSignal(kind=_SAYS[after], fields={"by": by}, sets={**sets, "mode": mode})
        return [edge, *self._says(by, reason, mode, at, ends, sets)]

    def _hours(self, at: datetime, *, trusted: bool) -> str:
        return self.calendar.states(at).get("open", UNKNOWN) if trusted else UNKNOWN

    def _says(
        self,
        by: str,
        reason: str,
        mode: str,
        at: datetime,
        until: datetime | None,
        sets: Mapping[str, str],
    ) -> list[ModeSignal]:
        fields = {"mode": mode, "before": self.mode, "by": by, "reason": reason}
        if until is not None:
            fields["until"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
        self.mode = mode
        return [ModeSignal(kind="mode.changed", fields=fields, sets={**sets, "mode": mode})]

    # --- what survives --------------------------------------------------------------------------

    def shown(self, tick: float) -> dict[str, Any]:
        """Return the mode for people as JSON values: who set it, why, and for how much longer."""
        held = self.held
        if held is None:
            return {"mode": self.mode, "by": HOURS}
        left = None if held.until is None else round(max(held.until - tick, 0.0), 1)
        return {"mode": held.mode, "by": held.by, "reason": held.reason, "ends_in": left}

    def save(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        said = None if self._said is None else [self._said[0], self._said[1].isoformat()]
        held = None if self.held is None else dataclasses.asdict(self.held)
        return {"held": held, "mode": self.mode, "open": self.open, "said": said}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned; a mode that the site does not have any more is over."""
        held = saved["held"]
        self.held = None
        if held is not None and held["mode"] in self.longest:
            found = Held(**held)
            latest = found.since + self.longest[found.mode]
            until = found.until if found.until is None else min(found.until, latest)
            self.held = dataclasses.replace(found, until=until)
        self.mode, self.open = saved["mode"], saved["open"]
        said = saved["said"]
        self._said = None if said is None else (said[0], datetime.fromisoformat(said[1]))


def spelt(seconds: float) -> str:
    """Return a duration as people write it: `12h`, `90m`, `45s`."""
    for unit, size in (("d", 86400.0), ("h", HOUR), ("m", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
