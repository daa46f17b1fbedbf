"""The journal, or an exported one, as the events it was made of; memory does not grow with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from buffer.record import Kind
from buffer.rows import KINDS
from buffer.scan import Row, Scan
from drivers.event import SITE, Event
from drivers.priorities import Priority
from rules.backtest_interest import Interest
from rules.backtest_replay import DECISIONS, STARTED, TIME
from rules.backtest_report import Played

KINDS_READ = (Kind.EVENT, Kind.OUTCOME, Kind.GAP, Kind.DECISION)
_COUNTED = (Kind.EVENT, Kind.OUTCOME, Kind.GAP)
STATES_MARK = b'"sets":'
"""In the body of every event that sets a state."""
SNAPSHOT_WITHIN = 50_000
"""Sequence numbers before the beginning in which a snapshot is looked for."""

Progress = Callable[[float], None]
"""Told how much is done, 0 to 1."""


class _Narrow(msgspec.Struct):
    """What is needed of a record's body."""

    signal: str
    device: str
    at: str
    tick: float
    boot: str
    clock: str = "trusted"
    data: dict[str, Any] = {}
    sets: dict[str, str] = {}


class _Exported(msgspec.Struct):
    """A line of an exported journal."""

    sequence: int
    id: str
    kind: str
    priority: str
    body: msgspec.Raw = msgspec.Raw(b"{}")


_LOOKED = 10
"""Records looked into for the time at which a journal begins."""
_narrow = msgspec.json.Decoder(_Narrow)
_exported = msgspec.json.Decoder(_Exported)
_PRIORITIES = tuple(Priority)
_READ = {_number: _kind in _COUNTED for _number, _kind in enumerate(KINDS)}


@dataclass(slots=True, kw_only=True)
class History:
    """A part of a journal, opened. Iterate over `events` once."""

    saved: Mapping[str, Any] | None
    """State of the box at the beginning, from a snapshot (`decider`); None: not known."""
    events: Iterator[Event]
    played: Played = field(default_factory=Played)


def is_export(path: Path) -> bool:
    """Return whether `path` is an exported journal, and no journal.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return not file.read(16).startswith(b"SQLite format 3")


@contextlib.contextmanager
def opened(
    path: Path,
    interest: Interest,
    devices: frozenset[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress = lambda _done: None,
) -> Iterator[History]:
    """Open the history in `path`: a journal, also one that a daemon writes, or an export.

    Only what `interest` hears is read; `devices` are those of the configuration.

    Raises:
        JournalError: it can't be opened or read.
        OSError: it can't be read.
    """
    played = Played()
    if is_export(path):
        lines = _lines(path, interest, devices, since, until, played, progress)
        yield History(saved=None, events=lines, played=played)
        return
    with Scan(path) as scan:
        first = scan.first if since is None else sequence_at(scan, since)
        last = scan.last if until is None else sequence_at(scan, until) - 1
        begun = _begun(scan)
        if since is not None and begun is not None and begun > since:
            played.journal_begins = begun
        played.events = scan.count(first, last, _COUNTED)
        played.evicted = scan.evicted(scan.last_before(first) + 1, last)
        start, saved = _snapshot(scan, first)
        played.restored = saved is not None
        events = _events(scan, start, last, interest, devices, played, progress)
        yield History(saved=saved, events=events, played=played)


def _begun(scan: Scan) -> datetime | None:
    """Return the time of the first record that tells one."""
    sequence = scan.first
    for _ in range(_LOOKED):
        row = scan.at_or_after(sequence)
        if row is None or (time := _time(row)) is not None:
            return None if row is None else time
        sequence = row.sequence + 1
    return None


def sequence_at(scan: Scan, at: datetime) -> int:
    """Return the first sequence of a record not before `at`; clocks that went back aside."""
    low, high = scan.first, scan.last + 1
    while low < high:
        middle = (low + high) // 2
        row = scan.at_or_after(middle)
        time = None if row is None else _time(row)
        if row is None or (time is not None and time >= at):
            high = middle
        else:
            low = row.sequence + 1
    return low


def _time(row: Row) -> datetime | None:
    try:
        return datetime.fromisoformat(_narrow.decode(row.body).at)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _snapshot(scan: Scan, first: int) -> tuple[int, Mapping[str, Any] | None]:
    """Return where to begin, and what the snapshot there says of everything that decides."""
    row = scan.before(first, Kind.SNAPSHOT, SNAPSHOT_WITHIN)
    if row is None:
        return first, None
    try:
        decider = _narrow.decode(row.body).data["decider"]
    except (msgspec.DecodeError, KeyError, RecursionError):
        return first, None
    if not isinstance(decider, dict) or "engine" not in decider:
        return first, None
    return row.sequence + 1, decider


def _events(
    scan: Scan,
    first: int,
    last: int,
    interest: Interest,
    devices: frozenset[str],
    played: Played,
    progress: Progress,
) -> Iterator[Event]:
    exact, marked = _chosen(scan.topics(), interest, devices)
    whole = max(last - first + 1, 1)

    def reached(sequence: int) -> None:
        progress((sequence - first + 1) / whole)

    rows = scan.rows(
        first,
        last,
        KINDS_READ,
        topics=exact,
        marked=marked,
        mark=STATES_MARK,
        progress=reached,
    )
    yield from _edge(scan.at_or_after(first))
    for row in rows:
        event = _event(row, played)
        if event is None:
            continue
        if event.device != SITE and event.device not in devices:
            played.strangers[event.device] += 1
            continue
        if event.kind == STARTED and event.device == SITE:
            yield from _silence(scan, row)
        yield event
    yield from _edge(scan.at_or_after(last))


def _edge(row: Row | None) -> Iterator[Event]:
    """Yield the time at which the history begins or ends."""
    if row is not None and (passed := _passed(row)) is not None:
        yield passed


def _chosen(
    topics: Mapping[int, str], interest: Interest, devices: frozenset[str]
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the topics to read, and those to read where states are set."""
    exact, marked = set(), set()
    stateful = interest.stateful()
    for number, name in topics.items():
        _root, _site, _event, device, signal = name.rsplit("/", 4)[-5:]
        if device not in devices and device != SITE:
            exact.add(number)  # to be counted
        elif interest.exact(device, signal) and signal not in ("rule.ended", "rule.blind"):
            exact.add(number)
        elif device in stateful:
            marked.add(number)
    return frozenset(exact), frozenset(marked)


