"""Prove that a power cut loses no committed record: the whole daemon on a disk that forgets.

./dev prove power [--cuts 20] [--seed 1]     (root; Debian's nbdkit, libnbd-bin, fuse3)

What `storewarden status` called committed is an obligation. The power is cut in the middle of
writing; then the file system comes back and the journal is read and verified.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from bench.reaction import noise
from bench.volatile_disk import VolatileDisk, missing, volatile_disk
from buffer.journal import Journal
from edge.demo.store import configured, simulated
from tests.daemon import Daemon

RATE = 100.0


async def claimed_until_cut(folder: Path, disk: VolatileDisk, seconds: float) -> int:
    """Run the daemon, cut the power, kill it; return the last sequence that it had claimed."""
    async with simulated(folder) as store:
        daemon = Daemon(folder, configured(folder, store, None))
        daemon.state = disk.mount / "state"
        await daemon.start()
        talking = asyncio.create_task(noise(store, RATE))
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        claimed = 0
        while loop.time() < end:
            claimed = (await daemon.ask(do="status"))["journal"]["sequence"]
        await asyncio.to_thread(disk.cut)
        talking.cancel()
        await daemon.kill()
        await asyncio.gather(talking, return_exceptions=True)
    return claimed


def kept(disk: VolatileDisk) -> tuple[int, str]:
    """Return the last sequence in the file, and what is wrong with it."""
    state = disk.mount / "state"
    with Journal.open(state / "journal.db") as journal:
        broken = journal.verify()
        last = journal.stat().last
    asides = sorted(path.name for path in state.glob("*.aside-*"))
    wrong = f"record {broken.sequence}: {broken.reason}" if broken else ", ".join(asides)
    return last, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if os.geteuid() != 0 or missing():
        print(f"needs root and {', '.join(missing())}", file=sys.stderr)
        return 2
    random.seed(chosen.seed)
    owed = lost = 0
    faults: list[str] = []
    for _ in range(chosen.cuts):
        with tempfile.TemporaryDirectory() as disks, tempfile.TemporaryDirectory() as folder:
            with volatile_disk(Path(disks)) as disk:
                seconds = random.uniform(0.5, 2.5)
                claimed = asyncio.run(claimed_until_cut(Path(folder), disk, seconds))
                disk.on()
                last, wrong = kept(disk)
            owed += claimed
            lost += max(claimed - last, 0)
            faults += [wrong] if wrong else []
    print(f"{chosen.cuts} power cuts (seed {chosen.seed}):")
    print(f"  claimed committed  {owed}")
    print(f"  lost               {lost}")
    print(f"  broken files       {len(faults)} {'; '.join(faults[:3])}")
    return 1 if lost or faults else 0


if __name__ == "__main__":
    sys.exit(main())
