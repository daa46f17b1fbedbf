"""Boot a virtual machine with a USB stick, as the person in the store does, and ask what came.

A real boot in its real order, a FAT stick on USB, a network that only the stick's word brings up.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from bench import vm

RESULT = "storewarden-result.txt"
UNITS = ("storewarden-first-boot", "storewarden")
FILE = """\
site: store_0421
timezone: Europe/London
network: {{interface: {interface}, dhcp: yes}}
mqtt: {{url: "mqtts://broker.example.com:8883", username: store_0421, password: hunter2}}
"""
UP_WITHIN = 300.0


def proved(disk: Path, archive: Path, configuration: Path) -> bool:
    """Install, boot with the stick, boot without it; print what was found.

    Returns whether all is as docs/first-boot.md says.
    """
    with tempfile.TemporaryDirectory(prefix="storewarden-first-boot-") as made:
        folder, stick = Path(made, "vm"), Path(made, "stick.img")
        with vm.machine(disk, folder, keep=True) as machine:
            vm.install(machine, archive)
            machine.run("systemctl enable", *UNITS)
            link = machine.run("ip -o route get 10.0.2.2").stdout
            interface = link.split(" dev ")[1].split()[0]
            # what Debian's image has for all interfaces goes: the stick's word brings it up
            machine.run("rm /etc/systemd/network/10-all.network; sync")
        _stick(stick, FILE.format(interface=interface), configuration)
        with vm.machine(disk, folder, *_usb(stick), keep=True) as machine:
            _until_it_answers(machine)
            findings = _judged(machine)
            _times(machine)
            machine.run("sync")
        result = _read(stick)
        findings["the stick's result says applied"] = "\napplied\n" in result
        with vm.machine(disk, folder, keep=True) as machine:
            _until_it_answers(machine)
            findings["it is the same box without the stick"] = "store_0421" in _status(machine)
            findings["no unit waits for itself then"] = _in_order(machine)
    for what, so in findings.items():
        print(f"  {'good' if so else 'NOT SO'}: {what}")
    return all(findings.values())


def _stick(image: Path, text: str, configuration: Path) -> None:
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(("mkfs.vfat", "-n", "STOREWARDEN", str(image)), check=True, capture_output=True)
    written = image.with_suffix(".yaml")
    written.write_text(text)
    for source, target in ((written, "storewarden.yaml"), (configuration, "config")):
        words = ("mcopy", "-s", "-i", str(image), str(source), f"::{target}")
        subprocess.run(words, check=True)


def _read(image: Path) -> str:
    words = ("mtype", "-i", str(image), f"::{RESULT}")
    return subprocess.run(words, capture_output=True, text=True).stdout


def _usb(image: Path) -> tuple[str, ...]:
    return (
        *("-device", "qemu-xhci,id=xhci"),
        *("-drive", f"if=none,id=stick,file={image},format=raw,cache=writethrough"),
        *("-device", "usb-storage,bus=xhci.0,drive=stick,removable=on"),
    )


def _until_it_answers(machine: vm.Machine) -> None:
    ends = time.monotonic() + UP_WITHIN
    while machine.run("storewarden status", check=False).returncode != 0:
        log = "journalctl --no-pager -n 40 -u 'storewarden*'"
        assert time.monotonic() < ends, machine.run(log).stdout
        time.sleep(0.5)  # another machine's start: nothing to wait on


def _status(machine: vm.Machine) -> str:
    return machine.run("storewarden status").stdout


def _in_order(machine: vm.Machine) -> bool:
    log = machine.run("journalctl -b --no-pager").stdout
    return "ordering cycle" not in log


def _judged(machine: vm.Machine) -> dict[str, bool]:
    log = machine.run("journalctl -b --no-pager").stdout
    secret = machine.run("stat -c '%U:%G %a' /etc/storewarden/secrets/mqtt_password").stdout
    return {
        "the daemon is the site": "store_0421" in _status(machine),
        "no unit waits for itself": _in_order(machine),
        "the network waited for the stick": _at(machine, UNITS[0], "ExecMainExit")
        <= _at(machine, "systemd-networkd", "ExecMainStart"),
        "no log shows the password": "hunter2" not in log,
        "the password is root's alone": secret == "root:root 600\n",
    }


def _times(machine: vm.Machine) -> None:
    for what, unit, moment in (
        ("the stick is read", UNITS[0], "ExecMainStart"),
        ("it is checked and applied", UNITS[0], "ExecMainExit"),
        ("the daemon runs the rules", UNITS[1], "ActiveEnter"),
    ):
        print(f"  {_at(machine, unit, moment):6.1f} s after the kernel's start: {what}", flush=True)


def _at(machine: vm.Machine, unit: str, moment: str) -> float:
    """Return when something was so of a unit, in seconds since the kernel's start."""
    words = f"systemctl show -P {moment}TimestampMonotonic {unit}"
    return int(machine.run(words).stdout) / 1e6
