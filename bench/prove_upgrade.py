"""Upgrades of a whole machine: broken releases are gone back from, and power cuts are survived.

./dev prove upgrade [--cuts 6] [--ways import,ready,…] [--base FOLDER] [--seed TEXT]

A virtual machine with Debian 12 gets the bundle of this tree. Each way of bench/broken_releases.py
is switched to, and has to end at the release before, with no record lost. Then the power is cut
(qemu gets SIGKILL) at random moments of good upgrades there and back; each boot has to bring a
release that runs, a trial that is decided and a journal that verifies. Releases beyond the first
are made in the machine of the first and their own wheel: pip takes minutes under emulation.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import broken_releases, vm
from release import bundle
from tests.broker import Broker
from tests.upgrade.installed import PROGRAM, Installed, copied, install

SIX = ("import", "ready", "hang", "devices", "journal", "uplink")
MQTT = 1883
WATCH = "20s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """A machine, as what is to be installed sees a system."""

    machine: vm.Machine

    def run(
        self,
        *command: str,
        input: str | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
        timeout: float = 600.0,
    ) -> subprocess.CompletedProcess[str]:
        most = max(timeout, 600.0)
        return self.machine.run(shlex.join(command), input=input, check=check, timeout=most)

    def put(self, source: Path, target: str) -> None:
        self.run("mkdir", "-p", str(Path(target).parent))
        self.machine.put(source, target)


@contextmanager
def booted(base: Path, folder: Path, broker: Broker) -> Iterator[Installed]:
    """Boot the machine with a way to the broker; the end of the block is a power cut."""
    with vm.machine(base, folder, keep=True) as machine:
        words = (*machine._ssh("ssh", "-p"), "-N", "-R", f"{MQTT}:127.0.0.1:{broker.port}")
        tunnel = subprocess.Popen((*words, "root@127.0.0.1"), stdin=subprocess.DEVNULL)
        try:
            yield Installed(system=Emulated(machine=machine))
        finally:
            tunnel.kill()
            tunnel.wait(timeout=30)


def kept(store: Installed, before: Sequence[str]) -> None:
    """See that the journal holds what it held, and verifies."""
    verified = store.verified()
    assert verified.returncode == 0, verified.stdout + verified.stderr
    lost = set(before) - set(store.ids())
    assert not lost, f"{len(lost)} records are lost"


def prove_way(store: Installed, way: str, first: Path, folder: Path) -> None:
    """Switch to a release that is broken in this way; it has to be gone back from."""
    one = broken_releases.WAYS[way]
    made = broken_releases.broken(first, folder, way)
    version = copied(store, made, "0.1.0", folder)
    up = store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"], 300.0)
    assert up["version"] == "0.1.0"
    before, journal = store.ids(), store.journal()
    done = store.to(version, "--watch", WATCH, "--keep")
    assert done.returncode == 1, done.stdout
    assert one.says in done.stderr, done.stderr
    store.until(lambda s: s["version"] == "0.1.0" and s["uplink"]["connected"], 300.0)
    kept(store, before)
    assert store.journal() == journal
    outcome = store.upgrades()["upgrades"][-1]
    print(f"{way}: {outcome['outcome']} after {outcome['back']} s: {outcome['reason']}", flush=True)


def prove_cut(store: Installed, other: str, after: float) -> list[str]:
    """Begin an upgrade and wait for the moment of the cut; return what the journal holds then."""
    store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"], 300.0)
    unit = f"storewarden-upgrade@{other}.service"
    wish = json.dumps({"watch": 5.0, "keep": True})
    store.system.run("tee", f"/run/storewarden-upgrade-{other}.json", input=wish)
    before = store.ids()
    store.system.run("systemctl", "start", "--no-block", unit)
    time.sleep(after)  # the moment of the cut, drawn by lot
    return before


def judge(store: Installed, before: Sequence[str]) -> str:
    """See after a boot that a release runs, the trial is decided and nothing is lost."""
    status = store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"], 400.0)
    told = store.upgrades()
    assert told["trial"] is None, told
    assert told["current"] == status["version"], told
    kept(store, before)
    last = told["upgrades"][-1:] or [{"outcome": "no upgrade begun", "reason": ""}]
    return f"{status['version']} runs; last: {last[0]['outcome']} {last[0]['reason']}"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Prove upgrades on a whole machine.")
    parser.add_argument("--cuts", type=int, default=6)
    parser.add_argument("--ways", default=",".join(SIX))
    parser.add_argument("--base", type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--bundle", type=Path, help="in place of one of this tree")
    given = parser.parse_args(words)
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        first = given.bundle or bundle.build(folder / "first", ["x86_64-3.11"])
        base = vm.base(given.base)
        with Broker(folder) as broker:
            disk, url = folder / "machine", f"mqtt://127.0.0.1:{MQTT}"
            with booted(base, disk, broker) as store:
                begun = time.monotonic()
                install(store.system, first, url, folder)
                print(f"installed in {time.monotonic() - begun:.0f} s", flush=True)
                later = broken_releases.made(first, folder, "0.1.1")
                for way in filter(None, given.ways.split(",")):
                    prove_way(store, way, first, folder)
                copied(store, later, "0.1.0", folder)
                store.system.run("sync")
                running, before = "0.1.0", store.ids()
                took = time.monotonic()
                done = store.system.run(PROGRAM, "upgrade", "to", "0.1.1", "--watch", "5s")
                took = time.monotonic() - took
                print(f"{done.stdout.strip()}; {took:.0f} s in all", flush=True)
                running = "0.1.1"
                for cut in range(given.cuts):
                    other = "0.1.0" if running == "0.1.1" else "0.1.1"
                    after = moments.uniform(0.0, took * 1.1)
                    before = prove_cut(store, other, after)
                    print(f"cut {cut + 1}: {after:.1f} s into {running} to {other}", flush=True)
                    break
            for cut in range(given.cuts):
                with booted(base, disk, broker) as store:
                    print(f"cut {cut + 1}: {judge(store, before)}", flush=True)
                    running = store.upgrades()["current"]
                    if cut + 1 < given.cuts:
                        other = "0.1.0" if running == "0.1.1" else "0.1.1"
                        after = moments.uniform(0.0, took * 1.1)
                        before = prove_cut(store, other, after)
                        said = f"cut {cut + 2}: {after:.1f} s into {running} to {other}"
                        print(said, flush=True)
    print("every release that was broken was gone back from; every cut left a box that runs")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
