"""The package on the page about drivers works: it is found, checked, configured and played."""

import asyncio
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from drivers import catalog
from drivers.ports.text import Text
from drivers.signals import ButtonPressed, LinkUp, Signal
from drivers.sim import text
from edge.config.load import load
from edge.house import Wires
from rules.problems import ConfigurationRefused
from rules.scenario import play
from tests import virtual_time

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "writing-a-driver.md"
BLOCK = re.compile(r"^```(?:python|toml|yaml)\n# (\S+)\n(.*?)^```$", re.M | re.S)
PACKAGE = "shop_extras"
TYPES = ("radio_panic", "chime")


def module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the page's files and install them as pip would; returns their folder."""
    for name, content in BLOCK.findall(PAGE.read_text()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"{PACKAGE}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [each for each in sys.modules if each.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_every_block_of_code_on_the_page_is_a_file_of_the_package() -> None:
    page = PAGE.read_text()

    assert len(BLOCK.findall(page)) == len(re.findall(r"^```\w", page, re.M))


def test_its_device_types_are_found_by_name(installed: Path) -> None:
    assert importlib.metadata.version("shop-extras") == "1.0"
    assert set(TYPES) <= set(catalog.names())
    assert catalog.load("radio_panic").__name__ == "RadioPanic"
    assert catalog.type_name(catalog.load("chime")) == "chime"


def conformance() -> list[Callable[[str], None]]:
    """Return the tests that every device type of ours must pass."""
    contract = module(ROOT / "tests" / "drivers" / "test_contract.py", "contract_of_all")
    return [
        function
        for _, function in inspect.getmembers(contract, inspect.isfunction)
        for mark in getattr(function, "pytestmark", [])
        if mark.name == "parametrize" and "door" in mark.args[1]
    ]


@pytest.mark.parametrize("name", TYPES)
def test_they_keep_the_rules_of_all_drivers(installed: Path, name: str) -> None:
    found = conformance()
    assert len(found) >= 7

    for function in found:
        with suppress(pytest.skip.Exception):
            function(name)


def test_their_own_tests_pass(installed: Path) -> None:
    tests = module(installed / PACKAGE / "test_extras.py", f"{PACKAGE}.test_extras")
    found = [f for name, f in inspect.getmembers(tests, inspect.isfunction) if name[:5] == "test_"]

    assert len(found) == 3
    for function in found:
        function()


def test_a_configuration_takes_them_and_its_rule_works(installed: Path) -> None:
    configuration = load(installed)

    assert str(configuration.problems) == ""
    assert configuration.devices["panic_till_1"].type == "radio_panic"
    (case,) = configuration.rules.tests
    assert play(case, configuration.rules, configuration.world) == []


def test_a_wrong_setting_of_theirs_is_said_at_its_place(installed: Path) -> None:
    devices = installed / "devices.yaml"
    devices.write_text(devices.read_text().replace("button: 12", "button: 0"))

    with pytest.raises(ConfigurationRefused) as refused:
        load(installed)

    first = refused.value.problems.errors[0]
    assert (first.mark.line, first.message) == (5, "there is no button 0")


def test_the_configured_button_hears_the_simulator_over_tcp(installed: Path) -> None:
    async def main() -> list[Signal]:
        said: list[Signal] = []
        pressed = asyncio.Event()

        async def emit(signal: Signal) -> None:
            said.append(signal)
            if isinstance(signal, ButtonPressed):
                pressed.set()

        async def ignore(_signal: Signal) -> None:
            return

        async with text.simulate() as sender:
            devices = installed / "devices.yaml"
            devices.write_text(devices.read_text().replace("tcp://10.0.4.33:4001", sender.url))
            configuration = load(installed)
            receiver = configuration.io["receiver"].driver
            button = configuration.devices["panic_till_2"].driver
            assert isinstance(receiver, Text)
            Wires({"receiver": receiver}).lend("panic_till_2", button, installed)
            running = [
                asyncio.create_task(button.run(emit)),
                asyncio.create_task(receiver.run(ignore)),
            ]
            simulated = importlib.import_module(f"{PACKAGE}.sim_radio").SimulatedReceiver(sender)
            await sender.connected.wait()
            simulated.press(12)
            simulated.press(13)
            await pressed.wait()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return said

    assert virtual_time.run(main()) == [LinkUp(), ButtonPressed()]
