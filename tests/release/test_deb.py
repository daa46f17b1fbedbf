"""The Debian package installs, upgrades under watch, and goes as Debian's packages do."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from release import deb
from release.deb import version
from tests import booted
from tests.booted import Booted
from tests.release.conftest import HERE, another_version

SITE = "site: store_0421\ntimezone: Europe/London\nevacuation: {on: []}\n"
PROGRAM = "/usr/local/bin/storewarden"
SUITES = os.environ.get("STOREWARDEN_SUITES", "trixie").split()
"""`./dev prove release` takes both."""


@pytest.mark.parametrize(
    ("python", "debian"),
    [("0.1.0", "0.1.0"), ("1.2.0rc1", "1.2.0~rc1"), ("1.2.0.dev3", "1.2.0~dev3")],
)
def test_what_comes_before_a_release_sorts_before_it(python: str, debian: str) -> None:
    assert version(python) == debian
    words = ("dpkg", "--compare-versions", debian, "le", python.partition("rc")[0])
    assert subprocess.run(words).returncode == 0


def until(found: Callable[[], bool], system: Booted) -> None:
    ends = time.monotonic() + 120.0
    while not found():
        log = system.run("journalctl", "-n", "30", "--no-pager", check=False).stdout
        assert time.monotonic() < ends, log
        time.sleep(0.2)  # another system's work: nothing to wait on


@pytest.mark.parametrize("suite", SUITES)
def test_it_installs_upgrades_goes_and_leaves_what_the_store_wrote(
    suite: str, tmp_path: Path
) -> None:
    booted.require()
    machine = HERE.rpartition("-")[0]
    first = deb.build(tmp_path, machine)
    second = deb.build(tmp_path, machine, tree=another_version(tmp_path / "tree", "0.1.1"))
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "devices.yaml").write_text("devices: {}\n")
    with booted.boot(suite, network=False, python=False) as system:

        def runs(release: str) -> bool:
            done = system.run(PROGRAM, "status", "--json", check=False)
            return f'"version":"{release}"' in done.stdout.replace(" ", "")

        system.put(first, "/root/first.deb")
        system.put(second, "/root/second.deb")
        system.run("dpkg", "-i", "/root/first.deb", timeout=300)
        assert system.run("systemctl", "is-enabled", "storewarden").stdout == "enabled\n"
        assert system.run("systemctl", "is-active", "storewarden", check=False).returncode == 3

        system.put(tmp_path / "site.yaml", "/etc/storewarden/site.yaml")
        system.put(tmp_path / "devices.yaml", "/etc/storewarden/devices.yaml")
        system.run("systemctl", "start", "storewarden")
        until(lambda: runs("0.1.0"), system)

        said = system.run("dpkg", "-i", "/root/second.deb", timeout=300).stdout
        assert "switching from 0.1.0 to 0.1.1" in said
        until(lambda: runs("0.1.1"), system)
        assert system.run("readlink", "/opt/storewarden/previous").stdout == "releases/0.1.0\n"
        assert (system.folder / "opt/storewarden/trial.json").exists()

        system.run("dpkg", "-r", "storewarden", timeout=300)
        assert system.run("systemctl", "is-active", "storewarden", check=False).returncode != 0
        assert not (system.folder / "opt/storewarden").exists()
        assert not (system.folder / "etc/systemd/system/storewarden.service").exists()
        assert (system.folder / "etc/storewarden/site.yaml").read_text() == SITE
        assert (system.folder / "var/lib/storewarden/journal.db").exists()

        system.run("dpkg", "-P", "storewarden", timeout=300)
        assert not (system.folder / "etc/storewarden").exists()
        assert not (system.folder / "var/lib/storewarden").exists()
