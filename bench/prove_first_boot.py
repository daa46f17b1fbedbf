"""Prove that a dead box is replaced by a bundle and one file: in whole Debian systems, timed.

./dev prove first_boot [--bundle FILE] [--machine [--base DIR]] [bookworm trixie]

Each system is booted by systemd-nspawn. The bundle is installed without a network, a
`storewarden.yaml` and a configuration are put where the boot partition is, and the units are
started in the order of a boot. What is printed is how many seconds each took, and what was found;
it ends with 1 when something is otherwise than the pages say. With `--machine` a virtual machine
is booted instead, with a FAT stick on its USB.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import first_boot_machine, vm
from release import bundle
from tests.booted import Booted, boot, unavailable

ROOT = Path(__file__).parents[1]
TARGETS = {"bookworm": "x86_64-3.11", "trixie": "x86_64-3.13"}
UNITS = ("storewarden-first-boot", "storewarden")
CONFIGURATION = ROOT / "examples/rtu_counter"
NETWORK = "systemd/network/05-storewarden.network"
FILE = """\
site: store_0421
timezone: Europe/London
network: {{interface: {interface}, address: {address}/24, gateway: {gateway}}}
mqtt: {{url: "mqtts://broker.example.com:8883", username: store_0421, password: hunter2}}
"""


def main() -> int:
    """Prove it for each system; return 0 when all was as it should be."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("suites", nargs="*", default=list(TARGETS))
    options.add_argument("--bundle", type=Path)
    options.add_argument("--machine", action="store_true")
    options.add_argument("--base", type=Path, help="folder of a machine's disk; made if need be")
    chosen = options.parse_args()
    if chosen.machine:
        with tempfile.TemporaryDirectory() as made:
            archive = chosen.bundle or bundle.build(Path(made), [TARGETS["bookworm"]])
            good = first_boot_machine.proved(vm.base(chosen.base), archive, CONFIGURATION)
        return 0 if good else 1
    if reason := unavailable():
        print(f"prove: {reason}")
        return 2
    with tempfile.TemporaryDirectory() as made:
        wanted = [TARGETS[suite] for suite in chosen.suites]
        archive = chosen.bundle or bundle.build(Path(made), wanted)
        found = [_proved(suite, archive) for suite in chosen.suites]
    return 0 if all(found) else 1


def _proved(suite: str, archive: Path) -> bool:
    print(f"\n{suite}")
    with boot(suite) as box:
        _prepare(box, archive)
        began = time.monotonic()
        _timed("the bundle is unpacked", began, lambda: _unpack(box))
        _timed("install.sh all, no network", began, lambda: _install(box))
        _put_file(box)
        began = time.monotonic()
        box.run("systemctl", "daemon-reload")
        for unit in UNITS:
            _timed(f"{unit} has started", began, partial(_start, box, unit))
        _timed("the daemon answers", began, lambda: _answers(box))
        good = _judge(box)
        return _taken_over(box) and good


def _timed(what: str, began: float, step: Callable[[], object]) -> None:
    step()
    print(f"  {time.monotonic() - began:6.1f} s  {what}", flush=True)


def _prepare(box: Booted, archive: Path) -> None:
    box.put(archive, "/root/bundle.tar.gz")


def _unpack(box: Booted) -> None:
    box.run("tar", "-C", "/root", "-xzf", "/root/bundle.tar.gz")


def _install(box: Booted) -> None:
    command = "cd /root/storewarden-*/ && unshare --net ./install.sh all"
    box.run("sh", "-c", command, timeout=600)
    box.run("systemctl", "enable", "systemd-networkd", *UNITS)


def _put_file(box: Booted) -> None:
    text = FILE.format(interface="eth0", address=box.address, gateway=box.gateway)
    (box.folder / "boot").mkdir(exist_ok=True)
    (box.folder / "boot/storewarden.yaml").write_text(text)
    box.put(CONFIGURATION, "/boot/config")


def _start(box: Booted, unit: str) -> None:
    box.run("systemctl", "start", unit)


def _answers(box: Booted) -> None:
    ends = time.monotonic() + 60
    while box.run("storewarden", "status", check=False).returncode != 0:
        assert time.monotonic() < ends, "the daemon does not answer"
        time.sleep(0.1)  # another process's start: nothing to wait on


def _judge(box: Booted) -> bool:
    """Print what is otherwise than it should be; return whether nothing is."""
    etc = box.folder / "etc/storewarden"
    result = (box.folder / "boot/storewarden-result.txt").read_text()
    before = {p.name: p.stat().st_mtime_ns for p in etc.rglob("*")}
    box.run("systemctl", "start", UNITS[0])
    log = box.run("journalctl", "-u", UNITS[0], "--no-pager").stdout
    modes = box.run("stat", "-c", "%U:%G %a %n", *map(_inside(box), sorted(etc.rglob("*")))).stdout
    status = box.run("storewarden", "status").stdout
    findings = {
        "the result says applied": "\napplied\nthis box is the site store_0421\n" in result,
        "the password has left /boot": "hunter2" not in "".join(
            p.read_text() for p in (box.folder / "boot").glob("*") if p.is_file()),
        "no log shows it": "hunter2" not in box.run("journalctl", "-b", "--no-pager").stdout,
        "it is root's alone": "root:root 600 /etc/storewarden/secrets/mqtt_password" in modes,
        "the rest is for the daemon": "root:storewarden 640 /etc/storewarden/site.yaml" in modes,
        "the daemon is the site": "store_0421" in status,
        "the network is a file of ours": (etc.parent / NETWORK).exists(),
        "a second boot changes nothing": "unchanged" in log
        and before == {p.name: p.stat().st_mtime_ns for p in etc.rglob("*")},
        "no unit waits for itself": not re.search(
            "ordering cycle", box.run("journalctl", "-b", "--no-pager").stdout),
        "the unit is sound": not box.run("systemd-analyze", "verify", f"{UNITS[0]}.service",
                                         check=False).stderr,
    }  # fmt: skip
    for what, so in findings.items():
        print(f"  {'good' if so else 'NOT SO'}: {what}")
    return all(findings.values())


def _taken_over(box: Booted) -> bool:
    """Lose the journal, as with another card, and take it over by the page's own commands."""
    before = _journal(box)
    box.run("systemctl", "stop", "storewarden")
    box.run("mkdir", "-p", "/mnt/old/var/lib")
    box.run("mv", "/var/lib/storewarden", "/mnt/old/var/lib/storewarden")
    _start(box, "storewarden")
    _answers(box)
    spare = _journal(box)
    page = (ROOT / "docs/replacing-a-box.md").read_text()
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    for line in commands.splitlines():
        box.run("sh", "-c", line)
        if line.endswith("start storewarden"):
            _answers(box)
    findings = {
        "a spare box has a journal and a key of its own": not set(before) & set(spare),
        "a journal that was taken over goes on, with its key": _journal(box) == before,
    }
    for what, so in findings.items():
        print(f"  {'good' if so else 'NOT SO'}: {what}")
    return all(findings.values())


def _journal(box: Booted) -> tuple[str, str]:
    """Return the journal's id and the public key."""
    told = json.loads(box.run("storewarden", "journal", "stat", "--json").stdout)
    return told["journal"], box.run("storewarden", "journal", "key").stdout.strip()


def _inside(box: Booted) -> Callable[[Path], str]:
    return lambda path: f"/{path.relative_to(box.folder)}"


if __name__ == "__main__":
    sys.exit(main())
