"""What each output shows: its highest live lease, else its rest; and the orders that make it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from drivers.commands import Command, Goto
from drivers.contract import Driver
from drivers.priorities import Priority
from edge.dispatch import Given
from edge.leases import By, Claim, Leases, Limit
from edge.turn import Turn

ON = frozenset({"sound", "switch_on"})
"""The leases that have an output on, whatever it is: `silence` and `switch_off` end both."""


class Outputs:
    """The leases of every device, and what each was last told to be."""

    def __init__(self, devices: Mapping[str, Driver]) -> None:
        self._devices = devices
        self.leases = Leases({d: limit_of(driver) for d, driver in devices.items()})
        self._shown: dict[str, Command | None] = {}

    def refuses(self, given: Given, claim: Claim, local: datetime | None) -> str:
        """Return why a lease can't be taken now, or an empty string.

        `local` is the wall time at the site; None while it is not trusted.
        """
        if given.priority is Priority.life_safety:
            return ""
        quiet = getattr(self._devices.get(given.device), "quiet", None)
        if quiet and local is not None and within(quiet, local):
            return f"quiet from {quiet.replace('-', ' to ')}"
        return self.leases.refuses(claim, given.tick)

    def take(self, turn: Turn, claim: Claim) -> None:
        """Take or renew a lease, and show it if it is the highest."""
        self.leases.take(claim)
        self._show(turn, claim, claim.taken)

    def end(self, turn: Turn, device: str, owner: str, command: str, tick: float) -> None:
        """End one lease, if it is live, and show what is left."""
        claim = self.leases.end(device, owner, command, tick)
        if claim is not None:
            self._show(turn, claim, tick)

    def end_of(self, turn: Turn, by: By, tick: float, *, but: type[Command]) -> None:
        """End every lease of one kind of owner but those with the command `but`."""
        for claim in self.leases.claims():
            if claim.by == by and not isinstance(claim.command, but):
                self.end(turn, claim.device, claim.owner, claim.command.kind, tick)

    def advance(self, turn: Turn, tick: float) -> None:
        """End what is due and show what is left."""
        for claim in self.leases.advance(tick):
            self._show(turn, claim, tick)

    def quell(self, turn: Turn, given: Given) -> str:
        """End the leases that the command ends and show what is left.

        Returns who still holds the output above the command, or an empty string.
        """
        device = given.device
        self.leases.quell(device, ended_by(given.command), given.priority, given.tick)
        live = self.leases.showing(device)
        if live is None:
            self._shown[device] = given.command
            turn.given.append(replace(given, lasting=True))
            return ""
        self._show(turn, live, given.tick)
        return _holder(live)

    def shows(self, given: Given) -> str:
        """Return why a lease just taken moves nothing: who is above it, or that it is so."""
        live = self.leases.showing(given.device)
        return _holder(live) if live is not None and live.firing != given.firing else "it is so"

    def above(self, given: Given) -> str:
        """Return who holds the output above an order that takes no lease, or an empty string."""
        live = self.leases.showing(given.device)
        held = live is not None and given.command.holds != "no" and live.rank < given.priority
        return _holder(live) if live is not None and held else ""

    def assert_now(self, turn: Turn, device: str, tick: float) -> None:
        """Write at start and at each new link: the highest live lease, else what at_start says."""
        live = self.leases.showing(device)
        command = live.command if live else self._devices[device].at_start()
        self._shown[device] = command
        if live is not None:
            turn.given.append(_order(live, tick))
        elif command is not None:
            given = Given(
                device=device,
                command=command,
                by="start",
                priority=Priority.operations,
                lasting=True,
                tick=tick,
                quiet=True,
            )
            turn.given.append(given)

    def again(self, turn: Turn, device: str, tick: float) -> None:
        """Write once more what the output should show: it does not read back so."""
        live, command = self.leases.showing(device), self._shown.get(device)
        if live is not None:
            turn.given.append(_order(live, tick))
        elif command is not None:
            turn.given.append(_rest(device, command, tick))

    def _show(self, turn: Turn, because: Claim, tick: float) -> None:
        """Give the device what its highest live lease says, else its rest, if that is new."""
        device = because.device
        live, driver = self.leases.showing(device), self._devices.get(device)
        command = live.command if live else driver.rest() if driver else None
        renewed = isinstance(command, Goto) and live is because  # the camera may have been turned
        if self._shown.get(device) == command and not renewed:
            return
        self._shown[device] = command
        if live is not None:
            turn.given.append(_order(live, tick))
        elif command is not None:
            rest = _rest(device, command, tick)
            whose = replace(rest, priority=because.priority, rule=because.rule)
            turn.given.append(replace(whose, firing=because.firing))

    def forget_shown(self) -> None:
        """After a restart nobody knows what the outputs show."""
        self._shown.clear()

    def save(self) -> dict[str, Any]:
        """Return the leases as JSON values."""
        return self.leases.save()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what `save` returned, of this or an earlier configuration."""
        self.leases.restore(saved, known=self._accepts)

    def _accepts(self, device: str, command: type[Command]) -> bool:
        driver = self._devices.get(device)
        return driver is not None and command in driver.accepts


def _holder(live: Claim) -> str:
    holder = f"rule {live.rule}" if live.rule else live.by
    return f"{holder} holds it at {live.priority.name}"


def _order(live: Claim, tick: float) -> Given:
    return Given(
        device=live.device,
        command=live.command,
        by=live.by,
        priority=live.priority,
        rule=live.rule,
        firing=live.firing,
        lasting=True,
        tick=tick,
    )


def _rest(device: str, command: Command, tick: float) -> Given:
    return Given(
        device=device,
        command=command,
        by="rest",
        priority=Priority.operations,
        lasting=True,
        tick=tick,
    )


def limit_of(driver: Driver) -> Limit:
    """Return what `max_on` and `max_per_hour` of an output allow."""
    return Limit(
        at_a_time=getattr(driver, "max_on", None), in_an_hour=getattr(driver, "max_per_hour", None)
    )


def within(times: str, local: datetime) -> bool:
    """Return whether `local` lies in a range like `22:00-07:00`."""
    start, _, end = times.partition("-")
    now = f"{local:%H:%M}"
    return start <= now < end if start < end else now >= start or now < end


def ended_by(command: Command) -> frozenset[str]:
    """Return the kinds of leases that a command ends."""
    ends = frozenset(command.ends)
    return ON if ends & ON else ends


def owner_of(rule: str, member: str) -> str:
    """Return the owner of a rule's leases for one member."""
    return f"{rule}/{member}"
