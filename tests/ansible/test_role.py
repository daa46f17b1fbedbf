"""The role against booted Debian 12 and 13, over ssh: from nothing to a store, and back."""

import time
from pathlib import Path

import pytest

from release import sign
from tests import booted
from tests.ansible.boxes import DEVICES, RULES, Box, box, wires

SECRET = "correct-horse-9f3b27"
NEXT_SECRET = "battery-staple-51c0de"
LISTED = "find / -xdev -iname *storewarden* -not -path /proc/* -not -path /sys/* -not -path /tmp/*"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_box_is_installed_kept_changed_and_removed(suite: str, tmp_path: Path) -> None:
    booted.require()
    with box(suite, tmp_path) as one, wires(one.store, tmp_path / "wires.log"):
        one.variables["storewarden_secrets"] = {"mqtt_password": SECRET}
        _a_check_of_a_bare_box_predicts_and_changes_nothing(one)
        _a_bundle_of_another_is_refused(one)
        _it_is_installed(one)
        _again_changes_nothing(one)
        _what_is_refused_replaces_nothing(one)
        _a_changed_rule_is_reloaded(one)
        _a_changed_secret_restarts(one)
        _a_refused_part_of_the_host_holds_up_no_other(one)
        _nothing_is_changed_in_an_evacuation(one)
        _it_is_removed_and_its_past_stays(one, tmp_path / "wires.log")
        _purged_it_leaves_nothing(one)
        for text in one.heard:
            assert SECRET not in text
            assert NEXT_SECRET not in text


def _a_check_of_a_bare_box_predicts_and_changes_nothing(one: Box) -> None:
    before = one.store.run(*LISTED.split(), check=False).stdout
    played = one.play("--check", "--diff")
    assert played.changed > 0
    assert "+    do: [{sound: siren_front, for: 10s}]" in played.said
    assert one.store.run(*LISTED.split(), check=False).stdout == before


def _a_bundle_of_another_is_refused(one: Box) -> None:
    signers = sign.signer(
        booted.root(one.store.suite, python=False)
        .joinpath("etc/ssh/ssh_host_ed25519_key.pub")
        .read_text()
    )
    said = one.play("--check", good=False, storewarden_signers=signers).said
    assert "storewarden-0.1.0.tar.gz: it is signed by somebody who may not" in said


def _it_is_installed(one: Box) -> None:
    one.variables |= {
        "storewarden_host_ssh": True,
        "storewarden_host_journal": "150M",
        "storewarden_host_watchdog": "1min",
    }
    one.play("-vvv", "--diff")
    assert one.store.run("systemctl", "is-enabled", "storewarden").stdout.strip() == "enabled"
    assert one.status()["site"] == "store_0421"
    assert {name: text.split()[:2] for name, text in one.files().items()} == {
        "devices.yaml": ["640", "root:storewarden"],
        "release-signers": ["644", "root:root"],
        "rules/doors.yaml": ["640", "root:storewarden"],
        "secrets/mqtt_password": ["600", "root:root"],
        "site.yaml": ["640", "root:storewarden"],
    }
    assert "passwordauthentication no" in one.store.run("sshd", "-T").stdout
    watchdog = one.store.run("systemctl", "show", "-p", "RuntimeWatchdogUSec", "--value").stdout
    assert watchdog.strip() == "1min"


def _again_changes_nothing(one: Box) -> None:
    pid = one.pid()
    assert one.play().changed == 0
    assert one.play("--check", "--diff").changed == 0
    assert one.pid() == pid


def _what_is_refused_replaces_nothing(one: Box) -> None:
    before, config, pid = one.files(), one.status()["config"], one.pid()
    (one.config / "rules" / "doors.yaml").write_text(RULES.replace("for: 10s", "for: 11s"))
    said = one.play(good=False).said
    assert "rules/doors.yaml:7: a propped door sounds for ten seconds: at 130s expected" in said
    (one.config / "rules" / "doors.yaml").write_text(RULES)
    (one.config / "devices.yaml").write_text(DEVICES.replace("annex.do0", "annex.do99"))
    assert "devices.yaml:5:" in one.play("--check", good=False).said
    (one.config / "devices.yaml").write_text(DEVICES)
    assert one.files() == before
    assert (one.status()["config"], one.pid()) == (config, pid)


