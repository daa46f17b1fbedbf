"""Warnings of what fails unseen: alarm wires whose cut looks normal, outputs nobody holds."""

from __future__ import annotations

from drivers.contract import IoModule
from drivers.settings import InputSetting, OutputSetting
from edge.config.devices_file import Entries, Entry
from edge.config.wiring import settings_of
from rules import convert
from rules.problems import Problems

ALARM_INPUTS = {"fire_panel": frozenset({"alarm"}), "button": None}
"""Device type to the inputs that must be fail-safe; None: all of them."""
LETS_GO = frozenset({"gpio"})
"""I/O modules whose outputs are the kernel's again when the process that wrote them ends."""


def warn(entries: Entries, problems: Problems) -> None:
    """Warn of alarm inputs and outputs that are not fail-safe."""
    for entry in entries.devices.values():
        if entry.configured is None:
            continue
        for setting, value in settings_of(entry.configured.driver):
            mark = convert.place(entry.node, setting)
            if isinstance(value, InputSetting) and _unsupervised(entry, setting, value):
                hint = "wire it closed at rest (active: off), or write unsupervised: accepted"
                problems.warning(mark, "a cut wire looks normal here", hint)
            elif isinstance(value, OutputSetting) and _nobody_holds(value.line, entries):
                hint = "its relay's rest position must be the safe one"
                problems.warning(
                    mark, "no watchdog puts this output to safety if the daemon is killed", hint
                )


def _unsupervised(entry: Entry, setting: str, value: InputSetting) -> bool:
    inputs = ALARM_INPUTS.get(entry.type, frozenset())
    driver = entry.configured.driver if entry.configured else None
    accepted = getattr(driver, "unsupervised", None) == "accepted"
    return (inputs is None or setting in inputs) and value.active != "off" and not accepted


def _nobody_holds(line: str, entries: Entries) -> bool:
    name, _, output = line.partition(".")
    module = entries.io.get(name)
    if module is None or module.configured is None or module.type not in LETS_GO:
        return False
    driver = module.configured.driver
    return isinstance(driver, IoModule) and output in driver.outputs() and not driver.failsafe()
