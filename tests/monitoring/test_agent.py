"""What a box pushes with, and who receives it, are files that Prometheus and systemd take."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.prove_remote_write import agent_file, receiver_files
from tests.certificates import Authority
from tests.monitoring.promtool import MONITORING, promtool

AGENT = MONITORING / "agent"


def test_prometheus_takes_the_configuration_of_the_agent(tmp_path: Path) -> None:
    authority, config = Authority(tmp_path), tmp_path / "agent.yml"
    config.write_text(agent_file(authority, "127.0.0.1:9464", 9443, tmp_path / "password", 60))

    found = promtool("check", "config", "--agent", config)

    assert found.returncode == 0, found.stdout + found.stderr


def test_prometheus_takes_the_configuration_of_the_receiver(tmp_path: Path) -> None:
    config = tmp_path / "receiver.yml"
    config.write_text(receiver_files(tmp_path, Authority(tmp_path)))

    for words in (("config", config), ("web-config", tmp_path / "web.yml")):
        found = promtool("check", *words)
        assert found.returncode == 0, found.stdout + found.stderr


def test_no_secret_stands_in_a_file_or_on_a_command_line() -> None:
    for path in AGENT.iterdir():
        lines = [line for line in path.read_text().splitlines() if "password" in line]
        for line in lines:
            assert re.search(r"password_file|push_password|^\s*(#|//)", line), line


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit_and_finds_it_well_closed(tmp_path: Path) -> None:
    unit = tmp_path / "storewarden-push.service"
    text = (AGENT / unit.name).read_text()
    unit.write_text(text.replace("/usr/bin/prometheus", "/bin/true"))

    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_PAGER": "cat"},
    )  # fmt: skip

    assert [line for line in verified.stderr.splitlines() if unit.name in line] == []
    assert rated.returncode == 0, rated.stdout[-500:]


@pytest.mark.skipif(shutil.which("amtool") is None, reason="no Alertmanager here")
def test_alertmanager_takes_the_example() -> None:
    found = subprocess.run(
        ["amtool", "check-config", str(MONITORING / "alertmanager.yml")],
        capture_output=True, text=True,
    )  # fmt: skip

    assert found.returncode == 0, found.stdout + found.stderr
