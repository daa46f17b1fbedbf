"""The upgrade that is on trial, and what became of those before it: files that survive a cut."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from edge.upgrade import durable
from edge.upgrade.layout import Layout

DONE, RETURNED, REFUSED = "done", "returned", "refused"
"""How an upgrade ends: the new release stays, the old one runs again, it was not begun."""
KEPT = 1_000
"""Outcomes that are read at most, the newest."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """An upgrade that is not decided yet."""

    from_: str
    to: str
    began: str
    """RFC 3339, UTC; with `to` it names this upgrade."""
    boot: str = ""
    """The boot id of the kernel."""
    previous: str | None = None
    """What `previous` named before."""
    reason: str = ""
    """Why it is gone back from, as soon as that is decided."""
    by: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What became of an upgrade."""

    outcome: str
    """`done`, `returned` or `refused`."""
    from_: str
    to: str
    began: str
    ended: str
    reason: str = ""
    by: str = ""
    downtime: float | None = None
    """Seconds without a running pipeline, of the first switch."""
    back: float | None = None
    """Of a return: seconds from the first switch until the old release ran again."""


def now() -> str:
    """Return the wall clock's time as the files have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write(layout: Layout, trial: Trial) -> None:
    """Keep the trial, synced.

    Raises:
        OSError: it can't be written.
    """
    durable.write(layout.trial, msgspec.json.encode(trial) + b"\n")


def read(layout: Layout) -> Trial | None:
    """Return the upgrade on trial; None when there is none, or what is there can't be read."""
    try:
        return msgspec.json.decode(layout.trial.read_bytes(), type=Trial)
    except (OSError, ValueError, RecursionError):
        return None


def refused(trial: Trial, reason: str) -> Outcome:
    """Return the outcome of an upgrade that was not begun."""
    return Outcome(
        outcome=REFUSED,
        from_=trial.from_,
        to=trial.to,
        began=trial.began,
        ended=now(),
        reason=reason,
        by=trial.by,
    )


def end(layout: Layout) -> None:
    """The trial is decided.

    Raises:
        OSError: the file can't be removed.
    """
    durable.remove(layout.trial)


def record(layout: Layout, outcome: Outcome) -> None:
    """Add to what became of upgrades, synced; it is to be told.

    Raises:
        OSError: it can't be written.
    """
    line = as_json(outcome)
    if outcome.outcome != REFUSED:
        durable.write(layout.untold, line + b"\n")
    durable.append(layout.outcomes, line)


def outcomes(layout: Layout) -> list[Outcome]:
    """Return what became of the last upgrades, oldest first; a line that a cut left is skipped."""
    try:
        lines = layout.outcomes.read_bytes().splitlines()[-KEPT:]
    except OSError:
        return []
    return [found for line in lines if (found := _outcome(line)) is not None]


def untold(layout: Layout) -> Outcome | None:
    """Return the outcome that the daemon has not been told."""
    try:
        return _outcome(layout.untold.read_bytes())
    except OSError:
        return None


def told(layout: Layout) -> None:
    """The daemon knows. Where the file can't be removed it is told once more."""
    with suppress(OSError):
        durable.remove(layout.untold)


def decided(layout: Layout, trial: Trial) -> Outcome | None:
    """Return the outcome of this very trial, where a cut came between it and its end."""
    for outcome in reversed(outcomes(layout)):
        same = (outcome.from_, outcome.to, outcome.began) == (trial.from_, trial.to, trial.began)
        if same and outcome.outcome != REFUSED:
            return outcome
    return None


def as_json(outcome: Outcome) -> bytes:
    return msgspec.json.encode(outcome)


def as_data(outcome: Outcome) -> dict[str, object]:
    """Return the outcome as in its line."""
    data: dict[str, object] = msgspec.json.decode(as_json(outcome))
    return data


def _outcome(line: bytes) -> Outcome | None:
    try:
        return msgspec.json.decode(line, type=Outcome)
    except (ValueError, RecursionError):
        return None
