"""Drive real GPIO lines of the kernel, by the installed service in a virtual machine.

The kernel's gpio-sim gives a chip whose inputs the world sets and whose outputs it sees. Asked:
how long from an edge to the output, bias and debounce in the kernel, what a kill leaves on the
lines and what a restart makes of it, a line that somebody else holds, a chip that is pulled.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import vm
from release import bundle

CHIP = """#!/bin/sh
# chip.sh NAME LINES: one simulated chip; prints its device and its folder in sysfs
set -e
lsmod | grep -q gpio_sim || { modprobe configfs; insmod /root/gpio-sim-vm.ko; }
d=/sys/kernel/config/gpio-sim/$1
mkdir -p "$d/bank0"
echo "$2" >"$d/bank0/num_lines"
echo "$1" >"$d/bank0/label"
echo 1 >"$d/live"
echo "/dev/$(cat "$d/bank0/chip_name") \\
  /sys/devices/platform/$(cat "$d/dev_name")/$(cat "$d/bank0/chip_name")"
"""
SITE = "site: store_0421\nhttp: {listen: 127.0.0.1:9464}\nbuffer: {max_size: 64MB}\n"
DEVICES = """\
io:
  pi:
    type: gpio
    chip: store
    inputs:
      bell: {line: 0, pull: down}
      raised: {line: 2, pull: up}
      bouncing: {line: 4, pull: down, debounce: 50ms}
    outputs:
      horn: {line: 1}
      lamp: {line: 3, active_low: yes}
  shared: {type: gpio, chip: store, inputs: {taken: {line: 6}}}
devices:
  bell: {type: contact, contact: pi.bell}
  raised: {type: contact, contact: pi.raised}
  bouncing: {type: contact, contact: pi.bouncing}
  horn: {type: switch, output: pi.horn}
  lamp: {type: switch, output: pi.lamp, at_start: on, at_stop: off}
"""
RULES = """\
rules:
  ring:
    when: {bell: contact.active}
    do: [{switch_on: horn}]
    until: {bell: quiet}
"""
LATENCY = """\
import sys, time
chip, times = sys.argv[1], int(sys.argv[2])
pull, value = f"{chip}/sim_gpio0/pull", f"{chip}/sim_gpio1/value"
def read():
    with open(value) as f: return f.read(1)
def wait(level):
    ends = time.monotonic() + 10
    while read() != level:
        if time.monotonic() > ends: sys.exit(f"the horn does not go to {level}")
def set(text):
    with open(pull, "w") as f: f.write(text)
for turn in range(times):
    for text, level in (("pull-up", "1"), ("pull-down", "0")):
        time.sleep(0.05)
        began = time.monotonic_ns()
        set(text)
        wait(level)
        print(level, (time.monotonic_ns() - began) / 1e6)
"""
BOUNCES = """\
import sys, time
pull = f"{sys.argv[1]}/sim_gpio4/pull"
for turn in range(30):
    with open(pull, "w") as f: f.write("pull-up" if turn % 2 == 0 else "pull-down")
    time.sleep(0.001)
