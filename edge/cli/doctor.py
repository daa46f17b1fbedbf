"""`storewarden doctor`: what may be wrong with this box, with a remedy each; changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge.cli import words

if TYPE_CHECKING:
    from edge.doctor.finding import Finding

SIGNS = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM", "unknown": "unknown"}
_COLOURS = {"ok": "32", "warning": "33", "problem": "1;31", "unknown": "36"}


def add(commands: Any) -> None:
    doctor = words.command(
        commands,
        "doctor",
        "look at time, disk, rights, ports, broker, cameras, watchdog, board and service; "
        "changes nothing",
        act,
        "storewarden doctor --config /etc/storewarden",
    )
    words.config_option(doctor)
    words.json_option(doctor)
    doctor.add_argument(
        "--table", action="store_true", help="print the table of all checks, and look at nothing"
    )


def act(chosen: argparse.Namespace) -> int:
    from edge.doctor.examine import box_at, examine, table

    if chosen.table:
        print(table(), end="")
        return words.answer(good=True)

    async def look() -> list[Finding]:
        return await examine(await box_at(chosen.config))

    found = asyncio.run(look())
    if chosen.json:
        words.print_json([asdict(finding) for finding in found])
    else:
        _show(found)
    return words.answer(good=not any(finding.level == "problem" for finding in found))


def _show(found: list[Finding]) -> None:
    from edge.cli.plainly import wrapped

    width = max((len(finding.check) for finding in found), default=0)
    for finding in found:
        sign = SIGNS[finding.level]
        line = f"{sign:<7}  {finding.check:<{width}}  {finding.seen}"
        for number, part in enumerate(wrapped(line, width + 11)):
            if not number and sys.stdout.isatty():
                part = f"\x1b[{_COLOURS[finding.level]}m{sign:<7}\x1b[0m{part[7:]}"
            print(part)
        if finding.remedy:
            print("\n".join(wrapped(f"{'':<{width + 11}}do: {finding.remedy}", width + 15)))
    counts = [
        words.counted(sum(finding.level == level for finding in found), name)
        for level, name in (("problem", "problem"), ("warning", "warning"))
    ]
    unknown = sum(finding.level == "unknown" for finding in found)
    good = sum(finding.level == "ok" for finding in found)
    print(f"{', '.join(counts)}, {unknown} not seen, {good} ok")
