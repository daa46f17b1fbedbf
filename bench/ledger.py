"""What the broker's side saw of every message, held against what the journal says is sent."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from buffer.message import Message
from buffer.record import Record
from buffer.unsent import Span

SHOWN = 20
"""Faults that are told in words."""


def render(record: Record, replayed: bool) -> Message:
    """Make the message of a record; its lane is in the topic: a repeat has the same bytes."""
    told = {
        "id": record.id,
        "sequence": record.sequence,
        "priority": record.priority,
        "body": record.body.decode(),
    }
    lane = "backlog" if replayed else "live"
    return Message(topic=f"site/{lane}/{record.topic}", payload=json.dumps(told).encode())


@dataclass(slots=True)
class Ledger:
    """`faults` is empty while every obligation is kept."""

    window: int
    committed: dict[str, int] = field(default_factory=dict)
    """Id to sequence of all committed records with a topic."""
    delivered: dict[str, int] = field(default_factory=dict)
    """Id to connection of those whose own PUBACK said success."""
    poisoned: set[str] = field(default_factory=set)
    """Those that the broker has refused for what they are."""
    connections: int = 0
    arrivals: int = 0
    repeats: int = 0
    refusals: int = 0
    looks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    _spoke: set[int] = field(default_factory=set)
    """Connections over which something came."""
    _priority: dict[str, int] = field(default_factory=dict)
    _digests: dict[str, bytes] = field(default_factory=dict)
    """Of those that have arrived."""
    _owed: set[str] = field(default_factory=set)
    """Committed, and no PUBACK of it was sent."""
    _refused: set[str] = field(default_factory=set)
    _last: dict[tuple[int, int, str], int] = field(default_factory=lambda: defaultdict(int))

    def keep(self, records: Sequence[Record]) -> None:
        """Take what was said to be committed."""
        for record in records:
            if record.topic is not None:
                self.committed[record.id] = record.sequence
                if record.id not in self.delivered:
                    self._owed.add(record.id)
                self._priority[record.id] = record.priority

    def connected(self) -> int:
        """Return the number of a new connection."""
        self.connections += 1
        return self.connections

    def published(self, connection: int, topic: str, payload: bytes) -> str | None:
        """Take a PUBLISH as it came in; returns the id of its record, None if it is of none."""
        self._spoke.add(connection)
        if topic.split("/")[1] not in ("live", "backlog"):
            return None
        told = json.loads(payload)
        own, sequence, lane = str(told["id"]), told["sequence"], topic.split("/")[1]
        self.arrivals += 1
        digest = hashlib.sha256(payload).digest()
        if own in self._digests and self._digests[own] != digest:
            self.fault("changed", f"{own} came again with other bytes")
        if own in self._refused:
            self._refused.discard(own)
            return own
        self.repeats += own in self._digests
        self._digests[own] = digest
        key = (connection, told["priority"], lane)
        if sequence <= self._last[key]:
            self.fault("reordered", f"{sequence} after {self._last[key]} in {key}")
        self._last[key] = max(self._last[key], sequence)
        return own

    def answered(self, connection: int, own: str, *, code: int, final: bool) -> None:
        """Take the PUBACK of that very message, as it is handed to the network."""
        if code < 0x80:
            self.delivered.setdefault(own, connection)
            self._owed.discard(own)
            return
        self.refusals += 1
        self._refused.add(own)
        if final:
            self.poisoned.add(own)

    @property
    def waiting(self) -> int:
        """How many committed records have no PUBACK of success and may still get one."""
        return len(self._owed - self.poisoned)

    @property
    def allowed(self) -> int:
        """How many may come again: what was in flight when a connection that was used ended."""
        return self.window * len(self._spoke)

    def look(self, unsent: Mapping[int, Sequence[Span]], head: int) -> None:
        """Hold what the journal says is unsent, up to `head`, against the answers up to now."""
        self.looks += 1
        starts = {priority: [span.first for span in spans] for priority, spans in unsent.items()}
        for own in self._owed - self.poisoned:
            if (sequence := self.committed[own]) > head:
                continue
            priority = self._priority[own]
            at = bisect_right(starts.get(priority, []), sequence) - 1
            if at < 0 or sequence > unsent[priority][at].last:
                self.fault("marked too early", f"{sequence} is marked, no PUBACK of it was sent")
                self.poisoned.add(own)

    def ended(self) -> None:
        """Say that whatever has not arrived by now is lost."""
        for own, sequence in self.committed.items():
            if own in self.poisoned:
                continue
            if own not in self._digests:
                self.fault("lost", f"{sequence} never arrived")
            elif own not in self.delivered:
                self.fault("left", f"{sequence} was never acknowledged")
        if self.repeats > self.allowed:
            self.fault("repeated too often", f"{self.repeats}, {self.allowed} are allowed")

    def fault(self, what: str, words: str) -> None:
        """Count a broken obligation."""
        self.faults[what] += 1
        if self.faults[what] <= SHOWN:
            self.told.append(f"{what}: {words}")
