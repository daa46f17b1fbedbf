"""Ask the running service, in a virtual machine, whether what its unit forbids is forbidden.

Limits of control groups (memory, processes, devices, addresses) need a kernel of their own: a
probe joins the service's control group, as root, and tries. A USB serial adapter is pulled and
comes back under another number. The hardware watchdog gets a kernel that hangs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

from bench import vm
from bench.prove_gpio import CHIP
from drivers.sim import modbus
from release import bundle

GROUP = "/sys/fs/cgroup/system.slice/storewarden.service"
SITE = "site: store_0421\nbuffer: {max_size: 64MB}\n"
DEVICES = """\
io:
  pi: {type: gpio, chip: /dev/gpiochip0, inputs: {bell: {line: 0, pull: down}}}
  counter:
    type: modbus
    url: "rtu:/dev/storewarden/serial-RS485A?baud=115200"
    unit: 1
    profile: moxa_e1214
  annex: {type: modbus, url: "tcp://10.9.0.1:1502", unit: 1, profile: moxa_e1214}
devices:
  bell: {type: contact, contact: pi.bell}
  door_back: {type: door, contact: counter.di0}
  door_front: {type: door, contact: annex.di0}
"""
NETWORK = """\
ip link add shop type dummy; ip addr add 10.9.0.1/24 dev shop; ip addr add 10.9.0.2/24 dev shop
ip link set shop up; systemctl daemon-reload; systemctl start module proxy.socket
"""
UNITS = {
    "/etc/systemd/system/module.service": """\
[Service]
ExecStart=/bin/sh -c 'tail -f /dev/null | /usr/local/bin/storewarden simulate modbus \\
  --port 1502 --profile moxa_e1214'
""",
    "/etc/systemd/system/proxy.socket": """\
[Socket]
ListenStream=10.9.0.1:1502
ListenStream=10.9.0.2:1502
""",
    "/etc/systemd/system/proxy.service": """\
