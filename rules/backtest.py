"""Play a history through two rule sets at once, on a virtual clock, and say the difference. Pure.

The order of events is that of the journal: the order of handling. Time passes as far as it had
passed then. What the rules of then caused is left out, and made again by each side for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

from drivers.event import Event
from rules.backtest_interest import Interest
from rules.backtest_play import Side
from rules.backtest_replay import Replaying
from rules.backtest_report import Line, Report
from rules.backtest_shared import shared
from rules.backtest_tally import Counting, Which
from rules.model import Rule

TOGETHER = 2048
OVERTAKEN = 256
"""Events within which one may have been overtaken by others."""


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
    since: datetime | None = None,
    only: str | None = None,
    share: bool = True,
) -> Report:
    """Return the difference between two sides over `events`, which are in journal order.

    `saved` is the state of the box at the beginning, as its snapshot holds it (`decider`); without
    it every state is unknown until proven. What is before `since` is played and not
    counted. With `only` one rule is counted.
    What is alike on both sides is played once, unless `share` is false; the report is the same.
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
    counting = Counting(found, active, since=since, only=only)
    alike = shared(before, after) if share else frozenset[str]()
    try:
        replaying = Replaying(both, counting, saved, alike)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        # Saved by another version: begin without it, as the box does.
        replaying = Replaying(both, counting, None, alike)
        found.played.restored = False
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
        name
        for name, r in _by_id(side.rules).items()
        if r.enabled != "shadow" or name in side.shadow
    )


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
