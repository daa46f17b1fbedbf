"""The evacuation latch: set by a fire or a person, ended only by a person. Pure.

It says what it wants; the host stamps and journals its signals and hands its orders over, above
every other order. It never tells a fire panel anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers import commands
from drivers.commands import Command, Evacuate
from drivers.event import Event
from drivers.priorities import Priority
from drivers.settings import Seconds
from rules.model import EvacuationPlan, World

RECORD = commands.RecordClip(before=Seconds(10.0), duration=Seconds(600.0))
"""What recorders keep of an evacuation: 10 s before it and 10 min of it."""
PANEL_STATE = "alarm"
"""The state that makes a device of `on:` a panel; a call point has none."""

Stage = Literal["idle", "drill", "evacuation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatchOrder:
    """A command that the latch wants given, at life_safety, above every other order."""

    device: str
    command: Command
    holds: bool
    """Whether it is a lease: it stays until `evacuation.ended`, a release until a relock."""
    priority: Priority = Priority.life_safety


@dataclass(frozen=True, slots=True, kw_only=True)
class LatchSignal:
    """What the site says: to be stamped, journaled and fed to the rules."""

    kind: Literal["evacuation.started", "evacuation.ended"]
    fields: Mapping[str, Any]
    sets: Mapping[str, str]
    priority: Priority = Priority.life_safety


Want = LatchOrder | LatchSignal


@dataclass(slots=True)
class Evacuation:
    """The latch. What it wants comes in order: the signal, then release before anything else."""

    plan: EvacuationPlan
    world: World
    stage: Stage = "idle"
    cause: str = ""
    released: set[str] = field(default_factory=set)
    """Locks that stay released until a person relocks each."""

    @property
    def active(self) -> bool:
        """Whether an evacuation or a drill is on."""
        return self.stage != "idle"

    def feed(self, event: Event) -> list[Want]:
        """Return what a fire alarm, or a call point, of the plan leads to."""
        if event.device in self.plan.on and event.kind in ("fire.alarm", "button.pressed"):
            return self.start(event.device)
        return []

    def ordered(self, command: Command) -> list[Want]:
        """Return what a rule's `{evacuate: …}` leads to; other commands lead to nothing."""
        return self.start(command.cause) if isinstance(command, Evacuate) else []

    def start(self, cause: str, *, drill: bool = False) -> list[Want]:
        """Set the latch. A drill becomes real at once; nothing makes a real one a drill."""
        if self.stage == "evacuation" or (drill and self.active):
            return []
        self.stage, self.cause = ("drill" if drill else "evacuation"), cause
        return [self._started(), *self._orders()]

    def end(
        self, reason: str, by: str, despite: frozenset[str], panel_states: Mapping[str, str]
    ) -> str | list[Want]:
        """End it as a person; return in words why not, or what follows.

        `panel_states` is the `alarm` of every panel of the plan's `on`; what is missing is
        unknown. The host ends the latch's leases but those of locks: see `relocked`.
        """
        if not self.active:
            return "there is no evacuation"
        if not by.strip() or not reason.strip():
            return "an evacuation is ended only by a person with a reason"
        for device in self.plan.on:
            value = panel_states.get(device, "unknown")
            if self._is_panel(device) and value != "normal" and device not in despite:
                return f"{device} is {'in alarm' if value == 'active' else value}"
        fields = {**self._fields(), "reason": reason, "by": by}
        if despite:
            fields["despite"] = ", ".join(sorted(despite))
        self.stage, self.cause = "idle", ""
        sets = {"evacuation": "no", "drill": "no"}
        return [LatchSignal(kind="evacuation.ended", fields=fields, sets=sets)]

    def standing(self) -> list[LatchOrder]:
        """Return the leases that the latch holds now: what a restart has to take again."""
        held = [o for o in self._orders() if o.holds and o.device not in self.released]
        release = commands.Release()
        locks = [LatchOrder(device=d, command=release, holds=True) for d in sorted(self.released)]
        return [*locks, *held]

    def refuses(
        self,
        device: str,
        command: str,
        priority: Priority,
        *,
        by: str = "person",
    ) -> str:
        """Return why an order by a `person` or a `rule` is refused now, or an empty string."""
        if command == "relock" and device in self.released:
            if self.active:
                return "the evacuation keeps it released"
            if by != "person":
                return "after the evacuation only a person locks it again"
        if (
            self.active
            and self._does("sound")
            and command in ("sound", "switch_on")
            and device in self.plan.silence
            and priority > Priority.life_safety
        ):
            return "the evacuation keeps it silent"
        return ""

    def relocked(self, device: str) -> bool:
        """Take note that a person locks `device` again; return whether the latch held it."""
        if self.active or device not in self.released:
            return False
        self.released.discard(device)
        return True

    def _does(self, what: str) -> bool:
        defaults = {"release": False, "sound": True, "record": True}
        return self.stage != "drill" or self.plan.drill.get(what, defaults[what])

    def _fields(self) -> dict[str, Any]:
        return {"cause": self.cause, "drill": self.stage == "drill"}

    def _started(self) -> LatchSignal:
        drill = "yes" if self.stage == "drill" else "no"
        if self._does("release"):
            self.released.update(self.plan.release)
        return LatchSignal(
            kind="evacuation.started",
            fields=self._fields(),
            sets={"evacuation": "yes", "drill": drill},
        )

    def _orders(self) -> list[LatchOrder]:
        """Return everything that the present stage orders."""
        if not self.active:
            return []
        orders: list[tuple[str, Command]] = []
        if self._does("release"):
            orders += [(d, commands.Release()) for d in self.plan.release]
        if self._does("sound"):
            orders += [(d, self._quiet(d)) for d in self.plan.silence]
            orders += [(d, self._loud(d)) for d in self.plan.sound]
        if self._does("record"):
            orders += [(d, commands.Goto(preset=p)) for d, p in self.plan.goto.items()]
            orders += [(d, RECORD) for d in self.plan.record]
        return [LatchOrder(device=d, command=c, holds=c.holds == "yes") for d, c in orders]

    def _is_panel(self, device: str) -> bool:
        words = self.world.devices.get(device)
        return words is None or PANEL_STATE in words.states

    def _accepts(self, device: str, command: type[Command]) -> bool:
        words = self.world.devices.get(device)
        return words is not None and command.kind in words.accepts

    def _quiet(self, device: str) -> Command:
        off = self._accepts(device, commands.SwitchOff)
        return commands.SwitchOff() if off else commands.Silence()

    def _loud(self, device: str) -> Command:
        on = self._accepts(device, commands.SwitchOn)
        return commands.SwitchOn() if on else commands.Sound()

    def save(self) -> dict[str, Any]:
        """Return the latch as JSON values."""
        return {"stage": self.stage, "cause": self.cause, "released": sorted(self.released)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` returned."""
        self.stage, self.cause = saved["stage"], saved["cause"]
        self.released = set(saved["released"])
