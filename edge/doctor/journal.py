"""The journal: does it open, does its chain hold at the end, what waits for the broker."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from edge.doctor.box import Box, aside, bytes_in_words, seconds_in_words
from edge.doctor.finding import Check, Finding, Subject

if TYPE_CHECKING:
    from buffer.journal import Journal
    from buffer.record import Record

OPENS = Check(
    "journal.opens",
    "can the journal be read, and how full is it?",
    "storewarden journal stat says more; docs/operations.md, When the journal is damaged",
)
CHAIN = Check(
    "journal.chain",
    "do the newest records fit the hash chain?",
    "storewarden journal verify checks all of it; keep a copy of {path} first",
)
TAKES = Check(
    "journal.takes",
    "does the journal take records, and was none lost?",
    "look at disk.room, disk.mount and disk.errors; storewarden status has the error",
)
UNSENT = Check(
    "journal.unsent",
    "does the broker get what happens?",
    "look at the findings of broker; storewarden status has the error of the uplink",
)
ASIDE = Check(
    "journal.aside",
    "were damaged journals set aside?",
    "after journal.salvaged they may be deleted; replace the disk if there are more than one",
)
NEWEST = 2_000
"""Records that are checked."""
LATE = 900.0
"""Seconds that the oldest may wait for the broker."""


async def _look(box: Box) -> AsyncIterator[Finding]:
    path = box.state / "journal.db"
    if aside_ones := sorted(p.name for p in box.state.glob("journal.db.aside-*")):
        yield ASIDE.warning(", ".join(aside_ones))
    if box.status is not None:
        yield _takes(box)
        if box.status["uplink"]["configured"]:
            yield _unsent(box)
    try:
        there = path.stat().st_size > 0
    except PermissionError:
        yield OPENS.unknown(f"{path} can't be read by this user")
        return
    except OSError:
        there = False
    if not there:
        yield OPENS.warning(f"there is none at {path}", "it is made at the first start")
        return
    for finding in await aside(lambda: _read(box)):
        yield finding


def _read(box: Box) -> list[Finding]:
    from buffer.journal import Journal
    from buffer.storage import JournalError

    path = box.state / "journal.db"
    try:
        with _untouched(path) or Journal.open(path, read_only=True) as journal:
            stat, newest = journal.stat(), journal.tail(NEWEST)
    except PermissionError:
        return [OPENS.unknown(f"{path} can't be read by this user")]
    except (JournalError, sqlite3.Error, OSError) as error:
        if box.user and any(word in str(error).lower() for word in ("permission", "readonly")):
            return [OPENS.unknown(f"{path} can't be read by this user")]
        return [OPENS.problem(str(error))]
    seen = f"{stat.records} records to {stat.last}, {bytes_in_words(stat.bytes)}"
    if box.configuration is not None:
        seen += f" of {bytes_in_words(float(box.configuration.site.buffer.max_size))}"
    waiting = sum(stat.unsent)
    seen += f", {waiting} unsent, {stat.evicted} evicted, {stat.refused} set aside"
    broken = misfit(newest)
    if broken is not None:
        return [OPENS.ok(seen), CHAIN.problem(f"record {broken} does not fit", path=path)]
    return [OPENS.ok(seen), CHAIN.ok(f"the newest {len(newest)} fit")]


def _untouched(path: Path) -> Journal | None:
    """Return the journal of a box that was stopped cleanly, opened so that no file is made beside.

    None where there is a log beside it: somebody has it open, or died with it.
    """
    from buffer.journal import Journal

    if Path(f"{path}-wal").exists():
        return None
    where = f"file:{quote(str(path))}?mode=ro&immutable=1"
    return Journal(path, sqlite3.connect(where, uri=True, isolation_level=None), read_only=True)


def misfit(newest: list[Record]) -> int | None:
    """Return the first record that does not follow from the one before it; None: all do."""
    from buffer import chain

    for before, record in pairwise(newest):
        if record.sequence != before.sequence + 1:
            continue
        body = chain.body_hash(record.body)
        if record.link != chain.link(before.link, record.sequence, record.priority, body):
            return record.sequence
    return None


def _takes(box: Box) -> Finding:
    told = (box.status or {})["journal"]
    seen = f"at {told['sequence']}, {told['waiting']} waiting, {told['lost']} lost"
    seen += f", {told['dropped']} dropped unsent"
    if told["error"]:
        return TAKES.problem(f"{seen}: {told['error']}")
    return TAKES.warning(seen) if told["lost"] or told["dropped"] else TAKES.ok(seen)


def _unsent(box: Box) -> Finding:
    told = (box.status or {})["uplink"]
    oldest = float(told["oldest_unsent"] or 0.0)
    seen = f"{told['backlog']} unsent, the oldest for {seconds_in_words(oldest)}"
    if not told["connected"]:
        return UNSENT.problem(f"not connected: {told['error']}; {seen}")
    if told["set_aside"]:
        return UNSENT.warning(f"{told['set_aside']} set aside for good; {seen}")
    return UNSENT.warning(seen) if oldest > LATE else UNSENT.ok(f"connected, {seen}")


SUBJECT = Subject("journal", (OPENS, CHAIN, TAKES, UNSENT, ASIDE), _look)
