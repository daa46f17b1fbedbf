"""Walk along a chain, record by record, and hold it against what was signed or published.

One Check serves a journal file and an export alike. It takes records by number, priority and hash
of the body, runs of records whose hashes were folded, and records that were lost with a damaged
file; and it expects anchors: links that somebody noted for a record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from buffer import chain, device_key, statements
from buffer.chain import Break, Entry, Run
from buffer.checkpoints import Anchor

_RECENT = 64
"""Links before a break that are kept, to recognise records that were put in."""


class Lost(NamedTuple):
    """Records that went with a damaged file."""

    first: int
    last: int
    file: str | None
    """The name it was set aside as, while more of it may still be read."""


Item = Entry | Run | Lost


class DoesNotFit(Exception):
    """The item does not follow; what was done to it is for buffer.suspect to tell."""


class Broken(Exception):
    """What was signed or noted says otherwise; the first argument is the Break."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What a check has found."""

    journal: str
    """The id of the newest chain."""
    first: int
    last: int
    link: bytes | None = None
    """Of the last record; None where it is not known."""
    kept: int = 0
    """Records with their bodies."""
    hashed: int = 0
    """Records of which the hash stands."""
    folded: int = 0
    """Records that a signed run stands for."""
    heads: int = 0
    """Signed heads that fit, by a key that is trusted."""
    signed: Anchor | None = None
    """The newest of them."""
    anchors: int = 0
    """Given anchors that fit."""
    beyond: list[int] = field(default_factory=list)
    """Records of given anchors that come after the end of a part, and are not checked."""
    whole: bool | None = None
    """Of an export: whether a key that is trusted has signed it as a whole."""
    others: set[str] = field(default_factory=set)
    """Public keys that signed too and are not trusted here."""
    doubts: list[str] = field(default_factory=list)
    """What could be neither shown nor disproved."""
    broken: Break | None = None

    @property
    def good(self) -> bool:
        """Whether every record is what it was, as far as the chain reaches."""
        return self.broken is None and not self.doubts


