"""Lend drivers their wires: lines and ports by name, and a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drivers.contract import Driver, IoModule
from drivers.lines.line import InputLine, OutputLine
from drivers.ports.port import TextPort
from drivers.ports.text import Text


class Wires:
    """Every line and port of the site, by name. Names were checked when the files were loaded."""

    def __init__(self, modules: Mapping[str, Driver]) -> None:
        self._inputs: dict[str, InputLine] = {}
        self._outputs: dict[str, OutputLine] = {}
        self._ports: dict[str, TextPort] = {}
        for name, module in modules.items():
            if isinstance(module, IoModule):
                self._inputs |= {f"{name}.{n}": line for n, line in module.inputs().items()}
                self._outputs |= {f"{name}.{n}": line for n, line in module.outputs().items()}
            elif isinstance(module, Text):
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
