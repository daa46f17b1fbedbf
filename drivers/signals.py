"""What devices can say: the vocabulary of facts, each with its urgency and the states it sets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from drivers.priorities import Priority

UNKNOWN = "unknown"
"""The value of every state until it is proven, and again when its source is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A typed fact that a device says.

    `kind` is the word in rules, topics and CloudEvents; `priority` the least urgency;
    `sets` the states of the device that follow from the fact.
    """

    kind: ClassVar[str]
    priority: ClassVar[Priority] = Priority.operations
    sets: ClassVar[dict[str, str]] = {}

    changed_while_down: bool = False
    """True when it became so while nobody was listening; the host says so, never a driver."""

    def states(self) -> dict[str, str]:
        """Return the states of the device that are known from now on, name to value."""
        return self.sets

    def fields(self) -> dict[str, Any]:
        """Return the fields by name; `changed_while_down` and `test` only when true, no None."""
        found = {
            f.name: value
            for f in dataclasses.fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        for name in ("changed_while_down", "test"):
            if found.get(name) is False:
                del found[name]
        return found


# --- every device ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp(Signal):
    """The device can be heard again."""

    kind: ClassVar[str] = "link.up"
    sets: ClassVar[dict[str, str]] = {"link": "up"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown(Signal):
    """The device cannot be heard; all its other states are unknown. Said once per loss."""

    kind: ClassVar[str] = "link.down"
    sets: ClassVar[dict[str, str]] = {"link": "down"}

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateKnown(Signal):
    """States as they were found, when nothing was seen to happen: after a start or a new link.

    The host compares them with the last known ones and says a difference as the ordinary
    signal with `changed_while_down`.
    """

    kind: ClassVar[str] = "state.known"

    values: dict[str, str]
    """State to value, for the states proven now."""

    def states(self) -> dict[str, str]:
        return self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFault(Signal):
    """An input can't be trusted: a broken loop, a missing answer, a reading outside every band."""

    kind: ClassVar[str] = "input.fault"

    input: str
    """The setting's name: `alarm`, `contact`, `trouble` …"""
    reason: str
    affects: tuple[str, ...] = ()
    """States of the device that are unknown because of it."""

    def states(self) -> dict[str, str]:
        return dict.fromkeys(self.affects, UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRestored(Signal):
    """An input can be trusted again."""

    kind: ClassVar[str] = "input.restored"

    input: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputStuck(Signal):
    """An input stayed active longer than any real alarm does: a fault with a ticket, no alarm."""

    kind: ClassVar[str] = "input.stuck"
    priority: ClassVar[Priority] = Priority.security
    sets: ClassVar[dict[str, str]] = {"input": "stuck"}

    input: str
    active_for: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputUnstuck(Signal):
    """A stuck input is quiet again."""

    kind: ClassVar[str] = "input.unstuck"
    sets: ClassVar[dict[str, str]] = {"input": "ok"}

    input: str
    active_for: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEdge(Signal):
    """A raw edge on a line of an I/O module, as read. For history and backtest, not for rules."""

    kind: ClassVar[str] = "input.edge"
    priority: ClassVar[Priority] = Priority.telemetry

    line: str
    """The line's name on its module: `di0`."""
    level: bool | None
    """1 or 0 as the module reads it; None while it can't be read."""
    quality: Literal["good", "fault", "unknown"]
    count: int
    """Rising edges since this process began, hardware counter included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRestarted(Signal):
    """An I/O module lost its counters: it was restarted. Its outputs are asserted again."""

    kind: ClassVar[str] = "module.restarted"

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMismatch(Signal):
    """An output does not read back as it was written."""

    kind: ClassVar[str] = "output.mismatch"
    priority: ClassVar[Priority] = Priority.security

    expected: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord(Signal):
    """The device sent something its protocol does not allow. Said at most once a minute."""

    kind: ClassVar[str] = "input.unreadable"

    reason: str
    count: int
    """How many since it was last said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDone(Signal):
    """The device confirmed an order. Said by the host."""

    kind: ClassVar[str] = "order.done"

    command: str
    rule: str | None = None
    """The rule that ordered it; None for a person, the latch, or a return to rest."""
    firing: str | None = None
    """The firing of that rule: 32 hexadecimal digits."""
    by: str
    """`rule`, `person`, `evacuation`, `start`, `rest` or `stop`."""
    seconds: float
    """From the order to the confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFailed(Signal):
    """An order was not carried out, or was refused. Said by the host."""

    kind: ClassVar[str] = "order.failed"

    command: str
    rule: str | None = None
    firing: str | None = None
    by: str
    reason: str


# --- EAS pedestals -----------------------------------------------------------------------

Direction = Literal["in", "out", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EasAlarm(Signal):
    """An active tag is between the pedestals. Said at the first pulse, at once."""

    kind: ClassVar[str] = "eas.alarm"
    priority: ClassVar[Priority] = Priority.security
    sets: ClassVar[dict[str, str]] = {"alarm": "active"}

    aisle: int = 1
    """Numbered from 1."""
    direction: Direction = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EasEnded(Signal):
    """The pulses of one alarm have ended: quiet for the merge time."""

    kind: ClassVar[str] = "eas.ended"
    sets: ClassVar[dict[str, str]] = {"alarm": "quiet"}

    aisle: int = 1
    count: int
    """Pulses merged into the alarm."""
    duration: float
    """Seconds from the first pulse to the end of the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EasMetal(Signal):
    """Metal passed: perhaps a foil-lined bag."""

    kind: ClassVar[str] = "eas.metal"
    priority: ClassVar[Priority] = Priority.security

    aisle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EasJammer(Signal):
    """Somebody disturbs the detection field."""

    kind: ClassVar[str] = "eas.jammer"
    priority: ClassVar[Priority] = Priority.security

    aisle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EasTamper(Signal):
    """The pedestal's cover or cable was touched."""

    kind: ClassVar[str] = "eas.tamper"
    priority: ClassVar[Priority] = Priority.security

    aisle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EasCounterBlocked(Signal):
    """Something stands in the beam of the visitor counter."""

    kind: ClassVar[str] = "eas.counter_blocked"

    aisle: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EasDeactivated(Signal):
    """A tag was deactivated at a till."""

    kind: ClassVar[str] = "eas.deactivated"
    priority: ClassVar[Priority] = Priority.telemetry

    till: int | None = None
    """Numbered from 1; None when the device does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EasVisitors(Signal):
    """People passed the counter."""

    kind: ClassVar[str] = "eas.visitors"
    priority: ClassVar[Priority] = Priority.telemetry

    aisle: int = 1
    entered: int
    """People since the signal before."""
    left: int


# --- doors, contacts, buttons ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorOpened(Signal):
    """The door was opened."""

    kind: ClassVar[str] = "door.opened"
    sets: ClassVar[dict[str, str]] = {"contact": "open"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorClosed(Signal):
    """The door was closed."""

    kind: ClassVar[str] = "door.closed"
    sets: ClassVar[dict[str, str]] = {"contact": "closed", "forced": "no", "held": "no"}

    open_for: float | None = None
    """Seconds it was open; None when the opening was not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorForced(Signal):
    """The door was opened without a request to exit."""

    kind: ClassVar[str] = "door.forced"
    priority: ClassVar[Priority] = Priority.security
    sets: ClassVar[dict[str, str]] = {"forced": "yes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorHeld(Signal):
    """The door stays open: first a warning, then held."""

    kind: ClassVar[str] = "door.held"
    priority: ClassVar[Priority] = Priority.security

    stage: Literal["warning", "held"]
    open_for: float
    """Seconds."""

    def states(self) -> dict[str, str]:
        return {"held": self.stage}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRequestToExit(Signal):
    """Somebody inside asks to leave."""

    kind: ClassVar[str] = "door.request_to_exit"
    sets: ClassVar[dict[str, str]] = {"request_to_exit": "active"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRequestToExitEnded(Signal):
    """The request to exit is quiet again."""

    kind: ClassVar[str] = "door.request_to_exit_ended"
    priority: ClassVar[Priority] = Priority.telemetry
    sets: ClassVar[dict[str, str]] = {"request_to_exit": "quiet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactActive(Signal):
    """The contact became active."""

    kind: ClassVar[str] = "contact.active"
    sets: ClassVar[dict[str, str]] = {"contact": "active"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactQuiet(Signal):
    """The contact became quiet."""

    kind: ClassVar[str] = "contact.quiet"
    sets: ClassVar[dict[str, str]] = {"contact": "quiet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPressed(Signal):
    """The button was pressed. Panic and medical are personal safety, a call point life safety."""

    kind: ClassVar[str] = "button.pressed"
    sets: ClassVar[dict[str, str]] = {"contact": "active"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonReleased(Signal):
    """The button was let go."""

    kind: ClassVar[str] = "button.released"
    sets: ClassVar[dict[str, str]] = {"contact": "quiet"}


# --- tills ---------------------------------------------------------------------------------

Voided = Literal["line", "sale", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PosSale(Signal):
    """A sale was paid."""

    kind: ClassVar[str] = "pos.sale"
    priority: ClassVar[Priority] = Priority.telemetry

    till: str = ""
    """Number or name; empty when neither the records nor the configuration say it."""
    receipt: str | None = None
    """Its number as printed; None when the till does not say."""
    amount: float | None = None
    """In the till's currency, never below 0."""
    items: int | None = None
    cashier: str | None = None
    """Number or name."""
    test: bool = False
    """True in training mode: only rules that ask for it hear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PosRefund(Signal):
    """Money was given back."""

    kind: ClassVar[str] = "pos.refund"

    till: str = ""
    receipt: str | None = None
    original: str
    """The number of the receipt that was brought back; empty when there was none."""
    amount: float | None = None
    """In the till's currency, never below 0."""
    cashier: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PosVoid(Signal):
    """A line of a sale, or a whole one, was taken back before or after it was paid."""

    kind: ClassVar[str] = "pos.void"

    till: str = ""
    receipt: str | None = None
    what: Voided = "unknown"
    """One line, or a sale."""
    amount: float | None = None
    """In the till's currency, never below 0."""
    cashier: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PosNoSale(Signal):
    """The drawer was opened at the till without a sale."""

    kind: ClassVar[str] = "pos.no_sale"

    till: str = ""
    cashier: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PosSuspended(Signal):
    """A sale was put aside, to be recalled later."""

    kind: ClassVar[str] = "pos.suspended"
    priority: ClassVar[Priority] = Priority.telemetry

    till: str = ""
    receipt: str | None = None
    amount: float | None = None
    """In the till's currency, never below 0."""
    cashier: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PosRecalled(Signal):
    """A sale that was put aside goes on."""

    kind: ClassVar[str] = "pos.recalled"
    priority: ClassVar[Priority] = Priority.telemetry

    till: str = ""
    receipt: str | None = None
    """The number it had when it was put aside."""
    cashier: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PosDrawerOpened(Signal):
    """The drawer is open; a fact of the drawer, so in training mode too."""

    kind: ClassVar[str] = "pos.drawer_opened"
    sets: ClassVar[dict[str, str]] = {"drawer": "open"}

    till: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PosDrawerClosed(Signal):
    """The drawer is closed again."""

    kind: ClassVar[str] = "pos.drawer_closed"
    sets: ClassVar[dict[str, str]] = {"drawer": "closed"}

    till: str = ""
    open_for: float | None = None
    """Seconds it was open; None when the opening was not seen."""


# --- fire panels: read only ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FireAlarm(Signal):
    """The fire panel is in alarm."""

    kind: ClassVar[str] = "fire.alarm"
    priority: ClassVar[Priority] = Priority.life_safety
    sets: ClassVar[dict[str, str]] = {"alarm": "active"}

    zone: str | None = None
    """As the panel names it; None from a relay."""
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FireRestored(Signal):
    """The panel's alarm is normal again."""

    kind: ClassVar[str] = "fire.restored"
    priority: ClassVar[Priority] = Priority.life_safety
    sets: ClassVar[dict[str, str]] = {"alarm": "normal"}

    zone: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FireTrouble(Signal):
    """The panel reports a fault of the fire system, or its power is lost."""

    kind: ClassVar[str] = "fire.trouble"
    priority: ClassVar[Priority] = Priority.life_safety
    sets: ClassVar[dict[str, str]] = {"trouble": "active"}

    zone: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FireTroubleRestored(Signal):
    """The fire system's fault is over."""

    kind: ClassVar[str] = "fire.trouble_restored"
    priority: ClassVar[Priority] = Priority.life_safety
    sets: ClassVar[dict[str, str]] = {"trouble": "normal"}

    zone: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FireSupervisory(Signal):
    """A supervised part of the fire system is off normal: a closed valve, low pressure."""

    kind: ClassVar[str] = "fire.supervisory"
    priority: ClassVar[Priority] = Priority.life_safety
    sets: ClassVar[dict[str, str]] = {"supervisory": "active"}

    zone: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FireSupervisoryRestored(Signal):
    """The supervised part is normal again."""

    kind: ClassVar[str] = "fire.supervisory_restored"
    priority: ClassVar[Priority] = Priority.life_safety
    sets: ClassVar[dict[str, str]] = {"supervisory": "normal"}

    zone: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FireNotice(Signal):
    """Any other line of the panel: isolated, acknowledged, tested. Changes no state."""

    kind: ClassVar[str] = "fire.notice"
    priority: ClassVar[Priority] = Priority.life_safety

    text: str


# --- outputs -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOn(Signal):
    """A siren, beacon or switch is on, read back."""

    kind: ClassVar[str] = "output.on"
    sets: ClassVar[dict[str, str]] = {"output": "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOff(Signal):
    """A siren, beacon or switch is off, read back."""

    kind: ClassVar[str] = "output.off"
    sets: ClassVar[dict[str, str]] = {"output": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReleased(Signal):
    """The lock lets people out, read back."""

    kind: ClassVar[str] = "lock.released"
    sets: ClassVar[dict[str, str]] = {"lock": "released"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockLocked(Signal):
    """The lock holds, read back."""

    kind: ClassVar[str] = "lock.locked"
    sets: ClassVar[dict[str, str]] = {"lock": "locked"}


# --- cameras -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraArrived(Signal):
    """The camera stands at the preset it was told."""

    kind: ClassVar[str] = "camera.arrived"
    priority: ClassVar[Priority] = Priority.telemetry

    preset: str
    proof: Literal["move_status", "settle_time", "event"]
    """How the arrival is known."""
    seconds: float
    """From the command to the arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingConfirmed(Signal):
    """The clip is on disk and its bytes were checked."""

    kind: ClassVar[str] = "recording.confirmed"

    clip: str
    """File name of the clip in the recorder's folder."""
    before: float
    """Seconds of video kept before the order; up to one group of pictures more than asked."""
    duration: float
    """Seconds of video kept in all."""
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMissing(Signal):
    """A recording was ordered and there is no complete clip."""

    kind: ClassVar[str] = "recording.missing"
    priority: ClassVar[Priority] = Priority.security

    reason: str
    clip: str | None = None
    """What could be kept, if anything."""


SAID_BY_ALL: frozenset[type[Signal]] = frozenset(
    {LinkUp, LinkDown, StateKnown, InputFault, InputRestored, BadRecord}
)
"""Signals that any device may say without declaring them."""

SAID_OF_ORDERS: frozenset[type[Signal]] = frozenset({OrderDone, OrderFailed})
"""Signals that the host says about any device that accepts commands."""


def by_kind() -> dict[str, type[Signal]]:
    """Return every signal class of a device by its kind, sorted."""
    return {c.kind: c for c in sorted(Signal.__subclasses__(), key=lambda c: c.kind)}
