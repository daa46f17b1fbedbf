"""Modbus units are found by reading, on the named hosts and nowhere else."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import SettingError
from drivers.sim.modbus import Kind, ModbusSimulator, simulate
from edge.discovery.found import Unit
from edge.discovery.modbus_units import asked, unit_range, units

READS = frozenset({1, 2, 3, 4, 0x2B})


def looked(
    *,
    kind: Kind = "tcp",
    unit: int = 1,
    identity: dict[int, bytes] | None = None,
    among: Sequence[int] = (1, 2, 3),
    **faults: object,
) -> tuple[list[Unit], list[str], ModbusSimulator]:
    """Return what is found at a simulated module; its port is put as 502."""

    async def main() -> tuple[list[Unit], list[str], ModbusSimulator]:
        async with simulate(kind=kind, unit=unit) as module:
            module.identity = identity or {}
            for name, value in faults.items():
                setattr(module.faults, name, value)
            found, problems = await units(asked([module.url], among))
            assert {pdu[0] for pdu in module.asked} <= READS
            assert not module.writes
            shown = [dataclasses.replace(u, url=u.url.replace(module.url, "URL")) for u in found]
            return shown, problems, module

    return asyncio.run(main())


def test_a_unit_that_tells_who_it_is_has_a_profile() -> None:
    found, problems, module = looked(
        unit=2, identity={0: b"Moxa Inc.", 1: b"E1214", 2: b"V3.1", 5: b"ioLogik E1214"}
    )

    assert found == [
        Unit(
            url="URL",
            unit=2,
            vendor="Moxa Inc.",
            product="ioLogik E1214",
            revision="V3.1",
            profile="moxa_e1214",
        )
    ]
    assert problems == []
    assert module.requests == 3


def test_a_unit_that_knows_no_such_question_is_found_and_nothing_is_guessed() -> None:
    assert looked(unit=3)[0] == [Unit(url="URL", unit=3)]


@pytest.mark.parametrize("kind", ["rtu", "rtu+tcp"])
def test_units_of_a_serial_line_are_found(kind: Kind) -> None:
    found, problems, _ = looked(kind=kind, unit=2, identity={0: b"Acme"}, among=(2,))

    assert found == [Unit(url="URL", unit=2, vendor="Acme")]
    assert problems == []


def test_a_module_that_is_silent_is_asked_three_times_and_left() -> None:
    found, problems, module = looked(among=(1,), silent=True)

    assert found == []
    assert problems == []
    assert module.requests == 3


def test_a_module_that_talks_rubbish_is_no_unit() -> None:
    found, _, module = looked(among=(1,), garbage=True)

    assert found == []
    assert module.requests <= 3


@pytest.mark.parametrize("size", [1, 200])
def test_an_identification_that_lies_about_its_length_hurts_nobody(size: int) -> None:
    found, problems, _ = looked(
        among=(1,), identity={0: b"Acme"}, late={1: bytes([0x2B, 0x0E, 1, 1, 0, 0, 1, 0, size])}
    )

    assert [unit.unit for unit in found] in ([], [1])
    assert problems == []


def test_what_a_module_says_of_itself_stays_on_its_line() -> None:
    (unit,) = looked(among=(1,), identity={0: b"A\ncme\x1b[2J\xff"})[0]

    assert unit.vendor == "A cme [2J\ufffd"


def test_a_host_that_is_not_there_is_said() -> None:
    async def main() -> tuple[list[Unit], list[str]]:
        async with simulate() as module:
            url = module.url
        return await units(asked([url], (1, 2)))

    found, problems = asyncio.run(main())

    assert found == []
    (problem,) = problems
    assert problem.startswith("modbus: cannot connect to 127.0.0.1:")
    assert problem.endswith(": Connection refused")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.0.4.20", "tcp://10.0.4.20:502"),
        ("annex:1502", "tcp://annex:1502"),
        ("[fd00::1]", "tcp://[fd00::1]:502"),
        ("rtu+tcp://10.0.4.20:4001", "rtu+tcp://10.0.4.20:4001"),
        ("rtu:/dev/ttyUSB0?baud=19200", "rtu:/dev/ttyUSB0?baud=19200"),
    ],
)
def test_a_host_is_named_in_short_or_as_in_devices_yaml(host: str, url: str) -> None:
    (one,) = asked([host], (1,))

    assert one.url == url


@pytest.mark.parametrize("host", ["", "10.0.4.0/24", "10.0.4.20:99999", "ftp://10.0.4.20"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(SettingError):
        asked([host], (1,))


def test_more_than_sixty_four_units_are_refused() -> None:
    assert len(asked(["a", "b"], range(1, 33))) == 2
    with pytest.raises(SettingError, match="66 units are more than 64 in all"):
        asked(["a", "b"], range(1, 34))


@pytest.mark.parametrize(
    ("text", "found"), [("1", (1,)), ("1-3", (1, 2, 3)), ("5,1-2,2", (5, 1, 2)), ("247", (247,))]
)
def test_units_are_written_as_a_range_or_a_list(text: str, found: tuple[int, ...]) -> None:
    assert unit_range(text) == found


@pytest.mark.parametrize("text", ["", "0", "248", "3-1", "1-", "-1", "1 2", "٣", "1-9999999999"])
def test_what_names_no_units_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        unit_range(text)


@given(st.text(max_size=12) | st.text(alphabet="0123456789,- ", max_size=12))
def test_any_text_is_units_or_refused(text: str) -> None:
    try:
        found = unit_range(text)
    except SettingError:
        return
    assert found
    assert all(1 <= unit <= 247 for unit in found)
