"""Stores booted on this machine, a central broker beside them, and Ansible over ssh to all."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from release import bundle, sign
from tests import booted
from tests.ansible.central import Central
from tests.ansible.fleet_files import ROOT, ansible

TARGETS = {"bookworm": "x86_64-3.11", "trixie": "x86_64-3.13"}
RULES = """\
rules:
  deactivated:
    description: A tag is deactivated at the tills.
    when: {tills: eas.deactivated}
    do: [{incident: sale}]
tests:
  - name: a deactivation is kept as an incident
    timeline: [{at: 0s, tills: eas.deactivated, till: 2}]
    expect: [{at: 0s, rule: deactivated, incident: sale}]
"""
STORES = """\
rings: [canary, early, rest]
templates:
  base:
    site:
      evacuation: {on: []}
      mqtt:
        url: "mqtts://${broker}:PORT"
        ca: /etc/storewarden/tls/ca.pem
        cert: /etc/storewarden/tls/cert.pem
        key: !secret mqtt_key
    io: {gateway: {type: text, url: "udp-listen://127.0.0.1:4055", separator: "|"}}
    devices: {tills: {type: eas_pedestal, port: gateway, profile: text_generic}}
    rules: [fleet]
    ansible:
      ansible_user: root
      ansible_ssh_private_key_file: KEY
stores:
"""
BROKEN = """

async def _drivers(parts: Parts) -> None:
    raise RuntimeError("broken on purpose")
"""
SETTINGS = """\
certificates_authority: {folder}/authority
storewarden_signers: {signer}
storewarden_time: ignore
storewarden_verify_uplink: true
storewarden_upgrade_watch: 15s
render_command: {program}
render_folder: {folder}/rendered
rollout_batches: {batches}
rollout_soak: 3
collect_file: {folder}/collected.csv
"""


class Fleet:
    """`play` a playbook; see what `runs` in each store."""

    def __init__(self, folder: Path, stores: list[booted.Booted], broker: Central) -> None:
        self.folder, self.stores, self.broker = folder, stores, broker
        self.inventory = folder / "inventory" / "stores.yaml"
        self.rules = folder / "inventory/rules/fleet/tills.yaml"

    def play(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Play a playbook; its answer is the caller's to judge."""
        return ansible(
            "ansible-playbook", "-i", self.inventory, f"playbooks/{name}.yml", *more,
            limit=1800.0, ANSIBLE_HOST_KEY_CHECKING="False", ANSIBLE_FORKS="5",
            ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60s "
            "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        )  # fmt: skip

    def good(self, name: str, *more: str) -> dict[str, dict[str, int]]:
        """Play a playbook that must end well; return what its recap counts, by host."""
        done = self.play(name, *more)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return recap(done.stdout)

    def runs(self) -> list[str]:
        """Return the version that the daemon of each store says."""
        said = []
        for store in self.stores:
            done = store.run("storewarden", "status", "--json", check=False)
            found = re.search(r'"version": "([^"]+)"', done.stdout)
            said.append(found[1] if found else "none")
        return said


def recap(text: str) -> dict[str, dict[str, int]]:
    """Return the numbers of the last PLAY RECAP, by host."""
    lines = text.split("PLAY RECAP")[-1].splitlines()
    found = {}
    for line in lines:
        if match := re.match(r"(\S+) +: (ok=.*)", line):
            pairs = (pair.split("=") for pair in match[2].split())
            found[match[1]] = {name: int(number) for name, number in pairs}
    return found


def signing_key(folder: Path) -> tuple[Path, str]:
    """Make a key that signs releases; return it and the line that lets it."""
    key = folder / "release_key"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    return key, sign.signer(key.with_suffix(".pub").read_text()).strip()


def release_of(folder: Path, version: str, key: Path, target: str, *, broken: bool = False) -> Path:
    """Build a signed bundle of this tree as `version`; `broken`: its devices end it."""
    words = ("git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard")
    names = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\0")
    tree = folder / f"tree-{version}"
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
            shutil.copymode(ROOT / name, tree / name)
    file = tree / "edge" / "version.py"
    file.write_text(re.sub(r'"\d[^"]*"', f'"{version}"', file.read_text()))
    if broken:
        daemon = tree / "edge" / "running.py"
        daemon.write_text(daemon.read_text() + BROKEN)
    made = bundle.build(folder / "dist", [target], tree=tree, key=key)
    shutil.rmtree(tree)
    return made


@contextmanager
def fleet(
    folder: Path, number: int, suite: str = "bookworm", *, batches: str = "[1, 2, 100%]"
) -> Iterator[tuple[Fleet, Path]]:
    """Boot so many stores and a broker; yields them and the key that signs releases."""
    booted.require()
    with ExitStack() as ends:
        stores = [ends.enter_context(booted.boot(suite, name=f"store-{n}")) for n in range(number)]
        key, signer = signing_key(folder)
        (folder / "inventory/rules/fleet").mkdir(parents=True)
        (folder / "inventory/group_vars").mkdir()
        broker = Central(folder / "broker", folder / "inventory/stores.yaml", "")
        text = STORES.replace("PORT", str(broker.port)).replace("KEY", str(stores[0].key))
        for n, store in enumerate(stores):
            ring = ("canary", "early", "early")[n] if n < 3 else "rest"
            text += (
                f"  store_{n}: {{template: base, address: {store.address}, ring: {ring}, "
                f"values: {{broker: {store.gateway}}}}}\n"
            )
        (folder / "inventory/stores.yaml").write_text(text)
        (folder / "inventory/rules/fleet/tills.yaml").write_text(RULES)
        program = Path(sys.executable).with_name("storewarden")
        (folder / "inventory/group_vars/all.yml").write_text(
            SETTINGS.format(
                folder=folder, signer=signer_yaml(signer), program=program, batches=batches
            )
        )
        broker.names = ["localhost", *(store.gateway for store in stores)]
        broker.write()
        broker.start()
        ends.callback(broker.stop)
        yield Fleet(folder, stores, broker), key


def signer_yaml(line: str) -> str:
    """Return a line of text as YAML."""
    return "'" + line.replace("'", "''") + "'"
