"""Upgrades of a whole machine: broken releases are gone back from, and power cuts are survived.

./dev prove upgrade [--cuts 6] [--ways import,ready,…] [--container] [--seed TEXT]

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import broken_releases, vm
from release import bundle
from tests import booted
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


Boot = Callable[[], AbstractContextManager[Installed]]
"""What gives the system power; the end of the block takes it away."""


@contextmanager
def emulated(base: Path, folder: Path, broker: Broker) -> Iterator[tuple[Boot, str]]:
    """Yield how the machine boots, and the address of the broker in it."""

    @contextmanager
    def boot() -> Iterator[Installed]:
        with vm.machine(base, folder, keep=True) as machine:
            words = (*machine._ssh("ssh", "-p"), "-N", "-R", f"{MQTT}:127.0.0.1:{broker.port}")
            tunnel = subprocess.Popen((*words, "root@127.0.0.1"), stdin=subprocess.DEVNULL)
            try:
                yield Installed(system=Emulated(machine=machine))
            finally:
                tunnel.kill()
                tunnel.wait(timeout=30)

    yield boot, f"mqtt://127.0.0.1:{MQTT}"


@contextmanager
def contained(port: int) -> Iterator[tuple[Boot, str]]:
    """Yield the same for a container, all of whose processes are killed at once for a cut."""
    with ExitStack() as ends:
        number = ends.enter_context(booted._number())
        folder = ends.enter_context(booted._overlay(booted.root("bookworm"), "store"))
        space = ends.enter_context(booted._network(number, nat=True))
        gateway = f"10.99.{number}.1"

        @contextmanager
        def boot() -> Iterator[Installed]:
            with booted._system(folder, space) as init:
                system = booted.Booted(
                    name="store",
                    suite="bookworm",
                    folder=folder,
                    address=f"10.99.{number}.2",
                    gateway=gateway,
                    key=booted._key(),
                    init=init,
                )
                booted._until_started(system)
                yield Installed(system=system)

        relay = (
            "socat",
            f"TCP-LISTEN:{MQTT},bind={gateway},fork,reuseaddr",
            f"TCP:127.0.0.1:{port}",
        )
        with subprocess.Popen(relay) as process:
            try:
                yield boot, f"mqtt://{gateway}:{MQTT}"
            finally:
                process.terminate()


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


def begin(store: Installed, cut: int, took: float, moments: random.Random) -> list[str]:
    """Begin an upgrade to the other release, and wait for the moment; return the ids before.

    Every other cut comes at any moment of it, the others while the new release is on trial.
    """
    store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"], 300.0)
    running = store.upgrades()["current"]
    other = "0.1.0" if running == "0.1.1" else "0.1.1"
    wish = json.dumps({"watch": 5.0, "keep": True})
    store.system.run("tee", f"/run/storewarden-upgrade-{other}.json", input=wish)
    before = store.ids()
    store.system.run("systemctl", "start", "--no-block", f"storewarden-upgrade@{other}.service")
    on_trial = cut % 2 == 1
    if on_trial:
        there = "until test -e /opt/storewarden/trial.json; do sleep 0.1; done"
        store.system.run("sh", "-c", there, timeout=300.0)
    after = moments.uniform(0.0, took / 5 if on_trial else took * 1.1)
    word = "trial of" if on_trial else "way to"
    print(f"cut {cut}: {after:.1f} s into the {word} {other}, from {running}", flush=True)
    time.sleep(after)  # the moment of the cut, drawn by lot
    return before


def judge(store: Installed, before: Sequence[str]) -> str:
    """See after a boot that a release runs, the trial is decided and nothing is lost."""
    status = store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"], 400.0)
    told = store.upgrades()
    assert told["trial"] is None, told
    assert told["current"] == status["version"], told
    kept(store, before)
    last = told["upgrades"][-1]
    said = f"{last['outcome']} {last['from']} to {last['to']} {last['reason']}"
    return f"{status['version']} runs; last of {len(told['upgrades'])} outcomes: {said}"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Prove upgrades on a whole machine.")
    parser.add_argument("--cuts", type=int, default=6)
    parser.add_argument("--ways", default=",".join(SIX))
    parser.add_argument("--base", type=Path, help="folder of the machine's base disk")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--bundle", type=Path, help="in place of one of this tree")
    parser.add_argument(
        "--container", action="store_true", help="a container whose processes are all killed"
    )
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as made, Broker(Path(made)) as broker:
        folder = Path(made)
        first = given.bundle or bundle.build(folder / "first", ["x86_64-3.11"])
        if given.container:
            with contained(broker.port) as (boot, url):
                prove(boot, url, first, folder, given)
        else:
            with emulated(vm.base(given.base), folder / "machine", broker) as (boot, url):
                prove(boot, url, first, folder, given)
    print("every release that was broken was gone back from; every cut left a box that runs")
    return 0


def prove(boot: Boot, url: str, first: Path, folder: Path, given: argparse.Namespace) -> None:
    """Install, play the ways, switch once, and cut again and again."""
    moments = random.Random(given.seed)
    with boot() as store:
        begun = time.monotonic()
        install(store.system, first, url, folder)
        print(f"installed in {time.monotonic() - begun:.0f} s", flush=True)
        for way in filter(None, given.ways.split(",")):
            prove_way(store, way, first, folder)
        copied(store, broken_releases.made(first, folder, "0.1.1"), "0.1.0", folder)
        begun = time.monotonic()
        done = store.system.run(PROGRAM, "upgrade", "to", "0.1.1", "--watch", "5s")
        took = time.monotonic() - begun
        print(f"{done.stdout.strip()}; {took:.0f} s in all", flush=True)
        before = begin(store, 1, took, moments) if given.cuts else []
    for cut in range(1, given.cuts + 1):
        with boot() as store:
            print(f"cut {cut}: {judge(store, before)}", flush=True)
            if cut < given.cuts:
                before = begin(store, cut + 1, took, moments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
