"""The record that begins a journal file and names the one before it."""

import json
import secrets
from dataclasses import asdict, dataclass

from buffer.record import OPERATIONS, Draft, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Why a file begins, told by its first record."""

    journal: str
    """Id of the new file: 32 hex digits."""
    file: str | None = None
    """Name of the file that was set aside last, if any."""
    sequence: int | None = None
    """The last sequence that can be read from it, if any."""
    link: str | None = None
    """The link of that record, 64 hex digits."""
    reason: str | None = None
    """Why it was set aside, if that was just now."""


def plain_opening(opening: Opening) -> Draft:
    """Return the record `journal.started` as JSON, never published."""
    return Draft(
        id=secrets.token_hex(16),
        kind=Kind.EVENT,
        priority=OPERATIONS,
        topic=None,
        body=json.dumps({"signal": "journal.started"} | asdict(opening)).encode(),
    )
