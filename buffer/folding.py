"""Hashes of evicted bodies make room too: a signed run stands in place of the oldest.

A run says which records it stands for, the link of the record before them and the link of the
last. Signed, it goes on proving that the records after it follow from those before it. Runs that
touch become one, if the later follows from the earlier and this key has signed both.
"""

from __future__ import annotations

import sqlite3
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

    def __init__(
        self, db: sqlite3.Connection, journal: str, start: bytes, signer: Signer | None
    ) -> None:
        """`start` is what the first record of the file is chained to."""
        self._db = db
        self._journal = journal
        self._start = start
        self._signer = signer

    def fold(self, most: int) -> int:
        """Put the oldest `most` hashes into runs; returns how many there were."""
        rows = self._db.execute(
            "SELECT sequence, priority, hash FROM evicted ORDER BY sequence LIMIT ?", (most,)
        ).fetchall()
        run: _Run | None = None
        for sequence, priority, body_hash in rows:
            if run is None or run.last != sequence - 1:
                self._store(run)
                run = self._run_before(sequence)
            run.link = chain.link(run.link, sequence, priority, body_hash)
            run.last = sequence
        self._store(run)
        if rows:
            self._db.execute("DELETE FROM evicted WHERE sequence <= ?", (rows[-1][0],))
        return len(rows)

    def adopt(self) -> None:
        """Sign every run as it is found: for a key that meets this file for the first time."""
        if self._signer is None:
            return
        for run in self._select("ORDER BY first"):
            run.before = run.before or self._link_of(run.first - 1)
            self._write(run)

    def _run_before(self, sequence: int) -> _Run:
        """Return the run that `sequence` goes on from, or an empty one that starts there."""
        before = sequence - 1
        found = self._select("WHERE first <= ? ORDER BY first DESC LIMIT 1", before)
        if found and found[0].last == before and self._ours(found[0]):
            return found[0]
        link = self._link_of(before)
        return _Run(sequence, before, link, link)

    def _store(self, run: _Run | None) -> None:
        if run is None:
            return
        while (after := self._select("WHERE first = ? AND last >= first", run.last + 1)) and (
            self._ours(after[0]) and after[0].before == run.link
        ):
            self._db.execute("DELETE FROM folded WHERE first = ?", (after[0].first,))
            run.last, run.link = after[0].last, after[0].link
        self._write(run)
        # What was signed within the run can be held against nothing any more.
        self._db.execute(
            "DELETE FROM checkpoints WHERE sequence >= ? AND sequence < ?", (run.first, run.last)
        )

    def _write(self, run: _Run) -> None:
        signature = None
        if self._signer is not None and run.before is not None:
            said = statements.run(self._journal, run.first, run.last, run.before, run.link)
            signature = self._signer.sign(said)
        self._db.execute(
            "INSERT OR REPLACE INTO folded (first, last, link, before, signature)"
            " VALUES (?, ?, ?, ?, ?)",
            (run.first, run.last, run.link, run.before, signature),
        )

    def _ours(self, run: _Run) -> bool:
        """Return whether `run` may grow: by the hand that made it, and only if it is unharmed."""
        if self._signer is None or run.signature is None or run.before is None:
            return self._signer is None and run.signature is None
        said = statements.run(self._journal, run.first, run.last, run.before, run.link)
        return device_key.verify(self._signer.public, said, run.signature)

    def _link_of(self, sequence: int) -> bytes:
        """Return the link of a record by the nearest link before it that is kept."""
        return link_of(self._db, sequence, self._start)

    def _select(self, where: str, *values: int) -> list[_Run]:
        rows = self._db.execute(
            f"SELECT first, last, before, link, signature FROM folded {where}",  # noqa: S608
            values,
        )
        return [_Run(*row) for row in rows.fetchall()]


def link_of(db: sqlite3.Connection, sequence: int, start: bytes) -> bytes:
    """Return the link of record `sequence`, made of the hashes since the nearest link before it.

    `start` is what the first record of the file is chained to.
    """
    kept = db.execute(
        "SELECT sequence, link FROM records WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1",
        (sequence,),
    ).fetchone()
    run = db.execute(
        "SELECT last, link FROM folded WHERE first <= ? ORDER BY first DESC LIMIT 1", (sequence,)
    ).fetchone()
    known = [row for row in (kept, run) if row is not None and row[0] <= sequence]
    place, link = max(known, key=lambda row: int(row[0]), default=(0, start))
    hashes = db.execute(
        "SELECT sequence, priority, hash FROM evicted WHERE sequence > ? AND sequence <= ?"
        " ORDER BY sequence",
        (place, sequence),
    )
    for number, priority, body_hash in hashes:
        link = chain.link(link, number, priority, body_hash)
    return bytes(link)
