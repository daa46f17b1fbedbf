"""How a record looks in the table `records`."""

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain

from buffer.record import Kind, Record

KINDS = tuple(Kind)
"""A kind's place here is its number on disk (schema/0001_journal.sql)."""
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
COLUMNS = "sequence, priority, kind, topic, previous, id, link, body"
_HEX_DIGITS = 32
_TOGETHER = 20
"""Records that one statement inserts: a quarter less work than one by one."""
_INSERT = f"INSERT INTO records ({COLUMNS}) VALUES "  # noqa: S608
_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_ONE = _INSERT + _PLACES
_INSERT_MANY = _INSERT + ", ".join([_PLACES] * _TOGETHER)

Row = tuple[int, int, int, int | None, int | None, bytes | str, bytes, bytes]


def to_record(row: Row, topics: Mapping[int, str]) -> Record:
    """Return the record that `row` holds, given the names of topics by their numbers."""
    sequence, priority, kind, topic, previous, identity, link, body = row
    return Record(
        sequence=sequence,
        priority=priority,
        kind=KINDS[kind],
        topic=None if topic is None else topics[topic],
        previous=previous,
        id=identity.hex() if isinstance(identity, bytes) else identity,
        link=link,
        body=body,
    )


def insert(db: sqlite3.Connection, records: Sequence[Record], topics: Mapping[str, int]) -> None:
    """Insert `records` as rows, given the numbers of topics by their names."""
    many = len(records) - len(records) % _TOGETHER
    for start in range(0, many, _TOGETHER):
        rows = [_to_row(record, topics) for record in records[start : start + _TOGETHER]]
        db.execute(_INSERT_MANY, tuple(chain.from_iterable(rows)))
    for record in records[many:]:
        db.execute(_INSERT_ONE, _to_row(record, topics))


def _to_row(record: Record, topics: Mapping[str, int]) -> Row:
    return (
        record.sequence,
        record.priority,
        _NUMBERS[record.kind],
        None if record.topic is None else topics[record.topic],
        record.previous,
        _packed(record.id),
        record.link,
        record.body,
    )


def _packed(identity: str) -> bytes | str:
    """Return 32 lower-case hex digits as 16 bytes, and anything else as it is."""
    try:
        packed = bytes.fromhex(identity)
    except ValueError:
        return identity
    # Upper case, spaces and other lengths would not come back as they were.
    return packed if len(identity) == _HEX_DIGITS and packed.hex() == identity else identity
