"""Storewarden installed as a service on a booted system, with a simulated module beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import booted
from tests.booted import Booted

PROGRAM = "/usr/local/bin/storewarden"
SECRET = "correct-horse-battery"
FILES = {
    "/etc/storewarden/site.yaml": """\
site: store_0421
evacuation: {on: []}
mqtt: {url: "mqtt://127.0.0.1:1", username: store_0421, password: !secret mqtt_password}
buffer: {max_size: 64MB}
""",
    "/etc/storewarden/devices.yaml": """\
io:
  annex: {type: modbus, url: "tcp://127.0.0.1:1502", unit: 1, profile: moxa_e1214}
devices:
  door_front: {type: door, contact: annex.di1}
  siren_front: {type: siren, output: annex.do0, at_start: keep, at_stop: off}
""",
    "/etc/storewarden/secrets/mqtt_password": f"{SECRET}\n",
    "/etc/systemd/system/module.service": f"""\
[Service]
Environment=PYTHONUNBUFFERED=1
ExecStart=/bin/sh -c 'tail -f /dev/null | {PROGRAM} simulate modbus --port 1502 \\
  --profile moxa_e1214'
""",
    "/etc/systemd/system/storewarden.service.d/90-test.conf": """\
[Service]
WatchdogSec=4s
""",
}
WITHIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The running service."""

    system: Booted

    def run(self, *command: str, check: bool = True) -> str:
        return self.system.run(*command, check=check).stdout

    def shown(self, name: str) -> str:
        """Return a property of the service as systemd shows it."""
        return self.run("systemctl", "show", "-P", name, "storewarden").strip()

    def put(self, path: str, text: str, folder: Path) -> None:
        made = folder / "made"
        made.write_text(text)
        self.system.put(made, path)
        self.run("systemd-tmpfiles", "--create", "storewarden.conf")

    def status(self) -> dict[str, Any] | None:
        done = self.system.run(PROGRAM, "status", "--json", check=False)
        found: dict[str, Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
        return found

    def until(self, enough: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the daemon's status is `enough`, and return it."""
        ends = time.monotonic() + WITHIN
        while (status := self.status()) is None or not enough(status):
            assert time.monotonic() < ends, (status, self.log())
            time.sleep(0.1)  # another system's work: nothing to wait on
        return status

    def until_so(self, done: Callable[[], object], what: str) -> None:
        """Wait until something is so."""
        ends = time.monotonic() + WITHIN
        while not done():
            assert time.monotonic() < ends, f"{what}\n{self.log()}"
            time.sleep(0.1)  # another system's work: nothing to wait on

    def log(self, unit: str = "storewarden") -> str:
        return self.run("journalctl", "-o", "cat", "--no-pager", "-u", unit)

    def ends(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("cat", "/var/lib/storewarden/ends.json"))
        return found


@contextmanager
def installed(suite: str, bundle: Path, folder: Path) -> Iterator[Service]:
    """Boot a system, install the bundle on it, and start the module; the service is not started."""
    with booted.boot(suite, name=f"service-{suite}", network=False) as system:
        system.put(bundle, "/root/bundle.tar.gz")
        system.run("tar", "-xzf", "/root/bundle.tar.gz", "-C", "/root")
        name = bundle.name.removesuffix(".tar.gz")
        system.run("sh", f"/root/{name}/install.sh", "all", timeout=600.0)
        service = Service(system=system)
        _waits_for_a_configuration(service)
        for path, text in FILES.items():
            service.put(path, text, folder)
        service.run("systemctl", "daemon-reload")
        service.run("systemctl", "start", "module")
        yield service


def _waits_for_a_configuration(service: Service) -> None:
    service.run("systemctl", "start", "storewarden")

    assert service.shown("ActiveState") == "inactive"
    assert service.shown("ConditionResult") == "no"
    assert service.log().count("storewarden") <= 1