[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:1502
""",
}
PROBE = """\
import errno, json, os, socket, sys
with open(f"{sys.argv[1]}/cgroup.procs", "w") as f: f.write(str(os.getpid()))
def opened(path):
    try: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error: return errno.errorcode[error.errno]
    return "opens"
def reached(host):
    try: socket.create_connection((host, 1502), 5).close()
    except OSError as error: return errno.errorcode.get(error.errno, str(error))
    return "answers"
children = []
def forked():
    try:
        while len(children) < 1000:
            child = os.fork()
            if child == 0:
                import time
                time.sleep(600)
            children.append(child)
    except OSError as error: return errno.errorcode[error.errno]
    finally:
        for child in children: os.kill(child, 9)
        for child in children: os.waitpid(child, 0)
    return "no end"
found = {p: opened(p) for p in sys.argv[2].split(",")}
found |= {h: reached(h) for h in sys.argv[3].split(",")}
found["processes"] = f"{forked()} after {len(children)} more"
print(json.dumps(found))
"""
EATER = """\
import os, sys
with open(f"{sys.argv[1]}/cgroup.procs", "w") as f: f.write(str(os.getpid()))
eaten = [bytearray(b"x" * (1 << 20)) for _ in range(900)]
print("ate it all")
"""
SERIAL = ("usb-serial", "rs485", "wire0", "RS485A")


def prove(machine: vm.Machine) -> dict[str, str]:
    """Return what was found, by what was asked."""
    found: dict[str, str] = {}
    machine.run("sh /root/chip.sh store 8; sh /root/chip.sh other 8; udevadm settle")
    machine.run(NETWORK)
    drop_ins = "/etc/systemd/system/storewarden.service.d"
    machine.run(
        f"storewarden drop-in devices --write {drop_ins};"
        f"storewarden drop-in addresses --write {drop_ins};"
        "systemctl daemon-reload; systemctl restart storewarden"
    )
    for device in ("bell", "door_back", "door_front"):
        _until(machine, device, "up")
    asked = {
        "the chip that is named": "/dev/gpiochip0",
        "another chip": "/dev/gpiochip1",
        "the adapter that is named": "/dev/ttyUSB0",
        "a port of the board": "/dev/ttyS0",
        "the disk": "/dev/vda",
        "the memory": "/dev/mem",
    }
    hosts = {"the module that is named": "10.9.0.1", "another host": "10.9.0.2"}
    words = f"{GROUP} {','.join(asked.values())} {','.join(hosts.values())}"
    probed = json.loads(machine.run(f"python3 /root/probe.py {words}").stdout)
    for what, device in asked.items():
        found[f"DeviceAllow: {what}, {device}, by root in the service's group"] = probed[device]
    for what, host in hosts.items():
        found[f"IPAddressAllow: {what}, {host}"] = probed[host]
    found["TasksMax=128: processes without end"] = probed["processes"]
    pid = machine.run("systemctl show -P MainPID storewarden").stdout
    eaten = machine.run(f"python3 /root/eater.py {GROUP}", check=False)
    same = machine.run("systemctl show -P MainPID storewarden").stdout == pid
    found["MemoryMax=400M: 900 MB beside the daemon"] = (
        f"{'not killed' if eaten.returncode == 0 else 'killed'}, "
        f"the daemon {'runs on' if same else 'was restarted'}"
    )
    found |= _replugged(machine)
    found["exposure, `systemd-analyze security storewarden`"] = (
        machine.run("systemd-analyze security storewarden").stdout.strip().splitlines()[-1][2:]
    )
    return found


def _replugged(machine: vm.Machine) -> dict[str, str]:
    driver, name, wire, serial = SERIAL
    machine.qmp("device_del", id=name)
    _until(machine, "door_back", "down")
    machine.run("udevadm settle")
    other = {"driver": driver, "id": "other", "chardev": "wire1", "serial": "OTHER"}
    machine.qmp("device_add", **other, **{"always-plugged": True})
    machine.run("for i in $(seq 100); do [ -e /dev/ttyUSB0 ] && exit 0; sleep 0.2; done; exit 1")
    again = {"driver": driver, "id": name, "chardev": wire, "serial": serial}
    machine.qmp("device_add", **again, **{"always-plugged": True})
    _until(machine, "door_back", "up")
    names = machine.run("cd /dev/storewarden; for f in *; do echo $f $(readlink $f); done").stdout
    return {"the adapter comes back under another number": ", ".join(names.splitlines())}


def watchdog(machine: vm.Machine) -> str:
    """Let the kernel hang; return how long it took until the hardware reset it."""
    machine.run("sysctl -q kernel.panic=0 kernel.sysrq=1")
    state = machine.run("cat /sys/class/watchdog/watchdog0/state").stdout.strip()
    began = time.monotonic()
    machine.run("(sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    while time.monotonic() - began < 180:
        try:
            machine.qmp("query-status")
        except (OSError, TimeoutError):
            return f"{state}; reset {time.monotonic() - began - 1:.0f} s after the kernel hung"
        time.sleep(1)  # another machine's hardware: nothing to wait on
    return f"{state}; NOT reset"


def _until(machine: vm.Machine, device: str, link: str) -> None:
    ends = time.monotonic() + 120
    while True:
        done = machine.run("storewarden devices --json", check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else []
        links = {one["device"]: one["states"]["link"]["value"] for one in found}
        if links.get(device) == link:
            return
        log = "journalctl -n 30 --no-pager -u storewarden"
        assert time.monotonic() < ends, f"{device}: {links}\n{machine.run(log).stdout}"
        time.sleep(0.5)  # another machine's work: nothing to wait on


def hardware(port: int) -> tuple[str, ...]:
    """Return qemu's words for the watchdog, and a serial adapter with the module behind it."""
    driver, name, wire, serial = SERIAL
    return (
        *("-device", "i6300esb", "-action", "watchdog=reset", "-device", "qemu-xhci,id=xhci"),
        *("-chardev", f"socket,id={wire},host=127.0.0.1,port={port},reconnect=1"),
        *("-chardev", "null,id=wire1"),
        *("-device", f"{driver},id={name},chardev={wire},serial={serial},always-plugged=on"),
    )


def configuration() -> dict[str, str]:
    """Return the files of the store."""
    return {
        "/etc/storewarden/site.yaml": SITE,
        "/etc/storewarden/devices.yaml": DEVICES,
        "/root/chip.sh": CHIP,
        "/root/probe.py": PROBE,
        "/root/eater.py": EATER,
        **UNITS,
    }


@contextmanager
def module() -> Iterator[int]:
    """Have a Modbus module that speaks RTU to whoever calls; yields its port."""
    ready: Queue[int] = Queue()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with modbus.simulate("moxa_e1214", kind="rtu+tcp") as simulated:
            ready.put(int(simulated.url.rpartition(":")[2]))
            await ended.wait()

    ended = asyncio.Event()
    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield ready.get(timeout=30)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev prove hardening", description=__doc__)
    parser.add_argument("--base", type=Path, help="folder of the machine's disk; made if need be")
    parser.add_argument("--bundle", type=Path, help="a bundle; default: made of this tree")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storewarden-hardening-") as made:
        folder = Path(made, "vm")
        disk = vm.base(chosen.base)
        gpio_sim = vm.gpio_sim(vm.kernel(disk), disk / "gpio-sim")
        packed = chosen.bundle or bundle.build(Path(made, "dist"), ["x86_64-3.11"])
        with module() as port, vm.machine(disk, folder, *hardware(port)) as machine:
            vm.install(machine, packed)
            machine.put(gpio_sim, "/root/gpio-sim-vm.ko")
            vm.configure(machine, configuration())
            machine.run("systemctl daemon-reexec")
            for asked, said in prove(machine).items():
                print(f"| {asked} | {said} |")
            print(f"| RuntimeWatchdogSec=30s | {watchdog(machine)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
