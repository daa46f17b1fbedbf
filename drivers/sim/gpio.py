"""A simulated GPIO chip at the seam of the GPIO module: contacts that bounce, edges that get lost.

There is no way to fake the kernel's own device from user space, so this stands where the kernel
would: it numbers edges, keeps a bounded number, debounces, and refuses lines that others hold.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Mapping

from drivers.lines.gpio_chip import Edge, GpioInput, GpioOutput

ROOM = 64
"""Edges kept until they are read; the oldest are dropped."""


class SimulatedChip:
    """What a test or a demo may make a chip and the wires on it do.

    Give `open` to the module as its `open_chip`. Wires are named as in devices.yaml and their
    levels are physical: True is high. They keep them while nobody holds the chip.
    """

    def __init__(self) -> None:
        self.wires: dict[str, bool] = {}
        """What each wire is at; a missing one follows its pull, and is low without one."""
        self.held = False
        self.opened = asyncio.Event()
        self.present = True
        """False: the chip was unplugged."""
        self.late = 0.0
        """Seconds by which the module hears of edges late, as on a busy machine."""
        self.busy: set[str] = set()
        """Lines that another program holds."""
        self.stuck: set[str] = set()
        """Outputs that stay as they are, whatever is written."""
        self.driven: list[tuple[str, bool]] = []
        """Each level that an output was driven to, in order, physical."""
        self._inputs: Mapping[str, GpioInput] = {}
        self._outputs: Mapping[str, GpioOutput] = {}
        self._edges: deque[Edge] = deque(maxlen=ROOM)
        self._sequence: dict[str, int] = {}
        self._told: dict[str, bool] = {}
        self._settling: dict[str, asyncio.TimerHandle] = {}
        self._notify: Callable[[], None] | None = None

    def open(
        self, chip: str, inputs: Mapping[str, GpioInput], outputs: Mapping[str, GpioOutput]
    ) -> SimulatedChip:
        """Take hold of the lines, as the kernel would."""
        if not self.present:
            raise OSError(errno.ENOENT, "No such file or directory")
        for name in (*inputs, *outputs):
            if name in self.busy:
                raise OSError(errno.EBUSY, f"{name}: line is held by another program")
        self._inputs, self._outputs = inputs, outputs
        for name, pin in inputs.items():
            self.wires.setdefault(name, pin.pull == "up")
        for name in outputs:
            self.wires.setdefault(name, False)
        self._edges.clear()
        self._sequence = dict.fromkeys(inputs, 0)
        self._told = {name: self.wires[name] for name in inputs}
        self.held = True
        self.opened.set()
        return self

    # What the world does to it

    def put(self, wire: str, *, high: bool) -> None:
        """Bring a wire to a level."""
        if self.wires.get(wire) is high:
            return
        self.wires[wire] = high
        if not self.held or wire not in self._inputs:
            return
        if waiting := self._settling.pop(wire, None):
            waiting.cancel()
        if debounce := self._inputs[wire].debounce:
            loop = asyncio.get_running_loop()
            self._settling[wire] = loop.call_later(debounce, self._settled, wire)
        else:
            self._settled(wire)

    def close_contact(self, wire: str) -> None:
        """Connect a wire to ground."""
        self.put(wire, high=False)

    def open_contact(self, wire: str) -> None:
        """Let a wire go, as a cut does: it follows its pull."""
        self.put(wire, high=wire in self._inputs and self._inputs[wire].pull == "up")

    async def bounce(self, wire: str, times: int, *, every: float = 0.001) -> None:
        """Turn a wire over so many times, with so many seconds in between."""
        for _ in range(times):
            self.put(wire, high=not self.wires[wire])
            await asyncio.sleep(every)

    def unplug(self) -> None:
        """Take the chip away, as a USB expander that is pulled."""
        self.present = False
        self._tell()

    def plug_in(self) -> None:
        """Put the chip back."""
        self.present = True

    def _settled(self, wire: str) -> None:
        self._settling.pop(wire, None)
        high = self.wires[wire]
        if high is self._told[wire]:
            return
        self._told[wire] = high
        self._sequence[wire] += 1
        self._edges.append(
            Edge(
                line=wire,
                level=high is not self._inputs[wire].inverted,
                at=asyncio.get_running_loop().time(),
                sequence=self._sequence[wire],
            )
        )
        self._tell()

    def _tell(self) -> None:
        if self._notify is not None:
            asyncio.get_running_loop().call_later(self.late, self._wake)

    def _wake(self) -> None:
        if self._notify is not None and (self._edges or not self.present):
            self._notify()
            self._tell()

    # What the module does with it

    def level(self, line: str) -> bool:
        self._there()
        if line in self._inputs:
            return self._told[line] is not self._inputs[line].inverted
        return self.wires[line] is not self._outputs[line].active_low

    def set(self, line: str, *, on: bool) -> None:
        self._there()
        high = on is not self._outputs[line].active_low
        self.driven.append((line, high))
        if line not in self.stuck:
            self.wires[line] = high

    def listen(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._tell()

    def ignore(self) -> None:
        self._notify = None

    def edges(self, most: int) -> list[Edge]:
        self._there()
        return [self._edges.popleft() for _ in range(min(most, len(self._edges)))]

    def close(self) -> None:
        self.held = False
        self.opened.clear()
        for waiting in self._settling.values():
            waiting.cancel()
        self._settling.clear()

    def _there(self) -> None:
        if not self.present:
            raise OSError(errno.ENODEV, "No such device")
