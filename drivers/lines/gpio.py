"""GPIO pins as lines: a Raspberry Pi's header, a NUC's, or a USB expander's."""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.contract import CommandFailed, Emit, IoModule, LinkLost, SettingError
from drivers.lines.gpio_chip import Chip, GpioInput, GpioOutput, OpenChip, rises_missed
from drivers.lines.line import InputLine, OutputLine, Reading, Watch
from drivers.ports.reason import REMEDY
from drivers.signals import BadRecord, InputEdge, LinkUp

BATCH = 64
"""Edges taken at a time: what a chattering line may make the others wait for."""
REST = 0.01
"""Seconds without reading after a full batch; what the kernel can't keep meanwhile is counted."""
LONGEST_BACKLOG = 1000
"""Changes not yet said as signals; devices get every one all the same."""
SAY_LOST_EVERY = 60.0
"""Seconds."""
CHECK_EVERY = 1.0
"""Seconds after which all lines are read, edges or not: an output that somebody else changed,
an edge that a back end lost, and a chip that went away in silence are found so."""
READ_BACK_TRIES = 5
"""Times an output is read back, 1 ms apart, before it is said to have failed."""
LONGEST_DEBOUNCE = 1.0
"""Seconds."""

BACK_ENDS = {
    "gpiod": ("drivers.lines.gpio_gpiod", "GpiodChip"),
    "gpiozero": ("drivers.lines.gpio_gpiozero", "GpiozeroChip"),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Gpio(IoModule):
    """GPIO pins: inputs by edges, with the kernel's time stamps, and outputs read back."""

    chip: str = ""
    """`/dev/gpiochip0`, or better its label, `pinctrl-rp1`: numbers change with the kernel. With
    gpiozero a pin factory (`lgpio`, `pigpio`, `mock`), empty takes gpiozero's choice."""
    via: Literal["gpiod", "gpiozero"] = "gpiod"
    input_pins: dict[str, GpioInput] = field(default_factory=dict, metadata={"yaml": "inputs"})
    output_pins: dict[str, GpioOutput] = field(default_factory=dict, metadata={"yaml": "outputs"})

    says = frozenset({InputEdge})

    open_chip: OpenChip | None = field(init=False, default=None)
    """What takes hold of the lines; None takes the back end that `via` names."""
    _inputs: dict[str, InputLine] = field(init=False, repr=False)
    _outputs: dict[str, _Output] = field(init=False, repr=False)
    _session: _Session | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.chip and self.via == "gpiod":
            raise SettingError(
                "chip", "no chip is named", "write /dev/gpiochip0 or a label: pinctrl-rp1"
            )
        if not self.input_pins and not self.output_pins:
            raise SettingError("inputs", "neither inputs nor outputs are named")
        for name, pin in self.input_pins.items():
            if not 0 <= pin.debounce <= LONGEST_DEBOUNCE:
                raise SettingError("inputs", f"{name}: debounce is not from 0 to 1 s")
        self._refuse_one_line_twice()
        self._inputs = {name: InputLine(name) for name in self.input_pins}
        self._outputs = {name: _Output(name, self) for name in self.output_pins}

    def _refuse_one_line_twice(self) -> None:
        users: dict[str, str] = {}
        pins = [("inputs", name, pin.line) for name, pin in self.input_pins.items()]
        pins += [("outputs", name, pin.line) for name, pin in self.output_pins.items()]
        for setting, name, line in pins:
            if other := users.get(str(line)):
                raise SettingError(setting, f"{name}: line {line} is {other} already")
            users[str(line)] = name

    def inputs(self) -> Mapping[str, InputLine]:
        return self._inputs

    def outputs(self) -> Mapping[str, OutputLine]:
        return self._outputs

    async def run(self, emit: Emit) -> None:
        reason = "the module stopped"
        try:
            with ExitStack() as stack:
                chip = self._open()
                stack.callback(chip.close)
                stack.callback(chip.ignore)
                watches = {n: stack.enter_context(i.watch()) for n, i in self._inputs.items()}
                self._session = _Session(chip, self._inputs, self._outputs, watches)
                await self._session.run(emit)
        except OSError as error:
            reason = f"{self.chip or self.via}: {_why(error)}"
            raise LinkLost(reason) from error
        except ImportError as error:
            reason = f"the package {self.via} is not installed"
            raise LinkLost(reason) from error
        finally:
            self._session = None
            for line in self._inputs.values():
                line.lost(reason)
            for output in self._outputs.values():
                output.lost(reason)

    def _open(self) -> Chip:
        if self.open_chip is not None:
            return self.open_chip(self.chip, self.input_pins, self.output_pins)
        module, name = BACK_ENDS[self.via]
        opener: Any = getattr(importlib.import_module(module), name)
        chip: Chip = opener(self.chip, self.input_pins, self.output_pins)
        return chip

    async def set_output(self, line: _Output, *, on: bool) -> None:
        """Set one output and read it back.

        Raises:
            CommandFailed: not connected, the chip is gone, or it reads back otherwise.
        """
        if self._session is None:
            raise CommandFailed(f"{line.line}: not connected")
        try:
            read = await self._session.set_output(line.name, on=on)
        except OSError as error:
            raise CommandFailed(f"{line.line}: {_why(error)}") from error
        if read is not on:
            wanted, found = ("on", "off") if on else ("off", "on")
            raise CommandFailed(f"{line.line}: set {wanted}, reads {found}")


class _Output(OutputLine):
    def __init__(self, line: str, module: Gpio) -> None:
        super().__init__(line)
        self.name = line
        """As this module calls it; `line` becomes the whole name, `pi.horn`."""
        self._module = module

    async def write(self, *, on: bool) -> None:
        await self._module.set_output(self, on=on)


class _Session:
    """One chip while it is held."""

    def __init__(
        self,
        chip: Chip,
        inputs: Mapping[str, InputLine],
        outputs: Mapping[str, OutputLine],
        watches: Mapping[str, Watch],
    ) -> None:
        self._chip, self._inputs, self._outputs = chip, inputs, outputs
        self._watches = watches
        self._backlog: deque[tuple[str, Reading]] = deque(maxlen=LONGEST_BACKLOG)
        self._news = asyncio.Event()
        self._gone: OSError | None = None
        self._last = dict.fromkeys(inputs, 0)
        self._lost = 0
        self._lost_said_at = float("-inf")
        self._resting: asyncio.TimerHandle | None = None

    async def run(self, emit: Emit) -> None:
        """Follow the lines until the chip is gone.

        Raises:
            OSError: it is gone.
        """
        self._read_all()
        if self._gone is not None:
            raise self._gone
        self._chip.listen(self._take)
        check_at = asyncio.get_running_loop().time() + CHECK_EVERY
        try:
            await emit(LinkUp())
            while True:
                await self._say(emit)
                if self._gone is not None:
                    raise self._gone
                try:
                    async with asyncio.timeout_at(check_at):
                        await self._news.wait()
                    self._news.clear()
                except TimeoutError:
                    check_at = asyncio.get_running_loop().time() + CHECK_EVERY
                    self._take()
                    self._read_all()
        finally:
            if self._resting is not None:
                self._resting.cancel()

    async def set_output(self, line: str, *, on: bool) -> bool:
        """Set an output and return what it reads afterwards.

        Raises:
            OSError: the chip is gone.
        """
        try:
            self._chip.set(line, on=on)
            read = self._chip.level(line)
            for _ in range(READ_BACK_TRIES - 1):
                if read is on or self._gone is not None:
                    break
                await asyncio.sleep(0.001)
                read = self._chip.level(line)
        except OSError as error:
            self._lose(error)
            raise
        self._outputs[line].observe(read)
        return read

    def _read_all(self) -> None:
        """Take every level, be it a first look or to find what no edge told."""
        try:
            for name, line in self._inputs.items():
                line.observe(self._chip.level(name))
            for name, output in self._outputs.items():
                output.observe(self._chip.level(name))
        except OSError as error:
            self._lose(error)
        self._collect()

    def _take(self) -> None:
        """Take the edges that the chip has; called on the loop."""
        try:
            edges = self._chip.edges(BATCH)
        except OSError as error:
            self._lose(error)
            return
        for edge in edges:
            line, lost = self._inputs[edge.line], 0
            if edge.sequence is not None:
                lost = edge.sequence - self._last[edge.line] - 1
                self._last[edge.line] = edge.sequence
            rises = rises_missed(line.reading.level, lost, edge.level)
            line.observe(edge.level, edges=rises, at=edge.at)
            self._lost += lost
        if len(edges) == BATCH and self._resting is None:
            self._chip.ignore()
            self._resting = asyncio.get_running_loop().call_later(REST, self._rested)
        if edges:
            self._collect()
            self._news.set()

    def _rested(self) -> None:
        self._resting = None
        if self._gone is None:
            self._chip.listen(self._take)

    def _lose(self, error: OSError) -> None:
        self._gone = error
        self._chip.ignore()
        self._news.set()

    def _collect(self) -> None:
        for name, watch in self._watches.items():
            while (reading := watch.get_nowait()) is not None:
                self._backlog.append((name, reading))

    async def _say(self, emit: Emit) -> None:
        while self._backlog:
            name, reading = self._backlog.popleft()
            quality: Any = reading.quality.value
            await emit(
                InputEdge(line=name, level=reading.level, quality=quality, count=reading.count)
            )
        now = asyncio.get_running_loop().time()
        if self._lost and now >= self._lost_said_at + SAY_LOST_EVERY:
            lost, self._lost, self._lost_said_at = self._lost, 0, now
            reason = "edges were lost, more came than could be kept"
            await emit(BadRecord(reason=reason, count=lost))


def _why(error: OSError) -> str:
    if error.errno == errno.EPERM:
        return f"{os.strerror(errno.EPERM)}{REMEDY}"
    return error.strerror or os.strerror(error.errno or 0)


DRIVER = Gpio
