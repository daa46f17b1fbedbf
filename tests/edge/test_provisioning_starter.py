"""Whatever was found, what is written of it is a configuration that loads, and its tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.checked import checked
from edge.config.load import load
from edge.config.model import Configuration
from edge.discovery.found import Camera, Found, GpioChip, SerialPort, Unit
from edge.provisioning.starter import Broker, Login, camera_ids, starter
from rules.scenario import play

STORE = Found(
    cameras=(
        Camera(host="10.0.4.51", interface="eth0", name="AXIS P3245", location="exit"),
        Camera(host="10.0.4.52:8080", interface="eth0"),
    ),
    units=(
        Unit(url="tcp://10.0.4.20:502", unit=1, vendor="Moxa", product="E1214",
             profile="moxa_e1214"),
        Unit(url="tcp://10.0.4.21:502", unit=3),
    ),
    serial_ports=(SerialPort(path="/dev/serial/by-id/usb-FTDI", device="/dev/ttyUSB0"),),
    gpio_chips=(GpioChip(path="/dev/gpiochip0", label="pinctrl-rp1", lines=54),),
)  # fmt: skip


def loaded(files: dict[str, str], folder: Path, secrets: tuple[str, ...] = ()) -> Configuration:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in secrets:
        (folder / "secrets").mkdir(exist_ok=True)
        (folder / "secrets" / name).write_text("s3cret\n")
        (folder / "secrets" / name).chmod(0o600)
    configuration = load(folder)
    assert checked(configuration).errors == []
    for case in configuration.rules.tests:
        assert play(case, configuration.rules, configuration.world) == []
    return configuration


def test_with_nothing_found_it_is_a_configuration_with_a_rule_of_its_own(tmp_path: Path) -> None:
    files = starter(Found(), site="store_0421", timezone="Europe/London")
    configuration = loaded(files, tmp_path)

    assert sorted(files) == ["devices.yaml", "rules/box.yaml", "site.yaml"]
    assert (configuration.site.site, configuration.site.timezone) == ("store_0421", "Europe/London")
    assert [rule.id for rule in configuration.rules.rules] == ["records_lost"]
    assert str(configuration.problems) == ""


def test_a_module_that_told_who_it_is_is_real_and_everything_else_a_comment(tmp_path: Path) -> None:
    files = starter(STORE, site="s", timezone="UTC")
    configuration = loaded(files, tmp_path)

    assert list(configuration.io) == ["module_1"]
    assert dict(configuration.devices) == {}
    assert configuration.groups == {"watched": ("module_1",)}
    told = files["devices.yaml"]
    assert "# It says that it is: Moxa E1214. Compare with its label." in told
    assert '# module_2: {type: modbus, url: "tcp://10.0.4.21:502", unit: 3' in told
    assert '# cam_1: {type: onvif_camera, name: "AXIS P3245", host: "10.0.4.51"' in told
    assert '# pins_1: {type: gpio, chip: "pinctrl-rp1"' in told
    assert '# port_1: {type: text, url: "serial:/dev/serial/by-id/usb-FTDI?baud=9600"}' in told


def test_every_comment_that_is_an_entry_becomes_one_when_its_mark_is_taken_away(
    tmp_path: Path,
) -> None:
    files = starter(STORE, site="s", timezone="UTC")
    entries = re.compile(r"^  # ((?:\w+): \{type: .*\})$", re.M)
    files["devices.yaml"] = entries.sub(r"  \1", files["devices.yaml"])
    twice = r"^  port_1: \{type: modbus.*$\n"
    files["devices.yaml"] = re.sub(twice, "", files["devices.yaml"], flags=re.M)
    configuration = loaded(files, tmp_path, ("cam_1", "cam_2"))

    assert sorted(configuration.io) == ["module_1", "module_2", "pins_1", "port_1"]
    assert sorted(configuration.devices) == ["cam_1", "cam_2", "door_front", "siren_front"]


def test_a_camera_whose_login_was_told_is_real_and_its_password_nowhere(tmp_path: Path) -> None:
    files = starter(
        STORE,
        site="s",
        timezone="UTC",
        logins={"cam_1": Login(username="warden", secret="cam_1")},
        broker=Broker(url="mqtts://broker.example.com", username="s", secret="mqtt_password"),
    )
    configuration = loaded(files, tmp_path, ("cam_1", "mqtt_password"))

    assert list(configuration.devices) == ["cam_1"]
    assert configuration.site.mqtt is not None
    assert configuration.site.mqtt.username == "s"
    assert [rule.id for rule in configuration.rules.rules] == ["records_lost", "link_lost"]


def test_no_file_has_a_password_of_its_own() -> None:
    text = "".join(starter(STORE, site="s", timezone="UTC").values())

    assert set(re.findall(r"password: (\S+)", text)) == {"!secret"}


@pytest.mark.parametrize(
    "host", ["", "10.0.4.51\nio: {}", "a b", "::1", "10.0.4.51:0", "10.0.4.51:65536"]
)
def test_a_host_that_is_none_is_no_camera(host: str) -> None:
    assert camera_ids(Found(cameras=(Camera(host=host, interface="x"),))) == {}


EVIL = st.text(max_size=15) | st.sampled_from(
    [
        '"',
        "'",
        "}",
        "\n",
        "\r\n  x: 1",
        "#",
        ": ",
        "\u2028",
        "\ufeff",
        "\x85",
        "!secret a",
        "&a",
        "{",
    ]
)
ANY = st.builds(
    Found,
    cameras=st.lists(
        st.builds(Camera, host=EVIL | st.just("10.0.0.1"), interface=EVIL, name=EVIL,
                  hardware=EVIL, location=EVIL), max_size=2,
    ).map(tuple),
    units=st.lists(
        st.builds(Unit, url=EVIL | st.sampled_from(["tcp://10.0.0.1:502", "rtu:/dev/x?baud=9600"]),
                  unit=st.integers(-1, 300), vendor=EVIL, product=EVIL,
                  profile=st.sampled_from(["", "moxa_e1214", "../x"])), max_size=2,
    ).map(tuple),
    serial_ports=st.lists(st.builds(SerialPort, path=EVIL, device=EVIL, vendor=EVIL),
                          max_size=1).map(tuple),
    gpio_chips=st.lists(st.builds(GpioChip, path=EVIL, label=EVIL, problem=EVIL),
                        max_size=1).map(tuple),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_whatever_devices_call_themselves_it_loads(found: Found) -> None:
    logins = {name: Login(username="warden", secret=name) for name in camera_ids(found)}
    with TemporaryDirectory() as folder:
        loaded(starter(found, site="s", timezone="UTC", logins=logins), Path(folder), tuple(logins))
