"""The unit that pushes runs on a booted Debian, as closed as it is, and reads its password."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import booted
from tests.booted import Booted
from tests.monitoring.promtool import MONITORING, require

LIMIT = 60.0
UNIT = "storewarden-push"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Booted]:
    booted.require()
    require("prometheus")
    program = shutil.which("prometheus")
    assert program is not None
    config = tmp_path / "agent.yml"
    text = (MONITORING / "agent" / config.name).read_text()
    text = text.replace("metrics.example.com", "127.0.0.1").replace("ca_file:", "# ca_file:")
    config.write_text(text.replace("scrape_interval: 60s", "scrape_interval: 1s"))
    with booted.boot("bookworm", name="push", network=False, python=False) as made:
        made.run("mkdir", "-p", "/etc/storewarden-push")
        made.run("sh", "-c", "umask 077; echo secret >/etc/storewarden-push/push_password")
        made.put(Path(program), "/usr/bin/prometheus")
        made.put(config, "/etc/storewarden-push/agent.yml")
        made.put(MONITORING / "agent" / f"{UNIT}.service", f"/etc/systemd/system/{UNIT}.service")
        made.run("systemctl", "daemon-reload")
        yield made


def test_the_unit_runs_and_tries_to_push_with_its_password(box: Booted) -> None:
    box.run("systemctl", "start", UNIT)
    end = time.monotonic() + LIMIT
    while "Failed to send batch" not in (log := said(box)):
        assert time.monotonic() < end, log
        time.sleep(0.5)

    assert "connection refused" in log  # nobody listens there; the password was read before
    assert "password" not in log
    assert "secret" not in log
    told = box.run("systemctl", "show", "--property=ActiveState,NRestarts", UNIT).stdout
    assert told.split() == ["NRestarts=0", "ActiveState=active"]


def said(box: Booted) -> str:
    return box.run("journalctl", "--unit", UNIT, "--no-pager", "--output=cat").stdout
