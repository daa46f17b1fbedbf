"""The disk under the state folder: room, mount, wear, errors, and how much is written to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from edge.doctor.block import Mount, disks_of, mount_of
from edge.doctor.box import Box, aside, bytes_in_words
from edge.doctor.finding import Check, Finding, Subject
from edge.doctor.wear import hexadecimal, life_time

ROOM = Check(
    "disk.room",
    "is there room for the journal to grow to `max_size`?",
    "remove what fills it: du -xh --max-depth=2 {path} | sort -h; or lower buffer.max_size",
)
MOUNT = Check(
    "disk.mount",
    "is the file system writable, lasting, and does it sync what it says it does?",
    "mount {path} as ext4 with rw,noatime and nothing else in /etc/fstab, then restart",
)
WEAR = Check(
    "disk.wear",
    "how much of the disk's life is used?",
    "replace {disk} within weeks, by a bigger one",
)
WRITES = Check(
    "disk.writes",
    "how much is written to it in a day?",
    "find who writes: iotop -boa -d 60 -n 2; keep the log of the system small",
)
ERRORS = Check(
    "disk.errors", "have there been errors of the disk or its file system?", "replace {disk}"
)
LITTLE = 0.1
"""What should be left of a disk."""
WORN, WORN_OUT = 0.8, 0.9
MUCH = 20e9
"""Bytes a day from which an SD card does not last."""
SECTOR = 512
"""Source: Documentation/block/stat.rst, whatever the disk's own sectors are."""
_LIES = ("nobarrier", "barrier=0", "data=writeback", "nolazytime_sync", "async_commit")
_FLEETING = ("tmpfs", "ramfs", "squashfs", "iso9660")
_ELSEWHERE = ("nfs", "nfs4", "cifs", "9p", "fuse.sshfs", "vfat", "exfat", "ntfs", "ntfs3")
_FATAL, _URGENT = 2, 3


async def _look(box: Box) -> AsyncIterator[Finding]:
    path = _there(box.state)
    yield await aside(lambda: _room(box, path))
    mount = mount_of(box.root, path)
    if mount is None:
        yield MOUNT.unknown("this system does not tell its mounts", "findmnt " + str(path))
    else:
        yield _mount(box, mount, path)
    disks = disks_of(box.root, path)
    if not disks:
        why = f"which disk {path} is on can't be told"
        for check in (WEAR, WRITES, ERRORS):
            yield check.unknown(why, f"findmnt --target {path}")
    for disk in disks:
        yield _wear(disk)
        yield _writes(box, disk)
        yield _errors(box, disk)


def _there(path: Path) -> Path:
    """Return the nearest folder above that is there: before the first start there is none."""
    resolved = path.absolute()
    return next((p for p in (resolved, *resolved.parents) if os.access(p, os.F_OK)), Path("/"))


def _room(box: Box, path: Path) -> Finding:
    told = os.statvfs(path)
    free, whole = told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize
    wanted = int(box.configuration.site.buffer.max_size) if box.configuration else 512_000_000
    taken = sum(_size(box.state / name) for name in _JOURNAL)
    seen = f"{bytes_in_words(free)} free of {bytes_in_words(whole)}; "
    seen += f"the journal takes {bytes_in_words(taken)} and may take {bytes_in_words(wanted)}"
    if free < max(wanted - taken, 0):
        return ROOM.problem(seen, path=path)
    if free - max(wanted - taken, 0) < LITTLE * whole:
        return ROOM.warning(seen, path=path)
    return ROOM.ok(seen)


_JOURNAL = (
    "journal.db",
    "journal.db-wal",
    "journal.db-shm",
    "journal.db.reserved",
    "journal.db.ballast",
)


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * SECTOR
    except OSError:
        return 0


