"""Restarts and the wear of the disk come into the metrics, also of a disk that says nothing."""

import asyncio
import json
from pathlib import Path

import pytest

from edge import slow
from edge.metrics import Metrics

MOUNT = "22 1 179:2 / / rw,relatime - ext4 /dev/mmcblk0p2 rw\n"


def box(folder: Path, life_time: str) -> Path:
    """Make a root with one eMMC disk that says this of its life."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/mountinfo").write_text(MOUNT)
    disk = folder / "sys/devices/mmcblk0"
    (disk / "mmcblk0p2").mkdir(parents=True)
    for file in ("stat", "partition"):
        (disk / "mmcblk0p2" / file).write_text("2\n")
    (disk / "device").mkdir()
    (disk / "device/life_time").write_text(life_time)
    (folder / "sys/dev/block").mkdir(parents=True)
    (folder / "sys/dev/block/179:2").symlink_to(disk / "mmcblk0p2")
    return folder


@pytest.mark.parametrize(("life_time", "wear"), [("0x03 0x09\n", 0.9), ("rubbish\n", None)])
def test_the_wear_is_looked_at_once_and_then_an_hour_later(
    tmp_path: Path, life_time: str, wear: float | None
) -> None:
    metrics, root = Metrics("1"), box(tmp_path, life_time)
    metrics.wear = 0.5
    counts = {"watchdog": 2, "stop": 7}
    (tmp_path / "ends.json").write_text(json.dumps({"version": 1, "counts": counts}))

    async def main() -> None:
        looking = asyncio.create_task(slow.run(metrics, tmp_path, root))
        async with asyncio.timeout(20):
            while metrics.wear == 0.5:
                await asyncio.sleep(0.01)
        looking.cancel()

    asyncio.run(main())
    assert metrics.wear == wear
    assert metrics.ends["watchdog"] == 2
    assert metrics.ends["stop"] == 7
    assert metrics.ends["power"] == 0
