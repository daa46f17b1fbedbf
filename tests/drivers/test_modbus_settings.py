"""What may be written about a Modbus module, and what is said about the rest."""

from typing import Any

import pytest

from drivers import catalog
from drivers.contract import SettingError
from drivers.lines.modbus import Modbus
from drivers.lines.modbus_map import InputMap, OutputMap
from tests.drivers.modbus_rig import readings


@pytest.mark.parametrize(
    ("settings", "setting", "message", "hint"),
    [
        (
            {"profile": "moxa_e1241"},
            "profile",
            "unknown profile 'moxa_e1241'",
            "did you mean moxa_e1214?",
        ),
        (
            {"profile": "zzz"},
            "profile",
            "unknown profile 'zzz'",
            "known: adam_6050, moxa_e1214, waveshare_io_8ch, waveshare_relay_8ch",
        ),
        (
            {"profile": None},
            "profile",
            "a module without a profile has no lines",
            "give a profile (adam_6050, moxa_e1214, waveshare_io_8ch, waveshare_relay_8ch)"
            " or inputs and outputs",
        ),
        ({"unit": 256}, "unit", "256 is no unit", "units go from 0 to 255"),
        ({"poll": 0.001}, "poll", "a poll takes from 5ms to 60s, not 0.001s", ""),
        (
            {"input_maps": {"DI 0": InputMap(discrete=0)}},
            "inputs",
            "'DI 0' is no name of a line",
            "like di0, door_2",
        ),
        ({"output_maps": {"di0": OutputMap(coil=0)}}, "outputs", "'di0' is an input too", ""),
        (
            {"url": "udp://10.0.0.1:502"},
            "url",
            "'udp://10.0.0.1:502' is no url of a Modbus module",
            "write tcp://host:port, rtu:/dev/serial/by-id/…?baud=9600, or rtu+tcp://host:port",
        ),
        (
            {"url": "tcp://10.0.0.1"},
            "url",
            "'tcp://10.0.0.1' is not tcp://host:port",
            "write tcp://host:port, rtu:/dev/serial/by-id/…?baud=9600, or rtu+tcp://host:port",
        ),
        (
            {"url": "rtu:/dev/ttyUSB0?speed=9600"},
            "url",
            "unknown serial setting 'speed'",
            "known: baud, parity, bits, stop",
        ),
    ],
)
def test_wrong_settings_are_refused_with_the_next_thing_to_type(
    settings: dict[str, Any], setting: str, message: str, hint: str
) -> None:
    usual: dict[str, Any] = {"url": "tcp://10.0.0.1:502", "profile": "moxa_e1214"}
    with pytest.raises(SettingError) as caught:
        Modbus(**usual | settings)
    assert (caught.value.setting, str(caught.value), caught.value.hint) == (setting, message, hint)


def test_the_catalog_finds_it() -> None:
    assert catalog.load_io("modbus") is Modbus


def test_building_a_module_touches_nothing_and_its_lines_exist() -> None:
    driver = Modbus(url="rtu:/dev/nowhere?baud=19200&parity=E", profile="waveshare_relay_8ch")
    assert list(driver.inputs()) == [f"di{n}" for n in range(8)]
    assert list(driver.outputs()) == [f"do{n}" for n in range(8)]
    assert driver.failsafe() is False
    assert {reading.reason for reading in readings(driver)} == {"not read yet"}
