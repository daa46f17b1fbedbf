"""Prove that a power cut loses nothing that was claimed: a disk that forgets what was not flushed.

./dev prove power [--cuts 200] [--daemon-cuts 40] [--seed 1]
                                    (root; Debian's nbdkit, libnbd-bin, fuse3)

The journal's writer alone (bench/keeper.py), and then the whole daemon over a simulated store, live
on one ext4 disk each, through all the cuts: what a cut leaves is what the next life goes on with.
After each cut bench/oracle.py holds every claim, and everything that had arrived upstream, against
the file, and verifies the chain; in the end all of the file must have arrived. Two controls must
lose claims, or the proof fails: a writer that never waits for the disk, and a file system that
never flushes the disk's cache.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench import keeper
from bench.busy import busy, roomy
from bench.oracle import Oracle, findings, look
from bench.prove_kill import (
    EVERYTHING,
    ask_for_claims,
    claims_of,
    command,
    content,
    daemon_drained,
    drained,
    first_claim,
    from_daemon,
    from_keeper,
    killed,
    started,
)
from bench.upstream import upstream
from bench.volatile_disk import PACKAGES, VolatileDisk, missing, volatile_disk
from edge.demo.store import configured, simulated
from tests.daemon import Daemon

MEGABYTES = 256
"""Size of the disks: room for a full journal."""
CONTROL_CUTS = 5
"""Cuts in each control at most; it ends with the first that loses something."""


async def keep_until_cut(
    disk: VolatileDisk, oracle: Oracle, rng: random.Random, *arguments: str
) -> None:
    """Run the keeper, cut the power at a random moment, and end it."""
    journal = disk.mount / "journal.db"
    process = await asyncio.create_subprocess_exec(
        *command(str(journal), *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    before = oracle.claims
    claims = asyncio.create_task(claims_of(process, oracle))
    try:
        if rng.random() < 0.1:
            await asyncio.sleep(rng.uniform(0.0, 0.4))
        else:
            await first_claim(process, oracle, before)
            await asyncio.sleep(rng.uniform(0.0, 0.6))
        disk.cut()
        # What it still claims now is owed, too.
        await asyncio.sleep(0.02)
    finally:
        await killed(process, claims)


async def prove_keeper(
    cuts: int, seed: str, *, control: str | None = None, options: str = "defaults"
) -> Oracle:
    """Cut the keeper's power `cuts` times on one disk, a control until something is lost."""
    oracle, rng = Oracle(), random.Random(f"keeper {seed}")
    is_control = control is not None or options != "defaults"
    more = ["--control", control] if control else []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = stack.enter_context(volatile_disk(folder, megabytes=MEGABYTES, options=options))
        up = await stack.enter_async_context(
            upstream(folder, oracle, rng, keeper.TOPIC, from_keeper(oracle))
        )
        journal = disk.mount / "journal.db"
        for number in range(cuts):
            life = ("--seed", f"{seed}.{number}", "--broker", up.url, *more)
            await keep_until_cut(disk, oracle, rng, *life)
            mounted = await back(disk, oracle)
            if oracle.claims or journal.exists():
                oracle.found(look(journal, oracle.head, keeper.content, whole=True))
            progress(number + 1, cuts, oracle)
            if not mounted or (is_control and oracle.faults):
                return oracle
        await drained(oracle, journal, up)
    return oracle


async def back(disk: VolatileDisk, oracle: Oracle) -> bool:
    """Give the disk power again; returns whether the file system can be mounted."""
    oracle.interrupted()
    await asyncio.to_thread(disk.gone)
    try:
        await asyncio.to_thread(disk.on)
    except subprocess.CalledProcessError:
        return False
    return True


async def run_until_cut(
    disk: VolatileDisk, daemon: Daemon, oracle: Oracle, rng: random.Random
) -> None:
    """Run the daemon, cut the power at a random moment, and end it."""
    await started(daemon)
    asking = asyncio.create_task(ask_for_claims(daemon, oracle))
    try:
        await asyncio.sleep(rng.uniform(0.0, 1.5))
        disk.cut()
        # What it still claims now is owed, too.
        await asyncio.sleep(0.05)
    finally:
        await daemon.kill()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def prove_daemon(cuts: int, seed: int) -> Oracle:
    """Cut the daemon's power `cuts` times on one disk."""
    oracle, rng = Oracle(), random.Random(f"daemon {seed}")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disks = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = stack.enter_context(volatile_disk(disks, megabytes=MEGABYTES))
        up = await stack.enter_async_context(
            upstream(folder, oracle, rng, EVERYTHING, from_daemon(oracle))
        )
        store = await stack.enter_async_context(simulated(folder))
        load = await stack.enter_async_context(busy(store, rng))
        daemon = Daemon(folder, roomy(configured(folder, store, up.url)))
        daemon.state = disk.mount / "state"
        for number in range(cuts):
            await run_until_cut(disk, daemon, oracle, rng)
            mounted = await back(disk, oracle)
            oracle.found(look(daemon.state / "journal.db", oracle.head, content, whole=True))
            progress(number + 1, cuts, oracle)
            if not mounted:
                return oracle
        load.cancel()
        await daemon_drained(oracle, daemon, up)
    return oracle


def progress(number: int, of: int, oracle: Oracle) -> None:
    if sys.stderr.isatty() or number % 20 == 0:
        end = "\n" if number % 20 == 0 or number == of else ""
        print(
            f"\r{number} of {of} cuts, {oracle.claims} claims", end=end, file=sys.stderr, flush=True
        )


def controls(seed: int) -> bool:
    """Run both controls; returns whether both lost what they had claimed."""
    good = True
    for name, control, options in (
        ("a writer that never waits for the disk (synchronous=OFF)", "synchronous-off", "defaults"),
        ("a file system that never flushes (nobarrier)", None, "nobarrier"),
    ):
        proving = prove_keeper(CONTROL_CUTS, f"control {seed}", control=control, options=options)
        oracle = asyncio.run(proving)
        lost = oracle.faults["lost"]
        verdict = f"{lost} of {oracle.claims} claims lost, as it must"
        if not lost:
            verdict, good = f"none of {oracle.claims} claims lost: this disk proves nothing", False
        print(f"control, {name}: {verdict}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=200, help="of the writer alone")
    parser.add_argument("--daemon-cuts", type=int, default=40, help="of the whole daemon")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if needed := missing():
        print(f"needs {', '.join(needed)} (as root: apt install {PACKAGES})", file=sys.stderr)
        return 2
    good = controls(chosen.seed)
    began = time.monotonic()
    if chosen.cuts:
        oracle = asyncio.run(prove_keeper(chosen.cuts, str(chosen.seed)))
        print(f"{chosen.cuts} power cuts of the writer (seed {chosen.seed}):")
        print(findings(oracle, upstream=True), flush=True)
        good &= not oracle.faults
    if chosen.daemon_cuts:
        oracle = asyncio.run(prove_daemon(chosen.daemon_cuts, chosen.seed))
        print(f"{chosen.daemon_cuts} power cuts of the whole daemon (seed {chosen.seed}):")
        print(findings(oracle, upstream=True), flush=True)
        good &= not oracle.faults
    print(f"in {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
