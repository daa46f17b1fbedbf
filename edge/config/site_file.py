"""site.yaml: who and where the store is, and what the daemon itself needs."""

from __future__ import annotations

import dataclasses
import re
import typing
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.settings import Seconds, Secret, SecretPath
from edge.config import hours
from edge.config.model import Apply, Buffer, Http, Mqtt, Site
from edge.config.site_apply import ApplyAsWritten, apply
from edge.config.site_links import http, mqtt
from edge.config.site_modes import ModeAsWritten, modes
from rules import convert
from rules import yaml_source as ys
from rules.calendar import Schedule
from rules.convert import WRONG, Context
from rules.problems import Mark, did_you_mean

FILE = "site.yaml"
_SITE = re.compile(r"[a-z0-9_-]+")
_WORD = re.compile(r"[a-z][a-z0-9_]*")
OF_THE_SITE = frozenset(
    {"open", "opened", "closed", "mode", "evacuation", "drill", "hours", "daily"}
    | {"incident", "rule", "person", "buffer", "clock", "config"}
)
"""Words that the site says or has already, so no schedule can be called so."""
_SMALLEST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What a drill does for real."""

    release: bool = False
    """Whether locks are released."""
    sound: bool = True
    """Whether sirens and beacons of `sound` go on."""
    record: bool = True
    """Whether cameras turn and record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationAsWritten:
    """`evacuation:`; ids of devices or groups."""

    on: list[str]
    """Fire panels and call points whose alarm starts it; `[]` opts out, in writing."""
    release: list[str] = field(default_factory=list)
    """Locks released, and kept so until a person relocks each."""
    silence: list[str] = field(default_factory=list)
    """Sirens silenced, which then refuse orders below life_safety."""
    sound: list[str] = field(default_factory=list)
    """Sirens, beacons and switches put on; `max_on` does not apply."""
    goto: dict[str, str] = field(default_factory=dict)
    """Camera to the name of its preset."""
    record: list[str] = field(default_factory=list)
    """Recorders, or `all`."""
    drill: Drill = Drill()
    """What a drill does for real."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttAsWritten:
    """`mqtt:`; absent: everything is kept, nothing is forwarded."""

    url: str
    """`mqtt://host[:1883]` or `mqtts://host[:8883]`."""
    username: str | None = None
    """Who the site is to the broker."""
    password: Secret | None = None
    """`!secret NAME`."""
    ca: Path | None = None
    """PEM file of the authority that signed the broker; default the system's."""
    cert: Path | None = None
    """PEM certificate of this site, for mutual TLS; goes with `key`."""
    key: SecretPath | None = None
    """PEM key of that certificate: its path, or `!secret NAME`."""
    topic_root: str = "storewarden"
    """First segment of every topic."""
    drain_rate: str | None = None
    """`200/s`: caps the backlog below life_safety; default no cap."""
    drain_jitter: Seconds | None = None
    """After an outage the backlog begins within it, anew for each site and time; default `5s` with
    a `drain_rate`, else `0s`; at most `1h`."""
    window: int = 20
    """Messages in flight, 1 to 50."""
    keepalive: Seconds = Seconds(10.0)
    """A silent link is tried so often; whole seconds, `5s` to `10m`."""
    expiry: Seconds | None = None
    """How long the broker keeps operations and telemetry for who is away; default for ever."""
    home_assistant: str | None = None
    """`homeassistant`: its discovery prefix; devices appear there by themselves. Default off."""
    sparkplug: str | None = None
    """Group of the Sparkplug B host that is told beside; default off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAsWritten:
    """`http:`; the metrics, the API and the page."""

    listen: str = "127.0.0.1:9464"
    """Address and port; port 0 lets the system choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAsWritten:
    """site.yaml: its settings by their word."""

    site: str
    """Id of the store, `[a-z0-9_-]+`: the MQTT topic segment and the source of its events."""
    timezone: str = "UTC"
    """IANA name of the store's local time, `Europe/London`."""
    hours: dict[str, Any] | None = None
    """Opening hours: `site.open`, and the site's `opened` and `closed`."""
    schedules: dict[str, Any] = field(default_factory=dict)
    """More of the same by name: `site.delivery`, `delivery.started`, `delivery.ended`."""
    modes: dict[str, Any] = field(default_factory=dict)
    """Modes of the store, and how long each may last: `site.mode`, `mode.changed`."""
    vars: dict[str, Any] = field(default_factory=dict)
    """Values for `!var NAME`, in every file."""
    evacuation: EvacuationAsWritten | None = None
    """What the evacuation latch does; required with a fire panel or a lock."""
    mqtt: MqttAsWritten | None = None
    """The broker that gets the journal."""
    http: HttpAsWritten = HttpAsWritten()
    """Where the daemon listens."""
    buffer: Buffer = field(default_factory=Buffer)
    """The journal."""
    apply: ApplyAsWritten = field(default_factory=ApplyAsWritten)
    """When `storewarden rules apply` stops, and when the box goes back to the rules before."""


def variables(node: ys.Node | None) -> Mapping[str, ys.Node]:
    """Return `vars:` as written; empty when there are none, or they are no mapping."""
    found = node.items.get("vars") if isinstance(node, ys.Mapping) else None
    return found.items if isinstance(found, ys.Mapping) else {}


