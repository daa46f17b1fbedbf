"""`discover`, `init` and `first-boot` as people type them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from drivers.sim.modbus import simulate
from edge.cli import first_boot
from edge.cli.main import main
from edge.config.load import load
from edge.provisioning import source
from edge.provisioning.box import Box

FOUND = {
    "cameras": [{"host": "10.0.4.51", "interface": "eth0", "name": "AXIS"}],
    "units": [{"url": "tcp://10.0.4.20:502", "unit": 1, "profile": "moxa_e1214"}],
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def one(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return one


@contextmanager
def module() -> Iterator[str]:
    """Have a Modbus module in a thread; yields host:port."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    lent = simulate()
    sim = asyncio.run_coroutine_threadsafe(lent.__aenter__(), loop).result(30)
    sim.identity = {0: b"Moxa", 1: b"E1214"}
    try:
        yield sim.url.removeprefix("tcp://")
    finally:
        asyncio.run_coroutine_threadsafe(lent.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_discover_says_what_it_will_ask_and_shows_what_answers(run: Any) -> None:
    with module() as host:
        code, out, err = run("discover", "--no-cameras", "--modbus", host, "--units", "1-2")

    assert code == 0
    assert err == f"modbus: tcp://{host}, unit 1, 2: at most 3 reads each, no write\n"
    heads = "Modbus units:\n  url +unit +vendor +product +profile\n"
    assert re.search(rf"{heads}  tcp://{host} +1 +Moxa +E1214 +moxa_e1214\n", out)
    assert out.startswith("Cameras: none found\n")


def test_what_discover_found_is_what_init_writes(run: Any, tmp_path: Path) -> None:
    with module() as host:
        out = run("discover", "--no-cameras", "--modbus", host, "--json")[1]
    (tmp_path / "found.json").write_text(out)
    folder = tmp_path / "made"
    code, out, err = run(
        "init", "--config", folder, "--from", tmp_path / "found.json", "--site", "store_0421",
        "--timezone", "Europe/London",
    )  # fmt: skip

    assert (code, err) == (0, "")
    assert f"{folder}/rules/links.yaml written\n" in out
    assert list(load(folder).io) == ["module_1"]
    assert run("check", "--config", folder)[0] == 0
    assert run("rules", "test", "--config", folder)[:2] == (0, "3 tests, 0 failed\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("discover --modbus 10.0.4.0/24", "'tcp://10.0.4.0/24:502'"),
        ("discover --modbus a --units 1-65", "65 units are more than 64 in all"),
        ("discover --units x", "'x' names no units"),
        ("discover --for 3", "did you mean 3s?"),
        ("init --site 'Store 1'", "'Store 1' is not a site's id"),
        ("init --timezone Mars/Base", "unknown timezone 'Mars/Base'"),
        ("init --from /dev/null --config /nonexistent/x", "not what `storewarden discover --json`"),
        ("first-boot --from /no/such", "there is no folder /no/such"),
        ("first-boot --check", "--check needs --from DIR"),
    ],
)
def test_a_mistake_is_wrong_usage(run: Any, arguments: str, problem: str) -> None:
    import shlex

    code, _, err = run(*shlex.split(arguments))

    assert code == 2
    assert problem in err


def test_init_changes_no_file_that_is_there(run: Any, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "release-signers").write_text("key\n")
    assert run("init", "--config", tmp_path, "--site", "first")[0] == 0

    code, _, err = run("init", "--config", tmp_path, "--site", "second")
    assert (code, err) == (
        1,
        f"storewarden: {tmp_path} is there already; --into adds files and changes none\n",
    )
    (tmp_path / "devices.yaml").unlink()
    code, out, _ = run("init", "--config", tmp_path, "--site", "second", "--into")
    assert code == 0
    assert (
        f"{tmp_path}/devices.yaml written\n{tmp_path}/site.yaml was there and is as it was" in out
    )
    assert load(tmp_path).site.site == "first"