def _mount(box: Box, mount: Mount, path: Path) -> Finding:
    options = [o for o in mount.options if o in ("ro", "rw", "sync") or o in _LIES]
    seen = f"{mount.kind} on {mount.source} at {mount.point}, {','.join(dict.fromkeys(options))}"
    if "ro" in mount.options:
        return MOUNT.problem(f"{seen}: nothing can be kept", path=mount.point)
    if lies := [o for o in options if o in _LIES]:
        return MOUNT.problem(f"{seen}: {lies[0]} loses what was synced", path=mount.point)
    if mount.kind in _FLEETING:
        return MOUNT.problem(f"{seen}: it does not last over a power cut", path=path)
    if mount.kind in _ELSEWHERE:
        return MOUNT.warning(f"{seen}: a journal is not safe there", path=path)
    if mount.kind != "overlay":
        return MOUNT.ok(seen)
    under = _under(box, mount)
    if under is not None and under.kind in _FLEETING:
        return MOUNT.problem(f"{seen}: an overlay in memory does not last", path=path)
    if under is None:  # of an overlay that the start of the system has made, as raspi-config does
        why = "what it keeps may be in memory, and end with the power"
        return MOUNT.unknown(f"{seen}: {why}", f"mount {path} of its own, as ext4, in /etc/fstab")
    return MOUNT.ok(seen)


def _under(box: Box, mount: Mount) -> Mount | None:
    """Return the mount that an overlay writes to; None where it can't be seen from here."""
    upper = [o.removeprefix("upperdir=") for o in mount.options if o.startswith("upperdir=")]
    under = mount_of(box.root, Path(upper[0])) if upper else None
    return None if under == mount else under


def _wear(disk: Path) -> Finding:
    used, ends = life_time(disk), hexadecimal(disk / "device/pre_eol_info")
    if ends and ends[0] >= _URGENT:
        return WEAR.problem(f"{disk.name}: 90 % of its spare blocks are gone", disk=disk.name)
    if used is None:
        way = f"nvme smart-log /dev/{disk.name}" if disk.name.startswith("nvme") else (
            f"smartctl -a /dev/{disk.name}" if disk.name.startswith("sd") else
            "nothing tells: replace an SD card every two years, or boot from an SSD")  # fmt: skip
        return WEAR.unknown(f"{disk.name} does not tell it in /sys", way)
    seen = f"{disk.name}: up to {used:.0%} of its life is used"
    if used >= WORN_OUT:
        return WEAR.problem(seen, disk=disk.name)
    if used >= WORN or (ends and ends[0] == _FATAL):
        return WEAR.warning(seen, disk=disk.name)
    return WEAR.ok(seen)


def _writes(box: Box, disk: Path) -> Finding:
    try:
        sectors = int((disk / "stat").read_text().split()[6])
        up = float((box.text("proc/uptime") or "").split()[0])
    except (OSError, ValueError, IndexError):
        return WRITES.unknown(f"{disk.name} does not tell", f"cat /sys/block/{disk.name}/stat")
    a_day = sectors * SECTOR * 86400 / max(up, 1.0)
    seen = f"{disk.name}: {bytes_in_words(sectors * SECTOR)} in {up / 3600:.1f} h, "
    seen += f"{bytes_in_words(a_day)} a day"
    if up < 3600:
        return WRITES.ok(f"{seen} (the box was started less than an hour ago)")
    return WRITES.warning(seen) if a_day > MUCH else WRITES.ok(seen)


def _errors(box: Box, disk: Path) -> Finding:
    told = []
    for part in (disk.name, *sorted(p.parent.name for p in disk.glob("*/partition"))):
        told.append((f"ext4 of {part}", box.number(f"sys/fs/ext4/{part}/errors_count")))
    failed = hexadecimal(disk / "device/ioerr_cnt")
    told.append((f"requests of {disk.name}", failed[0] if failed else None))
    known = [(name, count) for name, count in told if count is not None]
    if not known:
        return ERRORS.unknown(f"{disk.name} counts none", "journalctl -k | grep -i 'I/O error'")
    bad = [f"{name}: {count} errors" for name, count in known if count]
    if not bad:
        return ERRORS.ok(f"{', '.join(name for name, _ in known)}: none")
    if any(name.startswith("ext4") and count for name, count in known):
        return ERRORS.problem("; ".join(bad), disk=disk.name)
    return ERRORS.warning("; ".join(bad), "journalctl -k | grep -i 'I/O error'")


SUBJECT = Subject("disk", (ROOM, MOUNT, WEAR, WRITES, ERRORS), _look)
