"""A simulated Modbus I/O module over TCP or a serial cable, that counts pulses and misbehaves."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from drivers.lines import modbus_profile
from drivers.lines.modbus_map import ModuleMap, Place
from drivers.sim.modbus_memory import Memory, refusal
from drivers.sim.modbus_wires import Cable, Pty, Tcp
from drivers.wire.modbus import Frame, rtu_bytes, take_rtu_requests, take_tcp, tcp_bytes

Kind = Literal["tcp", "rtu", "rtu+tcp"]
IDENTIFY = b"\x2b\x0e"
"""Read Device Identification."""
NO_SUCH_UNIT = 11
"""Exception code of a module or gateway that is asked for another unit."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """How the module misbehaves, from the next request on."""

    silent: bool = False
    """It accepts connections and answers nothing."""
    delay: float = 0.0
    """Seconds before each answer."""
    garbage: bool = False
    """It answers with random bytes."""
    split: bool = False
    """It sends its answers byte by byte."""
    exception: int | None = None
    """It answers everything with this exception code."""
    connections: int | None = None
    """It takes no more than so many connections."""
    late: dict[int, bytes] = field(default_factory=dict)
    """Answers to something else (function code and what belongs to it) that come just before the
    right one: to the so-manieth request, the first is 1."""
    deaf: set[str] = field(default_factory=set)
    """Outputs whose coil does not follow: they answer as if, and stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write to an output, as it came over the wire."""

    at: float
    """Loop time, seconds."""
    output: str
    on: bool


class ModbusSimulator:
    """The module: the world sets its inputs and sees its outputs."""

    def __init__(self, module: ModuleMap, *, unit: int, kind: Kind) -> None:
        self.url = ""
        """What to write as `url:` of the I/O module."""
        self.faults = Faults()
        self.identity: dict[int, bytes] = {}
        """What it tells of itself by object, 0 vendor, 1 product code; empty: it knows no such
        question."""
        self.asked: deque[bytes] = deque(maxlen=1000)
        """The latest requests (function code and what belongs to it)."""
        self.asked_others: deque[int] = deque(maxlen=1000)
        """The latest units beside its own that were asked."""
        self.requests: int = 0
        """How many requests came."""
        self.connected: int = 0
        """Connections now."""
        self.writes: deque[Write] = deque(maxlen=1000)
        """The latest writes to outputs."""
        self._map, self._unit, self._kind = module, unit, kind
        self._levels = dict.fromkeys(module.inputs, False)
        self._counts = dict.fromkeys(module.inputs, 0)
        self._stuck: set[str] = set()
        self._output_at: dict[Place, str] = {o.place: n for n, o in module.outputs.items()}
        self._memory = Memory(self._write)
        self._cables: set[Cable] = set()
        self._turned: asyncio.Event = asyncio.Event()
        self._random = random.Random(0)
        self._power_on()

    # --- the world ---------------------------------------------------------------------------

    def set(self, input: str, on: bool) -> None:  # noqa: A002, FBT001 - a line; a level is a bool
        """Set an input; a rise is counted where the module counts. A stuck input stays."""
        if input in self._stuck:
            return
        if on and not self._levels[input] and self._counting(input):
            self._counts[input] += 1
        self._levels[input] = on
        self._show(input)

    async def pulse(self, input: str, seconds: float = 0.1) -> None:  # noqa: A002 - a line
        """Close an input for a while."""
        self.set(input, on=True)
        await asyncio.sleep(seconds)
        self.set(input, on=False)

    async def chatter(self, input: str, times: int, every: float = 0.001) -> None:  # noqa: A002
        """Turn an input over and over, `times` times, `every` so many seconds."""
        for _ in range(times):
            self.set(input, not self._levels[input])
            await asyncio.sleep(every)

    def stick(self, input: str, on: bool) -> None:  # noqa: A002, FBT001 - a line; a level is a bool
        """Set an input and leave it so, whatever the world does, until `free`."""
        self.set(input, on)
        self._stuck.add(input)

    def free(self, input: str) -> None:  # noqa: A002 - a line
        """Let a stuck input follow the world again."""
        self._stuck.discard(input)

    def set_count(self, input: str, count: int) -> None:  # noqa: A002 - a line
        """Put the hardware counter of an input to `count`."""
        self._counts[input] = count
        self._show(input)

    @property
    def outputs(self) -> dict[str, bool]:
        """Every output as it is now."""
        return {name: bool(self._memory.values[at]) for at, name in self._output_at.items()}

    async def wait_output(self, output: str, on: bool) -> None:  # noqa: FBT001 - a level is a bool
        """Return once the output is so; at once if it is."""
        while self.outputs[output] is not on:
            self._turned.clear()
            await self._turned.wait()

    def force_output(self, output: str, on: bool) -> None:  # noqa: FBT001 - a level is a bool
        """Turn an output on the module itself, as a person at its web page would."""
        self._memory.values[self._map.outputs[output].place] = int(on)
        self._turned.set()

    # --- trouble -----------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Close every connection; new ones are taken."""
        for cable in tuple(self._cables):
            cable.hang_up()

    def reboot(self) -> None:
        """Lose counters and outputs, and every connection."""
        self._power_on()
        self.hang_up()

    def noise(self, size: int) -> None:
        """Send random bytes that nobody asked for."""
        for cable in self._cables:
            cable.write(self._random.randbytes(size))

    # --- the module --------------------------------------------------------------------------

    def _power_on(self) -> None:
        for name, where in self._map.inputs.items():
            if where.counter is not None and where.counter.start is not None:
                self._memory.values["coil", where.counter.start] = 0
            self._counts[name] = 0
        for output in self._map.outputs.values():
            self._memory.values[output.place] = 0
        for name in self._map.inputs:
            self._show(name)
        self._turned.set()

    def _counting(self, name: str) -> bool:
        counter = self._map.inputs[name].counter
        if counter is None:
            return False
        return counter.start is None or bool(self._memory.values["coil", counter.start])

    def _show(self, name: str) -> None:
        where, values = self._map.inputs[name], self._memory.values
        bit = 1 << (where.bit or 0)
        before = values.get(where.place, 0)
        values[where.place] = before | bit if self._levels[name] else before & ~bit
        if where.counter is not None:
            values.update(where.counter.registers(self._counts[name]))

    def _write(self, place: Place, value: int) -> int:
        output = self._output_at.get(place)
        if output is None:
            return value
        now = asyncio.get_running_loop().time()
        self.writes.append(Write(at=now, output=output, on=bool(value)))
        self._turned.set()
        return self._memory.values[place] if output in self.faults.deaf else value

    async def serve(self, cable: Cable) -> None:
        """Answer what comes over `cable` until it is closed."""
        limit = self.faults.connections
        if limit is not None and len(self._cables) >= limit:
            cable.hang_up()
            return
        self._cables.add(cable)
        self.connected = len(self._cables)
        take, wrap = (
            (take_tcp, tcp_bytes) if self._kind == "tcp" else (take_rtu_requests, rtu_bytes)
        )
        rest = b""
        try:
            while data := await cable.read():
                frames, rest = take(rest + data)
                for frame in frames:
                    answer = self._answer(frame)
                    if late := self.faults.late.get(self.requests):
                        cable.write(wrap(replace(answer, pdu=late)))
                    await self._serve(frame, cable, wrap(answer))
        finally:
            self._cables.discard(cable)
            self.connected = len(self._cables)
            cable.hang_up()

    def _answer(self, asked: Frame) -> Frame:
        self.asked.append(asked.pdu)
        self.requests += 1
        if asked.unit != self._unit:
            self.asked_others.append(asked.unit)
            pdu = refusal(asked.pdu, NO_SUCH_UNIT)
        elif self.faults.exception is not None:
            pdu = refusal(asked.pdu, self.faults.exception)
        elif self.identity and asked.pdu[:2] == IDENTIFY:
            objects = b"".join(bytes([n, len(v)]) + v for n, v in self.identity.items())
            pdu = IDENTIFY + bytes([asked.pdu[2], 0x81, 0, 0, len(self.identity)]) + objects
        else:
            pdu = self._memory.answer(asked.pdu)
        return Frame(unit=asked.unit, pdu=pdu, transaction=asked.transaction)

    async def _serve(self, asked: Frame, cable: Cable, answer: bytes) -> None:
        faults = self.faults
        if faults.silent or (asked.unit != self._unit and self._kind != "tcp"):
            return
        if faults.delay:
            await asyncio.sleep(faults.delay)
        if faults.garbage:
            answer = self._random.randbytes(len(answer))
        for piece in [answer[n : n + 1] for n in range(len(answer))] if faults.split else [answer]:
            cable.write(piece)
            if faults.split:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def simulate(
    profile: str | ModuleMap = "moxa_e1214",
    *,
    kind: Kind = "tcp",
    port: int = 0,
    host: str = "127.0.0.1",
    link: Path | None = None,
    unit: int = 1,
) -> AsyncIterator[ModbusSimulator]:
    """Have a module until the block ends; `sim.url` says where.

    `tcp` and `rtu+tcp` listen on `host` and `port`, 0 picks a free one; `rtu` is one end of a
    serial cable of its own (a pty pair), to whose other end `link` is made to point.

    Raises:
        OSError: `port` is taken.
        modbus_profile.UnknownProfile: there is no such profile.
    """
    module = modbus_profile.load(profile) if isinstance(profile, str) else profile
    sim = ModbusSimulator(module, unit=unit, kind=kind)
    async with AsyncExitStack() as stack:
        if kind == "rtu":
            cable = Pty(link)
            sim.url = f"rtu:{cable.path}?baud=9600"
            serving = asyncio.create_task(sim.serve(cable))
            stack.push_async_callback(_ended, {serving})
            stack.callback(cable.close)
        else:
            tasks: set[asyncio.Task[None]] = set()
            cables: set[Tcp] = set()

            def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                cable = Tcp(reader, writer)
                cables.add(cable)
                task = asyncio.create_task(sim.serve(cable))
                tasks.add(task)
                task.add_done_callback(lambda _done: cables.discard(cable))
                task.add_done_callback(tasks.discard)

            server = await asyncio.start_server(taken, host, port)
            stack.push_async_callback(_all_gone, tasks, cables)
            stack.callback(server.close)
            sim.url = f"{kind}://{host}:{server.sockets[0].getsockname()[1]}"
        yield sim


async def _all_gone(tasks: set[asyncio.Task[None]], cables: set[Tcp]) -> None:
    """End every connection, also one that was accepted a moment ago and is not served yet."""
    for _ in range(3):
        await asyncio.sleep(0)
    for cable in tuple(cables):
        cable.hang_up()
    await _ended(tasks)
    await asyncio.sleep(0)


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    for task in tuple(tasks):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
