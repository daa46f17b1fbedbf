"""The whole configuration of a site as checked values; building it touched no device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivers.contract import Driver
from drivers.priorities import Priority
from drivers.settings import ByteSize, Seconds, Secret
from rules.calendar import Range as Range
from rules.calendar import Schedule as Schedule
from rules.calendar import Week as Week
from rules.model import EvacuationPlan, RuleSet, World
from rules.modes import BUILT_IN
from rules.problems import Mark, Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt:
    """`mqtt:` of site.yaml; the uplink."""

    url: str
    """`mqtt://host[:port]` or `mqtts://host[:port]`."""
    username: str | None = None
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    topic_root: str = "storewarden"
    drain_rate: float | None = None
    """Records a second of the backlog below life_safety; None: no cap. Written `200/s`."""
    drain_jitter: Seconds = Seconds(0.0)
    """Within it the backlog below life_safety begins, after a first window."""
    window: int = 20
    """Messages in flight, 1 to 50."""
    keepalive: Seconds = Seconds(10.0)
    """Silence after which the link is tried; whole seconds."""
    expiry: Seconds | None = None
    """How long the broker keeps operations and telemetry for who is away; None: for ever."""
    renewed: Callable[[], str | None] | None = field(default=None, compare=False, repr=False)
    """Reads the password's file again."""
    home_assistant: str | None = None
    """Home Assistant's discovery prefix; None: it is told nothing."""
    sparkplug: str | None = None
    """The Sparkplug B group that the site is an edge node of; None: no Sparkplug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """`http:` of site.yaml."""

    host: str = "127.0.0.1"
    port: int = 9464


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """`buffer:` of site.yaml; the journal."""

    path: Path = Path("/var/lib/storewarden")
    """The state folder."""
    max_size: ByteSize = ByteSize(512_000_000)
    """What the journal may take on disk, at least 1MB."""
    keep: Seconds = Seconds(90 * 86400.0)
    """How old a record may get."""
    max_wait: Seconds = Seconds(0.1)
    """How long operations and telemetry may wait for a shared commit, at most 1s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """`apply:` of site.yaml; limits are fractions, 0.2 is +20 %."""

    watch: float = 1800.0
    """Seconds."""
    backtest: float = 30 * 86400.0
    """Seconds of history."""
    alarms: float = 0.2
    siren: float = 0.2
    blind: float = 1.0
    order_failures: float = 0.5
    slack: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """site.yaml."""

    site: str
    timezone: str = "UTC"
    hours: Schedule | None = None
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    modes: Mapping[str, float] = field(default_factory=lambda: BUILT_IN)
    """The modes of the site, each with the seconds that it lasts at most."""
    evacuation: EvacuationPlan | None = None
    """Groups resolved to devices; None without an `evacuation:` key."""
    mqtt: Mqtt | None = None
    http: Http = field(default_factory=Http)
    buffer: Buffer = field(default_factory=Buffer)
    apply: Apply = field(default_factory=Apply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """One I/O module or device of devices.yaml."""

    id: str
    type: str
    name: str
    driver: Driver
    mark: Mark
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    raised: Priority | None = None
    """`priority:`: what this device says is at least so urgent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration without errors."""

    folder: Path
    site: Site
    io: Mapping[str, Configured]
    devices: Mapping[str, Configured]
    groups: Mapping[str, tuple[str, ...]]
    world: World
    rules: RuleSet
    problems: Problems
    """Warnings only."""
    hash: str
    """SHA-256 over the files in order, 12 hexadecimal digits; secrets left out."""
