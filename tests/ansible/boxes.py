"""One booted store and the role played against it, for the tests of the role."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from release import bundle, sign
from tests import booted
from tests.ansible.fleet_files import ROOT, program

TARGETS = {"bookworm": "x86_64-3.11", "trixie": "x86_64-3.13"}
SITE = """\
site: store_0421
timezone: Europe/London
evacuation: {on: [], sound: [siren_front]}
mqtt: {url: "mqtt://127.0.0.1:1883", username: store_0421, password: !secret mqtt_password}
"""
DEVICES = """\
io:
  annex: {type: modbus, url: "tcp://127.0.0.1:1502", unit: 1, profile: moxa_e1214}
devices:
  door_back: {type: door, name: "Delivery door", contact: annex.di1, held_after: 30m}
  siren_front: {type: siren, name: "Siren at the front", output: annex.do0, max_on: 2m}
"""
RULES = """\
rules:
  propped:
    description: The delivery door stays open.
    when: {door_back: open, for: 2m}
    do: [{sound: siren_front, for: 10s}]
tests:
  - name: a propped door sounds for ten seconds
    given: {now: "2026-11-20T12:00:00"}
    timeline: [{at: 0s, door_back: door.opened}]
    expect:
      - {at: 2m, rule: propped, sound: siren_front}
      - {at: 130s, rule: propped, ends: siren_front}
"""
SETTINGS = {
    "ANSIBLE_ROLES_PATH": str(ROOT / "ansible" / "roles"),
    "ANSIBLE_HOST_KEY_CHECKING": "false",
    "ANSIBLE_PIPELINING": "true",
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s "
    "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    "ANSIBLE_NOCOLOR": "1",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of one play."""

    text: str
    said: str
    """The same without the details of -vvv: what people see."""
    changed: int
    failed: int


@dataclass(slots=True, kw_only=True)
class Box:
    """A booted store, the configuration that it shall have, and all that Ansible ever said."""

    store: booted.Booted
    folder: Path
    links: Path
    """Where connections of ssh are kept open from one play to the next."""
    variables: dict[str, Any]
    heard: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def play(self, *words: str, good: bool = True, **variables: Any) -> Played:
        """Play the role with `variables` laid over the box's own.

        Raises:
            AssertionError: it failed where it had to be good, or the other way round.
        """
        inventory = self.folder / "hosts.json"
        host = {
            "ansible_host": self.store.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.store.key),
            "ansible_python_interpreter": "/usr/bin/python3",
            **self.variables,
            **variables,
        }
        inventory.write_text(json.dumps({"all": {"hosts": {self.store.name: host}}}))
        play = self.folder / "play.json"
        role = {"hosts": "all", "gather_facts": False, "roles": ["storewarden"]}
        play.write_text(json.dumps([role]))
        command = (program("ansible-playbook"), "-i", str(inventory), str(play), *words)
        none = self.folder / "ansible.cfg"
        none.touch()
        own = {
            "ANSIBLE_CONFIG": str(none),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": f"/tmp/sw-{os.getpid()}",
        }
        done = subprocess.run(
            command,
            env=os.environ | SETTINGS | own,
            capture_output=True,
            text=True,
            timeout=400,
            stdin=subprocess.DEVNULL,
        )
        text = done.stdout + done.stderr
        self.heard.append(text)
        (self.folder / f"heard-{len(self.heard):02}.log").write_text(text)
        recap = re.search(r"changed=(\d+) .*failed=(\d+)", text)
        assert recap is not None, text[-3000:]
        lines = [one for one in text.splitlines() if not one.startswith(("<10.99.", "task path"))]
        said = "\n".join(lines)
        played = Played(text=text, said=said, changed=int(recap[1]), failed=int(recap[2]))
        assert (done.returncode == 0) is good, said[-6000:]
        return played

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.store.run("storewarden", "status", "--json").stdout)
        return found

    def pid(self) -> int:
        """Return the daemon's process."""
        words = ("systemctl", "show", "-p", "MainPID", "--value", "storewarden")
        return int(self.store.run(*words).stdout)

    def files(self) -> dict[str, str]:
        """Return mode, owner and content of every file of the configuration on the box."""
        place = self.store.folder / "etc/storewarden"
        found = {}
        for file in sorted(path for path in place.rglob("*") if path.is_file()):
            owned = self.store.run(
                "stat", "-c", "%a %U:%G", f"/etc/storewarden/{file.relative_to(place)}"
            )
            found[str(file.relative_to(place))] = f"{owned.stdout.strip()} {file.read_text()}"
        return found


@contextmanager
def box(suite: str, folder: Path) -> Iterator[Box]:
    """Boot a bare store, make a signed bundle for it, and write its configuration."""
    key = folder / "key"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    made = bundle.build(folder, [TARGETS[suite]], key=key)
    config = folder / "config"
    (config / "rules").mkdir(parents=True)
    (config / "site.yaml").write_text(SITE)
    (config / "devices.yaml").write_text(DEVICES)
    (config / "rules" / "doors.yaml").write_text(RULES)
    variables = {
        "storewarden_bundle": str(made),
        "storewarden_signers": sign.signer(key.with_suffix(".pub").read_text()),
        "storewarden_config_folder": str(config),
        "storewarden_verify_doctor": False,
    }
    with (
        booted.boot(suite, name=f"store-{suite}", python=False) as store,
        tempfile.TemporaryDirectory(dir="/tmp", prefix="sw-") as links,
    ):
        try:
            yield Box(store=store, folder=folder, links=Path(links), variables=variables)
        finally:
            for link in Path(links).iterdir():
                words = ("ssh", "-O", "exit", "-o", f"ControlPath={link}", store.address)
                subprocess.run(words, capture_output=True)


@contextmanager
def wires(store: booted.Booted, log: Path) -> Iterator[None]:
    """Have the module of the store's configuration on its loopback; `log` is told of outputs."""
    words = ("simulate", "modbus", "--port", "1502", "--profile", "moxa_e1214")
    command = ["nsenter", "-t", str(store.init), "-n", sys.executable, "-P", "-m", "edge.cli.main"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
