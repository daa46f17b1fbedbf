"""Drop-ins of the unit: what a configuration needs is let in, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.config.load import load
from edge.config.secret_files import AnySecret
from edge.units import addresses, devices

SITE = 'site: store_0421\nmqtt: {url: "mqtts://10.0.9.1", password: !secret mqtt_password}\n'
DEVICES = """\
io:
  annex: {type: modbus, url: "tcp://10.0.4.20:502", unit: 1, profile: moxa_e1214}
  gateway: {type: modbus, url: "rtu+tcp://10.0.4.20:4001", unit: 2, profile: moxa_e1214}
  printer: {type: text, url: "tcp://[fd00::7]:4055"}
devices:
  door: {type: door, contact: annex.di0}
  door_back: {type: door, contact: gateway.di0}
  cam_exit: {type: onvif_camera, host: "10.0.4.51:8080", username: u, password: !secret cam}
  cam_tills: {type: recorder, url: "rtsp://10.0.4.52/live", username: u, password: !secret cam}
"""


def folder(tmp_path: Path, text: str, site: str = SITE) -> Path:
    (tmp_path / "site.yaml").write_text(site)
    (tmp_path / "devices.yaml").write_text(text)
    return tmp_path


def allowed(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.+)$", text, re.M)


def of_devices(tmp_path: Path, text: str) -> str:
    where = folder(tmp_path, text)
    return devices.text(load(where, secrets=AnySecret(where)))


def of_addresses(tmp_path: Path, text: str, site: str = SITE, *, allow: Sequence[str] = ()) -> str:
    where = folder(tmp_path, text, site)
    return addresses.text(load(where, secrets=AnySecret(where)), allow=allow)


def of_serial(tmp_path: Path, path: str) -> list[str]:
    line = f'io:\n  one: {{type: text, url: "serial:{path}?baud=9600"}}\n'
    return allowed(of_devices(tmp_path, line), "DeviceAllow")


@pytest.mark.parametrize(
    ("path", "lets_in"),
    [
        ("/dev/ttyUSB3", ["char-ttyUSB rw"]),
        ("/dev/ttyACM0", ["char-ttyACM rw"]),
        ("/dev/ttyS1", ["/dev/ttyS1 rw"]),
        ("/dev/ttyAMA0", ["/dev/ttyAMA0 rw"]),
        ("/dev/serial/by-id/usb-FTDI-if00", ["char-ttyACM rw", "char-ttyUSB rw"]),
        ("/dev/storewarden/serial-RS485A", ["char-ttyACM rw", "char-ttyUSB rw"]),
        ("/dev/pts/3", []),
    ],
)
def test_a_serial_port_is_let_in_so_that_it_may_be_plugged_in_later(
    tmp_path: Path, path: str, lets_in: list[str]
) -> None:
    assert of_serial(tmp_path, path) == lets_in


@pytest.mark.parametrize(
    ("chip", "lets_in"),
    [("/dev/gpiochip0", "/dev/gpiochip0 rw"), ("pinctrl-rp1", "char-gpiochip rw")],
)
def test_a_chip_by_its_label_is_looked_for_among_all_chips(
    tmp_path: Path, chip: str, lets_in: str
) -> None:
    text = f"io:\n  pi: {{type: gpio, chip: {chip}, inputs: {{door: {{line: 17}}}}}}\n"

    assert allowed(of_devices(tmp_path, text), "DeviceAllow") == [lets_in]


def test_a_store_without_wires_of_its_own_gets_no_device(tmp_path: Path) -> None:
    text = of_devices(tmp_path, DEVICES)

    assert allowed(text, "DeviceAllow") == []
    assert "DevicePolicy=closed\nDeviceAllow=\n" in text


def test_a_class_is_made_known_before_the_first_adapter_is_plugged_in(tmp_path: Path) -> None:
    line = 'io:\n  one: {type: text, url: "serial:/dev/ttyUSB0?baud=9600"}\n'

    text = of_devices(tmp_path, line)

    assert "Wants=modprobe@usbserial.service\nAfter=modprobe@usbserial.service\n" in text


def test_every_host_of_the_configuration_can_be_reached_and_no_other(tmp_path: Path) -> None:
    text = of_addresses(tmp_path, DEVICES)

    assert "IPAddressDeny=any\nIPAddressAllow=\n" in text
    assert allowed(text, "IPAddressAllow") == [
        "localhost",
        "10.0.4.20",
        "fd00::7",
        "10.0.4.51",
        "10.0.4.52",
        "10.0.9.1",
    ]


def test_a_name_is_refused_unless_somebody_looks_it_up(tmp_path: Path) -> None:
    site = SITE.replace("10.0.9.1", "broker.example.com")

    with pytest.raises(addresses.Unnameable, match=r"mqtt: broker\.example\.com is a name"):
        of_addresses(tmp_path, DEVICES, site)

    text = addresses.text(
        load(tmp_path, secrets=AnySecret(tmp_path)),
        resolve=lambda _name: ["192.0.2.7", "2001:db8::7"],
        resolvers=["10.0.4.1"],
    )
    assert "# broker.example.com was 192.0.2.7, 2001:db8::7 when this was made" in text
    assert allowed(text, "IPAddressAllow")[-3:] == ["192.0.2.7", "2001:db8::7", "10.0.4.1"]


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ('io:\n  ear: {type: text, url: "tcp-listen://0.0.0.0:10000"}\n', SITE),
        ("{}\n", f"{SITE}http: {{listen: 0.0.0.0:9464}}\n"),
    ],
)
def test_who_may_call_a_port_that_listens_must_be_said(
    tmp_path: Path, text: str, site: str
) -> None:
    with pytest.raises(addresses.Unnameable, match="say with --allow which network may call it"):
        of_addresses(tmp_path, text, site)

    made = of_addresses(tmp_path, text, site, allow=["10.0.4.0/24"])
    assert allowed(made, "IPAddressAllow")[-1] == "10.0.4.0/24"


def test_name_servers_are_those_of_the_box_but_its_own(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("search lan\nnameserver 127.0.0.53\nnameserver 10.0.4.1\nnameserver x\n#\n")

    assert addresses.name_servers(file) == ["10.0.4.1"]
    assert addresses.name_servers(tmp_path / "none") == []


def command(*words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-P", "-m", "edge.cli.main", "drop-in", *words]
    return subprocess.run(program, capture_output=True, text=True)


def test_the_command_writes_it_and_tells_when_it_is_another(tmp_path: Path) -> None:
    config = folder(tmp_path, DEVICES)
    units = tmp_path / "units"
    about = ("devices", "--config", str(config))

    missing = command(*about, "--check", str(units))
    written = command(*about, "--write", str(units))
    same = command(*about, "--check", str(units))
    (units / "20-devices.conf").write_text("[Service]\n")
    other = command(*about, "--check", str(units))

    assert missing.returncode == 1
    assert written.stdout == f"{units}/20-devices.conf\n"
    assert same.returncode == 0
    assert other.returncode == 1
    assert other.stderr == (
        f"{units}/20-devices.conf: is another than the configuration asks for\n"
    )


def test_what_the_command_wrote_outlasts_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, units = folder(tmp_path, DEVICES), tmp_path / "units"
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    )
    assert main(["drop-in", "devices", "--config", str(config), "--write", str(units)]) == 0
    assert synced == [f"{units}/.20-devices.conf.new", str(units)]  # the file, then its name


def test_a_refused_configuration_gets_no_drop_in(tmp_path: Path) -> None:
    config = folder(tmp_path, "io: {annex: {type: modbos}}\n")

    done = command("devices", "--config", str(config), "--write", str(tmp_path / "units"))

    assert done.returncode == 1
    assert "unknown" in done.stderr
    assert not (tmp_path / "units").exists()
