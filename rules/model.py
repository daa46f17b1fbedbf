"""Rules as values: what triggers them, what they ask, what they order, and what they decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from drivers.commands import Command
from drivers.event import Event
from drivers.priorities import Priority
from rules.calendar import Calendar
from rules.modes import BUILT_IN
from rules.problems import Mark
from rules.tallies import NO_FIELDS, Tallied
from rules.trace import NOTHING, Miss, Why

# --- what the rules may speak of -----------------------------------------------------------


CommandType = type[Command]
FieldWords = tuple[str, ...] | Literal["str", "int", "float", "bool", "object"]
"""The possible words of a field, or the name of its JSON type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceWords:
    """What rules may say about one device (or `site`)."""

    id: str
    type: str
    name: str
    says: Mapping[str, Mapping[str, FieldWords]]
    """Signal to its fields."""
    states: Mapping[str, tuple[str, ...]]
    """State to its values without `unknown`; an empty tuple where the values are open."""
    accepts: Mapping[str, CommandType] = field(default_factory=dict)
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    """Command to the device's own longest lease in seconds."""
    poll: float | None = None
    """Seconds between two looks at it, where it is polled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything the rules of a site may name."""

    devices: Mapping[str, DeviceWords]
    """Includes `site`."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone: str = "UTC"
    evacuation: EvacuationPlan | None = None
    calendar: Calendar = field(default_factory=Calendar)
    """Hours and schedules of site.yaml; tests live by them."""
    site: str = ""
    """Id of the site: `tests_at:` names it."""
    modes: Mapping[str, float] = field(default_factory=lambda: BUILT_IN)
    """The site's modes, each with the seconds that it lasts at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationPlan:
    """`evacuation:` of site.yaml with its groups resolved to devices."""

    on: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    silence: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()
    goto: Mapping[str, str] = field(default_factory=dict)
    """Camera to preset."""
    record: tuple[str, ...] = ()
    drill: Mapping[str, bool] = field(default_factory=dict)
    """`release`, `sound`, `record`: whether a drill does it."""


# --- triggers --------------------------------------------------------------------------------


class Condition(Protocol):
    """A compiled expression; see rules.expressions."""

    source: str
    reads: frozenset[tuple[str, str]]
    """(device, state) pairs it may read; device `event` for event fields."""
    counts: Mapping[Tallied, float]
    """(device, signal) to the longest window in seconds in which `count()` asks for it. Where
    `count` and `since` tell it apart by fields these follow; 0 is the window of `since`."""
    variables: Mapping[str, Constant]
    """The variables that stand in it."""

    def evaluate(self, view: StateView, event: Event | None) -> Answer: ...


Answer = Literal["yes", "no", "unknown"]
Constant = str | float | bool
"""A variable's value in a condition; a duration in seconds."""


class StateView(Protocol):
    """What an expression may ask about."""

    def state(self, device: str, state: str) -> str:
        """Return the value now; `unknown` until proven."""
        ...

    def since(self, device: str, kind: str, fields: Mapping[str, Any] = NO_FIELDS) -> float | None:
        """Return the seconds since the device last said `kind`; None if it never did.

        With `fields`, in order of their names, what was said with other values is left out.
        """
        ...

    def held(self, device: str, state: str) -> float | None:
        """Return for how many seconds the state has its value; None while it is unknown."""
        ...

    def count(
        self, device: str, kind: str, within: float, fields: Mapping[str, Any] = NO_FIELDS
    ) -> int | None:
        """Return how often it did in the last `within` seconds; None: some may be forgotten."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """`{<device or group>: <signal or state>, …}`: one of `signal` and `state` is set."""

    mark: Mark
    members: tuple[str, ...]
    """Device ids; one for a device, any number for a group."""
    group: str | None = None
    signal: str | None = None
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Field to the accepted values; all fields must match."""
    state: str | None = None
    value: str | None = None
    hold: float | None = None
    """`for:` in seconds."""
    holding: Condition | None = None
    """`while:`"""
    across: bool = False
    """`across: group`: the group counts as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """All facts in this order (or in any, `together`), the last within the window of the first."""

    mark: Mark
    facts: tuple[tuple[Fact, ...], ...]
    """Each step is a list of alternatives."""
    within: float
    ordered: bool
    by: str | None = None
    """`device`, or a field's name, that must be the same in all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The Nth of a fact within any window."""

    mark: Mark
    count: int
    of: tuple[Fact, ...]
    within: float
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """`after … without` (fires at the end of the window), or `before … without` (at the fact)."""

    mark: Mark
    fact: tuple[Fact, ...]
    without: tuple[Fact, ...]
    within: float
    waits: bool
    """True for `after`, False for `before`."""
    by: str | None = None
    blind: Literal["skip", "fire"] = "skip"


Trigger = Fact | Sequence | Count | Absence
"""`daily` is a Fact on `site`: signal `daily`, field `moment`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A `daily` moment that the clock has to say: `21:30`, `opening-15m`, on some days."""

    key: str
    """The value of the field `moment` of the site's signal `daily`."""
    at: str
    """`HH:MM`, `opening` or `closing`."""
    offset: float = 0.0
    """Seconds added to `opening` or `closing`."""
    days: frozenset[int] = frozenset(range(7))
    """0 is Monday."""


# --- rules -----------------------------------------------------------------------------------


