"""The judge of the proofs: what was claimed, what the file holds and what arrived must agree.

Every claim that a record is committed is an obligation of the file; every record of the file that
is to be published is an obligation of the uplink; and nothing may arrive that the file has not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from buffer import chain, storage
from buffer.journal import Journal
from buffer.record import PRIORITIES, Kind, Record
from buffer.storage import JournalError

SHOWN = 5
"""Faults of each sort that are told in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody said that this record is committed."""

    id: str
    digest: str
    """SHA-256 of its body, 64 hex digits."""
    sequence: int = 0
    """0 where the claim names none."""
    link: str = ""
    """64 hex digits, or empty where the claim names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the file holds of one record."""

    sequence: int
    id: str
    digest: str
    link: str
    priority: int
    previous: int | None
    published: bool
    gap: bool
    content: object
    """What must arrive upstream of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file was found to hold after a kill or a cut."""

    journal: str
    """Id of the file; empty where it cannot be read."""
    kept: list[Kept]
    """Its records after those of the look before."""
    broken: str
    """What is wrong with it; empty when nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message from upstream."""

    id: str
    sequence: int
    previous: int | None
    priority: int
    replayed: bool
    content: object


def look(
    path: Path,
    after: int,
    content: Callable[[Record], object],
    *,
    whole: bool,
) -> Found:
    """Read the records after sequence `after`; with `whole`, verify the chain from the start on."""
    try:
        with Journal.open(path, read_only=True) as journal:
            kept = [_kept(record, content) for record in journal.since(after)]
            broken = journal.verify() if whole else None
            own = journal.stat().journal
    except JournalError as error:
        return Found(journal="", kept=[], broken=str(error))
    wrong = [f"{old.name} was set aside" for old in storage.asides(path)]
    if broken is not None:
        wrong.append(f"the chain breaks at {broken.sequence}: {broken.reason}")
    return Found(journal=own, kept=kept, broken="; ".join(wrong))


def _kept(record: Record, content: Callable[[Record], object]) -> Kept:
    return Kept(
        sequence=record.sequence,
        id=record.id,
        digest=chain.body_hash(record.body).hex(),
        link=record.link.hex(),
        priority=record.priority,
        previous=record.previous,
        published=record.topic is not None,
        gap=record.kind == Kind.GAP,
        content=content(record) if record.topic is not None else None,
    )


@dataclass(slots=True)
class Oracle:
    """Holds claims, looks and arrivals against each other; `faults` is empty when all is well."""

    repeats_allowed: int = 1500
    """Records that each interruption may make arrive again: the window in flight, and what was
    acknowledged within the second, or the thousand, that marks of it may wait for each other."""
    claims: int = 0
    arrivals: int = 0
    repeats: int = 0
    interruptions: int = 0
    most_waiting: int = 0
    """Records of the file that had not arrived yet."""
    head: int = 0
    """The last sequence of the last look."""
    kept: Counter[int] = field(default_factory=Counter)
    """Records of the file by priority."""
    faults: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    """The first few faults of each sort, in words."""
    _claims: list[Claim] = field(default_factory=list)
    _claimed_head: int = 0
    _journal: str = ""
    _link: bytes = b""
    _file: dict[str, tuple[int, int, int | None, object]] = field(default_factory=dict)
    _waiting: list[Arrival] = field(default_factory=list)
    _arrived: set[str] = field(default_factory=set)
    _last: dict[tuple[int, bool], int] = field(default_factory=dict)
    _published: dict[int, int] = field(default_factory=dict)

    def claimed(self, claim: Claim) -> None:
        """Somebody says that this record is committed."""
        self.claims += 1
        self._claims.append(claim)

    def claimed_head(self, sequence: int) -> None:
        """Somebody says that all up to `sequence` is committed."""
        if sequence > max(self._claimed_head, self.head):
            self.claims += sequence - max(self._claimed_head, self.head)
        self._claimed_head = max(self._claimed_head, sequence)

    def interrupted(self) -> None:
        """Say that the program was killed or its link was cut: some records may come again."""
        self.interruptions += 1

    def found(self, found: Found) -> None:
        """Take what the file holds after a kill or a cut; all claims until now are due."""
        if found.broken:
            self._fault("broken", found.broken)
        if found.journal != self._journal:
            if self._journal:
                self._fault(
                    "broken", f"journal {self._journal} became {found.journal or 'nothing'}"
                )
            self._journal = found.journal
            self._link = chain.genesis(found.journal) if found.journal else b""
        new: dict[str, Kept] = {}
        for kept in found.kept:
            new[kept.id] = kept
            self._take(kept)
        for claim in self._claims:
            self._check_claim(claim, new.get(claim.id))
        self._claims.clear()
        if self._claimed_head > self.head:
            count = self._claimed_head - self.head
            self._fault(
                "lost", f"claimed up to {self._claimed_head}, kept up to {self.head}", count
            )
        self._claimed_head = 0
        for arrival in self._waiting:
            self._check_arrival(arrival)
        self._waiting.clear()
        self.most_waiting = max(self.most_waiting, self.waiting)

    def arrived(self, arrival: Arrival) -> None:
        """Take one message from upstream."""
        self.arrivals += 1
        if arrival.id in self._arrived:
            self.repeats += 1
        else:
            self._arrived.add(arrival.id)
            lane = (arrival.priority, arrival.replayed)
            if arrival.sequence < self._last.get(lane, 0):
                self._fault("reordered", f"{arrival.sequence} after {self._last[lane]} in {lane}")
            self._last[lane] = max(arrival.sequence, self._last.get(lane, 0))
        if arrival.id in self._file:
            self._check_arrival(arrival)
        else:
            self._waiting.append(arrival)

    @property
    def owed(self) -> int:
        """How many records the file holds that are to be published."""
        return len(self._file)

    @property
    def waiting(self) -> int:
        """How many of them had not arrived at the last look, about."""
        return max(len(self._file) - len(self._arrived), 0)

    @property
    def missing(self) -> set[str]:
        """Ids of those that have not arrived."""
        return self._file.keys() - self._arrived

    def ended(self) -> None:
        """Say that whatever is still to arrive is lost, and that no more will be repeated."""
        if missing := self.missing:
            first = min(self._file[own][0] for own in missing)
            self._fault("never arrived", f"{len(missing)} records from {first} on", len(missing))
        if self.repeats > self.repeats_allowed * self.interruptions:
            text = f"{self.repeats} times after {self.interruptions} interruptions"
            self._fault("repeated too often", text)

    def _take(self, kept: Kept) -> None:
        if self.head and kept.sequence != self.head + 1:
            self._fault("broken", f"{kept.sequence} follows {self.head}")
        digest = bytes.fromhex(kept.digest)
        self._link = chain.link(self._link, kept.sequence, kept.priority, digest)
        if self._link.hex() != kept.link:
            self._fault("broken", f"the link of {kept.sequence} does not follow")
            self._link = bytes.fromhex(kept.link)
        if kept.previous != self._published.get(kept.priority):
            before = self._published.get(kept.priority)
            self._fault("broken", f"{kept.sequence} names {kept.previous} before it, not {before}")
        if kept.gap:
            self._fault("gave up", f"{kept.sequence} is a gap record")
        self.kept[kept.priority] += 1
        if kept.published:
            self._published[kept.priority] = kept.sequence
            if kept.id in self._file:
                self._fault("broken", f"{kept.sequence} has the id of another")
            self._file[kept.id] = (kept.sequence, kept.priority, kept.previous, kept.content)
        self.head = kept.sequence

    def _check_claim(self, claim: Claim, kept: Kept | None) -> None:
        if kept is None:
            self._fault("lost", f"{claim.id} ({claim.sequence or 'no sequence'}) was claimed")
        elif claim.digest != kept.digest or (
            claim.sequence and (claim.sequence, claim.link) != (kept.sequence, kept.link)
        ):
            self._fault("changed", f"{claim} became {kept}")

    def _check_arrival(self, arrival: Arrival) -> None:
        kept = self._file.get(arrival.id)
        if kept is None:
            self._fault(
                "never kept", f"{arrival.id} ({arrival.sequence}) arrived, and no file has it"
            )
        elif kept != (arrival.sequence, arrival.priority, arrival.previous, arrival.content):
            self._fault("changed", f"{arrival} arrived of {kept}")

    def _fault(self, sort: str, text: str, count: int = 1) -> None:
        if self.faults[sort] < SHOWN:
            self.told.append(f"{sort}: {text}")
        self.faults[sort] += count


def table(rows: list[tuple[str, object]]) -> str:
    """Return rows of name and figure for a terminal."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def findings(oracle: Oracle, *, upstream: bool) -> str:
    """Return what the oracle found as a table, with faults in words below."""
    kept = " + ".join(f"{oracle.kept[priority]}" for priority in PRIORITIES)
    rows: list[tuple[str, object]] = [
        ("kept, by priority", kept),
        ("claimed committed", oracle.claims),
        ("lost", oracle.faults["lost"]),
        ("changed", oracle.faults["changed"]),
        ("broken, torn or set aside", oracle.faults["broken"]),
        ("given up for want of space or disk", oracle.faults["gave up"]),
    ]
    if upstream:
        rows += [
            ("owed upstream", oracle.owed),
            ("most that waited to be sent", oracle.most_waiting),
            ("never arrived", oracle.faults["never arrived"]),
            ("arrived without being kept", oracle.faults["never kept"]),
            ("out of order in their lane", oracle.faults["reordered"]),
            ("repeated, same id and content", oracle.repeats),
            ("interruptions of program or link", oracle.interruptions),
        ]
    return "\n".join([table(rows), *(f"    {line}" for line in oracle.told[:20])])
