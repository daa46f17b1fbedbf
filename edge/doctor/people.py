"""Users and groups of the box, out of /etc/passwd and /etc/group."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge.doctor.box import USER, Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Who the daemon is."""

    user: int
    groups: dict[int, str]

    def may(self, path: Path, wanted: int) -> bool:
        """Return whether it may do `wanted` (4 read, 2 write) with what is at `path`.

        Raises:
            OSError: it can't be looked at.
        """
        told = path.stat()
        if self.user == 0:
            return True
        shift = 6 if told.st_uid == self.user else 3 if told.st_gid in self.groups else 0
        return told.st_mode >> shift & wanted == wanted


def service(box: Box) -> Service | None:
    """Return who the daemon is: the user `storewarden`; None where there is none."""
    entry = next((row for row in _rows(box, "etc/passwd", 4) if row[0] == USER), None)
    if entry is None or not entry[2].isdecimal():
        return None
    groups = {
        int(row[2]): row[0]
        for row in _rows(box, "etc/group", 4)
        if row[2].isdecimal() and (row[2] == entry[3] or USER in row[3].split(","))
    }
    return Service(user=int(entry[2]), groups=groups)


def members(box: Box, group: str) -> list[str] | None:
    """Return who is in a group beside its own user; None where there is no such group."""
    row = next((row for row in _rows(box, "etc/group", 4) if row[0] == group), None)
    return None if row is None else [name for name in row[3].split(",") if name and name != USER]


def name_of(box: Box, user: int) -> str:
    """Return a user's name, else the number."""
    rows = _rows(box, "etc/passwd", 4)
    return next((row[0] for row in rows if row[2] == str(user)), str(user))


def myself() -> Service:
    """Return who asks, in place of a service that has no user of its own."""
    return Service(user=os.geteuid(), groups={g: str(g) for g in (*os.getgroups(), os.getegid())})


def _rows(box: Box, path: str, least: int) -> list[list[str]]:
    rows = [line.split(":") for line in (box.text(path) or "").splitlines()]
    return [row for row in rows if len(row) >= least]
