"""A house of wires in memory: lines, outputs and text ports that a script moves by hand.

It is what the host lends to a device (`contract.House`), without any I/O module behind it. The
simulators of devices drive it, and drive a simulated I/O module by the same words.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from drivers.contract import CommandFailed
from drivers.lines.line import InputLine, OutputLine, Quality
from drivers.ports.port import BadBytes, PortEvent, TextPort, TextRecord


class Wires(Protocol):
    """What can put a wire to a level: this house, or a simulated I/O module."""

    def set(self, line: str, on: bool) -> None:  # noqa: FBT001 - a level is a bool
        ...


class Speaker(Protocol):
    """What can say text records: a simulated sender, or a port in memory."""

    def say(self, record: str) -> None: ...

    def raw(self, data: bytes) -> None: ...


class MemoryOutput(OutputLine):
    """An output that does as it is told, at once, unless it is told to misbehave."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.refuses = ""
        """While not empty, every write fails with these words."""
        self.delay = 0.0
        """Seconds that a write takes."""
        self.stuck = False
        """While true, a write succeeds and changes nothing."""
        self.written: list[tuple[float, bool]] = []
        """Loop time and level of every write that was taken."""

    async def write(self, *, on: bool) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.refuses:
            raise CommandFailed(self.refuses)
        if self.reading.quality is not Quality.good:
            raise CommandFailed(f"{self.line}: {self.reading.reason}")
        self.written.append((asyncio.get_running_loop().time(), on))
        if not self.stuck:
            self.observe(on)

    @property
    def on(self) -> bool | None:
        """What it reads back; None while it can't be read."""
        return self.reading.level


class MemoryPort:
    """A text port whose bytes come from a script."""

    def __init__(self, name: str, separator: bytes = b"\n") -> None:
        self.port = TextPort(name)
        self._separator = separator
        self._rest = b""

    def up(self) -> None:
        self.port.tell(PortEvent(link="up"))

    def down(self, reason: str = "unplugged") -> None:
        """Lose the link; half a record is lost with it."""
        self._rest = b""
        self.port.tell(PortEvent(link="down", reason=reason))

    def say(self, record: str) -> None:
        """Say one record."""
        self.raw(record.encode() + self._separator)

    def raw(self, data: bytes) -> None:
        """Say bytes; what the separator closes becomes a record."""
        *records, self._rest = (self._rest + data).split(self._separator)
        for record in records:
            self.port.tell(TextRecord(text=record.decode("utf-8", "replace")))

    def bad(self, reason: str, size: int) -> None:
        """Let the port report bytes that are no record."""
        self.port.tell(BadBytes(reason=reason, size=size))


class MemoryHouse:
    """Lines, outputs and ports by name; each is made when it is first asked for."""

    def __init__(self, root: Path | None = None) -> None:
        """`root`: where folders are made; without it there are none."""
        self.inputs: dict[str, InputLine] = {}
        self.outputs: dict[str, MemoryOutput] = {}
        self.ports: dict[str, MemoryPort] = {}
        self._root = root

    def input(self, line: str) -> InputLine:
        return self.inputs.setdefault(line, InputLine(line))

    def output(self, line: str) -> MemoryOutput:
        return self.outputs.setdefault(line, MemoryOutput(line))

    def port(self, name: str) -> TextPort:
        return self.text(name).port

    def folder(self, name: str) -> Path:
        if self._root is None:
            raise ValueError("this house has no folders")
        folder = self._root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def text(self, name: str, separator: bytes = b"\n") -> MemoryPort:
        """Return the script's end of a text port."""
        return self.ports.setdefault(name, MemoryPort(name, separator))

    def set(self, line: str, on: bool) -> None:  # noqa: FBT001 - a level is a bool
        """Put a wire to a level: as an input, or as an output that somebody switched by hand."""
        if line in self.outputs:
            self.outputs[line].observe(on)
        else:
            self.input(line).observe(on)

    def pulse_unseen(self, line: str, pulses: int = 1) -> None:
        """Let pulses come and go between two polls: only the hardware counter saw them."""
        now = self.input(line).reading.level
        self.input(line).observe(bool(now), edges=pulses)

    def fault(self, line: str, reason: str = "loop open") -> None:
        """Break a wire so that its module notices."""
        self.input(line).fault(reason)

    def lose(self, module: str, reason: str = "no answer") -> None:
        """Lose an I/O module: nothing of it can be read."""
        lines: list[InputLine | MemoryOutput] = [*self.inputs.values(), *self.outputs.values()]
        for line in lines:
            if line.line.partition(".")[0] == module:
                line.lost(reason)
