"""What the journal knows from before: the last snapshot and every event since, for a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import msgspec

from buffer.journal import Journal
from buffer.record import Kind, Record
from buffer.storage import NONSENSE, JournalError
from buffer.writer import Writer
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import StateKnown
from edge.clock import LastRecord
from edge.decide import LATCH, PERSON, Decider
from edge.encode import body_of, event_of
from edge.inbox import Inbox
from edge.true_time import Corrections, said_by
from edge.turn import Word
from rules.engine import ACKNOWLEDGED
from rules.modes import REQUESTED as MODE

REPLAYED = frozenset({Kind.EVENT, Kind.OUTCOME, Kind.GAP})
OF_THE_MOMENT = ("evacuation.", "uplink.", "clock.", "daemon.", "config.", "journal.", "buffer.")
"""What the site says of itself, and each start says anew as it is then."""
ASKED = frozenset({PERSON, LATCH, MODE, ACKNOWLEDGED, StateKnown.kind})
"""What people wait for an answer to, and what each start asks for."""
OF_THE_JOURNAL = frozenset({"journal.started", "journal.salvaged", "buffer.gap"})
"""What the journal writes of itself, maybe before the engine's time goes on."""
WITHIN = 15.0
"""Seconds that a start waits for the journal; the rules begin afresh rather than not at all."""
NEWEST = 100
"""Records looked into for the time of the last one."""
log = logging.getLogger(__name__)
MOST = 200_000
"""Records read after the last snapshot; a snapshot is made each minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Empty when there is no journal yet, or it can't be read."""

    last: LastRecord | None = None
    state: Mapping[str, Any] | None = None
    """The last snapshot's data."""
    steps: tuple[Event | float, ...] = field(default=())
    """What was journaled after the snapshot, in order: events, and ticks of decisions."""
    corrections: Corrections = field(default_factory=Corrections)
    """What is known of when the wall clock was wrong."""


async def read(writer: Writer) -> Past:
    """Return the past as the journal tells it, also one that cannot be written now."""
    try:
        async with asyncio.timeout(WITHIN):
            return await writer.call(_read)
    except (JournalError, TimeoutError, *NONSENSE) as error:
        log.error("the journal: %s", error or f"not open within {WITHIN:g} s")  # noqa: TRY400
    try:
        return await asyncio.to_thread(_only_read, writer.path)
    except (JournalError, OSError, *NONSENSE):
        return Past()


def _read(journal: Journal) -> Past:
    snapshot = journal.latest(Kind.SNAPSHOT)
    after = 0 if snapshot is None else snapshot.sequence
    return _past(snapshot, islice(journal.since(after), MOST), journal.tail(NEWEST))


def _only_read(path: Path) -> Past:
    """Return the past of a file that cannot be opened for writing, or not by SQLite at all."""
    try:
        with Journal.open(path, read_only=True) as journal:
            return _read(journal)
    except JournalError:
        from buffer.recovery import newest_records

        records = newest_records(path, MOST)
        snapshot = next((r for r in reversed(records) if r.kind is Kind.SNAPSHOT), None)
        after = [r for r in records if snapshot is None or r.sequence > snapshot.sequence]
        return _past(snapshot, after, records[-NEWEST:])


def _past(snapshot: Record | None, after: Iterable[Record], last: Sequence[Record]) -> Past:
    state = None if snapshot is None else _state(snapshot)
    steps: list[Event | float] = []
    reached = float("-inf")
    for record in after:
        event = _event(record)
        if event is None or (_of_journal(event) and event.tick < reached):
            continue
        reached = max(reached, event.tick)
        if record.kind in REPLAYED:
            steps.append(event)
        elif record.kind is Kind.DECISION:
            steps.append(event.tick)
    found = [e for r in last if (e := _event(r)) is not None]
    # What a file says of itself when it begins has the time of a clock that knew nothing yet.
    newest = [event for event in found if not _of_journal(event)] or found
    corrections = _corrections(state or {}, steps)
    known = _last(newest, state or {}, corrections)
    return Past(last=known, state=state, steps=tuple(steps), corrections=corrections)


