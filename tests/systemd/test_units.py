"""The unit files, asked of systemd itself, and the page that explains them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.secret_files import AnySecret
from edge.units import addresses, devices

TREE = Path(__file__).parents[2]
UNITS = TREE / "systemd"
UNIT = UNITS / "storewarden.service"
PAGE = TREE / "docs" / "hardening.md"
EXAMPLES = sorted(path.parent for path in TREE.glob("examples/*/site.yaml"))
PROGRAM = "/opt/storewarden/current/bin/storewarden"
LIMITS = re.compile(
    r"(Protect|Private|Restrict|SystemCall|MemoryDeny|Lock|Capability|Ambient|NoNew|NoExec|ExecPaths|"
    r"Inaccessible|Remove|Device|UMask|MemoryMax|TasksMax|OOM|Limit)"
)

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)


def settings(text: str) -> list[tuple[str, str]]:
    """Return the settings of a unit's [Service], in their order."""
    service = text.split("[Service]\n")[1].split("\n[")[0]
    lines = [line for line in service.splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def analysed(folder: Path, drop_ins: Iterable[tuple[str, str]], *words: str) -> str:
    """Return what systemd says of the unit; a failure is one of the test."""
    unit = folder / "storewarden.service"
    unit.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))
    for name, text in drop_ins:
        (folder / "storewarden.service.d").mkdir(exist_ok=True)
        (folder / "storewarden.service.d" / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", *words, str(unit)], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_understands_every_word_of_the_unit(tmp_path: Path) -> None:
    assert analysed(tmp_path, (), "verify", "--man=no") == ""


@needs_systemd
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_its_exposure_is_at_most_one_and_a_half_with_the_devices_of_a_store(
    tmp_path: Path, example: Path
) -> None:
    made = devices.text(load(example, secrets=AnySecret(example)))

    said = analysed(
        tmp_path, [(devices.NAME, made)], "security", "--offline=true", "--threshold=15"
    )

    assert "Overall exposure level" in said


@needs_systemd
def test_its_exposure_is_less_with_the_addresses_of_a_store(tmp_path: Path) -> None:
    example = TREE / "examples" / "demo_store"
    made = addresses.text(load(example, secrets=AnySecret(example)), allow=["10.0.4.0/24"])

    analysed(tmp_path, [(addresses.NAME, made)], "security", "--offline=true", "--threshold=13")


def test_nothing_keeps_a_store_without_its_daemon() -> None:
    text = UNIT.read_text()
    found = dict(settings(text))

    assert "StartLimitIntervalSec=0" in text
    assert found["Restart"] == "always"
    assert found["WatchdogSec"] == "10s"
    assert found["TimeoutAbortSec"] == "1s"
    assert found["ExecStopPost"] == f"{PROGRAM} safe-state --config /etc/storewarden"
    assert "ExecStartPre" not in found
    assert "network-online" not in re.sub(r"^#.*$", "", text, flags=re.M)


def test_the_page_on_hardening_has_each_limit_as_the_unit_has_it() -> None:
    unit = {f"{key}={value}" for key, value in settings(UNIT.read_text()) if LIMITS.match(key)}
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.M)
    told = {text for row in rows for text in re.findall(r"`([A-Z]\w+=[^`]*)`", row)}
    page = {text for text in told if LIMITS.match(text)}

    assert page == unit


CLOUD_INIT = {
    "cloud-init.service": "After=networking.service\nBefore=sysinit.target",
    "networking.service": "After=network-pre.target\nBefore=network.target",
}
"""How Debian's cloud-init and ifupdown are ordered."""


@needs_systemd
def test_first_boot_waits_for_nothing_that_waits_for_the_network(tmp_path: Path) -> None:
    first = (UNITS / "storewarden-first-boot.service").read_text()
    first = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", first, flags=re.M)
    (tmp_path / "storewarden-first-boot.service").write_text(first)
    (tmp_path / "sysinit.target.wants").mkdir()
    (tmp_path / "multi-user.target.wants").mkdir()
    for name, order in CLOUD_INIT.items():
        unit = f"[Unit]\nDefaultDependencies=no\n{order}\n[Service]\nExecStart=/bin/true\n"
        (tmp_path / name).write_text(unit)
        (tmp_path / "sysinit.target.wants" / name).symlink_to(f"../{name}")
    wanted = tmp_path / "multi-user.target.wants" / "storewarden-first-boot.service"
    wanted.symlink_to("../storewarden-first-boot.service")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "multi-user.target"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:/usr/lib/systemd/system"},
    )

    assert "cycle" not in done.stderr
    assert "storewarden-first-boot" not in done.stderr
