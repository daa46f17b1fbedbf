"""`journal export`: records as lines of JSON that prove themselves, and as a table for people.

docs/evidence.md describes the lines byte by byte; edge/cli/journal_lines.py and docs/verify.py
read them. Memory does not grow with the journal, and a daemon may write it meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage

if TYPE_CHECKING:
    from buffer.checkpoints import Anchor, Signer
    from buffer.proof import Item
    from buffer.proof_rows import Kept
    from edge.true_time import Corrections

FORMAT = "storewarden export 1"
BODY = b', "body": '
END = b', "end": '


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records are shown; of the others between `first` and `last` the hash is."""

    first: int
    last: int
    priorities: frozenset[str]
    """Empty: all."""
    devices: frozenset[str]
    """Empty: all."""
    met: set[str] = field(default_factory=set)
    """Those of `devices` that a record was of."""

    def shows(self, priority: str, body: Any) -> bool:
        device = body.get("device") if isinstance(body, dict) else None
        if isinstance(device, str) and device in self.devices:
            self.met.add(device)
        return (not self.priorities or priority in self.priorities) and (
            not self.devices or device in self.devices
        )


def options(made: argparse.ArgumentParser) -> None:
    """Add the options of `journal export`."""
    from drivers.priorities import Priority

    made.add_argument("--output", type=Path, metavar="FILE", help="in place of stdout")
    made.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="a table for people, in place of the lines unless --output is given too",
    )
    for name, text in (("from", "the first record"), ("to", "the last record")):
        made.add_argument(
            f"--{name}",
            dest=f"{name}_",
            metavar="WHEN",
            help=f"{text}: its number, 30d, 2026-11-20 or 2026-11-20T18:00",
        )
    made.add_argument(
        "--priority",
        action="append",
        default=[],
        choices=[p.name for p in Priority],
        help="show records of this priority only, and hashes of the others; may be repeated",
    )
    made.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="DEVICE",
        help="show records of this device only, and hashes of the others; may be repeated",
    )


def export(chosen: argparse.Namespace, path: Path, zone: str, site: str | None) -> int:
    """Write what was asked for of the journal `path`."""
    from buffer import storage
    from buffer.device_key import KeyDamaged, KeyUnusable, load
    from buffer.storage import JournalError
    from edge.true_time import corrections_in

    try:
        signer = load(path.parent)
    except (KeyUnusable, KeyDamaged) as error:
        signer = None
        words.show(f"storewarden: {error}: the export is not signed as a whole")
    try:
        corrections = corrections_in(path)
        with ExitStack() as stack:
            db = stack.enter_context(closing(storage.connect(path, read_only=True)))
            wanted = _wanted(chosen, db, path, zone)
            out: BinaryIO | None = getattr(sys.stdout, "buffer", None)
            if chosen.output is not None:
                out = stack.enter_context(chosen.output.open("wb"))
            elif chosen.csv is not None:
                out = None
            row: Callable[[int, str, str, str | None, Kept, Any], None] | None = None
            if chosen.csv is not None:
                from edge.cli.journal_csv import table

                row = table(stack.enter_context(chosen.csv.open("wb")), zone)
            lines = _Lines(out, signer)
            found = _lines(db, wanted, site, signer, corrections, row)
            while True:
                with storage.translated("read"):
                    line = next(found, None)
                if line is None:
                    break
                lines.write(*line)
            lines.close()
            for device in sorted(wanted.devices - wanted.met):
                words.show(f"storewarden: no record of that part is of the device {device}")
    except JournalError as error:
        raise Failed(str(error)) from None
    return DONE


def _wanted(chosen: argparse.Namespace, db: sqlite3.Connection, path: Path, zone: str) -> Wanted:
    from buffer.proof_rows import ends

    first, last = ends(db)
    begin = _place(chosen.from_, path, zone)
    end = _place(chosen.to_, path, zone, after=True)
    first = first if begin is None else max(first, begin)
    last = last if end is None else min(last, end)
    if first > last:
        raise Failed("there are no records in that part of the journal")
    return Wanted(
        first=first,
        last=last,
        priorities=frozenset(chosen.priority),
        devices=frozenset(chosen.device),
    )


def _place(text: str | None, path: Path, zone: str, *, after: bool = False) -> int | None:
    """Return the sequence that `text` means: a number, or the records of a time."""
    from buffer.scan import Scan
    from edge.cli.backtest import moment
    from edge.history import sequence_at

    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    at = moment(text, zone)
    if at is None:
        raise WrongUsage(f"{text!r} is no time")
    with Scan(path) as scan:
        return sequence_at(scan, at) - (1 if after else 0)


