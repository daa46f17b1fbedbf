"""A Modbus I/O module: its inputs read on time, its outputs written at once and read back."""

from __future__ import annotations

import asyncio
import difflib
import logging
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from drivers.contract import (
    CommandFailed,
    DriverError,
    Emit,
    IoModule,
    SettingError,
    WireError,
)
from drivers.lines import modbus_address, modbus_profile
from drivers.lines.line import InputLine, OutputLine, Watch
from drivers.lines.modbus_address import ModbusAddress
from drivers.lines.modbus_map import InputMap, ModuleMap, OutputMap, Place, joined
from drivers.lines.modbus_plan import EdgeCounter, Span, plan
from drivers.settings import Seconds
from drivers.signals import InputEdge, LinkUp, ModuleRestarted, Signal

if TYPE_CHECKING:
    from drivers.lines.modbus_link import Link

SETTLE = 0.05
"""Seconds after which an output that reads back otherwise is read once more."""
OUTPUTS_EACH = 0.1
"""Seconds after which outputs are read anew in a module that is polled more often: a write reads
back what it wrote, and only a person at the module changes them else."""
MOST_READS = 10
"""Polls of a doubted link that may contradict each other before it is given up."""
SHORTEST_POLL, LONGEST_POLL = 0.005, 60.0
log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z][a-z0-9_]*")

Values = Mapping[Place, int]


