"""The contract of every driver: settings, what it says and accepts, one coroutine, one command."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from drivers.commands import Command
from drivers.lines.line import InputLine, OutputLine
from drivers.ports.port import TextPort
from drivers.priorities import Priority
from drivers.signals import UNKNOWN, Signal

Emit = Callable[[Signal], Awaitable[None]]
"""Say a signal. Returns at once unless this device has said far too much."""


class DriverError(Exception):
    """Base of what a driver may raise."""


class LinkLost(DriverError):
    """The device cannot be reached. Worth another try."""


class WireError(DriverError):
    """The device sent something its protocol does not allow. Worth another try."""


class CommandFailed(DriverError):
    """The device did not do what it was told."""


class SettingError(ValueError):
    """A setting that no device of this type can have. `setting` names the field."""

    def __init__(self, setting: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.setting = setting
        self.hint = hint


class House(Protocol):
    """What the host lends to a driver before it runs: wires and ports by name, and a folder."""

    def input(self, line: str) -> InputLine: ...
    def output(self, line: str) -> OutputLine: ...
    def port(self, name: str) -> TextPort: ...
    def folder(self, name: str) -> Path:
        """Return a folder of this device's own that survives restarts; made when missing."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Driver(ABC):
    """One device or I/O module. A dataclass: its fields are its settings in devices.yaml.

    Building one checks the settings (`SettingError`) and touches nothing; `attach` lends it
    wires; `run` does the rest.
    """

    says: ClassVar[frozenset[type[Signal]]] = frozenset()
    """Beside what any device may say (`signals.SAID_BY_ALL`)."""
    accepts: ClassVar[frozenset[type[Command]]] = frozenset()
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """State to its values, beside `link` and beside the value `unknown`."""
    deadline: ClassVar[float] = 5.0
    """Seconds in which a command is confirmed, or has failed."""

    def attach(self, house: House) -> None:
        """Take the lines and ports named in the settings. Called once, before `run`."""

    @abstractmethod
    async def run(self, emit: Emit) -> None:
        """Connect, emit `LinkUp`, then `StateKnown` with what was found, then what the device says.

        Runs until cancelled. Never retries: the supervisor calls it again, so every driver fails
        the same way. What belongs to one connection must not outlive the call.

        Raises:
            LinkLost: the connection could not be made, or ended.
            WireError: the device broke its protocol.
        """

    async def perform(self, command: Command) -> None:
        """Carry out `command`, returning once the device has confirmed it.

        Called with types listed in `accepts` only, one at a time, and while `run` runs.

        Raises:
            CommandFailed: not connected, refused, or not confirmed in time.
        """
        raise CommandFailed(f"a {type(self).__name__} cannot {command.kind}")

    def priority_of(self, signal: Signal) -> Priority:
        """Return how urgent `signal` is from this device; a configuration may only raise it."""
        return signal.priority

    def signal_for(self, state: str, value: str) -> Signal | None:
        """Return the ordinary signal that says that `state` became `value`, or None.

        The host says it, with `changed_while_down`, when a state is found changed after a time
        in which nobody listened.
        """
        return None

    def alarms_without_history(self) -> frozenset[tuple[str, str]]:
        """Return (state, value) pairs said as ordinary signals even if no last value is known."""
        return frozenset()

    def at_start(self) -> Command | None:
        """Return what is performed at start and at each new link without a lease; None: nothing."""
        return None

    def at_stop(self) -> Command | None:
        """Return what is performed when the daemon stops; None: the output is left as it is."""
        return None

    def rest(self) -> Command | None:
        """Return what is performed when the last lease ends; None: nothing."""
        return None

    def longest(self, command: Command) -> float | None:
        """Return the device's own limit in seconds for a lease of `command`; None: no limit."""
        return None

    def lines(self) -> Mapping[str, str]:
        """Return setting to line for each line it uses, `{"alarm": "annex.di0"}`."""
        return {}


class IoModule(Driver):
    """Hardware that owns wires. Offers lines by name; the lines exist before `run`."""

    @abstractmethod
    def inputs(self) -> Mapping[str, InputLine]:
        """Return its inputs by their short name (`di0`)."""

    @abstractmethod
    def outputs(self) -> Mapping[str, OutputLine]:
        """Return its outputs by their short name (`do0`)."""

    def failsafe(self) -> bool:
        """Return whether the module itself puts outputs to safety when nobody writes to it."""
        return False


def unknown_states(driver: type[Driver]) -> dict[str, str]:
    """Return every state of `driver` but the link, unknown: what a lost link means."""
    return dict.fromkeys(driver.has_states, UNKNOWN)
