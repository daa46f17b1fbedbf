"""Reading an export back: each line as what the chain needs of it, and the end that closes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from buffer import chain
from buffer.chain import Break, Entry, Run
from buffer.checkpoints import Anchor
from buffer.proof import Broken, Item, Lost
from drivers.priorities import Priority
from edge.cli.journal_export import BODY, END, FORMAT

_PRIORITIES = {p.name: int(p) for p in Priority}
_UNKNOWN_PRIORITY = 255
_END = re.compile(
    rb'\{"lines": (\d+), "sha256": "([0-9a-f]{64})"'
    rb'(?:, "key": "([0-9a-f]{64})", "signature": "([0-9a-f]{128})")?\}\}\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of an export."""

    item: Item
    body: bytes | None
    topic: str | None
    signed: Anchor | None
    begins: str | None
    """The id of the journal whose chain begins here, if one does."""


@dataclass(slots=True, kw_only=True)
class Export:
    """An export that is read. The end is known once all lines were."""

    path: Path
    journal: str = ""
    """The id of the journal that was read last; more than one may be in a file."""
    first_journal: str = ""
    exported: str = ""
    key: str | None = None
    before: bytes | None = None
    digest: str = ""
    """SHA-256 of all before the end, as it is."""
    end: dict[str, Any] | None = field(default=None)
    """What the end says: lines, sha256, key and signature; None where there is none."""
    lines: int = 0

    def read(self) -> Iterator[Line]:
        """Yield the lines.

        Raises:
            Broken: a line is none of an export.
            OSError: the file can't be read.
        """
        digest, number, last = sha256(), 0, 0
        with self.path.open("rb") as file:
            raw = file.readline()
            while raw:
                number += 1
                following = file.readline()
                if not following:
                    raw = self._ended(raw)
                digest.update(raw)
                try:
                    line = self._line(raw, first=number == 1)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    reason = f"changed: line {number} is none of an export"
                    raise Broken(Break(sequence=last + 1, what="changed", reason=reason)) from None
                last = line.item[0]
                yield line
                raw = following
        self.digest, self.lines = digest.hexdigest(), number

    def _ended(self, raw: bytes) -> bytes:
        """Take the end off the last line; returns the line without it."""
        rest, found, end = raw.rpartition(END)
        if not found:
            return raw
        told = _END.fullmatch(end)
        if told is None:
            return rest
        lines, digest, key, signature = told.groups()
        self.end = {
            "lines": int(lines),
            "sha256": digest.decode(),
            "key": key.decode() if key else None,
            "signature": bytes.fromhex(signature.decode()) if signature else None,
        }
        return rest

    def _line(self, raw: bytes, *, first: bool) -> Line:
        complete = raw if raw.endswith(b"}\n") else raw + b"}\n"
        told = json.loads(complete)
        sequence, kind = _number(told["sequence"]), str(told["kind"])
        begins: str | None = told.get("journal")
        if first:
            proof = told["proof"]
            if proof["format"] != FORMAT:
                raise ValueError(proof["format"])
            self.journal, self.key = str(proof["journal"]), _text_or_none(proof["key"])
            self.first_journal, self.exported = self.journal, str(proof["exported"])
            self.before = None if proof["before"] is None else bytes.fromhex(proof["before"])
        if begins is not None:
            self.journal = str(begins)
        body: bytes | None = None
        item: Item
        if kind == "folded":
            item = _run(sequence, told)
        elif kind == "lost":
            item = Lost(sequence, _number(told["last"]), _text_or_none(told["file"]))
        elif "hash" in told:
            item = Entry(sequence, _priority(told), bytes.fromhex(told["hash"]), None)
        else:
            body = complete[complete.index(BODY) + len(BODY) : -2]
            if told.get("encoding") == "hex":
                body = bytes.fromhex(told["body"])
            link = bytes.fromhex(told["link"])
            item = Entry(sequence, _priority(told), chain.body_hash(body), link)
        last = item.sequence if isinstance(item, Entry) else item.last
        signed = told.get("signed")
        return Line(
            item=item,
            body=body,
            topic=told.get("topic"),
            signed=None if signed is None else _anchor(self.journal, last, signed),
            begins=begins,
        )


def _run(sequence: int, told: dict[str, Any]) -> Run:
    before, signature = told["before"], told["signature"]
    return Run(
        sequence,
        _number(told["last"]),
        None if before is None else bytes.fromhex(before),
        bytes.fromhex(told["link"]),
        None if signature is None else bytes.fromhex(signature),
    )


def _anchor(journal: str, sequence: int, told: dict[str, str]) -> Anchor:
    return Anchor(
        journal=journal,
        sequence=sequence,
        link=bytes.fromhex(told["link"]),
        at=told["at"],
        key=str(told["key"]),
        signature=bytes.fromhex(told["signature"]),
    )


def _priority(told: dict[str, Any]) -> int:
    return _PRIORITIES.get(told["priority"], _UNKNOWN_PRIORITY)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(value)
    return value
