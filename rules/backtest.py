"""Play a history through two rule sets at once, on a virtual clock, and say the difference. Pure.

The order of events is that of the journal: the order of handling. Time passes as far as it had
passed then. What the rules of then caused is left out, and made again by each side for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from drivers.event import SITE, Event
from drivers.priorities import Priority
from rules.backtest_interest import Interest
from rules.backtest_play import OUTPUTS, Play, Side, unknown_states
from rules.backtest_report import Line, Report
from rules.backtest_tally import Counting, Which
from rules.calendar import Diary
from rules.model import Rule

DECISIONS = frozenset({"rule.fired", "rule.ended", "rule.blind", "rule.repeated"})
"""What was journaled of decisions: before a start their ticks say how far time had gone."""
TIME = "time"
"""An event of the site that nobody said: a record that no rule hears, for the time alone."""
STARTED = "daemon.started"
RESUME_WITHIN = 30.0
"""Seconds after the last record of the same boot in which leases below life_safety resume."""
TOGETHER = 2048
OVERTAKEN = 256
"""Events within which one may have been overtaken by others."""
AT_START = 2.0
"""Seconds before a start of the daemon in which decisions are those of the start itself."""
BEGIN = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
_MADE_AGAIN = frozenset({"incident.opened", "daily", "mode.changed", "mode.refused"})
_SWITCHED = frozenset(kind for on, off, *_ in OUTPUTS.values() for kind in (on, off))


def interest(*sides: Side) -> Interest:
    """Return what any of `sides` can hear; other events need not be played."""
    found = Interest()
    for side in sides:
        found |= Interest.of(side.rules, side.world)
    return found


def compare(
    events: Iterable[Event],
    before: Side,
    after: Side,
    *,
    saved: Mapping[str, Any] | None = None,
    report: Report | None = None,
    only: str | None = None,
) -> Report:
    """Return the difference between two sides over `events`, which are in journal order.

    `saved` is the state of the box at the beginning, as its snapshot holds it (`decider`); without
    it every state is unknown until proven. With `only` one rule is counted.
    Memory does not grow with the number of events.
    """
    found = report if report is not None else Report()
    found.zone = before.world.zone
    found.changed = changes(before, after)
    both: dict[Which, Side] = {"before": before, "after": after}
    active: dict[Which, frozenset[str]] = {w: _active(side) for w, side in both.items()}
    for rule in {*active["before"], *active["after"]}:
        if only in (None, rule):
            found.rules[rule] = Line()
    counting = Counting(found, active, only)
    replaying = _Replaying(both, counting, saved)
    for event, oldest in _paced(events):
        replaying.step(event, oldest)
    replaying.close()
    counting.finish()
    return found


def changes(before: Side, after: Side) -> dict[str, str]:
    """Return the rules that are not the same on both sides, and what became of each."""
    old, new = _by_id(before.rules), _by_id(after.rules)
    found: dict[str, str] = {}
    for rule in sorted({*old, *new}):
        one, other = old.get(rule), new.get(rule)
        if other is None:
            found[rule] = "gone"
        elif other.enabled == "shadow":
            found[rule] = "shadow"
        elif one is None:
            found[rule] = "new"
        elif (one.hash, one.enabled, one.inactive) != (other.hash, other.enabled, other.inactive):
            found[rule] = "changed"
    return found


def _by_id(rules: Iterable[Rule]) -> dict[str, Rule]:
    return {r.id: r for r in rules if r.enabled != "no" and not r.inactive}


def _active(side: Side) -> frozenset[str]:
    """Return the rules whose firings are counted."""
    return frozenset(
        name for name, r in _by_id(side.rules).items() if side.shadow or r.enabled != "shadow"
    )


class _Replaying:
    """Both sides on the one clock that the history gives."""

    def __init__(
        self, sides: Mapping[Which, Side], counting: Counting, saved: Mapping[str, Any] | None
    ) -> None:
        self._stamp: Event | None = None
        self._tick = float("-inf")
        self._boot = ""
        self._decided: tuple[float, Event] | None = None
        self._world = sides["before"].world
        self._ordered = frozenset(
            device for side in sides.values() for rule in side.rules for device in _told(rule, side)
        )
        self._plays: list[tuple[Play, Interest]] = []
        for which, side in sides.items():
            heard = Interest.of(side.rules, side.world)
            play = Play(side, heard, counting.side(which), self._wall, self._ordered)
            play.begin(saved)
            self._plays.append((play, heard))
        self._played = counting.report.played
        moments = {m.key: m for side in sides.values() for m in side.moments}
        self._diary = Diary(calendar=self._world.calendar, moments=tuple(moments.values()))
        self._next_moment = BEGIN
        self._takers: dict[tuple[str, str, bool], list[Callable[[Event], None]]] = {}

    def step(self, event: Event, oldest: float) -> None:
        """Take the next event; no event to come has a tick before `oldest`."""
        if event.device == SITE and event.kind in DECISIONS:
            self._decided = (oldest, event)
            self._note(event)
            return
        heard = event.device != SITE or event.kind != TIME
        self._played.heard += heard
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
            for play, _heard in self._plays:
                play.close(self._tick)

    def _feed(self, event: Event) -> None:
        key = (event.device, event.kind, bool(event.sets))
        takers = self._takers.get(key)
        if takers is None:
            takers = self._takers[key] = self._who_hears(event)
        for take in takers:
            take(event)

    def _who_hears(self, event: Event) -> list[Callable[[Event], None]]:
        found: list[Callable[[Event], None]] = []
        for play, heard in self._plays:
            if heard.hears(event):
                aside = not event.sets and heard.remembered(event.device, event.kind)
                found.append(play.remember if aside else play.feed)
        return found

    def _advance(self, tick: float) -> None:
        for play, _heard in self._plays:
            play.advance(tick)

    def _note(self, event: Event) -> None:
        self._tick, self._boot = max(self._tick, event.tick), event.boot

    def _set_wall(self, event: Event) -> None:
        if event.trusted or self._stamp is None or not self._stamp.trusted:
            self._stamp = event
            for play, _heard in self._plays:
                play.stamp = event
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
        for play, _heard in self._plays:
            lost = unknown_states(play.side.world, event)
            play.restart(event, crashed=crashed, lost=lost)
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


def _paced(events: Iterable[Event]) -> Iterator[tuple[Event, float]]:
    """Yield each event with the oldest tick among it and those to come."""
    kept: list[Event] = []
    for event in events:
        kept.append(event)
        if len(kept) >= TOGETHER + OVERTAKEN:
            oldest = _oldest(kept)
            yield from zip(kept[:TOGETHER], oldest, strict=False)
            del kept[:TOGETHER]
    yield from zip(kept, _oldest(kept), strict=True)


def _oldest(events: list[Event]) -> list[float]:
    return list(accumulate((e.tick for e in reversed(events)), min))[::-1]
