"""Whole Debian systems booted here by systemd-nspawn, each in a network of its own, for tests.

A system has systemd as PID 1, sshd and Python; limits by control group (memory, devices, addresses)
are not enforced in it. Base systems are made once, by mmdebstrap, and kept in CACHE.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("STOREWARDEN_TEST_CACHE", "/var/cache/storewarden-tests"))
LOCKS = Path("/run/storewarden-tests")
PACKAGES = (
    "systemd-sysv,dbus,udev,python3,python3-apt,openssh-server,iproute2,procps,sudo,ca-certificates"
)
RECIPE = 2
"""Raise it when what a base system holds changes: the old ones are not used again."""
NEEDED = ("systemd-nspawn", "mmdebstrap", "ip", "nft", "nsenter", "ssh", "ssh-keygen")
BOOTS_WITHIN = 90.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
QUIET = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer")


def unavailable() -> str:
    """Return why no system can be booted here; empty when it can."""
    if os.geteuid() != 0:
        return "booting a system needs root"
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        return f"booting a system needs {', '.join(missing)}"
    if subprocess.run(("unshare", "--mount", "--net", "true"), capture_output=True).returncode:
        return "this machine gives no namespaces"
    return ""


def require() -> None:
    """Skip the test where no system can be booted; with CI=true that is a failure."""
    reason = unavailable()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"with CI=true this must run: {reason}")
    if reason:
        pytest.skip(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """One running system."""

    name: str
    suite: str
    folder: Path
    """Its root directory, as seen from here."""
    address: str
    """Its IPv4 address; empty without a network."""
    gateway: str
    """The address of this machine in that network."""
    key: Path
    """The private key that its root user takes over ssh."""
    init: int
    """Its PID 1, as seen from here."""

    def run(
        self,
        *command: str,
        input: str | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root.

        Raises:
            AssertionError: it failed, and `check` is set; with what it said.
        """
        inside = ("nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "--")
        clean = ("env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8")
        done = subprocess.run(
            (*inside, *clean, *command),
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd="/",
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a tree into it, as root's; `target` is absolute."""
        there = self.folder / target.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ("cp", "-rT", "--no-preserve=ownership", str(source), str(there)), check=True
        )

    def ssh(self) -> tuple[str, ...]:
        """Return the beginning of a command that runs the rest in it, over ssh."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        told = [word for option in options for word in ("-o", option)]
        return ("ssh", "-i", str(self.key), *told, f"root@{self.address}")


def root(suite: str, *, python: bool = True) -> Path:
    """Return a base system of Debian `suite`; `python`: with what virtual environments need.

    The first call makes it, which takes half a minute; it needs the package registries.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    name = f"{suite}-{'python' if python else 'bare'}-{RECIPE}"
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = CACHE / name
        if not (folder / ".complete").exists():
            _make(folder, suite, PACKAGES + (",python3-venv" if python else ""))
            (folder / ".complete").touch()
    return folder


def _make(folder: Path, suite: str, packages: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"]
    command += ["--skip=output/dev,output/mknod", suite, str(folder)]
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    with tempfile.TemporaryDirectory() as made:
        if sources.exists():  # this machine's own way to the registries, of another suite
            text = sources.read_text(encoding="utf-8")
            other = Path(made, "debian.sources")
            other.write_text(re.sub(r"\b(bookworm|trixie)\b", suite, text), encoding="utf-8")
            command.append(str(other))
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"):
        if Path(file).exists():
            (folder / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file[1:]).unlink(missing_ok=True)
            shutil.copyfile(file, folder / file[1:])
    (folder / "etc/machine-id").write_text("")
    keys = folder / "root/.ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / "authorized_keys").write_text(_key().with_suffix(".pub").read_text())
    for unit in QUIET:
        (folder / "etc/systemd/system" / unit).symlink_to("/dev/null")
    wanted = folder / "etc/systemd/system/multi-user.target.wants/ssh.service"
    if not wanted.is_symlink():
        wanted.symlink_to("/usr/lib/systemd/system/ssh.service")


def _key() -> Path:
    """Return the private key that base systems trust; made once."""
    key = CACHE / "id"
    with (CACHE / "id.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not key.exists():
            words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
            subprocess.run(words, check=True)
    return key


@contextmanager
def boot(
    suite: str, *, name: str = "store", network: bool = True, python: bool = True
) -> Iterator[Booted]:
    """Boot a system that nothing survives of; yields it once systemd has finished starting."""
    base = root(suite, python=python)
    with ExitStack() as ends:
        number = ends.enter_context(_number())
        folder = ends.enter_context(_overlay(base, name))
        space = ends.enter_context(_network(number, nat=network))
        init = ends.enter_context(_system(folder, space))
        system = Booted(
            name=name,
            suite=suite,
            folder=folder,
            address=f"10.99.{number}.2" if network else "",
            gateway=f"10.99.{number}.1" if network else "",
            key=_key(),
            init=init,
        )
        _until_started(system)
        yield system


def _until_started(system: Booted) -> None:
    ends = time.monotonic() + BOOTS_WITHIN
    said = ""
    while time.monotonic() < ends:
        said = system.run("systemctl", "is-system-running", check=False).stdout.strip()
        if said in ("running", "degraded"):
            return
        time.sleep(0.1)  # another process's start: nothing to wait on
    raise AssertionError(f"the system did not start: {said or 'no answer'}")


@contextmanager
def _number() -> Iterator[int]:
    """Take a number that no other process on this machine has: of the network."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    for number in range(20, 100):
        with (LOCKS / f"{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise AssertionError("80 systems run already")


@contextmanager
def _overlay(base: Path, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="storewarden-", dir="/tmp") as made:
        here = Path(made)
        _do("mount", "-t", "tmpfs", "-o", "size=3G,mode=755", "tmpfs", made)
        try:
            folder, upper, work = here / name, here / "upper", here / "work"
            for one in (folder, upper, work):
                one.mkdir(mode=0o755)
            options = f"lowerdir={base},upperdir={upper},workdir={work}"
            _do("mount", "-t", "overlay", "-o", options, "overlay", str(folder))
            (folder / "etc/hostname").write_text(f"{name}\n")
            try:
                yield folder
            finally:
                _do("umount", "-l", str(folder))
        finally:
            _do("umount", "-l", made)


@contextmanager
def _network(number: int, *, nat: bool) -> Iterator[str]:
    """Make a namespace with 10.99.<number>.2 in it; `nat` lets it reach what this machine can."""
    space, here, subnet = f"storewarden-{number}", f"swt{number}", f"10.99.{number}"
    with suppress(AssertionError):  # what a killed run left
        _do("ip", "link", "del", here)
    with suppress(AssertionError):
        _do("nft", "delete", "table", "ip", space)
    with suppress(AssertionError):
        _do("ip", "netns", "del", space)
    _do("ip", "netns", "add", space)
    try:
        _do("ip", "-n", space, "link", "set", "lo", "up")
        if nat:
            words = ("link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", space)
            _do("ip", *words)
            _do("ip", "addr", "add", f"{subnet}.1/24", "dev", here)
            _do("ip", "link", "set", here, "up")
            _do("ip", "-n", space, "addr", "add", f"{subnet}.2/24", "dev", "eth0")
            _do("ip", "-n", space, "link", "set", "eth0", "up")
            _do("ip", "-n", space, "route", "add", "default", "via", f"{subnet}.1")
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            hook = "{ type nat hook postrouting priority 100 ; }"
            _do("nft", "add", "table", "ip", space)
            _do("nft", f"add chain ip {space} out {hook}")
            rule = f"ip saddr {subnet}.0/24 oifname != {here} masquerade"
            _do("nft", f"add rule ip {space} out {rule}")
        yield space
    finally:
        with suppress(AssertionError):
            _do("nft", "delete", "table", "ip", space)
        with suppress(AssertionError):
            _do("ip", "link", "del", here)
        _do("ip", "netns", "del", space)


@contextmanager
def _system(folder: Path, space: str) -> Iterator[int]:
    """Start systemd in `folder`; yields its PID 1 as seen from here."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    command = ["setpriv", "--pdeathsig", "KILL"]  # it ends with this process, however that ends
    command += ["systemd-nspawn", "-q", "-D", str(folder), "--boot", "--register=no", "--keep-unit"]
    command += [f"--network-namespace-path=/run/netns/{space}", "--kill-signal=SIGRTMIN+3"]
    command += ["--link-journal=no", "--resolv-conf=off"]
    with (folder.parent / "nspawn.log").open("wb") as log:
        nspawn = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": str(int(unified))},
        )
    init = 0
    try:
        ends = time.monotonic() + BOOTS_WITHIN
        while not init:
            said = (folder.parent / "nspawn.log").read_text(errors="replace")
            assert nspawn.poll() is None, f"systemd-nspawn ended: {said}"
            assert time.monotonic() < ends, f"systemd-nspawn starts no system: {said}"
            init = _init_of(nspawn.pid)
            time.sleep(0.05)  # another process's start: nothing to wait on
        yield init
    finally:
        with suppress(ProcessLookupError):
            os.kill(init or nspawn.pid, signal.SIGKILL)
        nspawn.wait(timeout=30)


def _init_of(pid: int) -> int:
    """Return the process called systemd below nspawn, or 0 while there is none."""
    for child in _children(pid):
        for one in (child, *_children(child)):
            with suppress(OSError):
                if Path(f"/proc/{one}/comm").read_text().strip() == "systemd":
                    return one
    return 0


def _children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