@dataclass(slots=True, kw_only=True, eq=False)
class Modbus(IoModule):
    """An I/O module that speaks Modbus over TCP or a serial line."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({InputEdge, ModuleRestarted})

    url: str
    """`tcp://host:port`, `rtu:/dev/serial/by-id/…?baud=9600&parity=N`, or `rtu+tcp://host:port`
    for a converter that passes RTU frames through."""
    unit: int = 1
    """The module's address on its line, 0 to 255."""
    profile: str | None = None
    """A module known by name: its lines need no map."""
    poll: Seconds = Seconds(0.1)
    """How often it is read, 5ms to 60s. A pulse shorter than that is seen only where the module
    counts it."""
    input_maps: dict[str, InputMap] = field(default_factory=dict, metadata={"yaml": "inputs"})
    """Inputs by name: `{discrete: 0}`, `{coil: 0}`, `{input: 48, bit: 0}`; before the profile's."""
    output_maps: dict[str, OutputMap] = field(default_factory=dict, metadata={"yaml": "outputs"})
    """Outputs by name: `{coil: 0}`; before the profile's."""

    _address: ModbusAddress = field(init=False, repr=False)
    _map: ModuleMap = field(init=False, repr=False)
    _plan: tuple[Span, ...] = field(init=False, repr=False)
    _plan_of_inputs: tuple[Span, ...] = field(init=False, repr=False)
    """What of the plan is more than outputs."""
    _levels: frozenset[Place] = field(init=False, repr=False)
    _inputs: dict[str, InputLine] = field(init=False, repr=False)
    _outputs: dict[str, _Output] = field(init=False, repr=False)
    _read_inputs: tuple[_Input, ...] = field(init=False, repr=False)
    _outputs_due: float = field(init=False, repr=False, default=0.0)
    """Loop time at which the outputs are read again."""
    _refusing: set[int] = field(init=False, repr=False, default_factory=set)
    """Coils that start a counter, of which was said that the module refuses them."""
    _said: dict[str, InputEdge] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._address = modbus_address.parse(self.url)
        if not 0 <= self.unit <= 255:
            raise SettingError("unit", f"{self.unit} is no unit", "units go from 0 to 255")
        if not SHORTEST_POLL <= self.poll <= LONGEST_POLL:
            raise SettingError("poll", f"a poll takes from 5ms to 60s, not {self.poll:g}s")
        self._map = self._whole_map()
        self._plan = plan(self._map)
        self._levels = frozenset(where.place for where in self._map.inputs.values())
        self._inputs = {
            name: InputLine(name, debounce=where.debounce)
            for name, where in self._map.inputs.items()
        }
        self._outputs = {name: _Output(name, where) for name, where in self._map.outputs.items()}
        self._read_inputs = tuple(
            _Input(self._inputs[name], where) for name, where in self._map.inputs.items()
        )
        outputs = {where.place for where in self._map.outputs.values()} - self._levels
        self._plan_of_inputs = tuple(
            span for span in self._plan if not outputs.issuperset(span.places())
        )

    def _whole_map(self) -> ModuleMap:
        known = ModuleMap()
        if self.profile is not None:
            try:
                known = modbus_profile.load(self.profile)
            except modbus_profile.UnknownProfile as error:
                raise SettingError("profile", str(error), _nearest(self.profile)) from error
        elif not self.input_maps and not self.output_maps:
            hint = f"give a profile ({', '.join(modbus_profile.names())}) or inputs and outputs"
            raise SettingError("profile", "a module without a profile has no lines", hint)
        for setting, lines in (("inputs", self.input_maps), ("outputs", self.output_maps)):
            for name in lines:
                if not _NAME.fullmatch(name):
                    raise SettingError(
                        setting, f"{name!r} is no name of a line", "like di0, door_2"
                    )
        both = sorted({*known.inputs, *self.input_maps} & {*known.outputs, *self.output_maps})
        if both:
            raise SettingError("outputs", f"{both[0]!r} is an input too")
        return ModuleMap(
            inputs={**known.inputs, **self.input_maps},
            outputs={**known.outputs, **self.output_maps},
            failsafe=known.failsafe,
        )

    def inputs(self) -> Mapping[str, InputLine]:
        return self._inputs

    def outputs(self) -> Mapping[str, OutputLine]:
        return self._outputs

    def failsafe(self) -> bool:
        return self._map.failsafe

    async def run(self, emit: Emit) -> None:
        # pymodbus takes a while to load: a configuration is checked without it.
        from drivers.lines.modbus_link import Link

        reason = "the module is not read any more"
        with ExitStack() as stack:
            news = {name: stack.enter_context(i.watch()) for name, i in self._inputs.items()}
            try:
                link = Link(self._address, self.unit)
                stack.callback(link.close)
                await link.open()
                await self._follow(link, emit, news)
            except DriverError as error:
                reason = str(error)
                self._lost(reason)
                await self._say(emit, news)
                raise
            finally:
                self._lost(reason)

    async def _follow(self, link: Link, emit: Emit, news: Mapping[str, Watch]) -> None:
        loop = asyncio.get_running_loop()
        await self._start_counters(link)
        self._outputs_due = loop.time()
        values = await self._read(link)
        for output in self._outputs.values():
            output.link = link
        await emit(LinkUp())
        due = loop.time()
        while True:
            restarted = self._take(values)
            await self._say(emit, news)
            if restarted:
                await emit(ModuleRestarted(reason="its counters were cleared"))
                await self._start_counters(link)
                await self._assert_outputs()
            due = next_due(due, loop.time(), self.poll)
            await asyncio.sleep(due - loop.time())
            values = await self._read(link)

    async def _start_counters(self, link: Link) -> None:
        from drivers.lines.modbus_link import Refused

        for line, where in zip(self._inputs.values(), self._map.inputs.values(), strict=True):
            if where.counter is not None and (coil := where.counter.start) is not None:
                try:
                    await link.write_coil(coil, on=True)
                except Refused as error:
                    if coil not in self._refusing:
                        log.warning("%s: its counter can't be started: %s", line.line, error)
                    self._refusing.add(coil)

    async def _read(self, link: Link) -> Values:
        """Return what the module reads now, twice the same if the link is doubted."""
        now, spans = asyncio.get_running_loop().time(), self._plan_of_inputs
        if now >= self._outputs_due:
            self._outputs_due, spans = now + OUTPUTS_EACH, self._plan
        for output in self._outputs.values():
            output.touched = False
        values = await _read_once(link, spans)
        for _ in range(MOST_READS):
            if not link.doubted:
                return values
            link.doubted = False
            before, values = values, await _read_once(link, spans)
            if any(before[place] != values[place] for place in self._levels):
                link.doubted = True
        raise WireError(f"{self._address}: its answers contradict one another")

    def _take(self, values: Values) -> bool:
        """Tell the lines what was read; return whether the module has lost its counters."""
        restarted = True in [each.cleared(values) for each in self._read_inputs]
        for each in self._read_inputs:
            each.take(values, restarted=restarted)
        for output in self._outputs.values():
            output.polled(values)
        return restarted

    async def _assert_outputs(self) -> None:
        for output in self._outputs.values():
            if output.wanted is not None:
                try:
                    await output.write(on=output.wanted)
                except CommandFailed as error:
                    log.warning("after a restart of the module: %s", error)

    async def _say(self, emit: Emit, news: Mapping[str, Watch]) -> None:
        for name, watch in news.items():
            while (reading := watch.get_nowait()) is not None:
                edge = InputEdge(
                    line=name,
                    level=reading.level,
                    quality=reading.quality.value,
                    count=reading.count,
                )
                before = self._said.get(name, _never_read(name))
                if edge != before:
                    self._said[name] = edge
                    await emit(edge)

    def _lost(self, reason: str) -> None:
        for line in self._inputs.values():
            line.lost(reason)
        for output in self._outputs.values():
            output.link = None
            output.lost(reason)


