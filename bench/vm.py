"""A virtual machine with Debian, systemd and a kernel of its own, under emulation, for proofs.

Root disk and kernel are made once, by mmdebstrap, from the package registries that this machine
uses. There is no boot loader: qemu gets kernel and initrd. Loopback only.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("STOREWARDEN_TEST_CACHE", "/var/cache/storewarden-tests"))
PACKAGES = (
    "systemd-sysv,systemd-timesyncd,dbus,udev,kmod,openssh-server,python3,python3-venv,sudo,"
    "iproute2,ca-certificates,procps,initramfs-tools,zstd,linux-image-amd64"
)
NEEDED = ("mmdebstrap", "mke2fs", "qemu-img", "qemu-system-x86_64", "ssh", "ssh-keygen")
UP_WITHIN = 900.0
GPIO_SIM = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
CUSTOMIZE = r"""#!/bin/sh
set -e
root=$1
echo store >"$root/etc/hostname"
echo 'LABEL=root / ext4 defaults,errors=remount-ro 0 1' >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/network" "$root/root/.ssh"
printf '[Match]\nName=e*\n[Network]\nDHCP=ipv4\n' >"$root/etc/systemd/network/10-all.network"
cp "$HERE/id.pub" "$root/root/.ssh/authorized_keys"
chmod 700 "$root/root/.ssh"
chroot "$root" systemctl enable systemd-networkd ssh
chroot "$root" systemctl mask systemd-networkd-wait-online apt-daily.timer \
  apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer
