"""A site as a Sparkplug B edge node: which messages it owes the host, and in which order.

The site is the edge node, each device and I/O module a device. A metric for each state (a text,
null while unknown), and one named `event` for what was said, as JSON: `{"signal", "id", "data"}`.
Source: Eclipse Sparkplug 3.0.0, chapters 4 and 6.4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from drivers.event import SITE, Event
from drivers.signals import UNKNOWN
from edge.sparkplug.payload import REBIRTH, Metric, encode

NAMESPACE = "spBv1.0"
EVENT = "event"
_LARGEST = 256
"""Sequence numbers and births are counted from 0 to 255."""

Told = tuple[str, bytes]
"""A topic and its payload."""
StatesOf = Callable[[str], Mapping[str, tuple[str, float]]]
"""The states of a device, each with its value and since when."""


class Node:
    """One connection after the other of one site; says what to publish, and publishes nothing."""

    def __init__(
        self,
        group: str,
        site: str,
        version: str,
        devices: Iterable[str],
        states: StatesOf,
        now: Callable[[], datetime],
    ) -> None:
        self._group, self._site, self._version = group, site, version
        self._devices, self._states, self._now = tuple(devices), states, now
        self._seq = 0
        self._born: set[str] = set()

    @property
    def commands(self) -> str:
        """The topic on which a host may ask for births."""
        return self._topic("NCMD")

    def death(self, births: int) -> Told:
        """Return the will of the connection whose births are number `births`."""
        return self._topic("NDEATH"), encode([self._count(births)], at=None)

    def births(self, births: int) -> list[Told]:
        """Return what a connection begins with, and what a host asks for again."""
        self._seq = 0
        self._born.clear()
        metrics = [
            self._count(births),
            Metric(name=REBIRTH, value=False, at=self._ms()),
            Metric(name="Properties/Software", value=f"Storewarden {self._version}", at=self._ms()),
            Metric(name=EVENT, value=None, at=self._ms()),
            *self._all(SITE),
        ]
        told = [(self._topic("NBIRTH"), self._payload(metrics))]
        for device in self._devices:
            if self._linked(device):
                told.append(self._birth(device))
        return told

    def said(self, event: Event, *, historical: bool) -> list[Told]:
        """Return what is owed for `event`; `historical` for one that comes late.

        What is said about a device that has no link, and so no birth, has no place here.
        """
        if event.device == SITE:
            return [(self._topic("NDATA"), self._payload(self._data(event, historical=historical)))]
        told = []
        if not historical and event.sets.get("link") == "up" and event.device in self._devices:
            told.append(self._birth(event.device))
        if event.device in self._born:
            data = self._payload(self._data(event, historical=historical))
            told.append((self._topic("DDATA", event.device), data))
            if not historical and event.sets.get("link") == "down":
                self._born.discard(event.device)
                told.append((self._topic("DDEATH", event.device), self._payload([])))
        return told

    def _birth(self, device: str) -> Told:
        self._born.add(device)
        metrics = [Metric(name=EVENT, value=None, at=self._ms()), *self._all(device)]
        return self._topic("DBIRTH", device), self._payload(metrics)

    def _data(self, event: Event, *, historical: bool) -> list[Metric]:
        at = _milliseconds(event.at)
        data: dict[str, Any] = {"signal": event.kind, "id": event.id, "data": event.fields}
        text = json.dumps(data, ensure_ascii=False, default=str)
        sets = {**event.sets, EVENT: text}
        return [
            Metric(name=name, value=_known(value), at=at, historical=historical)
            for name, value in sets.items()
        ]

    def _all(self, device: str) -> list[Metric]:
        return [
            Metric(name=name, value=_known(value), at=self._ms())
            for name, (value, _since) in self._states(device).items()
        ]

    def _linked(self, device: str) -> bool:
        value, _since = self._states(device).get("link", (UNKNOWN, 0.0))
        return value == "up"

    def _count(self, births: int) -> Metric:
        return Metric(name="bdSeq", value=births % _LARGEST, at=self._ms())

    def _payload(self, metrics: Iterable[Metric]) -> bytes:
        made = encode(metrics, at=self._ms(), seq=self._seq)
        self._seq = (self._seq + 1) % _LARGEST
        return made

    def _topic(self, kind: str, device: str = "") -> str:
        own = f"{NAMESPACE}/{self._group}/{kind}/{self._site}"
        return f"{own}/{device}" if device else own

    def _ms(self) -> int:
        return _milliseconds(self._now())


def _milliseconds(at: datetime) -> int:
    return max(int(at.timestamp() * 1000), 0)


def _known(value: str) -> str | None:
    return None if value == UNKNOWN else value