async def _read_once(link: Link, spans: Iterable[Span]) -> Values:
    values: dict[Place, int] = {}
    for span in spans:
        values |= await link.read(span)
    return values


class _Input:
    """What a poll makes of one input, with all that stays the same looked up once."""

    def __init__(self, line: InputLine, where: InputMap) -> None:
        self._line = line
        self._place, self._bit = where.place, where.bit or 0
        self._words: tuple[Place, ...] = ()
        if where.counter is not None:
            self._words = where.counter.high_first
        self._counter = EdgeCounter(len(self._words))
        self._count = 0

    def cleared(self, values: Values) -> bool:
        """Take the counter; return whether the module has lost it."""
        self._count = joined(self._words, values)
        return self._counter.cleared(self._count)

    def take(self, values: Values, *, restarted: bool) -> None:
        """Tell the line what was read; after `cleared`."""
        level, edges = bool(values[self._place] >> self._bit & 1), 0
        if self._words:
            if restarted:
                self._counter.restart()
            edges = self._counter.edges(self._count, level)
        self._line.observe(level, edges=edges)


class _Output(OutputLine):
    """A coil, written at once: between two requests of a poll."""

    def __init__(self, line: str, where: OutputMap) -> None:
        super().__init__(line)
        self.link: Link | None = None
        self.wanted: bool | None = None
        """What it was last told to be."""
        self.touched = False
        """Whether it was written since the poll began: what the poll read is older."""
        self._writing = 0
        self._coil, self._place = where.coil, where.place
        self._span = Span(table="coil", first=where.coil, count=1)

    async def write(self, *, on: bool) -> None:
        link = self.link
        if link is None:
            raise CommandFailed(f"{self.line}: the module is not connected")
        self.wanted = on
        self._writing += 1
        try:
            await link.write_coil(self._coil, on=on)
            level = await self._read_back(link)
            if level is not on:
                await asyncio.sleep(SETTLE)
                level = await self._read_back(link)
        except DriverError as error:
            raise CommandFailed(f"{self.line}: {error}") from error
        finally:
            self._writing -= 1
            self.touched = True
        if self.link is link:
            self.observe(level)
        if level is not on:
            raise CommandFailed(f"{self.line}: told {_word(on)}, reads back {_word(level)}")

    async def _read_back(self, link: Link) -> bool:
        return bool((await link.read(self._span))[self._place])

    def polled(self, values: Values) -> None:
        """Take what a poll read, if it read outputs."""
        if self._place in values and not self.touched and not self._writing:
            self.observe(bool(values[self._place]))


def _never_read(name: str) -> InputEdge:
    return InputEdge(line=name, level=None, quality="unknown", count=0)


def next_due(due: float, now: float, every: float) -> float:
    """Return the first of `due` + n * `every` after `due` that is not past."""
    missed = max(0, math.ceil((now - due) / every) - 1)
    return due + (missed + 1) * every


def _word(on: bool) -> str:  # noqa: FBT001 - a level is a bool
    return "on" if on else "off"


def _nearest(profile: str) -> str:
    close = difflib.get_close_matches(profile, modbus_profile.names(), n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(modbus_profile.names())}"


DRIVER = Modbus
