"""What every driver must satisfy, checked without naming one."""

import ast
import dataclasses
import importlib
import importlib.util
import pkgutil
import typing
from pathlib import Path

import pytest

import drivers
from drivers import catalog, commands, signals
from drivers.contract import Driver, unknown_states

HERE = Path(__file__).parent
DRIVERS = Path(drivers.__file__).parent
OURS = {"edge", "rules", "buffer", "drivers"}
CONTRACT = {"contract", "signals", "commands", "settings", "priorities"}
FLOORS = {"lines", "ports", "wire"}
"""What lies below a device: lines, text ports, protocols."""

each_type = pytest.mark.parametrize("name", catalog.names())


def module_of(driver: type[Driver]) -> Path:
    spec = importlib.util.find_spec(driver.__module__)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def imported(path: Path) -> set[str]:
    """Return the modules of ours that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{each.name}" for each in node.names if node.module in OURS}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return {each for each in found if each.split(".")[0] in OURS} - OURS


@each_type
def test_it_is_a_driver_made_of_its_settings(name: str) -> None:
    driver = catalog.load(name)
    assert issubclass(driver, Driver)
    assert dataclasses.is_dataclass(driver)
    assert "__slots__" in driver.__dict__
    assert catalog.type_name(driver) == name


@each_type
def test_it_says_what_it_is_in_one_sentence(name: str) -> None:
    driver = catalog.load(name)
    assert driver.__doc__
    assert not driver.__doc__.startswith(f"{driver.__name__}("), "the dataclass wrote it"
    assert driver.__doc__.strip().split("\n")[0].endswith("."), driver.__doc__
    first = module_of(driver).read_text().split("\n")[0]
    assert first.startswith('"""'), first


@each_type
def test_it_says_signals_and_accepts_commands_of_the_vocabulary(name: str) -> None:
    driver = catalog.load(name)
    assert driver.says, "a driver that says nothing is no driver"
    assert driver.says <= set(signals.by_kind().values())
    assert not driver.says & signals.SAID_BY_ALL, "every device may say these"
    assert not driver.says & signals.SAID_OF_ORDERS, "the host says these"
    assert driver.accepts <= set(commands.BY_KIND.values())


@each_type
def test_it_performs_what_it_accepts(name: str) -> None:
    driver = catalog.load(name)
    assert bool(driver.accepts) is (driver.perform is not Driver.perform)


@each_type
def test_its_states_follow_from_what_it_says(name: str) -> None:
    driver = catalog.load(name)
    told: dict[str, set[str]] = {}
    for signal in driver.says:
        for state, value in signal.sets.items():
            told.setdefault(state, set()).add(value)
    for state, set_values in told.items():
        assert state in driver.has_states, f"{state} is set and not declared"
        assert set_values <= set(driver.has_states[state])
    assert "link" not in driver.has_states, "every device has it"
    for state, values in driver.has_states.items():
        assert signals.UNKNOWN not in values, "every state has it"
        assert len(set(values)) == len(values) >= 2
        assert unknown_states(driver)[state] == signals.UNKNOWN


@each_type
def test_it_has_a_simulator_and_a_test(name: str) -> None:
    driver = catalog.load(name)
    if not driver.__module__.startswith("drivers."):
        pytest.skip("of a third party")
    assert importlib.util.find_spec(f"drivers.sim.{name}")
    importlib.import_module(f"drivers.sim.{name}")
    assert (HERE / f"test_{name}.py").exists()


@each_type
def test_it_knows_the_contract_and_what_lies_below_it_and_nothing_else_of_ours(name: str) -> None:
    driver = catalog.load(name)
    for module in imported(module_of(driver)):
        parts = module.split(".")
        assert parts[0] == "drivers", f"{name} imports {module}"
        assert parts[1] in CONTRACT | FLOORS, f"{name} imports {module}"


@each_type
def test_its_settings_have_types_that_a_configuration_can_give(name: str) -> None:
    driver = catalog.load(name)
    hints = typing.get_type_hints(driver)
    for each in dataclasses.fields(driver):
        if each.init:
            assert not each.name.startswith("_"), f"{each.name} is a setting and looks private"
            assert hints[each.name] is not typing.Any
        else:
            assert each.name.startswith("_") or not each.repr, f"{each.name} is no setting"


def test_every_module_in_drivers_is_a_device_type_or_said_not_to_be_one() -> None:
    found = {each.name for each in pkgutil.iter_modules(drivers.__path__) if not each.ispkg}
    assert found >= catalog.NOT_A_DEVICE, "it names a module that is not there"
    for name in found - catalog.NOT_A_DEVICE:
        assert issubclass(importlib.import_module(f"drivers.{name}").DRIVER, Driver)


def test_no_module_below_the_devices_knows_a_device_or_a_simulator() -> None:
    devices = {f"drivers.{name}" for name in catalog.names()}
    for floor in FLOORS:
        for path in (DRIVERS / floor).rglob("*.py"):
            assert not imported(path) & devices, path
            assert not any(each.startswith("drivers.sim") for each in imported(path)), path


def test_no_code_for_fire_panels_can_send_a_byte() -> None:
    files = [
        DRIVERS / "fire_panel.py",
        DRIVERS / "wire" / "fire_text.py",
        DRIVERS / "wire" / "text_profile.py",
        DRIVERS / "ports" / "port.py",
        DRIVERS / "ports" / "ear.py",
    ]
    called = {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert not called & {"write", "writelines", "send", "sendto", "sendall", "drain"}


def test_an_unknown_type_is_said() -> None:
    with pytest.raises(catalog.UnknownType, match="unknown device type 'no_such'"):
        catalog.load("no_such")
    with pytest.raises(catalog.UnknownType, match="unknown I/O module type 'no_such'"):
        catalog.load_io("no_such")


@pytest.mark.parametrize("name", sorted(catalog.IO_TYPES))
def test_an_io_module_type_can_be_loaded(name: str) -> None:
    driver = catalog.load_io(name)
    assert issubclass(driver, Driver)
    assert driver.__doc__