def test_a_disk_that_is_full_is_said_with_the_file_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    folder, unit = tmp_path / "config", tmp_path / "unit.d"
    program = (sys.executable, "-m", "edge.cli.main")

    def in_so_many_bytes(most: int, *words: object) -> subprocess.CompletedProcess[str]:
        command = ("prlimit", f"--fsize={most}", *program, *map(str, words))
        return subprocess.run(command, capture_output=True, text=True)

    init = ("init", "--config", folder, "--site", "store_0421")
    full = in_so_many_bytes(64, *init)
    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr == f"storewarden: {folder}/site.yaml: File too large\n"
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert in_so_many_bytes(1 << 20, *init, "--into").returncode == 0

    drop_in = ("drop-in", "devices", "--config", folder, "--write", unit)
    assert in_so_many_bytes(1 << 20, *drop_in).returncode == 0
    (file,) = unit.iterdir()
    before = file.read_text()
    full = in_so_many_bytes(64, *drop_in)
    assert (full.returncode, full.stderr) == (1, f"storewarden: {file}: File too large\n")
    assert (list(unit.iterdir()), file.read_text()) == ([file], before)


def test_init_says_when_what_was_there_has_mistakes(run: Any, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("site: s\nzone: x\n")
    code, _, err = run("init", "--config", tmp_path, "--into", "--site", "s")

    assert code == 1
    assert "site.yaml:2:1: unknown setting 'zone'" in err


def test_init_asks_for_logins_and_keeps_them_in_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text(json.dumps(FOUND))
    command = [sys.executable, "-m", "edge.cli.main", "init", "--config", str(tmp_path / "made")]
    command += ["--from", str(tmp_path / "found.json"), "--site", "s", "--ask"]
    answers = "mqtts://broker.example.com\n\nbr0ker\nwarden\nc4mera\n"
    done = subprocess.run(command, input=answers, capture_output=True, text=True)
    configuration = load(tmp_path / "made")

    assert done.returncode == 0, done.stderr
    assert list(configuration.devices) == ["cam_1"]
    assert configuration.site.mqtt is not None
    assert configuration.site.mqtt.username == "s"
    made = {p.name: p for p in (tmp_path / "made").rglob("*") if p.is_file()}
    assert made["cam_1"].read_text() == "c4mera\n"
    assert {oct(made[n].stat().st_mode & 0o777) for n in ("cam_1", "mqtt_password")} == {"0o600"}
    others = "".join(p.read_text() for n, p in made.items() if p.parent.name != "secrets")
    assert "c4mera" not in others + done.stdout + done.stderr
    assert "br0ker" not in others + done.stdout + done.stderr


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "box/boot/firmware").mkdir(parents=True)
    (tmp_path / "box/etc/storewarden").mkdir(parents=True)
    return tmp_path / "box"


def test_a_file_in_boot_is_done_once_and_loses_its_password(run: Any, root: Path) -> None:
    boot = root / "boot/firmware"
    (root / "etc/storewarden/site.yaml").write_text("site: store_0421\n")
    (root / "etc/storewarden/devices.yaml").write_text("")
    file = "site: store_0421\nmqtt: {url: mqtt://10.0.0.9, password: 'hunter2'}  # ours\n"
    (boot / "storewarden.yaml").write_text(file)

    code, out, err = run("first-boot", "--root", root)

    assert (code, err) == (0, "")
    assert out == (
        f"{boot}: applied\n  this box is the site store_0421\n  broker: mqtt://10.0.0.9\n"
        "  the broker's password is in its secrets\n"
        "  the broker's password was taken out of storewarden.yaml\n"
    )
    assert (boot / "storewarden.yaml").read_text() == file.replace("'hunter2'", "~")
    result = (boot / "storewarden-result.txt").read_text()
    assert re.match(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, storewarden \S+\napplied\nthis box", result
    )
    assert (root / "etc/storewarden/secrets/mqtt_password").read_text() == "hunter2\n"
    again = run("first-boot", "--root", root)
    assert again[1].startswith(f"{boot}: unchanged\n")
    assert (boot / "storewarden-result.txt").read_text() == result
    assert not list(boot.glob("*.new"))


