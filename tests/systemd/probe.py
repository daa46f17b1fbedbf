"""Run in the place of the daemon, with what its unit forbids: prints what it could do, as JSON."""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_KEYCTL, SYS_BPF = 250, 321


def answer(do: Callable[[], object]) -> str:
    """Return the name of the error, or `done`."""
    try:
        do()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def call(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def system_call(number: int) -> None:
    if LIBC.syscall(number, 0, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


def executed(file: Path) -> None:
    file.write_text("#!/bin/sh\nexit 0\n")
    file.chmod(0o755)
    child = os.posix_spawn(file, [str(file)], {})
    os.waitpid(child, 0)


def written(path: str) -> None:
    Path(path).write_text("x")


def listed(folder: str) -> list[str]:
    return sorted(file.name for file in Path(folder).iterdir())


state = Path(os.environ["STATE_DIRECTORY"])
found = {
    "write /etc": answer(lambda: written("/etc/storewarden/x")),
    "write /opt": answer(lambda: written("/opt/storewarden/x")),
    "write /usr": answer(lambda: written("/usr/x")),
    "write /sys": answer(lambda: written("/sys/kernel/mm/ksm/run")),
    "write /proc/sys": answer(lambda: written("/proc/sys/kernel/panic")),
    "write state": answer(lambda: written(f"{state}/x")),
    "look into secrets": answer(lambda: listed("/etc/storewarden/secrets")),
    "look into /root": answer(lambda: listed("/root")),
    "execute from state": answer(lambda: executed(state / "program")),
    "mount": answer(lambda: call("mount", b"x", b"/mnt", b"tmpfs", 0, None)),
    "unshare": answer(lambda: call("unshare", 0x10000000)),
    "chroot": answer(lambda: call("chroot", b"/")),
    "ptrace": answer(lambda: call("ptrace", 16, os.getppid(), None, None)),
    "keyctl": answer(lambda: system_call(SYS_KEYCTL)),
    "bpf": answer(lambda: system_call(SYS_BPF)),
    "set the clock": answer(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())),
    "real-time": answer(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
    "personality": answer(lambda: call("personality", 0x0008)),
    "memory to write and execute": answer(
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    ),
    "packet socket": answer(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    "netlink socket": answer(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)),
    "setuid file": answer(lambda: (state / "x").chmod(0o4755)),
    "processes of others": sum(
        p.name.isdigit() and p.stat().st_uid != os.getuid() for p in Path("/proc").iterdir()
    ),
    "boot id": answer(lambda: Path("/proc/sys/kernel/random/boot_id").read_text()),
    "credentials": listed(os.environ["CREDENTIALS_DIRECTORY"]),
}
json.dump(found, sys.stdout)