def _corrections(state: Mapping[str, Any], steps: Sequence[Event | float]) -> Corrections:
    try:
        found = Corrections.restored(state["clock"]["corrections"])
    except (KeyError, TypeError, ValueError):
        found = Corrections()
    for step in steps:
        if isinstance(step, Event) and (correction := said_by(step)) is not None:
            found.add(correction)
    return found


def _of_journal(event: Event) -> bool:
    return event.device == SITE and event.kind in OF_THE_JOURNAL


def _state(snapshot: Record) -> Mapping[str, Any] | None:
    try:
        return body_of(snapshot).data
    except msgspec.DecodeError:
        return None


def _event(record: Record) -> Event | None:
    try:
        return event_of(record)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None  # not one of ours: made by another version


def _last(
    newest: list[Event], state: Mapping[str, Any], corrections: Corrections
) -> LastRecord | None:
    """Return the time of the newest records; one that was overtaken may carry an older tick."""
    if not newest:
        return None
    last = newest[-1]
    tick = max(e.tick for e in newest if e.boot == last.boot)
    offset = float(state.get("offset", float("-inf")))
    at = corrections.true_time(last.boot, last.tick) or last.at
    return LastRecord(tick=tick, at=at, boot=last.boot, offset=offset)


def replay(past: Past, decider: Decider) -> list[Word]:
    """Bring `decider` to where it was. Nothing is performed, said or written.

    Returns what the site was about to say when it was cut off: it followed from what is in the
    journal, and is not in there itself. The latch is told of by its own state.

    A state that can't be used, saved by another version or met by a bug, is left alone: the box
    starts all the same, with the latch as it is known and the rules afresh.
    """
    try:
        unsaid: list[Word] = []
        if past.state is not None and "decider" in past.state:
            decider.restore(past.state["decider"])
            unsaid = [_word(saved) for saved in past.state.get("unsaid", ())]
        return _play(past.steps, decider, unsaid)
    except Exception:
        log.exception("the saved state can't be used; the rules begin afresh")
        decider.begin_afresh()
        return []


def about_to_say(inbox: Inbox) -> list[dict[str, Any]]:
    """Return what the site says and nobody has handled yet as JSON values, for a snapshot.

    It follows from what was handled before the snapshot, which no replay goes back to.
    """
    return [
        {"kind": e.kind, "priority": e.priority.name, "fields": e.fields, "sets": e.sets}
        for e in inbox.waiting()
        if e.device == SITE and e.kind not in ASKED and not e.kind.startswith(OF_THE_MOMENT)
    ]


def _word(saved: Mapping[str, Any]) -> Word:
    priority = Priority[saved["priority"]]
    return Word(kind=saved["kind"], priority=priority, fields=saved["fields"], sets=saved["sets"])


def _play(steps: Sequence[Event | float], decider: Decider, unsaid: list[Word]) -> list[Word]:
    """Feed the steps. Time goes on only as far as it had gone then: to the oldest still waiting."""
    oldest = list(accumulate((_tick(step) for step in reversed(steps)), min))[::-1]
    stamp: Event | None = None
    for step, tick in zip(steps, oldest, strict=True):
        stamp = step if isinstance(step, Event) else stamp
        if stamp is not None:
            unsaid += decider.advance(tick, stamp).said
        if isinstance(step, Event):
            _heard(step, unsaid)
            unsaid += decider.feed(step).said
    return [word for word in unsaid if not word.kind.startswith(OF_THE_MOMENT)]


def _heard(event: Event, unsaid: list[Word]) -> None:
    """Take what `event` says out of what was about to be said."""
    if event.device != SITE:
        return
    for word in unsaid:
        if word.kind == event.kind and _told(word.fields) == _told(event.fields):
            unsaid.remove(word)
            return


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a replay says in the same words: an instant may differ in its last digit."""
    return {name: value for name, value in fields.items() if name != "until"}


def _tick(step: Event | float) -> float:
    return step.tick if isinstance(step, Event) else step