def _a_changed_rule_is_reloaded(one: Box) -> None:
    config, pid = one.status()["config"], one.pid()
    changed = RULES.replace("for: 10s", "for: 20s").replace("130s", "140s")
    (one.config / "rules" / "doors.yaml").write_text(changed)
    played = one.play("--diff")
    assert "-    do: [{sound: siren_front, for: 10s}]" in played.said
    assert "+    do: [{sound: siren_front, for: 20s}]" in played.said
    assert one.status()["config"] != config
    assert one.pid() == pid


def _a_changed_secret_restarts(one: Box) -> None:
    config, pid = one.status()["config"], one.pid()
    one.variables["storewarden_secrets"] = {"mqtt_password": NEXT_SECRET}
    played = one.play("-vvv", "--diff")
    assert "+(another secret)" in played.said
    passed = "/run/credentials/storewarden.service/secrets_mqtt_password"
    assert one.store.run("cat", passed).stdout == NEXT_SECRET
    assert one.status()["config"] == config
    assert one.pid() != pid


def _a_refused_part_of_the_host_holds_up_no_other(one: Box) -> None:
    played = one.play(good=False, storewarden_host_watchdog="2min", storewarden_host_root="overlay")
    assert "an overlay needs Raspberry Pi OS" in played.said
    words = ("systemctl", "show", "-p", "RuntimeWatchdogUSec")
    assert one.store.run(*words).stdout == "RuntimeWatchdogUSec=2min\n"


def _nothing_is_changed_in_an_evacuation(one: Box) -> None:
    one.store.run("storewarden", "evacuate", "start", "--reason", "smoke")
    assert "an evacuation or an upgrade is under way" in one.play(good=False).said
    one.store.run("storewarden", "evacuate", "end", "--reason", "over")


def _it_is_removed_and_its_past_stays(one: Box, log: Path) -> None:
    order = ("order", "siren_front", "sound", "--for", "60s", "--reason", "a test")
    one.store.run("storewarden", *order)
    _until_it_says(log, "do0 is on")
    before = one.files()
    one.play(storewarden_state="absent")
    _until_it_says(log, "do0 is off")
    assert (one.store.folder / "var/lib/storewarden/journal.db").is_file()
    kept = {name: text.split(" ", 2)[2] for name, text in one.files().items()}
    assert kept == {name: text.split(" ", 2)[2] for name, text in before.items()}
    assert one.store.run("id", "storewarden", check=False).returncode == 1
    assert "storewarden" not in one.store.run("systemctl", "list-units", "--failed").stdout
    left = one.store.run("systemctl", "cat", "storewarden", check=False)
    assert "No files found" in left.stderr
    listed = one.store.run(*LISTED.split(), check=False).stdout.splitlines()
    host = {"/etc/ssh/sshd_config.d/10-storewarden.conf"}
    host |= {f"/etc/systemd/{n}.conf.d/zz-storewarden-host.conf" for n in ("journald", "system")}
    assert set(listed) - host == {"/etc/storewarden", "/var/lib/storewarden"}


def _until_it_says(log: Path, last: str) -> None:
    """Wait until the last line of the simulated module is this one."""
    ends = time.monotonic() + 20
    while [line.strip() for line in log.read_text().splitlines()][-1:] != [last]:
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.1)  # another process's work: nothing to wait on


def _purged_it_leaves_nothing(one: Box) -> None:
    one.play(storewarden_state="absent", storewarden_purge=True)
    assert one.store.run(*LISTED.split(), check=False).stdout == ""
