"""Electric locks on a relay: released lets people out, locked holds the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from drivers.commands import Command, Release, Relock
from drivers.contract import CommandFailed, Driver, Emit, House, SettingError
from drivers.lines.relay import Relay
from drivers.settings import LocalTimes, OutputSetting, Seconds
from drivers.signals import LockLocked, LockReleased, OutputMismatch, Signal

LOCK = "lock"
AtEnds = Literal["lock", "release", "keep"]


@dataclass(slots=True, kw_only=True, eq=False)
class Lock(Driver):
    """One lock. Beside the certified release of the fire system, never in place of it."""

    output: OutputSetting
    energised: Literal["locked", "released"] = "locked"
    """What the lock is while its output is on."""
    fail: Literal["safe", "secure"] = "safe"
    """Safe: without power the door is free. Secure: without power it holds."""
    start_as: AtEnds = field(default="keep", metadata={"yaml": "at_start"})
    """What is written at start and at each new link when no order holds it."""
    stop_as: AtEnds = field(default="release", metadata={"yaml": "at_stop"})
    """What is written when the daemon stops; `keep` is refused: nobody would be left to release."""
    resting: Literal["lock", "release"] = field(default="lock", metadata={"yaml": "rest"})
    """What is written when no order holds it any more."""
    max_on: Seconds | None = None
    """Longest time that one order releases it; none when not given."""
    max_per_hour: Seconds | None = None
    """Longest time released within any hour; kept by the host."""
    quiet: LocalTimes | None = None
    """Local times in which orders below life safety leave it at rest; kept by the host."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({LockReleased, LockLocked, OutputMismatch})
    accepts: ClassVar[frozenset[type[Command]]] = frozenset({Release, Relock})
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {LOCK: ("locked", "released")}

    _relay: Relay | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if self.stop_as == "keep":
            problem = "a lock can't be kept as it is when nobody is left to release it"
            raise SettingError("at_stop", problem, "write at_stop: release, or at_stop: lock")
        if self.output.active == "off":
            problem = "a lock says with energised which way its output works, not with active"
            raise SettingError("output", problem, "write energised: released")
        if (self.fail, self.energised) == ("safe", "released"):
            problem = "without power a lock that is energised to release holds: it is not fail-safe"
            raise SettingError("fail", problem, "write fail: secure, or energised: locked")
        for name, limit in {"max_on": self.max_on, "max_per_hour": self.max_per_hour}.items():
            if limit is not None and limit <= 0:
                raise SettingError(name, f"{name} is more than 0 s")

    def attach(self, house: House) -> None:
        self._relay = Relay(house, self.output)

    async def run(self, emit: Emit) -> None:
        assert self._relay is not None  # noqa: S101 - the host attaches before it runs
        on, off = ("locked", "released") if self._locks_on else ("released", "locked")
        says = {self._locks_on: LockLocked(), not self._locks_on: LockReleased()}
        await self._relay.follow(emit, state=LOCK, values=(on, off), says=says)

    async def perform(self, command: Command) -> None:
        if self._relay is None or not isinstance(command, (Release, Relock)):
            raise CommandFailed(f"a lock cannot {command.kind}")
        await self._relay.set(active=isinstance(command, Relock) is self._locks_on)

    def signal_for(self, state: str, value: str) -> Signal | None:
        said = {"released": LockReleased(), "locked": LockLocked()}
        return said.get(value) if state == LOCK else None

    def at_start(self) -> Command | None:
        return _command(self.start_as)

    def at_stop(self) -> Command | None:
        return _command(self.stop_as)

    def rest(self) -> Command | None:
        return _command(self.resting)

    def longest(self, command: Command) -> float | None:
        return self.max_on if isinstance(command, Release) else None

    def lines(self) -> Mapping[str, str]:
        return {"output": self.output.line}

    @property
    def _locks_on(self) -> bool:
        return self.energised == "locked"


def _command(wanted: AtEnds) -> Command | None:
    commands: dict[str, Command] = {"lock": Relock(), "release": Release()}
    return commands.get(wanted)


DRIVER = Lock
