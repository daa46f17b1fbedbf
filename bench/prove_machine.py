"""Prove that a power cut of a whole machine loses nothing that was claimed before it.

./dev prove machine --boot CMD --cut CMD --ssh CMD [--cuts 10] [--journal PATH] [--run CMD]

The three commands are yours, so the machine may be a virtual one or a board on a switched socket:

  --boot  gives it power and returns once it answers     vm start 7
  --cut   takes its power away, at once                  vm kill 7
  --ssh   runs there what is given as its last argument  ssh root@10.0.4.7

In the machine, `--run` starts Python in this tree with what pyproject.toml names installed; by
default `cd /root/storewarden && exec python3`. It runs bench/keeper.py, whose claims come back over
ssh; the power is cut at a random moment of it, the machine boots, `storewarden journal verify`
judges the file there, and bench/oracle.py holds every claim that came against what the file holds.
At last, unless `--no-control`, a writer that never waits for the disk is cut and must lose claims.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

from bench import keeper
from bench.oracle import Found, Oracle, findings
from bench.prove_kill import claims_of, first_claim, killed

RUN = "cd /root/storewarden && exec python3"
JOURNAL = "/var/lib/storewarden/proof/journal.db"
LONGEST_LIFE = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What can be done to it."""

    boot: str
    cut: str
    ssh: str
    run: str

    def there(self, *arguments: str) -> list[str]:
        """Return the command that runs Python there with these arguments."""
        return [*shlex.split(self.ssh), f"{self.run} {shlex.join(arguments)}"]

    def ask(self, *arguments: str) -> tuple[int, str]:
        """Run Python there; returns its exit code and stdout."""
        done = subprocess.run(
            self.there(*arguments), check=False, stdout=subprocess.PIPE, text=True, timeout=600
        )
        return done.returncode, done.stdout

    def do(self, command: str) -> None:
        """Run one of the commands here.

        Raises:
            CalledProcessError: it failed.
        """
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL, timeout=900)


async def until_cut(machine: Machine, oracle: Oracle, seconds: float, *arguments: str) -> None:
    """Run the keeper there and cut the power `seconds` after its first claim."""
    process = await asyncio.create_subprocess_exec(
        *machine.there("-m", "bench.keeper", *arguments), stdout=subprocess.PIPE
    )
    before = oracle.claims
    claims = asyncio.create_task(claims_of(process, oracle))
    try:
        await first_claim(process, oracle, before)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(machine.do, machine.cut)
        # What was claimed is on its way here, perhaps.
        await asyncio.sleep(0.5)
    finally:
        await killed(process, claims)


def found(machine: Machine, journal: str, after: int) -> Found:
    """Return what the file there holds after sequence `after`, and what its own tool says of it."""
    verdict, said = machine.ask("-m", "edge.cli.main", "journal", "verify", "--file", journal)
    _, lines = machine.ask("-m", "bench.keeper", journal, "--read", "--after", str(after))
    try:
        told = keeper.heard(lines.splitlines())
    except (ValueError, TypeError) as error:
        return Found(journal="", kept=[], broken=f"it cannot be read: {error}")
    if verdict != 0 and not told.broken:
        return Found(journal=told.journal, kept=told.kept, broken=said.strip())
    return told


def prove(machine: Machine, cuts: int, seed: str, journal: str, *more: str) -> Oracle:
    """Cut the machine's power `cuts` times; a line for each cut is printed."""
    oracle, rng = Oracle(), random.Random(f"machine {seed}")
    print(f"{'cut':>4} {'claimed':>8} {'kept':>8} {'lost':>5}  boot, s")
    for number in range(cuts):
        claimed, kept, lost = oracle.claims, oracle.head, oracle.faults["lost"]
        life = (journal, "--seed", f"{seed}.{number}", *more)
        asyncio.run(until_cut(machine, oracle, rng.uniform(0.0, LONGEST_LIFE), *life))
        began = time.monotonic()
        machine.do(machine.boot)
        boot = time.monotonic() - began
        oracle.found(found(machine, journal, oracle.head))
        row = (oracle.claims - claimed, oracle.head - kept, oracle.faults["lost"] - lost)
        print(f"{number + 1:>4} {row[0]:>8} {row[1]:>8} {row[2]:>5}  {boot:.0f}", flush=True)
    return oracle


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boot", required=True)
    parser.add_argument("--cut", required=True)
    parser.add_argument("--ssh", required=True)
    parser.add_argument("--run", default=RUN)
    parser.add_argument("--journal", default=JOURNAL)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-control", dest="control", action="store_false")
    chosen = parser.parse_args()
    machine = Machine(boot=chosen.boot, cut=chosen.cut, ssh=chosen.ssh, run=chosen.run)
    began = time.monotonic()
    oracle = prove(machine, chosen.cuts, str(chosen.seed), chosen.journal)
    print(f"{chosen.cuts} power cuts of a machine (seed {chosen.seed}):")
    print(findings(oracle, upstream=False), flush=True)
    good = not oracle.faults
    if chosen.control:
        print("control, a writer that never waits for the disk (synchronous=OFF):")
        control = f"{chosen.journal}.control"
        lies = ("--control", "synchronous-off")
        oracle = prove(machine, 1, f"control {chosen.seed}", control, *lies)
        good &= oracle.faults["lost"] > 0
        if not oracle.faults["lost"]:
            print("  nothing was lost: this machine proves nothing")
    print(f"in {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
