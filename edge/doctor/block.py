"""Which mount a path is on and which disks are under it, out of /proc/self/mountinfo and /sys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ESCAPED = re.compile(r"\\([0-7]{3})")
_DEEPEST = 8
"""Layers of overlays and mappings that are followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo, proc(5)."""

    number: str
    """Major and minor of its device, `179:2`; `0:…` where it has none of its own."""
    point: Path
    kind: str
    """The file system: ext4, overlay, tmpfs."""
    source: str
    options: tuple[str, ...]
    """Of the mount and of the file system."""


def mount_of(root: Path, path: Path) -> Mount | None:
    """Return the mount that `path` is on; None where mountinfo can't be read."""
    try:
        text = (root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = [m for m in map(_mount, text.splitlines()) if m and path.is_relative_to(m.point)]
    # Of two mounts on one point the later hides the earlier.
    return max(reversed(found), key=lambda m: len(m.point.parts), default=None)


def _mount(line: str) -> Mount | None:
    before, dash, after = line.partition(" - ")
    first, last = before.split(" "), after.split(" ")
    if not dash or len(first) < 6 or len(last) < 3:
        return None
    return Mount(
        number=first[2],
        point=Path(_plain(first[4])),
        kind=last[0],
        source=_plain(last[1]),
        options=(*first[5].split(","), *map(_plain, last[2].split(","))),
    )


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def disks_of(root: Path, path: Path) -> list[Path]:
    """Return the folders in /sys of the whole disks that keep what is written to `path`."""
    return _under(root, mount_of(root, path), _DEEPEST)


def _under(root: Path, mount: Mount | None, deep: int) -> list[Path]:
    if mount is None or not deep:
        return []
    if mount.kind == "overlay":
        upper = [o.removeprefix("upperdir=") for o in mount.options if o.startswith("upperdir=")]
        return _under(root, mount_of(root, Path(upper[0])), deep - 1) if upper else []
    at = root / "sys/dev/block" / mount.number
    if not at.exists():  # btrfs has a number of its own
        at = root / "sys/class/block" / Path(mount.source).name
    return sorted(set(_whole(at, _DEEPEST))) if mount.source else []


def _whole(at: Path, deep: int) -> Iterator[Path]:
    try:
        place = at.resolve(strict=True)
        below = sorted((place / "slaves").iterdir()) if (place / "slaves").is_dir() else []
    except OSError:
        return
    if below and deep:
        for slave in below:
            yield from _whole(slave, deep - 1)
    elif (place / "stat").is_file():
        yield place.parent if (place / "partition").is_file() else place