def site(node: ys.Node | None, context: Context) -> Site:
    """Return what site.yaml says but for the evacuation, with defaults for what is wrong."""
    problems = context.problems
    if node is None and any(problem.mark.file == FILE for problem in problems.errors):
        return Site(site="")
    node = node or ys.Mapping(mark=Mark(FILE, 1, 1))
    if not isinstance(node, ys.Mapping):
        problems.error(node.mark, f"a mapping is wanted, not {ys.describe(node)}")
        return Site(site="")
    _keys(node, context)
    _vars(node, context)
    return Site(
        site=_site(node, context),
        timezone=_timezone(node, context),
        hours=hours.schedule(node.items["hours"], context) if "hours" in node.items else None,
        schedules=_schedules(node, context),
        modes=modes(node.items.get("modes"), context),
        mqtt=_mqtt(node, context),
        http=_http(node, context),
        buffer=_buffer(node, context),
        apply=_apply(node, context),
    )


def _keys(node: ys.Mapping, context: Context) -> None:
    known = [f.name for f in dataclasses.fields(SiteAsWritten)]
    for key, mark in node.keys.items():
        if key not in known:
            hint = "write it under hours:, or under a schedule" if key == "holidays" else ""
            hint = hint or did_you_mean(key, known) or f"known: {', '.join(sorted(known))}"
            context.problems.error(mark, f"unknown setting {key!r}", hint)
    if "site" not in node.keys:
        hint = "its id, like store_0421"
        context.problems.error(node.mark, "'site' is missing", hint)


def _vars(node: ys.Mapping, context: Context) -> None:
    found = node.items.get("vars")
    if found is None:
        return
    if not isinstance(found, ys.Mapping):
        context.problems.error(found.mark, f"a mapping is wanted, not {ys.describe(found)}")
        return
    for key, item in found.items.items():
        if not _WORD.fullmatch(key):
            hint = "a small letter, then small letters, digits and _"
            context.problems.error(found.keys[key], f"{key!r} is not a variable's name", hint)
        convert.resolve(item, context)


def _one(node: ys.Mapping, key: str, wanted: Any, default: Any, context: Context) -> Any:
    if key not in node.items:
        return default
    value = convert.convert(node.items[key], wanted, context)
    return default if value is WRONG else value


def _site(node: ys.Mapping, context: Context) -> str:
    word: str = _one(node, "site", str, "", context)
    if word and not _SITE.fullmatch(word):
        hint = "small letters, digits, _ and -"
        context.problems.error(node.items["site"].mark, f"{word!r} is not a site's id", hint)
    return word


def _timezone(node: ys.Mapping, context: Context) -> str:
    name: str = _one(node, "timezone", str, "UTC", context)
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, zoneinfo.available_timezones())
        hint = hint or "an IANA name, like Europe/London"
        context.problems.error(node.items["timezone"].mark, f"unknown timezone {name!r}", hint)
        return "UTC"
    return name


def _schedules(node: ys.Mapping, context: Context) -> dict[str, Schedule]:
    found = _one(node, "schedules", dict[str, ys.Node], {}, context)
    marks = node.items.get("schedules")
    schedules: dict[str, Schedule] = {}
    for name, item in found.items():
        mark = marks.keys[name] if isinstance(marks, ys.Mapping) else item.mark
        if not _WORD.fullmatch(name) or name in OF_THE_SITE:
            hint = "a word of its own: rules say site.NAME, NAME.started, NAME.ended"
            context.problems.error(mark, f"{name!r} can't name a schedule", hint)
        schedules[name] = hours.schedule(item, context)
    return schedules


def _mqtt(node: ys.Mapping, context: Context) -> Mqtt | None:
    found = node.items.get("mqtt")
    if found is None or (isinstance(found, ys.Scalar) and found.null):
        return None
    values = convert.settings(found, MqttAsWritten, context)
    return None if values is None else mqtt(found, values, context)


def _http(node: ys.Mapping, context: Context) -> Http:
    found = node.items.get("http")
    values = None if found is None else convert.settings(found, HttpAsWritten, context)
    return http(found, values, context) if found and values else Http()


def _buffer(node: ys.Mapping, context: Context) -> Buffer:
    found = node.items.get("buffer")
    buffer: Buffer = _one(node, "buffer", Buffer, Buffer(), context)
    if found is not None:
        if buffer.max_size < _SMALLEST:
            mark = convert.place(found, "max_size")
            context.problems.error(mark, "the journal needs at least 1MB")
        if buffer.keep <= 0:
            context.problems.error(convert.place(found, "keep"), "'keep' must be above 0s")
        if buffer.max_wait > 1:
            context.problems.error(convert.place(found, "max_wait"), "'max_wait' is at most 1s")
    return buffer


def _apply(node: ys.Mapping, context: Context) -> Apply:
    found = node.items.get("apply")
    values = None if found is None else convert.settings(found, ApplyAsWritten, context)
    return apply(found, values, context) if found and values else Apply()


def documented() -> Mapping[str, typing.Any]:
    """Return the parts of site.yaml that have settings of their own, by key."""
    return {
        "modes": ModeAsWritten,
        "evacuation": EvacuationAsWritten,
        "mqtt": MqttAsWritten,
        "http": HttpAsWritten,
        "buffer": Buffer,
        "apply": ApplyAsWritten,
    }
