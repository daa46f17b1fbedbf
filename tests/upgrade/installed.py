"""A release installed on a whole system, with a simulated I/O module and a broker, for upgrades."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SITE = """site: store_0421
timezone: Europe/London
evacuation: {{on: []}}
mqtt: {{url: "{url}", username: store_0421, password: !secret mqtt_password}}
http: {{listen: 127.0.0.1:9464}}
buffer: {{max_size: 64MB}}
"""
DEVICES = """io:
  annex: {type: modbus, url: "tcp://127.0.0.1:1502", unit: 1, profile: moxa_e1214}
devices:
  door_front: {type: door, contact: annex.di1}
  gate_front: {type: eas_pedestal, alarm: annex.di0}
"""
RULES = """rules:
  gate_alarm:
    when: {gate_front: eas.alarm}
    do: [{incident: gate}]
tests:
  - name: a gate alarm opens an incident
    given: {now: "2026-11-20T12:00:00"}
    timeline: [{at: 0s, gate_front: eas.alarm}]
    expect: [{at: 0s, rule: gate_alarm, incident: gate}]
"""
MODULE = """[Service]
ExecStart=/bin/sh -c 'tail -f /dev/null | {program} simulate modbus --port 1502'
[Install]
WantedBy=multi-user.target
"""
PROGRAM = "/usr/local/bin/storewarden"
COPY = """set -e
cd /opt/storewarden/releases
rm -rf {new} && cp -a {old} {new} && rm {new}/.complete
find {new}/bin {new}/pyvenv.cfg -type f -exec sed -i 's|/releases/{old}|/releases/{new}|g' {{}} +
cd {new}/lib/python3*/site-packages
rm -rf storewarden-*.dist-info
python3 -m zipfile -e /root/new.whl .
../../../bin/python -m compileall -q edge drivers rules buffer
touch /opt/storewarden/releases/{new}/.complete
sync
"""


class System(Protocol):
    """A whole system that commands can be run in as root, and files be put into."""

    def run(
        self,
        *command: str,
        input: str | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]: ...

    def put(self, source: Path, target: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A store whose release runs."""

    system: System

    def status(self) -> dict[str, Any] | None:
        """Return what the daemon says of itself; None when it says nothing."""
        done = self.system.run(PROGRAM, "status", "--json", check=False)
        found: dict[str, Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
        return found

    def upgrades(self) -> dict[str, Any]:
        """Return what `upgrade status` says."""
        found: dict[str, Any] = json.loads(
            self.system.run(PROGRAM, "upgrade", "status", "--json").stdout
        )
        return found

    def install(self, bundle: Path) -> None:
        """Install a bundle beside what runs, unless it is there."""
        version = bundle.name.removeprefix("storewarden-").removesuffix(".tar.gz")
        if version in self.upgrades()["releases"]:
            return
        self.system.put(bundle, f"/root/{bundle.name}")
        self.system.run(
            PROGRAM, "upgrade", "install", f"/root/{bundle.name}", "--unsigned", timeout=600.0
        )
        self.system.run("rm", f"/root/{bundle.name}")

    def to(self, version: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Switch, to the end of the watch."""
        return self.system.run(
            PROGRAM, "upgrade", "to", version, *options, check=False, timeout=600.0
        )

    def until(
        self, enough: Callable[[dict[str, Any]], bool], within: float = 90.0
    ) -> dict[str, Any]:
        """Wait until the daemon's status is `enough`, and return it."""
        ends = time.monotonic() + within
        while True:
            status = self.status()
            if status is not None and enough(status):
                return status
            assert time.monotonic() < ends, status or self.log()
            time.sleep(0.2)  # another system's work: nothing to wait on

    def until_decided(self) -> dict[str, Any]:
        """Wait until no release is on trial, and return what `upgrade status` says."""
        ends = time.monotonic() + 90.0
        while (found := self.upgrades())["trial"] is not None:
            assert time.monotonic() < ends, self.log()
            time.sleep(0.2)  # another system's work: nothing to wait on
        return found

    def until_said(self, signal: str, reason: str) -> None:
        """Wait until the last that the site said with this signal has this reason."""
        ends = time.monotonic() + 60.0
        while [data["reason"] for data in self.said(signal)][-1:] != [reason]:
            assert time.monotonic() < ends, self.log()
            time.sleep(0.2)  # another system's work: nothing to wait on

    def log(self) -> str:
        words = ("journalctl", "-n", "40", "--no-pager", "-u", "storewarden*")
        return self.system.run(*words, check=False).stdout

    def ids(self) -> list[str]:
        """Return the ids of all records in the journal, oldest first."""
        query = "SELECT lower(hex(id)) FROM records ORDER BY sequence"
        script = (
            "import sqlite3;"
            'db = sqlite3.connect("file:/var/lib/storewarden/journal.db?mode=ro", uri=True);'
            f"print(*(row[0] for row in db.execute({query!r})))"
        )
        return self.system.run("python3", "-c", script).stdout.split()

    def journal(self) -> str:
        """Return the id of the journal's newest chain."""
        query = "SELECT id FROM journal ORDER BY first DESC LIMIT 1"
        script = (
            "import sqlite3;"
            'db = sqlite3.connect("file:/var/lib/storewarden/journal.db?mode=ro", uri=True);'
            f"print(db.execute({query!r}).fetchone()[0])"
        )
        return self.system.run("python3", "-c", script).stdout.strip()

    def verified(self) -> subprocess.CompletedProcess[str]:
        """Return what `journal verify` says."""
        return self.system.run(PROGRAM, "journal", "verify", check=False)

    def said(self, signal: str) -> list[dict[str, Any]]:
        """Return the fields of what the site has said with this signal, oldest first."""
        query = (
            "SELECT CAST(body AS TEXT) FROM records JOIN topics USING (topic) WHERE name LIKE "
            f"'%/event/site/{signal}' ORDER BY sequence"
        )
        script = (
            "import sqlite3;"
            'db = sqlite3.connect("file:/var/lib/storewarden/journal.db?mode=ro", uri=True);'
            f"[print(row[0]) for row in db.execute({query!r})]"
        )
        lines = self.system.run("python3", "-c", script).stdout.splitlines()
        return [json.loads(line)["data"] for line in lines]


def install(system: System, bundle: Path, url: str, folder: Path) -> Installed:
    """Install the first release on a bare system, and start it; returns when all is up."""
    name = bundle.name.removesuffix(".tar.gz")
    system.put(bundle, "/root/bundle.tar.gz")
    system.run("tar", "-xzf", "/root/bundle.tar.gz", "-C", "/root")
    system.run("sh", f"/root/{name}/install.sh", "all", timeout=600.0)
    system.run("rm", "-r", f"/root/{name}", "/root/bundle.tar.gz")
    program = f"/opt/storewarden/releases/{name.removeprefix('storewarden-')}/bin/storewarden"
    for path, text in {
        "/etc/storewarden/site.yaml": SITE.format(url=url),
        "/etc/storewarden/devices.yaml": DEVICES,
        "/etc/storewarden/rules/gates.yaml": RULES,
        "/etc/storewarden/secrets/mqtt_password": "hunter2\n",
        "/etc/systemd/system/module.service": MODULE.format(program=program),
    }.items():
        made = folder / Path(path).name
        made.write_text(text)
        system.put(made, path)
    system.run("chown", "-R", "root:storewarden", "/etc/storewarden")
    system.run("chown", "-R", "root:root", "/etc/storewarden/secrets")
    system.run("chmod", "-R", "go-rwx", "/etc/storewarden/secrets")
    system.run("systemctl", "daemon-reload")
    units = ("module", "storewarden", "storewarden-upgrade-recover")
    system.run("systemctl", "enable", *units)
    system.run("systemctl", "start", "module", "storewarden")
    store = Installed(system=system)
    store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"])
    return store


def copied(store: Installed, of: Path, old: str, folder: Path) -> str:
    """Make the release of a bundle of the release `old` and its own wheel; return its version.

    It is what `upgrade install` makes, without pip, which takes most of the time.
    """
    made = folder / of.name.removesuffix(".tar.gz")
    subprocess.run(("tar", "-xzf", str(of), "-C", str(folder)), check=True)
    (wheel,) = (made / "wheels").glob("storewarden-*.whl")
    version = (made / "VERSION").read_text().strip()
    store.system.put(wheel, "/root/new.whl")
    store.system.run("sh", "-c", COPY.format(old=old, new=version))
    return version
