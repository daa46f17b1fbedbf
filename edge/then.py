"""Why a rule did not fire at a time: whether it could, whether the box ran, what was missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from buffer.record import Kind
from buffer.scan import Row, Scan
from edge.again import Again, Reason, Then, read_body
from edge.config.model import Configuration
from edge.encode import utc
from edge.history import sequence_at
from edge.stories import as_json as told
from rules.model import Rule

CAUGHT_UP = 500
"""Records before a start that may be of what fell due while the box was down."""


def look(
    scan: Scan, configuration: Configuration, rule: Rule, since: datetime, until: datetime
) -> Then:
    """Return why `rule` did not fire from `since` to `until`.

    Raises:
        JournalError: the journal can't be read.
    """
    then = Then(since=since, until=until)
    if rule.inactive:
        then.reasons.append(Reason(code="inactive", text=f"it is inactive here: {rule.inactive}"))
    if rule.enabled == "no":
        then.reasons.append(Reason(code="disabled", text="it says enabled: no"))
    if rule.enabled == "shadow":
        text = "it says enabled: shadow: it decides, and nothing is done"
        then.reasons.append(Reason(code="shadow", text=text))
    first, end = sequence_at(scan, since), sequence_at(scan, until)
    then.reasons += _ran(scan, since, until, first, end)
    if end > scan.first and not rule.inactive and rule.enabled != "no":
        Again(scan, configuration, rule, then).play(first, end)
    return then


def _ran(scan: Scan, since: datetime, until: datetime, first: int, end: int) -> Iterator[Reason]:
    """Yield whether the journal knows of that time, and whether the box ran."""
    oldest = read_body(scan.at_or_after(scan.first))
    if oldest is not None and datetime.fromisoformat(oldest.at) >= until:
        text = f"the journal begins later, at {oldest.at}"
        yield Reason(code="journal", text=text)
        return
    for row in scan.backwards(first, end + 2000, (Kind.EVENT,), mark=b'"daemon.started"'):
        body = read_body(row)
        if body is None or body.signal != "daemon.started":
            continue
        up = datetime.fromisoformat(body.at)
        down = _last_before(scan, row.sequence, up - timedelta(seconds=1))
        if down is not None and down < until and up > since:
            text = f"the box did not run from {utc(down)}, its last record, to {utc(up)}"
            yield Reason(code="down", text=text)
    last = read_body(_before(scan, scan.last + 1))
    if last is not None and datetime.fromisoformat(last.at) < since:
        yield Reason(code="journal", text=f"the last record of the journal is of {last.at}")


def _before(scan: Scan, sequence: int) -> Row | None:
    row = scan.at_or_after(sequence - 1)
    return row if row is not None and row.sequence < sequence else None


def _last_before(scan: Scan, sequence: int, at: datetime) -> datetime | None:
    """Return the time of the last record before `sequence` that is older than `at`.

    What fell due while the box was down is journaled before it says that it has started.
    """
    for number in range(sequence - 1, max(sequence - CAUGHT_UP, scan.first - 1), -1):
        body = read_body(_before(scan, number + 1))
        if body is not None and (found := datetime.fromisoformat(body.at)) < at:
            return found
    return None


def as_json(then: Then) -> Mapping[str, Any]:
    """Return JSON values."""
    return {
        "since": utc(then.since),
        "until": utc(then.until),
        "replayed": then.replayed,
        "fired": then.fired,
        "missed": [told(missed) for missed in then.missed],
        "reasons": [{"code": r.code, "text": r.text} for r in then.reasons],
    }