def _lines(
    db: sqlite3.Connection,
    wanted: Wanted,
    site: str | None,
    signer: Signer | None,
    corrections: Corrections,
    row: Callable[[int, str, str, str | None, Kept, Any], None] | None,
) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """Yield each line's members but the body, and the body as stored."""
    from buffer.folding import link_of
    from buffer.proof_rows import chains_in, contents, heads

    chains = chains_in(db)
    signed = {anchor.sequence: anchor for anchor in heads(db, chains)}
    keys = [anchor.key for anchor in signed.values()] if signer is None else [signer.public]
    proof: dict[str, Any] | None = None
    for item, kept in contents(db, wanted.first, wanted.last):
        head, body = _line(item, kept, wanted, corrections, row)
        if proof is None:
            begun = max((f for f in chains if f <= item[0]), default=None)
            proof = {
                "format": FORMAT,
                "site": site,
                "journal": chains.get(begun, "") if begun is not None else "",
                "before": link_of(db, item[0] - 1).hex() or None,
                "key": keys[-1] if keys else None,
                "exported": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
            head["proof"] = proof
        elif item[0] in chains:
            head["journal"] = chains[item[0]]
        if (anchor := signed.get(head.get("last", item[0]))) is not None:
            head["signed"] = _signed(anchor)
        yield head, body


def _signed(anchor: Anchor) -> dict[str, Any]:
    signature = anchor.signature or b""
    return {
        "link": anchor.link.hex(),
        "at": anchor.at,
        "key": anchor.key,
        "signature": signature.hex(),
    }


def _line(
    item: Item,
    kept: Kept | None,
    wanted: Wanted,
    corrections: Corrections,
    row: Callable[[int, str, str, str | None, Kept, Any], None] | None,
) -> tuple[dict[str, Any], bytes | None]:
    from buffer.chain import Entry, Run
    from buffer.rows import KINDS
    from drivers.priorities import Priority

    if isinstance(item, Run):
        return {
            "sequence": item.first,
            "kind": "folded",
            "last": item.last,
            "before": None if item.before is None else item.before.hex(),
            "link": item.link.hex(),
            "signature": None if item.signature is None else item.signature.hex(),
        }, None
    if not isinstance(item, Entry):
        return {
            "sequence": item.first, "kind": "lost", "last": item.last, "file": item.file
        }, None  # fmt: skip
    known = 0 <= item.priority < len(Priority)
    priority = Priority(item.priority).name if known else str(item.priority)
    short = {"sequence": item.sequence, "kind": "evicted", "priority": priority}
    if kept is None:
        return short | {"hash": item.body_hash.hex()}, None
    body = parsed(kept.body)
    if not wanted.shows(priority, body):
        return short | {"kind": "withheld", "hash": item.body_hash.hex()}, None
    kind = KINDS[kept.kind].value if 0 <= kept.kind < len(KINDS) else str(kept.kind)
    head = {
        "sequence": item.sequence,
        "id": kept.identity,
        "kind": kind,
        "priority": priority,
        "topic": kept.topic,
        "previous": kept.previous,
        "link": (item.link or b"").hex(),
    }
    if (time := _true_time(body, corrections)) is not None:
        head["time"] = time
    if row is not None:
        row(item.sequence, kind, priority, time, kept, body)
    if body is None:
        head["encoding"] = "hex"
        return head, f'"{kept.body.hex()}"'.encode()
    return head, kept.body


def _true_time(body: Any, corrections: Corrections) -> str | None:
    """Return when it really was, where the clock was wrong and is known to have been."""
    from edge.encode import utc

    if not len(corrections) or not isinstance(body, dict):
        return None
    boot, tick = body.get("boot"), body.get("tick")
    if not isinstance(boot, str) or not isinstance(tick, int | float):
        return None
    at = corrections.true_time(boot, tick)
    return None if at is None else utc(at)


def parsed(body: bytes) -> Any:
    """Return what a body says; None when it is no JSON that stands on one line as it is."""
    if b"\n" in body or b"\r" in body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # What is JSON, but too much for the quick one: very long numbers, half characters.
        return _decoder.decode(body.decode())
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> None:
    raise ValueError(word)


_decoder = json.JSONDecoder(parse_constant=_refuse)
_encoded = json.JSONEncoder(ensure_ascii=False).encode


class _Lines:
    """Writes lines; each waits for the next, for the last one carries the end."""

    def __init__(self, out: BinaryIO | None, signer: Signer | None) -> None:
        """`out` None: they are not wanted."""
        self._out = out
        self._signer = signer
        self._digest = sha256()
        self._journal = ""
        self._count = 0

    def write(self, head: dict[str, Any], body: bytes | None) -> None:
        line = _encoded(head).encode()[:-1]
        if self._count:
            line = b"}\n" + line
        else:
            self._journal = head["proof"]["journal"]
        if self._out is not None:
            line = line if body is None else line + BODY + body
            self._digest.update(line)
            self._out.write(line)
        self._count += 1

    def close(self) -> None:
        from buffer import statements

        digest = self._digest.hexdigest()
        end: dict[str, Any] = {"lines": self._count, "sha256": digest}
        if self._signer is not None:
            signature = self._signer.sign(statements.export(self._journal, digest))
            end |= {"key": self._signer.public, "signature": signature.hex()}
        if self._out is not None:
            self._out.write(END + json.dumps(end).encode() + b"}\n")
            self._out.flush()
