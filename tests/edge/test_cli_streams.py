"""A command says what it has to say on any terminal: in any encoding, or where nobody listens."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli.main import main

SITE = "site: store_0421\n"
DEVICES = """\
io: {annex: {type: modbus, url: "tcp://127.0.0.1:1502", profile: moxa_e1214}}
devices: {door: {type: door, contact: annex.di0}}
"""
RULES = """\
rules: {r: {description: "Tür 🔥", when: {door: open}, do: [{incident: x}]}}
tests:
  - name: Tür 🔥
    timeline: [{at: 0s, door: door.opened}]
    expect: [{at: 0s, incident: x}]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "devices.yaml").write_text(DEVICES)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(RULES)
    return str(tmp_path)


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Be a terminal that knows ASCII only, from now on; return what it gets."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    return written


def test_words_that_the_terminal_lacks_are_escaped(
    config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = terminal(monkeypatch)

    assert main(["rules", "list", "--config", config]) == 0
    assert written.getvalue().endswith(b"  r  on, security; T\\xfcr \\U0001f525\n")


def test_json_is_utf_8_on_any_terminal(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch)

    assert main(["rules", "test", "--config", config, "--json"]) == 0
    assert json.loads(written.getvalue().decode("utf-8")) == [
        {"test": "Tür 🔥", "file": "rules/r.yaml", "failures": [], "skipped": None}
    ]


def test_a_schema_is_utf_8_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch)

    assert main(["schema", "rules"]) == 0
    assert json.loads(written.getvalue().decode("utf-8"))["type"] == "object"


def test_closed_streams_are_no_mistake(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    assert main(["rules", "list", "--config", config]) == 0
    assert main(["rules", "list", "--config", "/nowhere"]) == 2


def test_a_full_disk_behind_stdout_is_said_once(config: str) -> None:
    words = (sys.executable, "-P", "-m", "edge.cli.main", "check", "--config", config)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.stderr.splitlines()[-1] == "storewarden: No space left on device"
    assert done.returncode == 1