"""
ESSENTIAL = r"""#!/bin/sh
set -e
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\n' >"$1/etc/initramfs-tools/conf.d/vm"
printf 'virtio_pci\nvirtio_blk\nvirtio_net\next4\n' >"$1/etc/initramfs-tools/modules"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One running virtual machine."""

    folder: Path
    port: int
    """Where its sshd answers on 127.0.0.1."""
    key: Path

    def run(
        self,
        *command: str,
        input: str | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
        timeout: float = 300.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root; the words are joined for its shell.

        Raises:
            AssertionError: it failed, and `check` is set; with what it said.
        """
        done = subprocess.run(
            (*self._ssh("ssh", "-p"), "root@127.0.0.1", *command),
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder into it."""
        words = (*self._ssh("scp", "-P"), "-r", str(source), f"root@127.0.0.1:{target}")
        subprocess.run(words, check=True, capture_output=True, timeout=600)

    def qmp(self, execute: str, **arguments: object) -> dict[str, Any]:
        """Tell the machine itself something: pull a device, reset."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(self.folder / "qmp.sock"))
            with sock.makefile("rw") as wire:
                wire.readline()
                for word, values in (("qmp_capabilities", {}), (execute, arguments)):
                    wire.write(json.dumps({"execute": word, "arguments": values}) + "\n")
                    wire.flush()
                    answer: dict[str, Any] = {}
                    while not {"return", "error"} & answer.keys():
                        answer = json.loads(wire.readline())
        return answer

    def _ssh(self, program: str, port: str) -> tuple[str, ...]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        told = [
            word
            for option in (*options, "BatchMode=yes", "ConnectTimeout=15")
            for word in ("-o", option)
        ]
        return (program, "-i", str(self.key), port, str(self.port), *told)


def base(folder: Path | None = None, *, suite: str = "bookworm") -> Path:
    """Return the folder of a base disk; made where there is none, which takes a minute."""
    folder = folder or CACHE / f"vm-{suite}"
    if not (folder / "root.qcow2").exists():
        _make(folder, suite)
    return folder


def kernel(folder: Path) -> str:
    """Return the version of its kernel."""
    words = (folder / "info").read_text().split()
    return next(word.removeprefix("kernel=") for word in words if word.startswith("kernel="))


def _make(folder: Path, suite: str) -> None:
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    assert not missing, f"a machine needs {', '.join(missing)}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "id").exists():
        words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id"))
        subprocess.run(words, check=True)
    for name, text in (("customize", CUSTOMIZE), ("essential", ESSENTIAL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    root, raw = folder / "rootfs", folder / "root.raw"
    try:
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}"),
                *("--skip=output/dev", f"--essential-hook={folder / 'essential'}"),
                *(f"--customize-hook={folder / 'customize'}", suite, str(root)),
                "/etc/apt/sources.list.d/debian.sources",
            ],
            check=True,
            env=os.environ | {"HERE": str(folder)},
        )
        image = next((root / "boot").glob("vmlinuz-*"))
        shutil.copyfile(image, folder / "vmlinuz")
        shutil.copyfile(next((root / "boot").glob("initrd.img-*")), folder / "initrd")
        version = image.name.removeprefix("vmlinuz-")
        (folder / "info").write_text(f"suite={suite} kernel={version}\n")
        with raw.open("wb") as disk:
            disk.truncate(4 << 30)
        subprocess.run(
            ("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(raw)), check=True
        )
        made = str(folder / "root.new")
        subprocess.run(("qemu-img", "convert", "-O", "qcow2", str(raw), made), check=True)
        (folder / "root.new").rename(folder / "root.qcow2")
    finally:
        shutil.rmtree(root, ignore_errors=True)
        raw.unlink(missing_ok=True)


@contextmanager
def machine(
    disk: Path, folder: Path, *more: str, memory: int = 1024, keep: bool = False
) -> Iterator[Machine]:
    """Boot an overlay of the base disk; `more` are further words for qemu. Ends with the block.

    The end is a power cut. With `keep` the overlay stays, takes what the system syncs as a disk
    does, and is booted again where there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    overlay, key = folder / "disk.qcow2", folder / "id"
    shutil.copyfile(disk / "id", key)
    key.chmod(0o600)
    source = str(disk.resolve() / "root.qcow2")
    words = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", source)
    if not (keep and overlay.exists()):
        subprocess.run((*words, str(overlay), "8G"), check=True)
    cache = "writeback" if keep else "unsafe"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command: Sequence[str] = (
        *("qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg,thread=multi"),
        *("-m", str(memory), "-smp", "2", "-display", "none", "-no-reboot"),
        *("-kernel", str(disk / "vmlinuz"), "-initrd", str(disk / "initrd")),
        *("-drive", f"if=none,id=d0,file={overlay},format=qcow2,cache={cache}"),
        *("-device", "virtio-blk-pci,drive=d0", "-device", "virtio-rng-pci"),
        *("-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=n0,romfile="),
        *("-serial", f"file:{folder / 'console.log'}"),
        *("-qmp", f"unix:{folder / 'qmp.sock'},server=on,wait=off"),
        *("-append", "root=LABEL=root rw console=ttyS0 quiet systemd.show_status=no", *more),
    )
    with (folder / "qemu.log").open("wb") as log:
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        running = Machine(folder=folder, port=port, key=key)
        _until_up(running, qemu)
        yield running
    finally:
        qemu.kill()
        qemu.wait(timeout=30)
        if not keep:
            overlay.unlink(missing_ok=True)


def _until_up(machine: Machine, qemu: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + UP_WITHIN
    while not _answers(machine):
        assert qemu.poll() is None, (machine.folder / "qemu.log").read_text()
        assert time.monotonic() < ends, "the machine does not come up"
        time.sleep(0.5)  # another machine's start: nothing to wait on


def _answers(machine: Machine) -> bool:
    try:
        return machine.run("true", check=False, timeout=30.0).returncode == 0
    except subprocess.TimeoutExpired:
        return False  # qemu took the call, and nobody inside does yet


def gpio_sim(version: str, folder: Path) -> Path:
    """Return the kernel's gpio-sim as a module for Debian's kernel, which ships none; built once.

    Needs the Debian packages linux-source-6.1 and linux-headers-<version>.
    """
    made = folder / "gpio-sim-vm.ko"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(f"/usr/src/linux-source-{'.'.join(version.split('.')[:2])}.tar.xz")
    assert source.exists(), f"apt-get install {source.name.removesuffix('.tar.xz')}"
    with tarfile.open(source) as archive:
        for entry in archive:
            if entry.name.partition("/")[2] in GPIO_SIM:
                content = archive.extractfile(entry)
                assert content is not None
                (folder / Path(entry.name).name).write_bytes(content.read())
    irq = folder / "irq_sim.c"  # irq_to_desc is for no module; this one does the same look-up
    irq.write_text(
        irq.read_text().replace(
            "handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)"
        )
    )
    (folder / "Makefile").write_text(
        "obj-m := gpio-sim-vm.o\ngpio-sim-vm-y := gpio-sim.o irq_sim.o\n"
    )
    headers = f"/usr/src/linux-headers-{version}"
    assert Path(headers).exists(), f"apt-get install linux-headers-{version}"
    subprocess.run(("make", "-s", "-C", headers, f"M={folder}", "modules"), check=True)
    return made


def install(machine: Machine, bundle: Path) -> None:
    """Install a bundle in it, without a network, as a box is; nothing is configured or started."""
    name = bundle.name.removesuffix(".tar.gz")
    machine.put(bundle, "/root/bundle.tar.gz")
    machine.run("tar -xzf /root/bundle.tar.gz -C /root")
    machine.run(f"sh /root/{name}/install.sh all", timeout=900.0)


def configure(machine: Machine, files: dict[str, str]) -> None:
    """Write files by their absolute paths, with the modes that a box has them in."""
    for path, text in files.items():
        machine.run(f"mkdir -p {Path(path).parent}; cat >{path}", input=text)
    machine.run("systemd-tmpfiles --create storewarden.conf; systemctl daemon-reload")
