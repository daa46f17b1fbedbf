"""The fixed table of functions that expressions may call, and what unknown means while running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from drivers.event import Event
from drivers.signals import UNKNOWN
from rules.model import StateView
from rules.tallies import NO_FIELDS


class Unknown(Exception):
    """Something was read that nobody knows; the whole answer is unknown."""


def known(value: str) -> str:
    """Return a state's value.

    Raises:
        Unknown: it is not proven.
    """
    if value == UNKNOWN:
        raise Unknown
    return value


def field(event: Event | None, name: str) -> Any:
    """Return a field of the completing event.

    Raises:
        Unknown: the event does not say it.
    """
    if event is None or (value := event.fields.get(name)) is None:
        raise Unknown
    return value


def flag(event: Event | None, name: str) -> bool:
    """Return a yes-or-no field; one that the event does not say is no."""
    if event is None:
        raise Unknown
    return event.fields.get(name) is True


def device_of(event: Event | None) -> str:
    """Return who said the completing event."""
    if event is None:
        raise Unknown
    return event.device


def neighbour(event: Event | None, near: Mapping[str, str]) -> str:
    """Return who is near the device that said the completing event."""
    if event is None or event.device not in near:
        raise Unknown
    return near[event.device]


def signal_of(event: Event | None) -> str:
    """Return what was said."""
    if event is None:
        raise Unknown
    return event.kind


def since(
    view: StateView,
    devices: tuple[str, ...],
    kind: str,
    fields: Mapping[str, Any] = NO_FIELDS,
) -> float:
    """Return the seconds since any of `devices` last said `kind`, with these fields.

    Raises:
        Unknown: none of them ever did.
    """
    ages = [age for device in devices if (age := view.since(device, kind, fields)) is not None]
    if not ages:
        raise Unknown
    return min(ages)


def held(view: StateView, devices: tuple[str, ...], state: str) -> float:
    """Return for how many seconds the state has its value.

    Raises:
        Unknown: the state is unknown.
    """
    found = view.held(devices[0], state)
    if found is None:
        raise Unknown
    return found


def count(
    view: StateView,
    devices: tuple[str, ...],
    kind: str,
    within: float,
    fields: Mapping[str, Any] = NO_FIELDS,
) -> int:
    """Return how often `devices` together said `kind`, with `fields`, in `within` seconds.

    Raises:
        Unknown: some may be forgotten.
    """
    found = 0
    for device in devices:
        times = view.count(device, kind, within, fields)
        if times is None:
            raise Unknown
        found += times
    return found


Part = Literal["device", "devices", "signal", "state", "duration", "variable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of the table: what it takes, in order."""

    parts: tuple[Part, ...]
    shown: str
    """How to write it, for hints."""


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "since": Function(parts=("devices", "signal"), shown="since('device', 'signal')"),
        "held": Function(parts=("device", "state"), shown="held('device', 'state')"),
        "count": Function(
            parts=("devices", "signal", "duration"), shown="count('device', 'signal', '5m')"
        ),
        "duration": Function(parts=("duration",), shown="duration('30s')"),
        "var": Function(parts=("variable",), shown="var('name')"),
    }
)

RUNTIME: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "known": known,
        "field": field,
        "flag": flag,
        "device_of": device_of,
        "signal_of": signal_of,
        "neighbour": neighbour,
        "since": since,
        "held": held,
        "count": count,
    }
)
"""Everything that compiled code can reach."""
