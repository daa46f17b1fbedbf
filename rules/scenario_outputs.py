"""What the outputs of a played test do of what they are told, and what they say of it.

They do it at once. Of the orders on one output the highest shows, among equals the later; without
any it rests as it began: off, locked. What depends on the world outside (clips, homes of cameras)
is for the timeline to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.commands import Command, Goto, Silence, SwitchOff
from drivers.priorities import Priority
from rules.model import World

Lease = tuple[str, str, str, str]
"""Rule, member, device, command."""
Said = tuple[str, dict[str, Any]]
"""A signal and its fields."""

_ON = frozenset({"sound", "switch_on"})
_BOTH = {Silence.kind, SwitchOff.kind}
"""They end whatever has an output on."""
_SHOWN = {"sound": "output.on", "switch_on": "output.on", "release": "lock.released"}
_RESTS = {"sound": "silence", "switch_on": "switch_off", "release": "relock"}
_RESTING = {"silence": "output.off", "switch_off": "output.off", "relock": "lock.locked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    command: Command
    priority: Priority
    number: int
    by: str


@dataclass(slots=True)
class Outputs:
    """The leases of every device, and what each device was last told to be."""

    world: World
    _leases: dict[Lease, _Held] = field(default_factory=dict)
    _shown: dict[str, tuple[Lease, Command] | None] = field(default_factory=dict)
    _taken: int = 0

    def take(self, lease: Lease, command: Command, priority: Priority, by: str) -> None:
        """Take or renew a lease."""
        self._taken += 1
        held = _Held(command=command, priority=priority, number=self._taken, by=by)
        self._leases[lease] = held

    def end(self, lease: Lease) -> bool:
        """End a lease; return whether it was live."""
        return self._leases.pop(lease, None) is not None

    def quell(self, device: str, command: Command, priority: Priority) -> list[Lease]:
        """End the leases that `command` ends and that are not above `priority`; return them."""
        kinds = _ON if command.kind in _BOTH else command.ends
        found = [
            lease
            for lease, held in self._leases.items()
            if lease[2] == device and lease[3] in kinds and held.priority >= priority
        ]
        for lease in found:
            del self._leases[lease]
        if found and self._live(device) is None:
            self._shown[device] = None
        return found

    def of(self, by: str) -> list[Lease]:
        """Return the leases of one kind of owner."""
        return [lease for lease, held in self._leases.items() if held.by == by]

    def holder(self, device: str) -> str:
        """Return who holds an output, and how high; an empty string for nobody."""
        lease = self._live(device)
        if lease is None:
            return ""
        held = self._leases[lease]
        who = f"rule {lease[0]}" if held.by == "rule" else held.by
        return f"{who} holds it at {held.priority.name}"

    def outranked(self, device: str, priority: Priority) -> bool:
        """Return whether a lease above `priority` shows."""
        lease = self._live(device)
        return lease is not None and self._leases[lease].priority < priority

    def show(self, device: str) -> list[Said]:
        """Return what the device says because of what it shows now, if that is new."""
        lease = self._live(device)
        before = self._shown.get(device)
        if lease is None:
            self._shown[device] = None
            return [] if before is None else self._rests(device, before[0])
        held = self._leases[lease]
        renewed = isinstance(held.command, Goto) and held.number == self._taken
        if before is not None and before[1] == held.command and not renewed:
            return []
        self._shown[device] = (lease, held.command)
        return self.done(device, held.command, held.by, lease[0] if held.by == "rule" else "")

    def done(self, device: str, command: Command, by: str, rule: str) -> list[Said]:
        """Return what the device and the host say when it has done what it was told."""
        said: list[Said] = []
        signal = _SHOWN.get(command.kind) or _RESTING.get(command.kind)
        if isinstance(command, Goto):
            arrived = {"preset": command.preset, "proof": "settle_time"}
            said += self._able(device, "camera.arrived", arrived)
        elif signal is not None:
            said += self._able(device, signal, {})
        fields = {"command": command.kind, "by": by, "seconds": 0.0}
        return [*said, *self._able(device, "order.done", {**fields, **_named(rule)})]

    def _rests(self, device: str, lease: Lease) -> list[Said]:
        command = _RESTS.get(lease[3])
        if command is None or command not in self.world.devices[device].accepts:
            return []
        fields = {"command": command, "by": "rest", "seconds": 0.0, "rule": lease[0]}
        return [
            *self._able(device, _RESTING[command], {}),
            *self._able(device, "order.done", fields),
        ]

    def _able(self, device: str, signal: str, fields: Mapping[str, Any]) -> list[Said]:
        words = self.world.devices.get(device)
        return [(signal, dict(fields))] if words and signal in words.says else []

    def _live(self, device: str) -> Lease | None:
        found = [
            (-held.priority, held.number, lease)
            for lease, held in self._leases.items()
            if lease[2] == device
        ]
        return max(found)[2] if found else None


def _named(rule: str) -> dict[str, str]:
    return {"rule": rule} if rule else {}
