"""Hashes of evicted bodies make room too: a signed run stands in place of the oldest.

A run says which records it stands for, the link of the record before them and the link of the
last. Signed, it goes on proving that the records after it follow from those before it. Runs that
touch become one, if the later follows from the earlier and this key has signed both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from buffer import chain, device_key, statements
from buffer.checkpoints import Signer


@dataclass(slots=True)
class _Run:
    first: int
    last: int
    before: bytes | None
    link: bytes
    signature: bytes | None = None


class Folding:
    """The folded runs of one open file. Works inside the caller's transaction."""

    def __init__(self, db: sqlite3.Connection, signer: Signer | None) -> None:
        self._db = db
        self._signer = signer

    def fold(self, most: int) -> int:
        """Put the oldest `most` hashes into runs; returns how many there were."""
        rows = self._db.execute(
            "SELECT sequence, priority, hash FROM evicted ORDER BY sequence LIMIT ?", (most,)
        ).fetchall()
        begun = dict(self._db.execute("SELECT first, id FROM journal"))
        run: _Run | None = None
        for sequence, priority, body_hash in rows:
            if run is None or run.last != sequence - 1 or sequence in begun:
                self._store(run, begun)
                run = self._run_before(sequence, begun)
            if run.link:
                run.link = chain.link(run.link, sequence, priority, body_hash)
            run.last = sequence
        self._store(run, begun)
        if rows:
            self._db.execute("DELETE FROM evicted WHERE sequence <= ?", (rows[-1][0],))
        return len(rows)

    def adopt(self) -> None:
        """Sign every run as it is found: for a key that meets this file for the first time."""
        begun = dict(self._db.execute("SELECT first, id FROM journal"))
        for run in self._select("ORDER BY first"):
            run.before = run.before or link_of(self._db, run.first - 1) or None
            self._write(run, begun)

    def _run_before(self, sequence: int, begun: Mapping[int, str]) -> _Run:
        """Return the run that `sequence` goes on from, or an empty one that starts there."""
        before = sequence - 1
        found = self._select("WHERE first <= ? ORDER BY first DESC LIMIT 1", before)
        goes_on = sequence not in begun and found and found[0].last == before
        if goes_on and self._ours(found[0], begun):
            return found[0]
        link = link_of(self._db, before)
        return _Run(sequence, before, link or None, link)

    def _store(self, run: _Run | None, begun: Mapping[int, str]) -> None:
        if run is None:
            return
        while run.last + 1 not in begun:
            after = self._select("WHERE first = ? AND last >= first", run.last + 1)
            if not after or after[0].before != run.link or not self._ours(after[0], begun):
                break
            self._db.execute("DELETE FROM folded WHERE first = ?", (after[0].first,))
            run.last, run.link = after[0].last, after[0].link
        self._write(run, begun)
        # What was signed within the run can be held against nothing any more.
        self._db.execute(
            "DELETE FROM checkpoints WHERE sequence >= ? AND sequence < ?", (run.first, run.last)
        )

    def _write(self, run: _Run, begun: Mapping[int, str]) -> None:
        said = _said(run, begun)
        self._db.execute(
            "INSERT OR REPLACE INTO folded (first, last, link, before, signature)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                run.first,
                run.last,
                run.link,
                run.before,
                None if said is None or self._signer is None else self._signer.sign(said),
            ),
        )

    def _ours(self, run: _Run, begun: Mapping[int, str]) -> bool:
        """Return whether `run` may grow: by the hand that made it, and only if it is unharmed."""
        said = _said(run, begun)
        if self._signer is None or run.signature is None or said is None:
            return self._signer is None and run.signature is None
        return device_key.verify(self._signer.public, said, run.signature)

    def _select(self, where: str, *values: int) -> list[_Run]:
        rows = self._db.execute(
            f"SELECT first, last, before, link, signature FROM folded {where}",  # noqa: S608
            values,
        )
        return [_Run(*row) for row in rows.fetchall()]


def _said(run: _Run, begun: Mapping[int, str]) -> bytes | None:
    """Return what is to be signed of `run`; None where too little is known of it."""
    journal = begun[max(f for f in begun if f <= run.first)] if begun else ""
    if not journal or run.before is None or not run.link:
        return None
    return statements.run(journal, run.first, run.last, run.before, run.link)


def link_of(db: sqlite3.Connection, sequence: int) -> bytes:
    """Return what record `sequence` + 1 is chained to, by hashes since the nearest link before.

    Empty where it is not known: after records that were lost with a damaged file.
    """
    links: list[tuple[int, bytes]] = db.execute(
        "SELECT * FROM (SELECT sequence, link FROM records WHERE sequence <= ?1"
        " ORDER BY sequence DESC LIMIT 1)"
        " UNION ALL SELECT * FROM (SELECT last, link FROM folded WHERE first <= ?1"
        " ORDER BY first DESC LIMIT 1)"
        " UNION ALL SELECT * FROM (SELECT last, x'' FROM lost WHERE first <= ?1"
        " ORDER BY first DESC LIMIT 1)",
        (sequence,),
    ).fetchall()
    # A chain that begins comes last: its first record follows from its id, not from those before.
    for first, own in db.execute("SELECT first, id FROM journal WHERE first - 1 <= ?", (sequence,)):
        links.append((first - 1, chain.genesis(own) if own else b""))
    place, link = -1, b""
    for reached, known in links:
        if place <= reached <= sequence:
            place, link = reached, known
    hashes = db.execute(
        "SELECT sequence, priority, hash FROM evicted WHERE sequence > ? AND sequence <= ?"
        " ORDER BY sequence",
        (place, sequence),
    )
    for number, priority, body_hash in hashes if link else ():
        link = chain.link(link, number, priority, body_hash)
    return link