class Check:
    """Take the items in order; DoesNotFit or Broken ends it."""

    def __init__(
        self,
        chains: Mapping[int, str],
        first: int,
        *,
        start: bytes | None = None,
        keys: Collection[str] | None = None,
        signers: Collection[str] = (),
    ) -> None:
        """`chains` are the ids of journals, each by the first sequence of its chain.

        `start` is the link before `first`, where no chain begins there. `keys` are the public keys
        that are trusted; None trusts every key that has signed heads, and `signers`.
        """
        self._chains = chains
        self._keys = keys
        self._signers: set[str] = set(signers)
        self._claims: dict[int, list[tuple[Anchor, bool]]] = {}
        self._recent: deque[bytes | None] = deque([start], maxlen=_RECENT)
        self._expected = first
        self._sure = self._confirmed = first - 1
        journal = chains[max(chains)] if chains else ""
        self.verdict = Verdict(journal=journal, first=first, last=first - 1)

    @property
    def links(self) -> list[bytes]:
        """Some links before the item that is expected, the newest last; none where unknown."""
        known: list[bytes] = []
        for link in reversed(self._recent):
            if link is None:
                break
            known.append(link)
        return known[::-1]

    @property
    def expected(self) -> int:
        """The number that the next item must have."""
        return self._expected

    @property
    def sure(self) -> int:
        """The last record whose own link was found to be right."""
        return self._sure

    def expect(self, anchor: Anchor, *, given: bool = False) -> None:
        """Hold the chain against `anchor` when its record comes; `given` by a person, not found.

        Raises:
            Broken: it is of another journal.
        """
        if given and anchor.journal and anchor.journal not in self._chains.values():
            reason = f"the anchor is of journal {anchor.journal}, this is {self.verdict.journal}"
            raise Broken(Break(sequence=self.verdict.first, what="cut", reason=f"cut: {reason}"))
        if anchor.key is not None:
            self._signers.add(anchor.key)
        self._claims.setdefault(anchor.sequence, []).append((anchor, given))

    def take(self, item: Item) -> None:
        """Go on by one item.

        Raises:
            DoesNotFit: it does not follow from what came before.
            Broken: what was signed says otherwise.
        """
        if item[0] == self._expected and item[0] in self._chains:
            journal = self._chains[item[0]]
            self._recent.append(chain.genesis(journal) if journal else None)
            if not journal:
                self.verdict.doubts.append(f"record {item[0]}: what came before it is not known")
        if isinstance(item, Entry):
            self._take_entry(item)
        elif isinstance(item, Run):
            self._take_run(item)
        elif item.first == self._expected:
            lost = records(item.first, item.last)
            where = "by damage" if item.file is None else f"with the damaged file {item.file}"
            self.verdict.doubts.append(f"{lost}: lost {where}")
            self._pass(item.last, None)
        else:
            raise DoesNotFit
        if (claims := self._claims.pop(self._expected - 1, None)) is not None:
            self._hold(claims)

    def finish(self, *, part: bool = False) -> Verdict:
        """Look at the anchors that are left, and return what was found.

        Of a `part`, given anchors of later records are noted in `beyond`.

        Raises:
            Broken: one of them tells of records that are missing, or is not what was signed.
        """
        verdict = self.verdict
        verdict.last, verdict.link = self._expected - 1, self._recent[-1]
        for sequence in sorted(self._claims):
            for anchor, given in self._claims[sequence]:
                _judge(anchor)
                if part and given and sequence > verdict.last:
                    verdict.beyond.append(sequence)
                elif sequence > verdict.last:
                    missing = records(verdict.last + 1, sequence)
                    who = "the anchor" if given else "a signed head"
                    raise Broken(
                        Break(
                            sequence=verdict.last + 1,
                            until=sequence,
                            what="cut",
                            reason=f"cut: {who} knows of {missing}",
                        )
                    )
                elif given:
                    verdict.doubts.append(f"anchor of record {sequence}: its link is not kept here")
        return verdict

    def _take_entry(self, item: Entry) -> None:
        if item.sequence != self._expected:
            raise DoesNotFit
        head = self._recent[-1]
        if head is None:
            head = item.link
        else:
            head = chain.link(head, item.sequence, item.priority, item.body_hash)
            if item.link is not None and item.link != head:
                raise DoesNotFit
        if item.link is None:
            self.verdict.hashed += 1
        else:
            self.verdict.kept += 1
            self._sure = item.sequence
        self._recent.append(head)
        self._expected += 1

    def _take_run(self, item: Run) -> None:
        if not item.first <= self._expected <= item.last:
            raise DoesNotFit
        signed, head = self._signed(item), self._recent[-1]
        if item.first < self._expected:
            # Runs grow while a journal in use is read; that counts only by a signature.
            if not signed:
                raise DoesNotFit
        elif head is not None and item.before is not None and head != item.before:
            first = min(self._confirmed + 1, item.first)
            before = records(first, max(first, item.first - 1))
            raise Broken(
                Break(
                    sequence=first,
                    until=max(first, item.first - 1),
                    what="remade",
                    reason=f"changed, removed, added or reordered: {before}, which the folded"
                    f" {records(item.first, item.last)} do not follow",
                )
            )
        if signed:
            self.verdict.folded += item.last - self._expected + 1
            self._sure = self._confirmed = item.last
        else:
            folded = records(item.first, item.last)
            self.verdict.doubts.append(f"{folded}: folded without a signature of a trusted key")
        self._pass(item.last, item.link or None)

    def _pass(self, last: int, link: bytes | None) -> None:
        self._recent.clear()
        self._recent.append(link)
        self._expected = last + 1

    def _signed(self, run: Run) -> bool:
        """Return whether a key that is trusted has signed `run`."""
        if run.signature is None or run.before is None:
            return False
        journal = self._chains[max((f for f in self._chains if f <= run.first), default=0)]
        said = statements.run(journal, run.first, run.last, run.before, run.link)
        trusted = set(self._signers if self._keys is None else self._keys)
        for key in (*trusted, *(self._signers - trusted)):
            if device_key.verify(key, said, run.signature):
                if key not in trusted:
                    self.verdict.others.add(key)
                return key in trusted
        if trusted:
            raise Broken(
                Break(
                    sequence=run.first,
                    until=run.last,
                    what="signature",
                    reason=f"changed: the signature of the folded {records(run.first, run.last)}"
                    " is of no known key",
                )
            )
        return False

    def _hold(self, claims: list[tuple[Anchor, bool]]) -> None:
        """Hold the link just reached against `claims`."""
        link = self._recent[-1]
        for anchor, given in claims:
            _judge(anchor)
            if link is None:
                if given:
                    self._claims.setdefault(anchor.sequence, []).append((anchor, given))
                continue
            if anchor.link != link:
                first = self._confirmed + 1
                reason = "other links than were noted"
                if anchor.key is not None:
                    reason = f"other links than were signed at {anchor.at}"
                what = f"changed, removed, added or reordered: {records(first, anchor.sequence)}"
                raise Broken(
                    Break(
                        sequence=first,
                        until=anchor.sequence,
                        what="remade",
                        reason=f"{what} have {reason}",
                    )
                )
            trusted = anchor.key is not None and (self._keys is None or anchor.key in self._keys)
            if anchor.key is not None and not trusted:
                self.verdict.others.add(anchor.key)
            if trusted:
                self.verdict.heads += 1
                self.verdict.signed = anchor
            self.verdict.anchors += given
            if trusted or given:
                self._confirmed = anchor.sequence


def records(first: int, last: int) -> str:
    """Return `record 5`, or `records 5 to 7`."""
    return f"record {first}" if first == last else f"records {first} to {last}"


def _judge(anchor: Anchor) -> None:
    if anchor.key is not None and not anchor.good:
        reason = f"changed: the signature of the head of record {anchor.sequence} is wrong"
        raise Broken(Break(sequence=anchor.sequence, what="signature", reason=reason))
