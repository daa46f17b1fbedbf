"""Folders that stand for / of a box: what its kernel says in /proc and /sys, as recorded."""

from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    """Write these files under `root`; returns it."""
    for name, text in files.items():
        at = root / name
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
    return root


def disk(root: Path, name: str, number: str, files: dict[str, str]) -> Path:
    """Make a disk of /sys with one partition, `number` being that of the partition.

    Returns the folder of the disk.
    """
    place = root / "sys/devices" / name
    part = place / f"{name}p1"
    write(place, {"stat": "1 0 8 0 2 0 16 0 0 0 0\n", **files})
    write(part, {"stat": "1 0 8 0 2 0 16 0 0 0 0\n", "partition": "1\n"})
    for link, target in {
        f"sys/dev/block/{number}": part,
        f"sys/class/block/{name}p1": part,
        f"sys/class/block/{name}": place,
    }.items():
        at = root / link
        at.parent.mkdir(parents=True, exist_ok=True)
        at.symlink_to(target)
    return place


def mounts(root: Path, *lines: str) -> None:
    """Write mountinfo; each line is `NUMBER POINT KIND SOURCE OPTIONS`."""
    text = ""
    for at, line in enumerate(lines):
        number, point, kind, source, options = line.split(" ")
        text += f"{at + 20} 1 {number} / {point} rw,relatime shared:1 - {kind} {source} {options}\n"
    write(root, {"proc/self/mountinfo": text})