"""
HOLD = """\
import gpiod, sys, time
held = gpiod.request_lines(sys.argv[1], consumer="somebody", config={6: None})
time.sleep(100000)
"""
PYTHON = "/opt/storewarden/current/bin/python"
METRICS = (
    'python3 -c "import urllib.request as u;'
    "print(u.urlopen('http://127.0.0.1:9464/metrics').read().decode())\""
)


def configuration() -> dict[str, str]:
    """Return the files of the store."""
    return {
        "/etc/storewarden/site.yaml": SITE,
        "/etc/storewarden/devices.yaml": DEVICES,
        "/etc/storewarden/rules/ring.yaml": RULES,
        "/root/chip.sh": CHIP,
        "/root/latency.py": LATENCY,
        "/root/bounces.py": BOUNCES,
        "/root/hold.py": HOLD,
    }


def prove(machine: vm.Machine, times: int) -> dict[str, str]:
    """Return what was found, by what was asked."""
    found: dict[str, str] = {}
    device, chip = machine.run("sh /root/chip.sh store 8").stdout.split()
    machine.run(f"systemd-run -q --unit=somebody {PYTHON} /root/hold.py {device}")
    machine.run(f"udevadm trigger; udevadm settle; test $(stat -c %G:%a {device}) = gpio:660")
    machine.run(
        "storewarden drop-in devices --write /etc/systemd/system/storewarden.service.d;"
        "systemctl daemon-reload; systemctl restart storewarden"
    )
    _until(machine, "bell", "up")
    found |= _latency(machine, chip, times)
    found["pull of a line with `pull: up`, `down`, as the chip has it"] = ", ".join(
        machine.run(f"cat {chip}/sim_gpio{line}/pull").stdout.strip() for line in (2, 0)
    )
    before = _heard(machine, "bouncing")
    machine.run(f"python3 /root/bounces.py {chip}; sleep 1")
    heard = _heard(machine, "bouncing") - before
    found["events of 30 flips within 30 ms, `debounce: 50ms`"] = f"{heard:g}"
    found["a line that somebody else holds"] = _reason(machine, "shared")
    machine.run("systemctl stop somebody")
    _until(machine, "shared", "up")
    found["… once it is let go"] = "link up, by itself"
    found |= _killed(machine, chip)
    found |= _pulled(machine)
    return found


def _latency(machine: vm.Machine, chip: str, times: int) -> dict[str, str]:
    lines = machine.run(f"python3 /root/latency.py {chip} {times}", timeout=900).stdout.split()
    on = sorted(
        float(ms) for level, ms in zip(lines[::2], lines[1::2], strict=True) if level == "1"
    )
    off = sorted(
        float(ms) for level, ms in zip(lines[::2], lines[1::2], strict=True) if level == "0"
    )
    shown = {
        name: f"n {len(all_)}, p50 {all_[len(all_) // 2]:.1f} ms, "
        f"p99 {all_[int(len(all_) * 0.99)]:.1f} ms, most {all_[-1]:.1f} ms"
        for name, all_ in (("on", on), ("off", off))
    }
    return {
        "edge to output, a rule between them, on": shown["on"],
        "… and off again (`until`)": shown["off"],
    }


def _killed(machine: vm.Machine, chip: str) -> dict[str, str]:
    """The horn is on by a rule and the lamp by at_start (active low) when the daemon is killed."""
    machine.run(f"echo pull-up >{chip}/sim_gpio0/pull")
    _level(machine, chip, 1, "1")
    _level(machine, chip, 3, "0")
    began = time.monotonic()
    watch = (
        f"cd {chip}; p=$(systemctl show -P MainPID storewarden); kill -KILL $p; "
        "for i in $(seq 400); do cat sim_gpio1/value sim_gpio3/value | tr -d '\\n'; echo; "
        "sleep 0.05; done | uniq"
    )
    seen = machine.run(watch).stdout.split()
    _until(machine, "bell", "up")
    took = time.monotonic() - began
    _level(machine, chip, 3, "0")
    noted = machine.run("cat /var/lib/storewarden/ends.json").stdout
    horn = machine.run(f"cat {chip}/sim_gpio1/value").stdout.strip()
    return {
        "levels of horn and lamp from the kill on (lamp is active low)": " → ".join(seen),
        "after the restart: lamp by its at_start, horn by its lease if that took less than 30 s": (
            f"lamp on, horn {'on' if horn == '1' else 'off'}, {took:.0f} s after the kill"
        ),
        "why the run ended": str(json.loads(noted)["last"]),
    }


def _pulled(machine: vm.Machine) -> dict[str, str]:
    live = "/sys/kernel/config/gpio-sim/store/live"
    machine.run(f"echo 0 >{live}", timeout=60)
    _until(machine, "bell", "down")
    said = _reason(machine, "pi")
    machine.run(f"echo 1 >{live}; udevadm settle")
    _until(machine, "bell", "up")
    return {"the chip is pulled": said, "… and put back": "link up, by itself"}


def _level(machine: vm.Machine, chip: str, line: int, level: str) -> None:
    machine.run(
        f"for i in $(seq 600); do [ $(cat {chip}/sim_gpio{line}/value) = {level} ] && exit 0; "
        "sleep 0.1; done; exit 1"
    )


def _devices(machine: vm.Machine) -> dict[str, Any]:
    done = machine.run("storewarden devices --json", check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else []
    return {device["device"]: device for device in found}


def _until(machine: vm.Machine, device: str, link: str) -> None:
    ends = time.monotonic() + 120
    while True:
        found = _devices(machine).get(device)
        if found is not None and found["states"]["link"]["value"] == link:
            return
        log = "journalctl -n 30 --no-pager -u storewarden"
        assert time.monotonic() < ends, machine.run(log).stdout
        time.sleep(0.5)  # another machine's work: nothing to wait on


def _reason(machine: vm.Machine, device: str) -> str:
    said = machine.run("journalctl -o cat --no-pager -u storewarden").stdout.splitlines()
    ours = [line for line in said if f"device {device}: " in line]
    return ours[-1].partition(f"device {device}: ")[2]


def _heard(machine: vm.Machine, device: str) -> float:
    lines = machine.run(METRICS).stdout.splitlines()
    of_it = [x for x in lines if x.startswith("storewarden_events_total") and f'"{device}"' in x]
    return sum(float(line.split()[-1]) for line in of_it)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev prove gpio", description=__doc__)
    parser.add_argument("--base", type=Path, help="folder of the machine's disk; made if need be")
    parser.add_argument("--bundle", type=Path, help="a bundle; default: made of this tree")
    parser.add_argument("--times", type=int, default=200, help="edges each way (%(default)s)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storewarden-gpio-") as made:
        disk = vm.base(chosen.base)
        module = vm.gpio_sim(vm.kernel(disk), disk / "gpio-sim")
        packed = chosen.bundle or bundle.build(Path(made, "dist"), ["x86_64-3.11"])
        with vm.machine(disk, Path(made, "vm")) as machine:
            vm.install(machine, packed)
            machine.put(module, "/root/gpio-sim-vm.ko")
            vm.configure(machine, configuration())
            for asked, said in prove(machine, chosen.times).items():
                print(f"| {asked} | {said} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
