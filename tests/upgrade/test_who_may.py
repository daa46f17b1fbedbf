"""Who may change releases: a person without the right is told so, before anything is tried."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli.main import main

ALL = (
    ("install", "storewarden-0.1.1.tar.gz"),
    ("to", "0.1.1"),
    ("back", "--reason", "the gates are slow"),
    ("recover",),
    ("tell",),
)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize("words", ALL, ids=[words[0] for words in ALL])
def test_who_may_not_change_releases_is_told_who_may(words: tuple[str, ...]) -> None:
    said = subprocess.run(
        (sys.executable, "-c", NOBODY, "upgrade", *words, "--root", "/opt"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stderr == "storewarden: only root may change what is in /opt: run it with sudo\n"
    assert (said.returncode, said.stdout) == (1, "")


NOBODY = """import os, sys
from edge.cli import main, orders, upgrade, upgrading
import edge.upgrade.bundle, edge.upgrade.signed
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(main.main(sys.argv[1:]))
"""


def test_what_is_no_version_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upgrade", "to", "../x", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "storewarden: '../x' is no version; storewarden upgrade status names what is here\n"
    )
