"""How a record looks in the table `records`."""

import re
from collections.abc import Mapping

from buffer.record import Kind, Record

KINDS = tuple(Kind)
"""A kind's place here is its number on disk (schema/0001_journal.sql)."""
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
COLUMNS = "sequence, priority, kind, topic, previous, id, link, body"
PROOF = """
SELECT sequence, priority, NULL, link, body, 0 FROM records WHERE sequence BETWEEN ? AND ?
UNION ALL SELECT sequence, priority, hash, NULL, NULL, 0 FROM evicted WHERE sequence BETWEEN ? AND ?
UNION ALL SELECT first, 0, x'', link, NULL, last - first FROM folded WHERE first BETWEEN ? AND ?
ORDER BY 1"""
"""What the chain needs of the records in a range, given three times."""
_HEX_ID = re.compile("[0-9a-f]{32}").fullmatch

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


def to_row(record: Record, topics: Mapping[str, int]) -> Row:
    """Return `record` as a row, given the numbers of topics by their names."""
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
    return bytes.fromhex(identity) if _HEX_ID(identity) else identity
