"""What `check` and `apply` say of a configuration that loads: mistakes of meaning in its rules.

The daemon does not ask: a rule that can never fire is no reason to run without the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.contract import IoModule
from drivers.eas_pedestal import ALARMS, EasPedestal
from drivers.settings import InputSetting
from edge.config.model import Configuration, Configured
from edge.config.wiring import settings_of
from rules.lint import lint
from rules.lint_windows import Paces
from rules.problems import Problems

SAID_BY_INPUT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "door": {
        "contact": ("door.opened", "door.closed"),
        "request_to_exit": ("door.request_to_exit",),
    },
    "contact": {"contact": ("contact.active", "contact.quiet")},
    "button": {"contact": ("button.pressed", "button.released")},
}
"""Device type to input to what it says: `debounce:` lies at least between two of the same."""


def checked(configuration: Configuration) -> Problems:
    """Return the problems of loading (warnings), and those that are found in the rules."""
    found = lint(configuration.rules, configuration.world, paces(configuration))
    wrong = {problem.mark for problem in found.errors}
    whole = Problems()
    for problem in configuration.problems.warnings:
        if not (problem.mark in wrong and problem.message.startswith("nothing ends ")):
            whole.warning(problem.mark, problem.message, problem.hint)
    for problem in found.all:
        say = {"error": whole.error, "warning": whole.warning, "note": whole.note}
        say[problem.level](problem.mark, problem.message, problem.hint)
    return whole


def paces(configuration: Configuration) -> Paces:
    """Return what the settings of devices say of their pace."""
    devices = configuration.devices
    return Paces(
        apart={
            (device.id, signal): seconds
            for device in devices.values()
            for signal, seconds in _apart(device, configuration)
        },
        ring=dict(_setting(devices, "ring")),
        per_hour=dict(_setting(devices, "max_per_hour")),
    )


def _setting(devices: Any, name: str) -> Iterator[tuple[str, float]]:
    for device in devices.values():
        value = getattr(device.driver, name, None)
        if isinstance(value, float | int):
            yield device.id, float(value)


def _apart(device: Configured, configuration: Configuration) -> Iterator[tuple[str, float]]:
    """Return each signal of a device with the seconds that lie at least between two of them."""
    driver = device.driver
    if isinstance(driver, EasPedestal) and len(set(driver.lines()) & set(ALARMS)) == 1:
        yield "eas.alarm", float(driver.merge)  # with two inputs a direction is said in between
    for setting, value in settings_of(driver):
        signals = SAID_BY_INPUT.get(device.type, {}).get(setting, ())
        if isinstance(value, InputSetting) and signals:
            seconds = _debounce(value, configuration)
            yield from ((signal, seconds) for signal in signals if seconds > 0)


def _debounce(value: InputSetting, configuration: Configuration) -> float:
    if value.debounce is not None:
        return float(value.debounce)
    module, _, line = value.line.partition(".")
    driver = configuration.io[module].driver if module in configuration.io else None
    if not isinstance(driver, IoModule) or line not in driver.inputs():
        return 0.0
    return float(driver.inputs()[line].debounce)
