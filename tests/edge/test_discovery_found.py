"""What the box itself has, and what was found as JSON and back."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.discovery.found import (
    Camera,
    Found,
    GpioChip,
    NotFound,
    SerialPort,
    Unit,
    as_json,
    from_json,
)
from edge.discovery.gpio_chips import gpio_chips
from edge.discovery.look import of_the_box
from edge.discovery.serial_ports import serial_ports


def adapter(root: Path, name: str, told: dict[str, str]) -> None:
    """Put a USB adapter into a tree like /sys, with its tty."""
    usb = root / "sys/devices/pci0/usb1/1-1"
    place = usb / f"1-1:1.0-{name}" / name
    place.mkdir(parents=True)
    for word, value in told.items():
        (usb / word).write_text(f"{value}\n")
    (root / "sys/class/tty" / name).mkdir(parents=True)
    (root / "sys/class/tty" / name / "device").symlink_to(place)
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / name).touch()


def link(root: Path, path: str, device: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(root / "dev" / device)


def test_a_port_is_named_by_the_name_that_stays_with_who_made_it(tmp_path: Path) -> None:
    told = {"idVendor": "0403", "manufacturer": "FTDI", "product": "FT232R", "serial": "A50285BI"}
    adapter(tmp_path, "ttyUSB0", told)
    link(tmp_path, "dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0", "ttyUSB0")
    link(tmp_path, "dev/serial/by-path/pci-0-port0", "ttyUSB0")

    assert serial_ports(tmp_path) == [
        SerialPort(
            path="/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0",
            device="/dev/ttyUSB0",
            vendor="FTDI",
            product="FT232R",
            serial="A50285BI",
        )
    ]


def test_our_own_name_of_a_port_comes_first_and_numbers_do_where_words_are_missing(
    tmp_path: Path,
) -> None:
    adapter(tmp_path, "ttyUSB1", {"idVendor": "1a86", "idProduct": "7523"})
    link(tmp_path, "dev/storewarden/counter", "ttyUSB1")
    link(tmp_path, "dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", "ttyUSB1")

    assert serial_ports(tmp_path) == [
        SerialPort(
            path="/dev/storewarden/counter", device="/dev/ttyUSB1", vendor="1a86", product="7523"
        )
    ]


def test_a_port_without_usb_and_a_link_to_nothing_hurt_nobody(tmp_path: Path) -> None:
    link(tmp_path, "dev/serial/by-path/gone", "ttyUSB9")
    link(tmp_path, "dev/serial/by-id/odd", "sda")

    assert serial_ports(tmp_path) == [
        SerialPort(path="/dev/serial/by-path/gone", device="/dev/ttyUSB9")
    ]


def test_an_adapter_s_own_words_stay_on_their_line(tmp_path: Path) -> None:
    adapter(tmp_path, "ttyUSB0", {"idVendor": "1", "manufacturer": "Evil\n\x1b[2Jio: {}\nx"})
    link(tmp_path, "dev/serial/by-id/x", "ttyUSB0")

    assert serial_ports(tmp_path)[0].vendor == "Evil [2Jio: {} x"


def test_a_box_without_anything_has_nothing(tmp_path: Path) -> None:
    assert serial_ports(tmp_path) == []
    assert gpio_chips(tmp_path) == []


def test_a_chip_that_can_t_be_asked_says_why(tmp_path: Path) -> None:
    (tmp_path / "gpiochip10").touch()
    (tmp_path / "gpiochip2").touch()
    (tmp_path / "gpiochip-by-link").symlink_to("gpiochip2")

    assert gpio_chips(tmp_path) == [
        GpioChip(path=str(tmp_path / "gpiochip2"), problem="Inappropriate ioctl for device"),
        GpioChip(path=str(tmp_path / "gpiochip10"), problem="Inappropriate ioctl for device"),
    ]


ANY = st.text(max_size=20)
FOUND = st.builds(
    Found,
    cameras=st.lists(st.builds(Camera, host=ANY, interface=ANY, name=ANY), max_size=2).map(tuple),
    units=st.lists(st.builds(Unit, url=ANY, unit=st.integers(0, 255)), max_size=2).map(tuple),
    serial_ports=st.lists(st.builds(SerialPort, path=ANY, device=ANY), max_size=2).map(tuple),
    gpio_chips=st.lists(st.builds(GpioChip, path=ANY, label=ANY), max_size=2).map(tuple),
)


@settings(deadline=None)
@given(FOUND)
def test_what_was_found_comes_back_from_its_json(found: Found) -> None:
    assert from_json(json.dumps(as_json(found))) == found


@pytest.mark.parametrize(
    "text", ["", "[]", '{"cameras": 1}', '{"units": [{"url": "x"}]}', "[" * 100_000, "\ud800"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(NotFound):
        from_json(text)


@given(st.text(max_size=40))
def test_any_text_is_a_result_or_refused(text: str) -> None:
    with suppress(NotFound):
        from_json(text)


def test_what_the_box_has_is_looked_for_without_sending_anything(tmp_path: Path) -> None:
    link(tmp_path, "dev/serial/by-id/usb-x", "ttyUSB0")
    (tmp_path / "dev/gpiochip0").touch()
    found = of_the_box(tmp_path)

    assert [port.path for port in found.serial_ports] == ["/dev/serial/by-id/usb-x"]
    assert [chip.path for chip in found.gpio_chips] == [str(tmp_path / "dev/gpiochip0")]
    assert (found.cameras, found.units, found.problems) == ((), (), ())
