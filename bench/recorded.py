"""Whether a backtest tells the truth: it finds the firings that the box has journaled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from buffer.journal import Journal
from buffer.record import Kind
from edge.backtesting import compare
from edge.config.load import load
from edge.encode import body_of

Firing = tuple[str, str, str]
"""Rule, member and the id of the completing event."""


def recorded(journal: Path) -> Iterator[Firing]:
    """Yield the firings in a journal; those of incidents and the like, made again, aside."""
    again: set[str] = set()
    with Journal.open(journal, read_only=True) as opened:
        for record in opened.since(0):
            if record.kind not in (Kind.EVENT, Kind.OUTCOME, Kind.DECISION):
                continue
            body = body_of(record)
            if body.signal in MADE_AGAIN:
                again.add(record.id)
            elif body.signal == "rule.fired" and not body.data.get("step"):
                data = body.data
                cause = data["cause"]
                yield data["rule"], data["member"], "" if cause in again else cause


MADE_AGAIN = frozenset(
    {
        *("incident.opened", "mode.changed", "evacuation.started", "evacuation.ended", "daily"),
        *("order.done", "order.failed", "output.on", "output.off"),
    }
)
"""What a backtest makes again, under ids of its own."""


def differences(configuration: Path, journal: Path) -> list[str]:
    """Return the firings that are only recorded, or only found by a backtest of the same rules."""
    now = load(configuration)
    nothing = replace(now, rules=replace(now.rules, rules=()))
    report = compare(now, nothing, journal)
    found = Counter(
        (a.rule, a.member, "" if a.signal in MADE_AGAIN else a.cause) for a in report.examples
    )
    known = Counter(recorded(journal))
    return [
        *(f"only recorded: {rule} {member} {cause}" for rule, member, cause in known - found),
        *(
            f"only in the backtest: {rule} {member} {cause}"
            for rule, member, cause in found - known
        ),
    ]
