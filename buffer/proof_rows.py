"""Check a journal file: its records, what is left of evicted ones, and its signed heads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain as joined
from typing import NamedTuple

from buffer import chain, storage
from buffer.chain import Break, Entry, Run
from buffer.checkpoints import Anchor
from buffer.proof import Broken, Check, DoesNotFit, Item, Lost, Verdict
from buffer.suspect import diagnose

_BATCH = 500
"""Numbers looked at in one query, so that no reader holds back the log for long."""
_ITEMS = """
SELECT sequence, 0, priority, link, body, topic, kind, previous, id FROM records
  WHERE sequence BETWEEN ?1 AND ?2
UNION ALL SELECT sequence, 1, priority, hash, NULL, NULL, NULL, NULL, NULL FROM evicted
  WHERE sequence BETWEEN ?1 AND ?2
UNION ALL SELECT first, 2, last, link, before, signature, NULL, NULL, NULL FROM folded
  WHERE first BETWEEN coalesce((SELECT max(first) FROM folded WHERE first <= ?1), ?1) AND ?2
  AND last >= max(first, ?1)
UNION ALL SELECT first, 3, last, NULL, NULL, file, NULL, NULL, NULL FROM lost
  WHERE first BETWEEN ?1 AND ?2
ORDER BY 1"""
_RECORD, _EVICTED, _RUN, _LOST = range(4)
_NO_PRIORITY = 255

Look = Callable[[int, str | None, bytes], Break | None]
"""Given number, topic and body of a kept record; returns what is wrong with them besides."""


def examine(
    db: sqlite3.Connection,
    *,
    keys: Collection[str] | None = None,
    anchors: Iterable[Anchor] = (),
    look: Look = lambda _sequence, _topic, _body: None,
) -> Verdict:
    """Check the whole file that `db` has open; it may be written by another process meanwhile.

    `keys` are the public keys that are trusted, None: every one that signed. `anchors` are held
    against it.

    Raises:
        JournalError: a part of the file cannot be read.
    """
    given = tuple(anchors)
    with storage.sound("verify"), storage.translated("verify"):
        seen = _version(db)
        verdict = _walk(db, keys, given, look)
        if verdict.broken is not None and _version(db) != seen:
            # What seemed broken may have been moved meanwhile: look again at a state that stands.
            db.execute("BEGIN")
            try:
                verdict = _walk(db, keys, given, look)
            finally:
                db.execute("ROLLBACK")
    return verdict


def _version(db: sqlite3.Connection) -> int:
    found: tuple[int] = db.execute("PRAGMA data_version").fetchone()
    return found[0]


def _walk(
    db: sqlite3.Connection,
    keys: Collection[str] | None,
    anchors: Iterable[Anchor],
    look: Look,
) -> Verdict:
    chains = chains_in(db)
    lowest, last = ends(db)
    check = Check(chains, min(chains, default=lowest), keys=keys)

    try:
        _look_at_ids(chains)
        for anchor in heads(db, chains):
            check.expect(anchor)
        for anchor in anchors:
            check.expect(anchor, given=True)
        for item, kept in contents(db, lowest, last):
            try:
                check.take(item)
            except DoesNotFit:
                later = (item for item, _kept in contents(db, item[0] + 1, last))
                found = diagnose(check.links, check.expected, check.sure, joined((item,), later))
                raise Broken(found) from None
            if kept is not None and (wrong := look(item[0], kept.topic, kept.body)) is not None:
                raise Broken(wrong)  # noqa: TRY301
        check.finish()
    except Broken as found:
        check.verdict.last = last
        check.verdict.broken = found.args[0]
    return check.verdict


def ends(db: sqlite3.Connection) -> tuple[int, int]:
    """Return the lowest and the highest number that the file knows anything of."""
    lows, highs = [], []
    for table, low, high in (
        ("records", "sequence", "sequence"),
        ("evicted", "sequence", "sequence"),
        ("folded", "first", "last"),
        ("lost", "first", "last"),
    ):
        least, most = (
            db.execute(f"SELECT min({low}) FROM {table}").fetchone()[0],  # noqa: S608
            db.execute(f"SELECT max({high}) FROM {table}").fetchone()[0],  # noqa: S608
        )
        if least is not None:
            lows.append(int(least))
            highs.append(int(most))
    return min(lows, default=1), max(highs, default=0)


def chains_in(db: sqlite3.Connection) -> dict[int, str]:
    """Return the ids of the journals in the file, by the first number of each; '' is unknown."""
    return {_number(first): str(own) for first, own in db.execute("SELECT first, id FROM journal")}


def heads(db: sqlite3.Connection, chains: dict[int, str]) -> Iterator[Anchor]:
    """Yield the signed heads that the file keeps."""
    for sequence, link, at, key, signature in db.execute(
        "SELECT sequence, link, at, key, signature FROM checkpoints ORDER BY sequence"
    ):
        begun = max((first for first in chains if first <= sequence), default=None)
        yield Anchor(
            journal="" if begun is None else chains[begun],
            sequence=sequence,
            link=_bytes(link),
            at=str(at),
            key=_bytes(key).hex(),
            signature=_bytes(signature),
        )


def _look_at_ids(chains: dict[int, str]) -> None:
    for first, own in sorted(chains.items()):
        if not _is_id(own):
            reason = "changed: the id of the journal that begins there"
            raise Broken(Break(sequence=first, what="changed", reason=reason))


class Kept(NamedTuple):
    """What a record is, beside what the chain needs of it."""

    topic: str | None
    kind: int
    """Its place in buffer.rows.KINDS."""
    previous: int | None
    identity: str
    body: bytes


def contents(db: sqlite3.Connection, first: int, last: int) -> Iterator[tuple[Item, Kept | None]]:
    """Yield what the file has of each number from `first` to `last`, as of when it is read."""
    query = _ITEMS
    if not db.execute("SELECT 1 FROM pragma_table_info('folded') WHERE name = 'before'").fetchone():
        query = _ITEMS.replace("before, signature", "NULL, NULL")
    names: dict[int, str] = {}
    while first <= last:
        end = min(first + _BATCH - 1, last)
        rows = db.execute(query, (first, end)).fetchall()
        if any(row[5] is not None and row[1] == _RECORD and row[5] not in names for row in rows):
            names = dict(db.execute("SELECT topic, name FROM topics"))
        for sequence, what, number, link, body, more, kind, previous, own in rows:
            if what == _RECORD:
                content = body.encode() if isinstance(body, str) else _bytes(body)
                yield (
                    Entry(sequence, _priority(number), chain.body_hash(content), _bytes(link)),
                    Kept(
                        topic=None if more is None else str(names.get(more, more)),
                        kind=_number(kind),
                        previous=previous if isinstance(previous, int) else None,
                        identity=own.hex() if isinstance(own, bytes) else str(own),
                        body=content,
                    ),
                )
            elif what == _EVICTED:
                yield Entry(sequence, _priority(number), _bytes(link), None), None
            elif what == _RUN:
                before = None if body is None else _bytes(body)
                signature = None if more is None else _bytes(more)
                yield Run(sequence, _number(number), before, _bytes(link), signature), None
                end = max(end, _number(number))
            else:
                yield Lost(sequence, _number(number), None if more is None else str(more)), None
                end = max(end, _number(number))
        first = end + 1


_is_id = re.compile("([0-9a-f]{32})?").fullmatch


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _priority(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < _NO_PRIORITY else _NO_PRIORITY


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
