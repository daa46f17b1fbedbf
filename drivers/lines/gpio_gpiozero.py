"""Reach GPIO pins through gpiozero's pin factories: lgpio, pigpio on another Pi, mock.

Weaker than gpiod: nobody numbers the edges, so lost ones go unnoticed; the mock factory ignores
debounce; and lgpio makes every pin an input for a moment when it is first used, so an output may
drop while the daemon connects. Outputs are left as they are when the lines are let go.
"""

from __future__ import annotations

import asyncio
import errno
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

import gpiozero

from drivers.lines.gpio_chip import Edge, GpioInput, GpioOutput

MOST_KEPT = 1024
"""Edges kept until they are read; the oldest are dropped, as the kernel does."""

_PULL = {"up": "up", "down": "down", "none": "floating"}


class GpiozeroChip:
    """Lines held through a pin factory."""

    def __init__(
        self, chip: str, inputs: Mapping[str, GpioInput], outputs: Mapping[str, GpioOutput]
    ) -> None:
        """Take hold of the lines. `chip` names the factory; empty takes gpiozero's choice.

        Raises:
            OSError: as `gpio_chip.OpenChip` says.
        """
        self._loop = asyncio.get_running_loop()
        self._edges: deque[Edge] = deque(maxlen=MOST_KEPT)
        self._notify: Callable[[], None] | None = None
        self._pins: dict[str, Any] = {}
        self._inverted: dict[str, bool] = {}
        self._watched: list[_Watched] = []
        try:
            self._factory = _factory(chip)
            for name, each in inputs.items():
                self._take(name, each.line, inverted=each.inverted)
                pin = self._pins[name]
                pin.input_with_pull(_PULL[each.pull])
                pin.bounce = each.debounce or None
                pin.edges = "both"
                self._watched.append(_Watched(self, name, pin))
            for name, output in outputs.items():
                self._take(name, output.line, inverted=output.active_low)
                self._pins[name].output_with_state(self._pins[name].state)
        except gpiozero.GPIOZeroError as error:
            self.close()
            raise OSError(errno.EIO, str(error)) from error
        except BaseException:
            self.close()
            raise

    def _take(self, name: str, line: str | int, *, inverted: bool) -> None:
        pin = int(line) if str(line).isdecimal() else line
        self._factory.reserve_pins(self, pin)
        self._pins[name] = self._factory.pin(pin)
        self._inverted[name] = inverted

    def _conflicts_with(self, other: object) -> bool:
        """Answer gpiozero, which asks whether a pin may be shared: never."""
        return True

    def level(self, line: str) -> bool:
        try:
            return bool(self._pins[line].state) is not self._inverted[line]
        except gpiozero.GPIOZeroError as error:
            raise OSError(errno.EIO, str(error)) from error

    def set(self, line: str, *, on: bool) -> None:
        try:
            self._pins[line].state = int(on is not self._inverted[line])
        except gpiozero.GPIOZeroError as error:
            raise OSError(errno.EIO, str(error)) from error

    def listen(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        if self._edges:
            self._loop.call_soon(notify)

    def ignore(self) -> None:
        self._notify = None

    def edges(self, most: int) -> list[Edge]:
        return [self._edges.popleft() for _ in range(min(most, len(self._edges)))]

    def close(self) -> None:
        self._notify = None
        for watched in self._watched:
            watched.pin.when_changed = None
        if self._pins:
            self._factory.release_all(self)

    def keep(self, edge: Edge) -> None:
        """Take an edge on the loop."""
        self._edges.append(edge)
        if self._notify is not None:
            self._notify()

    def seen(self, line: str, *, high: bool) -> None:
        """Take a change from the pin's own thread."""
        edge = Edge(line=line, level=high is not self._inverted[line], at=self._loop.time())
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.keep, edge)


class _Watched:
    """One input; pins hold its method weakly, so it lives as long as the chip is held."""

    def __init__(self, chip: GpiozeroChip, line: str, pin: Any) -> None:
        self._chip, self._line, self.pin = chip, line, pin
        pin.when_changed = self.changed

    def changed(self, ticks: float, state: float) -> None:
        self._chip.seen(self._line, high=bool(state))


def _factory(name: str) -> Any:
    """Return the process's pin factory, made now if there is none: a process has one."""
    device = gpiozero.Device
    try:
        if device.pin_factory is None and name:
            (found,) = entry_points(group="gpiozero_pin_factories", name=name) or (None,)
            if found is None:
                raise OSError(errno.ENODEV, "gpiozero has no pin factory of this name")
            device.pin_factory = found.load()()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every factory that it tries in vain
            device.ensure_pin_factory()
    except ImportError as error:
        raise OSError(errno.ENODEV, f"the pin factory is not installed: {error}") from error
    return device.pin_factory
