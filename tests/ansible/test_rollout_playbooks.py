"""Playbooks that touch no box: rendering, targets, the vault; and the linter over all of them."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from edge.cli.run import python
from tests.ansible.fleet_files import ANSIBLE, ansible, many, program, rendering, stores


def storewarden(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*python(), *map(str, arguments)), capture_output=True, text=True, timeout=600
    )


def test_five_hundred_stores_are_rendered_and_a_second_time_nothing_changes(tmp_path: Path) -> None:
    found = stores.read(many(tmp_path / "inventory", 500))
    began = time.perf_counter()
    assert len(rendering.render(found, tmp_path / "rendered")) == 500
    assert time.perf_counter() - began < 20.0, "0.3 s on an idle machine"
    assert rendering.render(found, tmp_path / "rendered") == []
    assert rendering.render(found[1:], tmp_path / "rendered") == ["store_0499"]
    assert rendering.alike(found) == ["store_0499", "store_0000"]
    for gone in list((tmp_path / "rendered").iterdir())[4:]:
        shutil.rmtree(gone)
    checked = storewarden("check", "--fleet", tmp_path / "rendered")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.startswith("4 configurations checked: no problems")


def test_a_folder_that_is_not_of_stores_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine/letters").mkdir(parents=True)
    with pytest.raises(rendering.StoresWrong, match="letters: not of a store"):
        rendering.render(stores.read(many(tmp_path / "inventory", 1)), tmp_path / "mine")
    assert (tmp_path / "mine/letters").is_dir()


def _render(inventory: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    said = folder / "storewarden"
    said.write_text("#!/bin/sh\nexec " + " ".join(python()) + ' "$@"\n')
    said.chmod(0o755)
    return ansible(
        "ansible-playbook", "-i", inventory, "playbooks/render.yml",
        "-e", f"render_folder={folder}/rendered render_command={said}",
    )  # fmt: skip


def test_a_rule_whose_test_fails_ends_the_run_before_any_store(tmp_path: Path) -> None:
    inventory = many(tmp_path / "inventory", 3)
    good = _render(inventory, tmp_path)
    assert good.returncode == 0, good.stdout + good.stderr
    rules = tmp_path / "inventory/rules/fleet/doors.yaml"
    rules.write_text(rules.read_text().replace("{at: 150s, rule", "{at: 151s, rule"))
    bad = _render(inventory, tmp_path)
    assert bad.returncode != 0
    assert "a propped delivery door sounds until it is closed" in bad.stdout


def test_prometheus_is_told_every_store_with_its_labels(tmp_path: Path) -> None:
    file = tmp_path / "targets.json"
    words = ("ansible-playbook", "playbooks/targets.yml", "-e", f"targets_file={file}")
    first = ansible(*words)
    assert first.returncode == 0, first.stdout + first.stderr
    assert json.loads(file.read_text())[1] == {
        "targets": ["10.4.22.10:9464"],
        "labels": {
            "ring": "early", "site": "store_0422", "template": "with_tills", "zone": "north",
        },
    }  # fmt: skip
    assert "changed=0" in ansible(*words).stdout
    if promtool := shutil.which("promtool"):
        config = tmp_path / "prometheus.yml"
        config.write_text(
            f"scrape_configs: [{{job_name: s, file_sd_configs: [{{files: ['{file}']}}]}}]\n"
        )
        checked = subprocess.run(
            (promtool, "check", "config", str(config)), capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_name_that_never_had_a_certificate_is_not_revoked_silently(tmp_path: Path) -> None:
    given = f"store=store_9999 certificates_authority={tmp_path} certificates_passphrase=none"
    words = ("ansible-playbook", "playbooks/revoke.yml", "-e", given)
    none = ansible(*words)
    assert none.returncode != 0
    assert f"there is no authority in {tmp_path}" in none.stdout
    (tmp_path / "index.txt").write_text("V\t270101000000Z\t\t01\tunknown\t/CN=store_0421\n")
    other = ansible(*words)
    assert other.returncode != 0
    assert "no certificate was ever issued to store_9999" in other.stdout


def test_the_vaults_layout_gives_each_store_its_own_secrets(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    shutil.copytree(ANSIBLE / "inventory", inventory)
    vault, word = inventory / "group_vars/stores/vault.yml", tmp_path / "word"
    word.write_text("open sesame\n")
    text = (inventory / "vault.example.yml").read_text()
    vault.write_text(text.replace("cam_exit: change me", "cam_exit: s3cret", 1))
    words = ("--vault-password-file", word)
    assert ansible("ansible-vault", "encrypt", vault, *words).returncode == 0
    assert vault.read_text().startswith("$ANSIBLE_VAULT;")
    show = ("-m", "ansible.builtin.debug", "-a", "var=storewarden_secrets")
    said = ansible("ansible", "-i", inventory / "stores.yaml", "stores", *words, *show)
    assert said.returncode == 0, said.stdout + said.stderr
    parts = {part.split(" |")[0].strip(): part for part in said.stdout.split("store_")[1:]}
    assert "s3cret" in parts["0421"]
    assert "change me" in parts["0422"]
    assert "alarm_receiver" in parts["0423"]
    assert "cam_exit" not in parts["0423"]


def test_the_linter_finds_nothing_by_its_strictest_profile() -> None:
    program("ansible-lint")
    said = ansible("ansible-lint", "--offline", "--profile", "production", "-q", "--nocolor")
    assert said.returncode == 0, said.stdout + said.stderr
