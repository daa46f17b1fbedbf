"""Sequence numbers of which nothing is here: what is left of them when some are found."""

from collections.abc import Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """Sequence numbers from `first` to `last` of which nothing is here."""

    first: int
    last: int
    file: str | None
    """Where they may be found yet."""


def remaining(runs: Sequence[Run], found: Sequence[tuple[int, int]]) -> list[Run]:
    """Return what stays of `runs` when `found`, each within one of them, are taken out."""
    left: list[Run] = []
    at = 0
    for run in runs:
        first = run.first
        while at < len(found) and found[at][0] <= run.last:
            if found[at][0] > first:
                left.append(Run(first, found[at][0] - 1, run.file))
            first = found[at][1] + 1
            at += 1
        if first <= run.last:
            left.append(Run(first, run.last, run.file))
    return left


def settled(run: Run, before: Sequence[Run]) -> list[Run]:
    """Split `run` where others were lost before, with the files that these may be found in yet."""
    parts: list[Run] = []
    first = run.first
    for other in sorted(before):
        start, end = max(first, other.first), min(run.last, other.last)
        if start <= end:
            if first < start:
                parts.append(Run(first, start - 1, run.file))
            parts.append(Run(start, end, other.file))
            first = end + 1
    if first <= run.last:
        parts.append(Run(first, run.last, run.file))
    return parts
