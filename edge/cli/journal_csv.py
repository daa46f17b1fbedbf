"""An export as a table for people: RFC 4180 with a byte order mark, opened by any spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from buffer.proof_rows import Kept

COLUMNS = (
    "sequence",
    "time at the site",
    "time UTC",
    "clock",
    "device",
    "signal",
    "what",
    "kind",
    "priority",
    "id",
)
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet would take for a formula."""

Row = Callable[[int, str, str, str | None, "Kept", Any], None]


def table(out: BinaryIO, zone: str) -> Row:
    """Write the heads of the columns to `out`; returns what writes a row."""
    there = ZoneInfo(zone)

    def write(*cells: object) -> None:
        text = io.StringIO()
        csv.writer(text).writerow([_harmless(cell) for cell in cells])
        out.write(text.getvalue().encode("utf-8", "replace"))

    def row(
        sequence: int, kind: str, priority: str, time: str | None, kept: Kept, body: Any
    ) -> None:
        told: Mapping[str, Any] = body if isinstance(body, dict) else {}
        data = told.get("data", {})
        said = _plain(data) if kind != "snapshot" else f"{len(kept.body)} bytes"
        if body is None:
            said = kept.body.hex()
        at = time or str(told.get("at", ""))
        write(
            sequence,
            _local(at, there),
            at,
            "corrected" if time is not None else told.get("clock", "trusted"),
            told.get("device", ""),
            told.get("signal", ""),
            said,
            kind,
            priority,
            kept.identity,
        )

    out.write("\ufeff".encode())
    write(*COLUMNS)
    return row


def _local(at: str, there: ZoneInfo) -> str:
    try:
        return datetime.fromisoformat(at).astimezone(there).isoformat(" ", "milliseconds")
    except (ValueError, OverflowError):
        return ""


def _plain(data: Any) -> str:
    if not isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False)
    return "; ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in data.items()
    )


def _harmless(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULAS) else text
