"""Heads of the chain that the device key has signed, kept in the file, for the broker and the log.

A row is written an hour after the last one at most, together with records that are committed
anyway, and at each clean stop: a row costs a page, and the newest speaks for all records before it.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from buffer import device_key, statements

EVERY = 3600.0
"""Seconds between two that are kept, unless the daemon stops."""
MOST = 4096
"""How many are kept, the newest: half a year of them, 0.6 MB."""


class Signer(Protocol):
    """Who signs: buffer.device_key.DeviceKey."""

    public: str
    """64 hexadecimal digits."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The head of a journal at a time, signed where there is a key."""

    journal: str
    sequence: int
    link: bytes
    at: str
    """RFC 3339, UTC, as the wall clock stood."""
    key: str | None = None
    """The public key, 64 hexadecimal digits."""
    signature: bytes | None = None

    @property
    def good(self) -> bool:
        """Whether it was signed by its own `key`."""
        said = statements.head(self.journal, self.sequence, self.link, self.at)
        return (
            self.key is not None
            and self.signature is not None
            and device_key.verify(self.key, said, self.signature)
        )

    def as_json(self) -> dict[str, str]:
        """Return it as the message that is published."""
        told = {
            "journal": self.journal,
            "sequence": str(self.sequence),
            "link": self.link.hex(),
            "at": self.at,
        }
        if self.key is not None and self.signature is not None:
            told |= {"key": self.key, "signature": self.signature.hex()}
        return told


class Checkpoints:
    """The signed heads of one open file. Works inside the caller's transaction."""

    def __init__(self, db: sqlite3.Connection, journal: str, signer: Signer | None) -> None:
        self._db = db
        self._journal = journal
        self._signer = signer
        self._saved = float("-inf")
        self._waiting: Anchor | None = None

    @property
    def signer(self) -> Signer | None:
        """Who signs; None where there is no key."""
        return self._signer

    @property
    def known(self) -> bool:
        """Whether this key has signed a head of this file before, or there is none to sign."""
        if self._signer is None:
            return True
        found = self._db.execute(
            "SELECT 1 FROM checkpoints WHERE key = ? LIMIT 1", (bytes.fromhex(self._signer.public),)
        )
        return found.fetchone() is not None

    def anchor(self, sequence: int, link: bytes) -> Anchor:
        """Return the head, signed; where one is due it is saved with the next commit."""
        anchor = self._signed(sequence, link)
        if anchor.key is not None and time.monotonic() - self._saved >= EVERY:
            self._waiting = anchor
        return anchor

    def save(self) -> None:
        """Write the one that waits, if any."""
        if self._waiting is not None:
            self._write(self._waiting)

    def committed(self) -> None:
        """Note that what `save` wrote is on disk."""
        if self._waiting is not None:
            self._waiting, self._saved = None, time.monotonic()

    def save_head(self, sequence: int, link: bytes) -> None:
        """Write one for the head, unless the newest is about it."""
        if self._signer is None:
            return
        (newest,) = self._db.execute("SELECT max(sequence) FROM checkpoints").fetchone()
        if newest is None or newest < sequence or not self.known:
            self._write(self._signed(sequence, link))

    def _signed(self, sequence: int, link: bytes) -> Anchor:
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        key, signature = None, None
        if self._signer is not None:
            key = self._signer.public
            signature = self._signer.sign(statements.head(self._journal, sequence, link, at))
        return Anchor(
            journal=self._journal, sequence=sequence, link=link, at=at, key=key, signature=signature
        )

    def _write(self, anchor: Anchor) -> None:
        assert anchor.key is not None  # noqa: S101 - only what was signed waits
        self._db.execute(
            "INSERT OR REPLACE INTO checkpoints (sequence, link, at, key, signature)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                anchor.sequence,
                anchor.link,
                anchor.at,
                bytes.fromhex(anchor.key),
                anchor.signature,
            ),
        )
        self._db.execute(
            "DELETE FROM checkpoints WHERE sequence <="
            " (SELECT sequence FROM checkpoints ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
            (MOST,),
        )
