"""A second daemon with the same state folder: a person is told, a service waits for its turn."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.alone import Occupied, alone
from edge.cli.main import main
from tests.edge.shop import SITE_YAML

SERVICE = {"NOTIFY_SOCKET": "/run/systemd/notify"}


def test_who_runs_a_second_daemon_by_hand_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = tmp_path / "config", tmp_path / "state"
    config.mkdir()
    (config / "site.yaml").write_text(SITE_YAML)
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    umask = os.umask(0o027)
    try:
        with alone(state, {}):
            assert main(["run", "--config", str(config)]) == 1
    finally:
        os.umask(umask)
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"storewarden: another daemon runs with {state}; systemctl status storewarden"
    )
    assert list(state.iterdir()) == []


def test_a_service_waits_until_the_other_one_has_ended(tmp_path: Path) -> None:
    runs = threading.Event()

    def service() -> None:
        with alone(tmp_path, SERVICE):
            runs.set()

    waiting = threading.Thread(target=service)
    with alone(tmp_path, {}):
        waiting.start()
        assert not runs.wait(0.7)
    assert runs.wait(30.0)
    waiting.join()


def test_a_daemon_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    script = "import sys, time; from pathlib import Path; from edge.alone import alone\n"
    script += "with alone(Path(sys.argv[1]), {}): print('on', flush=True); time.sleep(600)"
    words = (sys.executable, "-c", script, str(tmp_path))
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Occupied), alone(tmp_path, {}):
            pass
        other.kill()
    with alone(tmp_path, {}):
        pass


def test_a_folder_that_cannot_be_is_no_reason_not_to_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with alone(tmp_path / "file" / "state", {}):
        pass
