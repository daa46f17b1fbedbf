"""What the journal knows from before: the last snapshot and every event since, for a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from buffer.journal import Journal
from buffer.record import Kind, Record
from buffer.storage import JournalError
from buffer.writer import Writer
from drivers.event import Event
from edge.clock import LastRecord
from edge.decide import Decider
from edge.encode import body_of, event_of

REPLAYED = frozenset({Kind.EVENT, Kind.OUTCOME})
MOST = 200_000
"""Records read after the last snapshot; a snapshot is made each minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Empty when there is no journal yet, or it can't be read."""

    last: LastRecord | None = None
    state: Mapping[str, Any] | None = None
    """The last snapshot's data."""
    events: tuple[Event, ...] = field(default=())
    """Those journaled after the snapshot, in order."""


async def read(writer: Writer) -> Past:
    """Return the past as the journal tells it."""
    try:
        return await writer.call(_read)
    except JournalError:
        return Past()


def _read(journal: Journal) -> Past:
    snapshot = journal.latest(Kind.SNAPSHOT)
    state = None if snapshot is None else body_of(snapshot).data
    after = 0 if snapshot is None else snapshot.sequence
    events: list[Event] = []
    newest: Record | None = snapshot
    for number, record in enumerate(journal.since(after)):
        if number >= MOST:
            break
        newest = record
        if record.kind in REPLAYED:
            try:
                events.append(event_of(record))
            except (msgspec.DecodeError, ValueError):
                continue  # not one of ours: an opening or a gap of another version
    last = None if newest is None else _last(newest, state or {})
    return Past(last=last, state=state, events=tuple(events))


def _last(record: Record, state: Mapping[str, Any]) -> LastRecord | None:
    try:
        event = event_of(record)
    except (msgspec.DecodeError, ValueError):
        return None
    offset = float(state.get("offset", float("-inf")))
    return LastRecord(tick=event.tick, at=event.at, boot=event.boot, offset=offset)


def replay(past: Past, decider: Decider) -> None:
    """Bring `decider` to where it was. Nothing is performed, said or written."""
    if past.state is not None and "decider" in past.state:
        decider.restore(past.state["decider"])
    for event in past.events:
        decider.advance(event.tick, event)
        decider.feed(event)
