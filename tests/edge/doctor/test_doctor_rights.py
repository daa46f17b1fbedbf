"""Modes that open something to others are problems; what can't be seen is never called good."""

import os
from pathlib import Path

import pytest

from edge.doctor import ports, rights
from edge.units import devices
from tests.edge.doctor import sys_tree
from tests.edge.doctor.looking import box, folder, look, one

PEOPLE = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nstorewarden:x:990:990::/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\ndialout:x:20:\nstorewarden:x:990:anna,ben\n",
}
PRINTER = 'io: {printer: {type: text, url: "serial:/dev/serial/by-id/usb-0"}}\n'


@pytest.mark.parametrize(
    ("name", "mode", "check", "remedy"),
    [
        ("config", 0o755, "rights.configuration", "chmod 0750"),
        ("config/site.yaml", 0o644, "rights.configuration", "chmod 0640"),
        ("config/devices.yaml", 0o660, "rights.configuration", "chmod 0640"),
        ("config/secrets", 0o750, "rights.secrets", "chmod 0700"),
        ("config/secrets/word", 0o640, "rights.secrets", "chmod 0600"),
        ("state", 0o755, "rights.state", "chmod 0750"),
        ("state/journal.db", 0o644, "rights.state", "chmod 0640"),
        ("state/device.key", 0o640, "rights.state", "chmod 0600"),
    ],
)
def test_a_mode_that_lets_others_in_is_a_problem_with_the_command_that_ends_it(
    tmp_path: Path, name: str, mode: int, check: str, remedy: str
) -> None:
    config = folder(tmp_path)
    (config / "secrets").mkdir(mode=0o700)
    (tmp_path / "state").mkdir(mode=0o750)
    for path in ("config/secrets/word", "state/device.key", "state/journal.db"):
        (tmp_path / path).write_text("x")
        (tmp_path / path).chmod(0o600)
    before = one(rights.SUBJECT, box(tmp_path, config), check)
    assert before.level in ("ok", "warning")
    (tmp_path / name).chmod(mode)
    found = one(rights.SUBJECT, box(tmp_path, config), check)
    assert found.level == "problem"
    assert str(tmp_path / name) in found.seen
    assert remedy in found.remedy


def test_the_key_of_the_certificate_is_for_root_and_the_daemon(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o644)
    files = ", ".join(f"{n}: {tmp_path}/{n}.pem" for n in ("ca", "cert", "key"))
    config = folder(tmp_path, site=f'site: s1\nmqtt: {{url: "mqtts://h:1", {files}}}\n')
    found = one(rights.SUBJECT, box(tmp_path, config), "rights.tls")
    assert found.level == "problem"
    assert "key.pem has mode 0644" in found.seen
    key = tmp_path / "key.pem"
    assert found.remedy == f"chown root:storewarden {key} && chmod 0640 {key}"


def test_who_may_give_orders_is_named(tmp_path: Path) -> None:
    sys_tree.write(tmp_path, PEOPLE)
    config = folder(tmp_path)
    assert one(rights.SUBJECT, box(tmp_path, config), "rights.people").seen.startswith("anna, ben")


@pytest.mark.parametrize(
    ("mode", "groups", "level"),
    [
        (0o666, PEOPLE["etc/group"], "ok"),
        (0o600, PEOPLE["etc/group"], "problem"),
        (0o640, PEOPLE["etc/group"], "problem"),
        (0o660, PEOPLE["etc/group"], "problem"),
        (0o660, f"dialout:x:{os.getegid()}:somebody,storewarden\n", "ok"),
    ],
)
def test_a_port_that_the_daemon_may_not_open_is_a_problem(
    tmp_path: Path, mode: int, groups: str, level: str
) -> None:
    sys_tree.write(tmp_path, {**PEOPLE, "etc/group": groups, "dev/serial/by-id/usb-0": ""})
    (tmp_path / "dev/serial/by-id/usb-0").chmod(mode)
    config = folder(tmp_path, devices=PRINTER)
    found = one(ports.SUBJECT, box(tmp_path, config), "ports.serial")
    assert found.level == level
    assert level == "ok" or "--groups dialout storewarden" in found.remedy


def test_a_port_that_is_not_there_and_one_with_a_name_that_changes_are_said(
    tmp_path: Path,
) -> None:
    devices = PRINTER.replace("/dev/serial/by-id/usb-0", "/dev/ttyUSB0")
    found = look(ports.SUBJECT, box(tmp_path, folder(tmp_path, devices=devices)))
    assert [(f.check, f.level) for f in found] == [
        ("ports.serial", "problem"),
        ("ports.names", "warning"),
    ]


def test_a_unit_that_shuts_a_port_off_is_a_problem(tmp_path: Path) -> None:
    config = folder(tmp_path, devices=PRINTER)
    at = box(tmp_path, config)
    assert "ports.drop_in" not in {f.check for f in look(ports.SUBJECT, at)}
    sys_tree.write(tmp_path, {ports.UNIT: "[Service]\n"})
    found = one(ports.SUBJECT, at, "ports.drop_in")
    assert (found.level, found.seen.endswith("20-devices.conf is not there")) == ("problem", True)
    assert f"--write {tmp_path}/{ports.UNIT}.d" in found.remedy
    assert at.configuration is not None
    made = devices.text(at.configuration)
    sys_tree.write(tmp_path, {f"{ports.UNIT}.d/20-devices.conf": made})
    assert one(ports.SUBJECT, at, "ports.drop_in").level == "ok"
    sys_tree.write(tmp_path, {f"{ports.UNIT}.d/20-devices.conf": made.replace("char-", "chr-")})
    assert one(ports.SUBJECT, at, "ports.drop_in").level == "problem"


def test_a_link_in_the_state_folder_is_followed_by_no_remedy(tmp_path: Path) -> None:
    sys_tree.write(tmp_path, PEOPLE)
    (tmp_path / "state").mkdir(mode=0o750)
    (tmp_path / "passwd").write_text("x")
    (tmp_path / "state/device.key").symlink_to(tmp_path / "passwd")
    found = one(rights.SUBJECT, box(tmp_path, folder(tmp_path)), "rights.state")
    assert (found.level, found.seen) == (
        "problem", f"{tmp_path}/state/device.key is a link, and none of ours"
    )  # fmt: skip
    assert "chmod" not in found.remedy


@pytest.mark.parametrize(("second", "level"), [("0001", "problem"), ("0002", None)])
def test_two_adapters_with_one_serial_number_may_take_each_other_s_name(
    tmp_path: Path, second: str, level: str | None
) -> None:
    for number, serial in ((0, "0001"), (1, second)):
        usb = f"sys/devices/usb1/1-{number}"
        files = {"idVendor": "10c4\n", "serial": f"{serial}\n", f"1-{number}:1.0/x/y": ""}
        sys_tree.write(tmp_path, {f"{usb}/{name}": text for name, text in files.items()})
        tty = tmp_path / f"sys/class/tty/ttyUSB{number}"
        tty.mkdir(parents=True)
        (tty / "device").symlink_to(tmp_path / usb / f"1-{number}:1.0/x")
    sys_tree.write(tmp_path, {"dev/ttyUSB0": "", "dev/serial/by-id/x": ""})
    (tmp_path / "dev/serial/by-id/usb-0").symlink_to("../../ttyUSB0")
    found = look(ports.SUBJECT, box(tmp_path, folder(tmp_path, devices=PRINTER)))
    names = [finding for finding in found if finding.check == "ports.names"]
    assert [finding.level for finding in names] == ([level] if level else [])
    assert not level or "/dev/ttyUSB1" in names[0].seen
