"""Lend drivers their wires: lines and ports by name, and a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drivers.contract import Driver, IoModule
from drivers.lines.line import InputLine, OutputLine
from drivers.ports.port import TextPort
from drivers.ports.text import Text


class Wires:
    """Every line and port of the site, by name. Names were checked when the files were loaded.

    A module does not know its own id: each line and port is told its whole name here, so that
    what a device says of it names the module too.
    """

    def __init__(self, modules: Mapping[str, Driver]) -> None:
        self._inputs: dict[str, InputLine] = {}
        self._outputs: dict[str, OutputLine] = {}
        self._ports: dict[str, TextPort] = {}
        for name, module in modules.items():
            if isinstance(module, IoModule):
                for short, entering in module.inputs().items():
                    entering.line = f"{name}.{short}"
                    self._inputs[entering.line] = entering
                for short, leaving in module.outputs().items():
                    leaving.line = f"{name}.{short}"
                    self._outputs[leaving.line] = leaving
            elif isinstance(module, Text):
                module.port.name = name
                self._ports[name] = module.port

    def lend(self, device: str, driver: Driver, folder: Path) -> None:
        """Attach one device; its folder is made when it asks for it."""
        driver.attach(_Lent(self, folder / device))

    def input(self, line: str) -> InputLine:
        return self._inputs[line]

    def output(self, line: str) -> OutputLine:
        return self._outputs[line]

    def port(self, name: str) -> TextPort:
        return self._ports[name]


class _Lent:
    def __init__(self, wires: Wires, folder: Path) -> None:
        self._wires, self._folder = wires, folder
        self.input, self.output, self.port = wires.input, wires.output, wires.port

    def folder(self, name: str) -> Path:
        path = self._folder / name if name else self._folder
        path.mkdir(parents=True, exist_ok=True)
        return path
