"""The records that begin a journal file: what was before it, and what was saved of that."""

import json
import secrets
from dataclasses import asdict, dataclass

from buffer.gap import Gap
from buffer.record import OPERATIONS, Draft, Kind

_TOLD = 20
"""Stretches of lost records that are named."""
_GAPS_TOLD = 20
"""Stretches of lost records that are told one by one."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """What became of a broken journal."""

    file: str
    """Its name beside the new one."""
    records: int
    """How many were taken over."""
    unsent: int
    """How many of them the broker did not have."""
    lost: tuple[tuple[int, int], ...]
    """First and last sequence of each stretch before `last` that is gone."""
    last: int | None
    """The last sequence that could be read; what came after it is not known."""

    def told(self) -> dict[str, object]:
        """Return it as JSON values; of many stretches only the first few."""
        return {
            "file": self.file,
            "records": self.records,
            "unsent": self.unsent,
            "lost": sum(last - first + 1 for first, last in self.lost),
            "gaps": [f"{first}-{last}" for first, last in self.lost[:_TOLD]],
        } | ({} if self.last is None else {"last": self.last})


def plain_salvaged(salvaged: Salvaged) -> Draft:
    """Return the record `journal.salvaged` as JSON, never published."""
    return Draft(
        id=secrets.token_hex(16),
        kind=Kind.EVENT,
        priority=OPERATIONS,
        topic=None,
        body=json.dumps({"signal": "journal.salvaged"} | salvaged.told()).encode(),
    )


def plain_topic(_kind: Kind, _body: bytes) -> str | None:
    """Return None: what a topic was called cannot be told from the record."""
    return None


def gaps_of(result: Salvaged) -> list[Gap]:
    """Return a gap for each stretch, the last for all that are too many to tell one by one."""
    lost = list(result.lost)
    if len(lost) > _GAPS_TOLD:
        rest = lost[_GAPS_TOLD - 1 :]
        lost = lost[: _GAPS_TOLD - 1]
        counts = [last - first + 1 for first, last in lost]
        counts.append(sum(last - first + 1 for first, last in rest))
        lost.append((rest[0][0], rest[-1][1]))
    else:
        counts = [last - first + 1 for first, last in lost]
    return [
        Gap(reason="damage", priority=OPERATIONS, count=count, first=first, last=last)
        for (first, last), count in zip(lost, counts, strict=True)
    ]
