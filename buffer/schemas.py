"""The numbered scripts that make a journal, and which older programs may go on with one.

Each script says `-- compatible: N`: the lowest schema whose program can go on in a file that has
had it. N below its own number is for a script that only adds: tables, indexes, views, and columns
with a default in tables other than `records`, `evicted` and `folded`. Such a program leaves what it
does not know as it is, so what was added must bear that records came and went without it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_COMPATIBLE = re.compile(r"^-- compatible: ([0-9]+)$", re.MULTILINE)
_NOTED = "compatible."
"""The name in the table `counters` under which a file says it, before the schema it is of."""


@cache
def schema() -> tuple[str, ...]:
    """Return the numbered scripts, in order; the n-th leads to schema version n."""
    folder = Path(__file__).parent / "schema"
    scripts = sorted(s.name for s in folder.iterdir() if s.name.endswith(".sql"))
    return tuple((folder / name).read_text(encoding="utf-8") for name in scripts)


def declared(script: str, number: int) -> int:
    """Return the lowest schema whose program can go on after the script that leads to `number`.

    A script that does not say so leaves no older program.
    """
    found = _COMPATIBLE.search(script)
    return min(int(found[1]), number) if found else number


def lowest(scripts: Sequence[str]) -> int:
    """Return the lowest schema whose program can go on in a file that has had all `scripts`."""
    return max((declared(script, n) for n, script in enumerate(scripts, 1)), default=0)


def noted(db: sqlite3.Connection) -> int:
    """Return the lowest schema whose program can go on in this file: its own, unless it says so.

    Raises:
        sqlite3.Error: it can't be read.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    try:
        query = "SELECT value FROM counters WHERE name = ?"
        found = db.execute(query, (f"{_NOTED}{version}",)).fetchone()
    except sqlite3.OperationalError:  # it is no journal of ours
        return int(version)
    usable = found is not None and isinstance(found[0], int) and 0 < found[0] <= version
    return int(found[0] if usable else version)


def note(scripts: Sequence[str]) -> str:
    """Return the statement by which a file that has had all `scripts` says who can go on in it.

    Nothing where nobody but their program can.
    """
    number, least = len(scripts), lowest(scripts)
    if least == number:
        return ""
    row = f"('{_NOTED}{number}', {least})"
    return f"INSERT OR REPLACE INTO counters (name, value) VALUES {row}"  # noqa: S608 - numbers