def _event(row: Row, played: Played, *, every: bool = False) -> Event | None:
    try:
        body = _narrow.decode(row.body)
        at = _instant(body.at)
    except (msgspec.DecodeError, ValueError, RecursionError):
        played.unreadable += 1
        return None
    if not _READ[row.kind] and not every and body.signal not in DECISIONS:
        return None
    identity = row.identity
    return Event(
        id=identity.hex() if isinstance(identity, bytes) else identity,
        device=body.device,
        kind=body.signal,
        priority=_PRIORITIES[row.priority],
        tick=body.tick,
        at=at,
        boot=body.boot,
        trusted=body.clock == "trusted",
        fields=body.data,
        sets=body.sets,
    )


def _silence(scan: Scan, row: Row) -> Iterator[Event]:
    """Yield how far time had gone before a start, by the last record that is not of the start."""
    before: Row | None = None
    for kind in (*_COUNTED, Kind.EDGE, Kind.SNAPSHOT):
        one = scan.before(row.sequence, kind, 1000)
        if one is not None and (before is None or one.sequence > before.sequence):
            before = one
    if before is not None and (passed := _passed(before)) is not None:
        yield passed


def _passed(row: Row) -> Event | None:
    """Return the time of a record; None when it can't be read."""
    event = _event(row, Played(), every=True)
    if event is None:
        return None
    return replace(event, device=SITE, kind=TIME, fields={}, sets={})


@lru_cache(maxsize=1)
def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


# --- an exported journal -----------------------------------------------------------------------


def _lines(
    path: Path,
    interest: Interest,
    devices: frozenset[str],
    since: datetime | None,
    until: datetime | None,
    played: Played,
    progress: Progress,
) -> Iterator[Event]:
    size, done = max(path.stat().st_size, 1), 0
    begun: datetime | None = None
    stateful = interest.stateful()
    with path.open("rb") as file:
        for number, line in enumerate(file):
            done += len(line)
            if number % 5000 == 0:
                progress(done / size)
            try:
                record = _exported.decode(line)
                row = Row(
                    record.sequence,
                    Priority[record.priority],
                    KINDS.index(Kind(record.kind)),
                    record.id,
                    bytes(record.body),
                )
            except (msgspec.DecodeError, ValueError, KeyError, RecursionError):
                played.unreadable += bool(line.strip())
                continue
            if KINDS[row.kind] not in KINDS_READ:
                continue
            event = _event(row, played)
            if event is not None and begun is None:
                begun = event.at
                if since is not None and begun > since:
                    played.journal_begins = begun
            if event is None or (since and event.at < since) or (until and event.at >= until):
                continue
            played.events += _READ[row.kind]
            if event.device != SITE and event.device not in devices:
                played.strangers[event.device] += 1
            elif interest.exact(event.device, event.kind) or (
                event.sets and event.device in stateful
            ):
                yield event
    progress(1.0)
