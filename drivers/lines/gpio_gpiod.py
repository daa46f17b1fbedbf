"""Reach GPIO pins through the kernel's character device, by the gpiod package (libgpiod 2).

Outputs are first requested as they are (no direction: the kernel then touches nothing), read, and
only then made outputs with the level just read. So a siren neither chirps nor stops when the
daemon connects. What a pin does once nobody holds it is up to the chip's driver: on some boards
it keeps its level, on others it falls back to its pull.

The kernel reads the level some time after the interrupt, so a pulse shorter than that (tens of
microseconds on an idle Pi) shows as no change of level and is not told: no relay is that quick.
"""

from __future__ import annotations

import asyncio
import errno
import select
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import gpiod
from gpiod.line import Bias, Clock, Direction, Drive, Value
from gpiod.line import Edge as Detect

from drivers.lines.gpio_chip import Edge, GpioInput, GpioOutput

CONSUMER = "storewarden"
EVENTS_KEPT = 1024
"""Edges the kernel keeps until they are read, for all lines together: its own limit."""

_BIAS = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.AS_IS}
_DRIVE = {
    "push-pull": Drive.PUSH_PULL,
    "open-drain": Drive.OPEN_DRAIN,
    "open-source": Drive.OPEN_SOURCE,
}


class GpiodChip:
    """Lines held through /dev/gpiochipN."""

    def __init__(
        self, chip: str, inputs: Mapping[str, GpioInput], outputs: Mapping[str, GpioOutput]
    ) -> None:
        """Take hold of the lines.

        Raises:
            OSError: as `gpio_chip.OpenChip` says.
        """
        self._held: dict[str, tuple[gpiod.LineRequest, int]] = {}
        self._requests: list[gpiod.LineRequest] = []
        self._poll = select.poll()
        self._names: dict[int, str] = {}
        self._inputs: gpiod.LineRequest | None = None
        with gpiod.Chip(str(find(chip))) as opened:
            try:
                if inputs:
                    self._inputs = self._hold_inputs(opened, inputs)
                if outputs:
                    self._hold_outputs(opened, outputs)
            except BaseException:
                self.close()
                raise

    def _hold_inputs(self, chip: gpiod.Chip, inputs: Mapping[str, GpioInput]) -> gpiod.LineRequest:
        settings = {
            name: gpiod.LineSettings(
                direction=Direction.INPUT,
                edge_detection=Detect.BOTH,
                bias=_BIAS[each.pull],
                active_low=each.inverted,
                debounce_period=timedelta(seconds=each.debounce),
                event_clock=Clock.MONOTONIC,
            )
            for name, each in inputs.items()
        }
        offsets = {name: _offset(chip, name, each.line) for name, each in inputs.items()}
        self._names = {offset: name for name, offset in offsets.items()}
        return self._hold(chip, offsets, settings)

    def _hold_outputs(self, chip: gpiod.Chip, outputs: Mapping[str, GpioOutput]) -> None:
        offsets = {name: _offset(chip, name, each.line) for name, each in outputs.items()}
        untouched = {
            name: gpiod.LineSettings(direction=Direction.AS_IS, active_low=each.active_low)
            for name, each in outputs.items()
        }
        request = self._hold(chip, offsets, untouched)
        request.reconfigure_lines(
            {
                offsets[name]: gpiod.LineSettings(
                    direction=Direction.OUTPUT,
                    drive=_DRIVE[each.drive],
                    active_low=each.active_low,
                    output_value=request.get_value(offsets[name]),
                )
                for name, each in outputs.items()
            }
        )

    def _hold(
        self,
        chip: gpiod.Chip,
        offsets: Mapping[str, int],
        settings: Mapping[str, gpiod.LineSettings],
    ) -> gpiod.LineRequest:
        try:
            request = chip.request_lines(
                {offsets[name]: each for name, each in settings.items()},
                consumer=CONSUMER,
                event_buffer_size=EVENTS_KEPT,
            )
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise OSError(errno.EBUSY, _who_holds(chip, offsets.items())) from error
            raise
        self._requests.append(request)
        self._poll.register(request.fd, select.POLLIN)
        self._held |= {name: (request, offset) for name, offset in offsets.items()}
        return request

    def level(self, line: str) -> bool:
        request, offset = self._held[line]
        return request.get_value(offset) is Value.ACTIVE

    def set(self, line: str, *, on: bool) -> None:
        request, offset = self._held[line]
        request.set_value(offset, Value.ACTIVE if on else Value.INACTIVE)

    def listen(self, notify: Callable[[], None]) -> None:
        for request in self._requests:
            asyncio.get_running_loop().add_reader(request.fd, notify)

    def ignore(self) -> None:
        for request in self._requests:
            asyncio.get_running_loop().remove_reader(request.fd)

    def edges(self, most: int) -> list[Edge]:
        ready = dict(self._poll.poll(0))
        if any(events & (select.POLLERR | select.POLLHUP) for events in ready.values()):
            raise OSError(errno.ENODEV, "the chip is gone")
        if self._inputs is None or self._inputs.fd not in ready:
            return []
        return [
            Edge(
                line=self._names[event.line_offset],
                level=event.event_type is event.Type.RISING_EDGE,
                at=event.timestamp_ns / 1e9,
                sequence=event.line_seqno,
            )
            for event in self._inputs.read_edge_events(most)
        ]

    def close(self) -> None:
        for request in self._requests:
            request.release()
        self._requests.clear()


def find(chip: str) -> Path:
    """Return the device of a chip given by path or by label.

    Raises:
        OSError: no chip has that label.
    """
    if chip.startswith("/"):
        return Path(chip)
    labels = []
    for device in sorted(Path("/dev").glob("gpiochip*")):
        with gpiod.Chip(str(device)) as opened:
            labels.append(opened.get_info().label)
        if labels[-1] == chip:
            return device
    known = f"there are {', '.join(labels)}" if labels else "there is no GPIO chip at all"
    raise OSError(errno.ENODEV, f"no chip has this label; {known}")


def _offset(chip: gpiod.Chip, name: str, line: str | int) -> int:
    try:
        return chip.line_offset_from_id(line)
    except (OSError, ValueError) as error:
        raise OSError(errno.ENOENT, f"{name}: it has no line {line}") from error


def _who_holds(chip: gpiod.Chip, offsets: Iterable[tuple[str, int]]) -> str:
    for name, offset in offsets:
        info = chip.get_line_info(offset)
        if info.used:
            return f"{name}: line {offset} is held by {info.consumer or 'the kernel'}"
    return "a line is held by another program"
