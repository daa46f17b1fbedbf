"""Find in the journal what was asked for: firings and near misses of a rule, a device, an event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from buffer.record import Kind
from buffer.scan import Row, Scan
from edge.explained import KINDS, mark, walk
from edge.history import sequence_at
from edge.stories import Firing, Group, Missed, put
from edge.traces import EVERY

AROUND = timedelta(minutes=5)
"""Before and after a time that is asked about."""
LATER = 5000
"""Records after a time in which the outcomes of its orders are looked for."""
NEAR_MISSES_OF = timedelta(days=1)
"""Before the newest record: near misses so far back are told, however recent the firings are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person wants to know."""

    rule: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    firings: int | None = None
    """So many of the latest; None: all."""
    device: str | None = None
    event: str | None = None
    """The id of an event or of a firing."""

    def wants(self, found: Firing | Missed) -> bool:
        """Return whether it is part of the answer."""
        if self.rule is not None and found.rule != self.rule:
            return False
        first = found.at if isinstance(found, Firing) else found.first
        last = found.at if isinstance(found, Firing) else found.last
        if self.since is not None and last < self.since:
            return False
        if self.until is not None and first >= self.until:
            return False
        if self.device is not None and not found.names(self.device):
            return False
        if self.event is None:
            return True
        ids = {fact.id for fact in found.why.facts}
        return self.event in ids or (isinstance(found, Firing) and found.id == self.event)


@dataclass(slots=True, kw_only=True)
class Found:
    """The answer."""

    firings: list[Firing] = field(default_factory=list)
    """Newest first."""
    groups: list[Group] = field(default_factory=list)
    """The one with the latest near miss last."""
    begins: datetime | None = None
    """Time of the oldest record of the journal."""
    newest: datetime | None = None


def find(scan: Scan, asked: Asked) -> Found:
    """Return what the journal has of it.

    Raises:
        JournalError: it can't be read.
    """
    newest = ends(scan)
    found = Found(begins=_time(scan.at_or_after(scan.first)), newest=newest)
    groups: dict[tuple[str, str, str], Group] = {}
    first, last = _range(scan, asked)
    rule = asked.rule if asked.event is None else asked.rule or _rule_of(scan, asked.event)
    rows = scan.backwards(first, last, KINDS, mark=mark(rule) if rule else b"")
    for one in walk(rows):
        full = asked.firings is not None and len(found.firings) >= asked.firings
        if full and newest is not None and one.at < newest - NEAR_MISSES_OF:
            break
        if not asked.wants(one):
            continue
        if isinstance(one, Missed):
            put(groups, one)
        elif not full:
            found.firings.append(one)
    found.groups = sorted(groups.values(), key=lambda group: group.last)
    return found


def ends(scan: Scan) -> datetime | None:
    """Return the time of the newest record; None: there is none."""
    return _time(scan.at_or_after(scan.last))


def mentions(scan: Scan, rule: str) -> bool:
    """Return whether the journal has anything of a rule."""
    rows = scan.backwards(scan.first, scan.last, (Kind.TRACE, Kind.DECISION), mark=mark(rule))
    return next(rows, None) is not None


def _range(scan: Scan, asked: Asked) -> tuple[int, int]:
    """Return the records to read: what was told later of that time too."""
    first = scan.first if asked.since is None else sequence_at(scan, asked.since)
    if asked.until is None:
        return first, scan.last
    written = asked.until + timedelta(seconds=EVERY)
    return first, min(max(sequence_at(scan, written), first + LATER), scan.last)


def _rule_of(scan: Scan, event: str) -> str | None:
    """Return the rule that an event or a firing is of; None: of more than one, or of none."""
    rules = set(_rules(scan, event))
    return rules.pop() if len(rules) == 1 else None


def _rules(scan: Scan, event: str) -> Iterator[str]:
    for row in scan.backwards(scan.first, scan.last, (Kind.TRACE,), mark=event.encode()):
        try:
            yield json.loads(row.body)["data"]["rule"]
        except (ValueError, KeyError):
            continue


def _time(row: Row | None) -> datetime | None:
    try:
        return None if row is None else datetime.fromisoformat(json.loads(row.body)["at"])
    except (ValueError, KeyError):
        return None
