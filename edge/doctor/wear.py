"""How much of a disk's life is used, as far as sysfs tells."""

from __future__ import annotations

from pathlib import Path

from edge.doctor.block import disks_of

_STEPS = 10
"""An eMMC tells its life in tenths: 0x01 is up to 10 % used, 0x0b more than it was made for."""
_USED_UP = 0x0B


def wear(root: Path, path: Path) -> float | None:
    """Return what is used of the life of the disk under `path`, 0 to 1, of the worst of several.

    The upper end of the tenth that the disk tells; None where it tells nothing in /sys under
    `root`, as SD cards, SATA and NVMe disks do. Reads a few small files.
    """
    told = [used for disk in disks_of(root, path) if (used := life_time(disk)) is not None]
    return max(told, default=None)


def life_time(disk: Path) -> float | None:
    """Return the same of one disk, by its folder in /sys."""
    # Source: JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and _B; Documentation/driver-api/mmc.
    steps = [step for step in hexadecimal(disk / "device/life_time") if 1 <= step <= _USED_UP]
    return min(max(steps) / _STEPS, 1.0) if steps else None


def hexadecimal(file: Path) -> list[int]:
    """Return the numbers in a file of sysfs that are written `0x01 0x02`; none where it is not."""
    try:
        words = file.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
    try:
        return [int(word, 16) for word in words]
    except ValueError:
        return []