def test_a_refusal_is_written_beside_the_file_and_the_password_stays(run: Any, root: Path) -> None:
    boot = root / "boot/firmware"
    (root / "etc/storewarden/site.yaml").write_text("site: store_0001\n")
    file = "site: store_0421\nmqtt: {password: hunter2}\n"
    (boot / "storewarden.yaml").write_text(file)

    code, out, _ = run("first-boot", "--root", root, "--json")

    assert code == 1
    assert json.loads(out)[0]["result"] == "refused"
    assert (boot / "storewarden.yaml").read_text() == file
    result = (boot / "storewarden-result.txt").read_text()
    assert "\nrefused\nstorewarden.yaml: this box is the site 'store_0001'" in result
    assert "hunter2" not in result


def test_with_no_file_there_is_nothing_to_do(run: Any, root: Path) -> None:
    (root / "etc/storewarden/site.yaml").write_text("site: store_0001\n")

    assert run("first-boot", "--root", root) == (0, "no storewarden.yaml: nothing to do\n", "")


def test_no_stick_is_waited_for_where_boot_has_a_file_and_one_is_elsewhere(root: Path) -> None:
    began = time.monotonic()
    with source.sources(root, wait=0.6, at=root / "run") as found:
        assert found == []
    waited = time.monotonic() - began
    (root / "boot/storewarden.yaml").write_text("site: s\n")
    (root / "boot/firmware/storewarden.yaml").symlink_to("../storewarden.yaml")
    began = time.monotonic()
    with source.sources(root, wait=120.0, at=root / "run") as found:
        assert [each.folder for each in found] == [root / "boot"]

    assert waited >= 0.6
    assert time.monotonic() - began < 60


def test_a_stick_is_checked_before_it_is_mailed(run: Any, tmp_path: Path) -> None:
    (tmp_path / "storewarden.yaml").write_text("site: s\ntimezone: UTC\n")
    assert run("first-boot", "--from", tmp_path, "--check") == (
        0, "a new box would say:\n  this box is the site s\n  its local time is that of UTC\n", "",
    )  # fmt: skip
    (tmp_path / "storewarden.yaml").write_text("site: s\nserial: 10000000abcdef12\n")
    code, out, _ = run("first-boot", "--from", tmp_path, "--check")
    assert (code, out.splitlines()[-1]) == (
        0, "  only a box with the serial number 10000000abcdef12 takes it",
    )  # fmt: skip
    (tmp_path / "storewarden.yaml").write_text("site: s\ntimezone: Utc\n")
    code, out, err = run("first-boot", "--from", tmp_path, "--check")
    assert (code, out) == (1, "")
    assert err.startswith("storewarden.yaml:2:11: unknown timezone 'Utc'")
    assert [p.name for p in tmp_path.iterdir()] == ["storewarden.yaml"]


MAKERS = {"vfat": ("mkfs.vfat", "-n"), "ext4": ("mkfs.ext4", "-q", "-L")}


