"""Both sides of a backtest on the one clock that the history gives, what is alike played once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drivers.event import SITE, Event
from drivers.priorities import Priority
from rules.backtest_interest import Interest
from rules.backtest_play import OUTPUTS, Play, Side, unknown_states
from rules.backtest_tally import Counting, Which
from rules.calendar import Diary
from rules.engine import Engine
from rules.model import Decision, Rule

DECISIONS = frozenset({"rule.fired", "rule.ended", "rule.blind", "rule.repeated"})
"""What was journaled of decisions: before a start their ticks say how far time had gone."""
TIME = "time"
"""An event of the site that nobody said: a record that no rule hears, for the time alone."""
STARTED = "daemon.started"
RESUME_WITHIN = 30.0
"""Seconds after the last record of the same boot in which leases below life_safety resume."""
AT_START = 2.0
"""Seconds before a start of the daemon in which decisions are those of the start itself."""
BEGIN = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
_MADE_AGAIN = frozenset({"incident.opened", "daily", "mode.changed", "mode.refused"})
_SWITCHED = frozenset(kind for on, off, *_ in OUTPUTS.values() for kind in (on, off))


class Replaying:
    """Both sides on the one clock that the history gives."""

    def __init__(
        self,
        sides: Mapping[Which, Side],
        counting: Counting,
        saved: Mapping[str, Any] | None,
        alike: frozenset[str],
    ) -> None:
        self._stamp: Event | None = None
        self._tick = float("-inf")
        self._boot = ""
        self._decided: tuple[float, Event] | None = None
        self._world = sides["before"].world
        self._ordered = switched = frozenset(
            device for side in sides.values() for rule in side.rules for device in _told(rule, side)
        )
        plays = {
            which: Play(
                side,
                Interest.of(side.rules, side.world),
                counting.side(which),
                self._wall,
                switched,
                alike,
            )
            for which, side in sides.items()
        }
        self._first, self._second = plays["before"], plays["after"]
        self._own = [
            (play, Interest.of((r for r in play.side.rules if r.id not in alike), self._world))
            for play in (self._first, self._second)
        ]
        once = [r for r in sides["before"].rules if r.id in alike]
        self._once = Engine(once, self._world)
        """What is played once, for both sides."""
        self._once_hears = Interest.of(once, self._world)
        self._first.aside = self._aside
        self._begin(saved)
        self._played, self._since = counting.report.played, counting.since
        moments = {m.key: m for side in sides.values() for m in side.moments}
        self._diary = Diary(calendar=self._world.calendar, moments=tuple(moments.values()))
        self._next_moment = BEGIN
        self._takers: dict[tuple[str, str, bool], list[Callable[[Event], object]]] = {}

    def _begin(self, saved: Mapping[str, Any] | None) -> None:
        if saved is None:
            return
        self._once.restore(saved["engine"])
        self._first.begin(saved)
        self._second.begin(saved)

    def _aside(self, event: Event) -> None:
        """Take what the first side hears from the site, or makes again; the second does it too."""
        if self._once_hears.hears(event):
            self._both(self._once.feed(event), self._first.depth)

    def _both(self, decisions: Sequence[Decision], depth: int = 0) -> None:
        if decisions:
            self._first.decided(decisions, depth)
            self._second.decided(decisions, depth)

    def step(self, event: Event, oldest: float) -> None:
        """Take the next event; no event to come has a tick before `oldest`."""
        if event.device == SITE and event.kind in DECISIONS:
            self._decided = (oldest, event)
            self._note(event)
            return
        heard = event.device != SITE or event.kind != TIME
        self._played.heard += heard and (self._since is None or event.at >= self._since)
        if self._stamp is None:
            self._set_wall(event)
        if event.device == SITE and event.kind == STARTED:
            self._start(event)
            return
        if self._decided is not None:
            self._advance(min(self._decided[0], oldest))
            self._decided = None
        self._moments(event, oldest)
        self._advance(oldest)
        self._note(event)
        self._set_wall(event)
        if event.device == SITE and event.kind == "buffer.gap":
            self._played.gaps += 1
        if heard and not self._caused(event):
            self._feed(self._plain(event))

    def close(self) -> None:
        """The history is over; what still waits is not waited for."""
        if self._stamp is not None:
            self._advance(self._tick)
            self._first.close(self._tick)
            self._second.close(self._tick)

    def _feed(self, event: Event) -> None:
        key = (event.device, event.kind, bool(event.sets))
        takers = self._takers.get(key)
        if takers is None:
            takers = self._takers[key] = self._who_hears(event)
        for take in takers:
            take(event)
        if self._first.made or self._second.made:
            self._first.follow()
            self._second.follow()

    def _who_hears(self, event: Event) -> list[Callable[[Event], object]]:
        heard = self._once_hears.hears(event)
        if self._first.hears_first(event):
            ours = [play for play, own in self._own if own.hears(event)]
            if heard and self._first not in ours:
                ours.insert(0, self._first)  # it passes it on
            return [play.take for play in ours]
        found: list[Callable[[Event], object]] = []
        if heard:
            aside = self._once_hears.only_asked(event)
            found.append(self._once.states.apply if aside else self._fed_once)
        for play, own in self._own:
            if own.hears(event):
                aside = own.only_asked(event)
                found.append(play.engine.states.apply if aside else play.match)
        return found

    def _fed_once(self, event: Event) -> None:
        self._both(self._once.feed(event))

    def _advance(self, tick: float) -> None:
        """Let time pass until `tick`: for all together from one deadline to the next."""
        once, first, second = self._once, self._first, self._second
        while True:
            due = once.next_deadline
            for other in (first.next_due(), second.next_due()):
                if other is not None and (due is None or other < due):
                    due = other
            if due is None or due > tick:
                return
            self._both(once.advance(due))
            first.advance(due)
            second.advance(due)
            first.follow()
            second.follow()

    def _note(self, event: Event) -> None:
        self._tick, self._boot = max(self._tick, event.tick), event.boot

    def _set_wall(self, event: Event) -> None:
        self._first.stamp = self._second.stamp = event
        if event.trusted or self._stamp is None or not self._stamp.trusted:
            self._stamp = event
            if self._since is None or event.at >= self._since:
                self._played.first = self._played.first or event.at
            self._played.last = event.at

    def _wall(self, tick: float) -> datetime:
        stamp = self._stamp
        assert stamp is not None  # noqa: S101 - nothing is decided before the first event
        return stamp.at + timedelta(seconds=tick - stamp.tick)

    # --- restarts, moments ---------------------------------------------------------------------

    def _start(self, event: Event) -> None:
        """The daemon was started, or began again with another configuration."""
        self._played.restarts += 1
        if self._decided is not None:
            oldest, last = self._decided
            if last.boot != event.boot or event.tick - last.tick > AT_START:
                self._advance(oldest)
            self._decided = None
        crashed = self._boot == event.boot and event.tick - self._tick <= RESUME_WITHIN
        self._note(event)
        self._set_wall(event)
        self._first.resume(event.tick, crashed=crashed)
        self._second.resume(event.tick, crashed=crashed)
        self._both(self._once.resume(event.tick, crashed=crashed))
        self._advance(event.tick)
        for unknown in unknown_states(self._world, event):
            for engine in (self._once, self._first.engine, self._second.engine):
                engine.feed(unknown)
        self._feed(event)
        self._moments(event, event.tick, late=True)

    def _moments(self, event: Event, oldest: float, *, late: bool = False) -> None:
        """Say the daily moments between the event before and this one, from the calendar."""
        diary = self._diary
        if not diary.moments or not event.trusted:
            return
        if diary.last is None:
            diary.look(event.at)
        elif late:
            for one, is_late in diary.look(event.at)[0]:
                self._say_moment(event, event.tick, dict(one.fields), late=is_late)
        else:
            while (at := self._next_moment) <= event.at:
                tick = event.tick - (event.at - at).total_seconds()
                tick = min(max(tick, self._tick), oldest)
                self._advance(tick)
                for one, _late in diary.look(at)[0]:
                    self._say_moment(event, tick, dict(one.fields), late=False)
                self._next_moment = self._next(at)
        if self._next_moment <= event.at:
            self._next_moment = self._next(event.at)

    def _next(self, after: datetime) -> datetime:
        return self._diary.calendar.next_due(after, self._diary.moments) or END

    def _say_moment(self, stamp: Event, tick: float, fields: dict[str, Any], *, late: bool) -> None:
        if "moment" not in fields:
            return
        at = stamp.at + timedelta(seconds=tick - stamp.tick)
        said = replace(
            stamp,
            id=f"daily:{fields['moment']}:{at.isoformat(timespec='minutes')}",
            device=SITE,
            kind="daily",
            priority=Priority.operations,
            tick=tick,
            at=at,
            fields=fields | ({"late": True} if late else {}),
            sets={},
        )
        self._set_wall(said)
        self._feed(said)

    # --- what the rules of then caused ---------------------------------------------------------

    def _plain(self, event: Event) -> Event:
        """Return what the clock had said before a mode of then stood above it."""
        if event.device != SITE:
            return event
        kind, sets = event.kind, dict(event.sets)
        if kind in ("hours.opened", "hours.closed"):
            kind = kind.removeprefix("hours.")
            sets["open"] = "yes" if kind == "opened" else "no"
        elif "mode" in sets:
            del sets["mode"]
            if kind == "clock.trusted":
                sets = self._world.calendar.states(event.at)
            elif "open" in sets and isinstance(known := event.fields.get("values"), dict):
                sets = {str(state): str(value) for state, value in known.items()}
        else:
            return event
        return replace(event, kind=kind, sets=sets)

    def _caused(self, event: Event) -> bool:
        """Return whether the history has it because of rules, the latch or the calendar."""
        kind, by = event.kind, event.fields.get("by")
        if event.device == SITE:
            if kind in ("evacuation.started", "evacuation.ended"):
                return self._world.evacuation is not None
            return kind in _MADE_AGAIN or (kind in ("opened", "closed") and by is not None)
        if kind in ("order.done", "order.failed"):
            return by in ("rule", "rest")
        return kind in _SWITCHED and event.device in self._ordered


def _told(rule: Rule, side: Side) -> set[str]:
    """Return the devices that a rule may order to go on or off, to release or to lock."""
    found: set[str] = set()
    for action in (*rule.do, *(a for step in rule.escalate for a in step.do)):
        if action.command.holds == "yes" or action.command.ends:
            found |= set(action.devices)
            for words in side.world.devices.values() if action.near is not None else ():
                found |= set(words.near.get(action.near or "", ()))
    return found
