"""What sirens, beacons and switches have in common: one output that is on or off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from drivers.commands import Command
from drivers.contract import CommandFailed, Driver, Emit, House, SettingError
from drivers.lines.relay import Relay
from drivers.settings import LocalTimes, OutputSetting, Seconds
from drivers.signals import OutputMismatch, OutputOff, OutputOn, Signal

OUTPUT = "output"
AtEnds = Literal["off", "on", "keep"]


@dataclass(slots=True, kw_only=True, eq=False)
class Switched(Driver):
    """One output with limits. The limits are the host's to keep; the device says what they are."""

    output: OutputSetting
    max_on: Seconds | None = None
    """Longest time that one order holds it; none when not given."""
    max_per_hour: Seconds | None = None
    """Longest time on within any hour; kept by the host."""
    quiet: LocalTimes | None = None
    """Local times in which orders below life safety leave it off; kept by the host."""
    start_as: AtEnds = field(default="off", metadata={"yaml": "at_start"})
    """What is written at start and at each new link when no order holds it."""
    stop_as: AtEnds = field(default="off", metadata={"yaml": "at_stop"})
    """What is written when the daemon stops."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({OutputOn, OutputOff, OutputMismatch})
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {OUTPUT: ("on", "off")}
    turns_on: ClassVar[tuple[type[Command], ...]]
    """The commands that switch it on; the first is the one for `at_start: on`."""
    turns_off: ClassVar[tuple[type[Command], ...]]

    _relay: Relay | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        for name, limit in {"max_on": self.max_on, "max_per_hour": self.max_per_hour}.items():
            if limit is not None and limit <= 0:
                raise SettingError(name, f"{name} is more than 0 s")

    def attach(self, house: House) -> None:
        self._relay = Relay(house, self.output)

    async def run(self, emit: Emit) -> None:
        assert self._relay is not None  # noqa: S101 - the host attaches before it runs
        says = {True: OutputOn(), False: OutputOff()}
        await self._relay.follow(emit, state=OUTPUT, values=("on", "off"), says=says)

    async def perform(self, command: Command) -> None:
        if self._relay is None or not isinstance(command, (*self.turns_on, *self.turns_off)):
            raise CommandFailed(f"a {type(self).__name__.lower()} cannot {command.kind}")
        await self._relay.set(active=isinstance(command, self.turns_on))

    def signal_for(self, state: str, value: str) -> Signal | None:
        said = {"on": OutputOn(), "off": OutputOff()}
        return said.get(value) if state == OUTPUT else None

    def at_start(self) -> Command | None:
        return self._command(self.start_as)

    def at_stop(self) -> Command | None:
        return self._command(self.stop_as)

    def rest(self) -> Command | None:
        return self._command("off")

    def longest(self, command: Command) -> float | None:
        return self.max_on if isinstance(command, self.turns_on) else None

    def lines(self) -> Mapping[str, str]:
        return {OUTPUT: self.output.line}

    def _command(self, wanted: AtEnds) -> Command | None:
        if wanted == "keep":
            return None
        return self.turns_on[0]() if wanted == "on" else self.turns_off[0]()