OF_DEVICE = "event.device"
"""As the preset of a `goto`: the one that is called like the device that completed the trigger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step of `do`."""

    mark: Mark
    command: Command
    devices: tuple[str, ...] = ()
    """Ids, `("site",)` for site commands; empty when `near` is set."""
    near: str | None = None
    """A key of the event's device's `near`; then the devices are looked up when it fires."""
    lasts: float | None = None
    """`for:` in seconds; None: `until`, else the device's own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    after: float
    do: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """`quiet:`: a storm of one device is one firing; other devices are not quietened by it."""

    gap: float
    """Seconds without a complete trigger by that device after which the storm is over."""
    at_most: float
    """Seconds after the firing after which the next complete trigger fires again, storm or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule as loaded; a rule that loaded cannot fail later."""

    id: str
    mark: Mark
    description: str = ""
    priority: Priority = Priority.security
    when: tuple[Trigger, ...] = ()
    """On any of them."""
    condition: Condition | None = None
    if_unknown: Literal["fire", "skip"] = "skip"
    do: tuple[Action, ...] = ()
    until: tuple[Trigger, ...] = ()
    cooldown: float = 0.0
    quiet: Quiet | None = None
    escalate: tuple[Escalation, ...] = ()
    enabled: Literal["yes", "no", "shadow"] = "yes"
    after_restart: Literal["resume", "late", "expire"] = "resume"
    inactive: str = ""
    """Why it is inactive here (`requires`); empty when it is active."""
    hash: str = ""
    """Of its source; a rule whose hash changed starts fresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    rules: tuple[Rule, ...] = ()
    moments: tuple[Moment, ...] = ()
    tests: tuple[TestCase, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One entry of `tests:`; see rules.scenario for how it is played.

    Its mappings keep the keys as written; names, signals and fields are checked, durations are
    seconds (`at`, `restart`, `for`, parameters of type Seconds), fields and parameters have
    their own types.
    """

    __test__ = False

    name: str
    mark: Mark
    file: str
    given: Mapping[str, Any]
    """`now`: a naive datetime, site local; `states`: `{device: {state: value}}`, what is written
    under `site:` and `mode:` among it as states of `site`. Its `vars` are in `variant`."""
    timeline: tuple[Mapping[str, Any], ...]
    """In order of `at`. `{at, <device>: <signal>, <field>: value…}`, or one of `down`, `up`,
    `fail` (a device id), `restart` (seconds), `acknowledge` (an incident), `mode` (a word)."""
    expect: tuple[Mapping[str, Any], ...]
    """`{at, rule?, <command>: <device id, or the word of a site command>, <parameter>: value…}`,
    `{at, rule?, ends: <device id>}` or `{at?, not_fired: {rule, because?}}`. `for` is kept as
    `for`, in seconds."""
    rules: tuple[str, ...]
    """Ids of the rules it plays: its own file's, and those of `with:`."""
    variant: Mapping[str, Rule] = field(default_factory=dict)
    """By id, rules that stand for those of the RuleSet: loaded anew with the `vars` of `given`,
    or replaced in this store."""
    moments: tuple[Moment, ...] = ()
    """Daily moments of `variant`, beside those of the RuleSet."""
    skipped: str = ""
    """Why it can't be played here: one of its rules is inactive; empty when it can."""
    elsewhere: bool = False
    """Its file is tested at another site, whose devices it names; then `skipped` says so."""
    marks: tuple[Mark, ...] = ()
    """Where each entry of `expect` stands."""


# --- decisions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command given to one device by one rule."""

    device: str
    command: Command
    priority: Priority
    rule: str
    member: str = ""
    """For whom the rule fired; with `rule` and `device` it names the lease."""
    lasts: float | None = None
    """Seconds until the lease ends by itself; None: until an Ended says so."""
    holds: bool = False
    """Whether it is a lease."""
    cause: str = ""
    """Id of the event that completed the trigger."""
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A rule fired."""

    rule: str
    member: str
    tick: float
    """The event's tick, or the deadline that fell due."""
    event: Event
    """The completing event."""
    orders: tuple[Order, ...]
    late: bool = False
    shadow: bool = False
    step: int = 0
    """0 for `do`, 1… for the steps of `escalate`."""
    began: float | None = None
    """Tick of the firing that the step belongs to; None: this one."""
    why: Why = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A lease that a rule held has ended: its time is over or its `until` came."""

    rule: str
    member: str
    device: str
    command: str
    tick: float
    because: Literal["for", "until", "limit", "gone"]
    """`gone`: its rule was changed or removed, or it did not outlive a restart."""
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFired:
    """A trigger was complete, or nearly, and the rule did not fire."""

    rule: str
    member: str
    tick: float
    event: Event | None
    reason: str
    """In words: `site.open was no`, `cooldown for 12 s more`."""
    blind: bool = False
    """An unknown state decided; becomes the site's event `rule.blind`."""
    orders: tuple[Order, ...] = ()
    """A repeat within a cooldown: orders that make a running recording longer."""
    miss: Miss = "if"
    """What kept it from firing."""
    progress: float = 1.0
    """How near it came: 1 the trigger was complete; 58 s of 60 s are 0.97."""
    why: Why = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A cooldown, or a storm of one device, is over in which the rule would have fired again."""

    rule: str
    member: str
    """For `quiet` the device that stormed."""
    tick: float
    count: int
    because: Literal["cooldown", "quiet"] = "cooldown"


Decision = Fired | Ended | NotFired | Repeated