def unmountable(kind: str) -> str:
    """Return why no stick of this kind can be mounted here; empty when it can."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        return "mounting a stick needs root and loop devices"
    tools = (MAKERS[kind][0], "losetup", "mount")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        return f"mounting a stick needs {', '.join(missing)}"
    if f"\t{kind}\n" not in Path("/proc/filesystems").read_text():
        return f"this kernel has no {kind}"
    return ""


@pytest.mark.parametrize("kind", MAKERS)
def test_a_real_stick_is_mounted_read_only_and_told_what_became_of_it(
    run: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if reason := unmountable(kind):
        pytest.skip(reason)
    image, at = tmp_path / "stick.img", tmp_path / "at"
    with image.open("wb") as file:
        file.truncate(4_000_000)
    subprocess.run((*MAKERS[kind], "STOREWARDEN", image), check=True, capture_output=True)
    at.mkdir()
    subprocess.run(("mount", "-o", "loop", image, at), check=True)
    (at / "storewarden.yaml").write_text("site: s\nmqtt: {url: mqtt://x, password: hunter2}\n")
    shutil.copytree(Path(__file__).parents[2] / "examples/rtu_counter", at / "config")
    subprocess.run(("umount", at), check=True)
    device = subprocess.run(
        ("losetup", "--find", "--show", image), check=True, capture_output=True, text=True
    ).stdout.strip()
    label = root / "dev/disk/by-label/STOREWARDEN"
    label.parent.mkdir(parents=True)
    label.symlink_to(device)
    monkeypatch.setattr("edge.cli.first_boot.MOUNTED", tmp_path / "mounted")
    try:
        code, out, _ = run("first-boot", "--root", root)
        assert code == 0
        assert out.startswith(f"the stick {label}: applied\n  this box is the site s\n")
        assert "the broker's password is still in storewarden.yaml: remove it there" in out
        assert not os.path.ismount(tmp_path / "mounted")
        assert "panic_counter" in load(root / "etc/storewarden").devices
        with source.sources(root, wait=0, at=at) as (there,):
            options = Path("/proc/self/mountinfo").read_text().split(f" {at} ")[1].split()[0]
            assert options.split(",")[:4] == ["ro", "nosuid", "nodev", "noexec"]
            assert "\napplied\n" in (there.folder / "storewarden-result.txt").read_text()
            assert "hunter2" in (there.folder / "storewarden.yaml").read_text()
    finally:
        subprocess.run(("losetup", "-d", device), check=True)


def test_a_stick_whose_file_has_another_name_is_told_so(
    run: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := unmountable("ext4"):
        pytest.skip(reason)
    image, at = tmp_path / "stick.img", tmp_path / "at"
    with image.open("wb") as file:
        file.truncate(4_000_000)
    subprocess.run((*MAKERS["ext4"], "STOREWARDEN", image), check=True, capture_output=True)
    at.mkdir()
    subprocess.run(("mount", "-o", "loop", image, at), check=True)
    (at / "storewarden.yaml.txt").write_text("site: s\n")
    subprocess.run(("umount", at), check=True)
    device = subprocess.run(
        ("losetup", "--find", "--show", image), check=True, capture_output=True, text=True
    ).stdout.strip()
    label = root / "dev/disk/by-label/STOREWARDEN"
    label.parent.mkdir(parents=True)
    label.symlink_to(device)
    monkeypatch.setattr("edge.cli.first_boot.MOUNTED", tmp_path / "mounted")
    try:
        code, out, _ = run("first-boot", "--root", root)
        assert code == 1
        alike = "storewarden.yaml.txt is, and should have that name"
        why = f"there is no storewarden.yaml on it; {alike}"
        assert out == f"the stick {label}: refused\n  {why}\n"
        subprocess.run(("mount", "-o", "ro", device, at), check=True)
        assert f"\nrefused\n{why}\n" in (at / "storewarden-result.txt").read_text()
    finally:
        subprocess.run(("umount", at), check=False, capture_output=True)
        subprocess.run(("losetup", "-d", device), check=True)


def test_a_file_in_boot_is_not_applied_later_where_a_stick_came_first(
    root: Path, tmp_path: Path
) -> None:
    stick, boot = tmp_path / "stick", root / "boot"
    stick.mkdir()
    for folder, zone in ((stick, "Europe/London"), (boot, "UTC")):
        (folder / "storewarden.yaml").write_text(f"site: s\ntimezone: {zone}\n")
    places = [
        source.Source(folder=stick, shown="the stick", stick=True),
        source.Source(folder=boot, shown="/boot"),
    ]

    both = first_boot.tried(places, Box(root=root))
    later = first_boot.tried(places[1:], Box(root=root))

    assert [(s.shown, o.result) for s, o in both] == [
        ("the stick", "applied"),
        ("/boot", "unchanged"),
    ]
    assert [o.result for _, o in later] == ["unchanged"]
    assert load(root / "etc/storewarden").site.timezone == "Europe/London"
