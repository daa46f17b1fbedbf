"""Prove the playbooks against whole systems: five stores at once, and a virtual machine.

./dev prove ansible [--stores 5] [--suite bookworm] [--skip-stores] [--skip-machine] [--disk DIR]

Five stores are booted by systemd-nspawn beside a real mosquitto with mutual TLS: installed from
nothing in rings, played again without a change, upgraded in rings; a release that is broken on
purpose goes back and stops the rollout with the later rings untouched; rules whose test fails are
refused before any store is touched; certificates are renewed; a store is revoked; all is removed.
Then a virtual machine, whose kernel enforces every limit of the unit: installed, played again,
removed. Needs root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import vm
from edge.version import VERSION
from tests.ansible.central import Central
from tests.ansible.five import TARGETS, Fleet, fleet, release_of, signer_yaml, signing_key

NEXT, BROKEN = "9.0.1", "9.0.2"
MACHINE = """\
templates:
  base:
    site: {evacuation: {on: []}}
    io: {gateway: {type: text, url: "udp-listen://127.0.0.1:4055", separator: "|"}}
    devices: {tills: {type: eas_pedestal, port: gateway, profile: text_generic}}
    ansible: {ansible_user: root, ansible_ssh_private_key_file: KEY, store_certificates: false}
stores:
  store_vm: {template: base, address: 127.0.0.1, port: PORT}
"""
SETTINGS = """\
storewarden_signers: {signer}
storewarden_time: ignore
storewarden_verify_within: 180
render_command: {program}
render_folder: {folder}/rendered
rollout_soak: 5
"""


@contextmanager
def lap(what: str) -> Iterator[None]:
    """Say how long the block took."""
    began = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - began:.0f} s", flush=True)


def held(what: str, claim: object) -> None:
    """End the proof unless the claim holds."""
    if not claim:
        raise SystemExit(f"prove: not so: {what}")
    print(f"  held: {what}", flush=True)


def changed(counts: dict[str, dict[str, int]]) -> int:
    """Return how much a play changed on all hosts."""
    return sum(numbers["changed"] for numbers in counts.values())


def stores(folder: Path, number: int, suite: str) -> None:
    """Prove the scenario of the fleet."""
    with fleet(folder, number, suite) as (all_of_them, key):
        target = TARGETS[suite]
        first = ("-e", f"storewarden_bundle={release_of(folder, VERSION, key, target)}")
        good = release_of(folder, NEXT, key, target)
        broken = release_of(folder, BROKEN, key, target, broken=True)
        with lap(f"{number} stores installed from nothing, in rings"):
            all_of_them.good("rollout", *first)
        held("every store runs it", all_of_them.runs() == [VERSION] * number)
        with lap("played again"):
            again = all_of_them.good("rollout", *first)
        held("nothing changed", changed(again) == 0)
        with lap("a broken release"):
            stopped = all_of_them.play("upgrade", "-e", f"storewarden_bundle={broken}")
        held("the rollout stopped", stopped.returncode != 0)
        held("every store runs what it ran", all_of_them.runs() == [VERSION] * number)
        releases = [one.folder / "opt/storewarden/releases" for one in all_of_them.stores]
        later = [folder for folder in releases[1:] if (folder / BROKEN).exists()]
        held("later rings were not touched", not later)
        _rules(all_of_them)
        with lap("upgraded in rings"):
            all_of_them.good("upgrade", "-e", f"storewarden_bundle={good}")
        held("every store runs the next release", all_of_them.runs() == [NEXT] * number)
        with lap("certificates renewed"):
            all_of_them.good("certificates", "-e", "certificates_force=true")
        with lap("a store revoked"):
            all_of_them.good("revoke", "-e", "store=store_0")
            _refused(all_of_them.broker, all_of_them)
        all_of_them.good("collect")
        print((folder / "collected.csv").read_text())
        with lap("removed"):
            all_of_them.good("uninstall", "--limit", "stores")
        held("no store runs any", all_of_them.runs() == ["none"] * number)


def _rules(all_of_them: Fleet) -> None:
    text = all_of_them.rules.read_text()
    all_of_them.rules.write_text(text.replace("incident: sale}]\ntests", "incident: no}]\ntests"))
    with lap("rules whose test fails"):
        refused = all_of_them.play("rules")
    held("they were refused", refused.returncode != 0)
    held("no store was asked", "store_" not in refused.stdout.split("PLAY RECAP")[-1])
    all_of_them.rules.write_text(text)


def _refused(broker: Central, all_of_them: Fleet) -> None:
    broker.write()
    broker.stop()
    broker.start()
    ends, wanted = time.monotonic() + 120.0, [False] + [True] * (len(all_of_them.stores) - 1)
    linked: list[bool] = []
    while linked != wanted and time.monotonic() < ends:
        time.sleep(1.0)
        said = [s.run("storewarden", "status", "--json").stdout for s in all_of_them.stores]
        linked = ['"connected": true' in one for one in said]
    held("the revoked store is refused, the others are back", linked == wanted)


def machine(folder: Path, disk: Path | None) -> None:
    """Prove install, second run and removal in the virtual machine."""
    (folder / "inventory/group_vars").mkdir(parents=True)
    key, signer = signing_key(folder)
    made = release_of(folder, VERSION, key, TARGETS["bookworm"])
    with lap("booted"):
        ends = ExitStack()
        box = ends.enter_context(vm.machine(vm.base(disk), folder / "vm"))
    with ends:
        text = MACHINE.replace("KEY", str(box.key)).replace("PORT", str(box.port))
        file = folder / "inventory/stores.yaml"
        file.write_text(text)
        program = Path(sys.executable).with_name("storewarden")
        (folder / "inventory/group_vars/all.yml").write_text(
            SETTINGS.format(folder=folder, signer=signer_yaml(signer), program=program)
        )
        one = Fleet(folder, [], Central(folder / "broker", file, ""))
        words = ("rollout", "-e", f"storewarden_bundle={made}")
        with lap("the machine installed from nothing"):
            one.good(*words)
        active = box.run("systemctl is-active storewarden", check=False)
        held("the service runs there", active.stdout.strip() == "active")
        with lap("played again"):
            again = one.good(*words)
        held("nothing changed", changed(again) == 0)
        with lap("removed"):
            one.good("uninstall", "--limit", "store_vm")
        gone = box.run("systemctl is-active storewarden", check=False)
        held("no service runs there", gone.stdout.strip() != "active")


def main() -> None:
    """Prove what the command line leaves in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stores", type=int, default=5)
    parser.add_argument("--suite", default="bookworm", choices=sorted(TARGETS))
    parser.add_argument("--skip-stores", action="store_true")
    parser.add_argument("--skip-machine", action="store_true")
    parser.add_argument("--disk", type=Path, help="folder of a base disk that is there already")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prove-ansible-") as made:
        if not chosen.skip_stores:
            print(f"{chosen.stores} stores")
            (Path(made) / "stores").mkdir()
            stores(Path(made) / "stores", chosen.stores, chosen.suite)
        if not chosen.skip_machine:
            print("a virtual machine")
            (Path(made) / "machine").mkdir()
            machine(Path(made) / "machine", chosen.disk)
    print("proved")


if __name__ == "__main__":
    main()
