"""From events and decisions to journal records, and from records to CloudEvents and back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from buffer.message import Message
from buffer.record import Draft, Kind, Record
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import InputEdge, OrderDone, OrderFailed
from edge.dispatch import Given
from edge.true_time import Corrections

CONTENT_TYPE = "application/cloudevents+json"
OUTCOMES = frozenset({OrderDone.kind, OrderFailed.kind})

KEPT_HERE = frozenset({Kind.EDGE, Kind.TRACE, Kind.SNAPSHOT})
"""What is never published."""


class Body(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What every record's body holds, as compact JSON in this order."""

    signal: str
    device: str
    at: str
    """RFC 3339, UTC, microseconds."""
    tick: float
    boot: str
    clock: str = "trusted"
    config: str = ""
    data: dict[str, Any] = {}
    sets: dict[str, str] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Body)


def utc(at: datetime) -> str:
    """Return `at` as RFC 3339 in UTC with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Encoder:
    """Makes records for one site and one configuration."""

    def __init__(self, root: str, site: str, config: str) -> None:
        self._prefix = f"{root}/{site}"
        self.config = config

    def topic(self, device: str, signal: str) -> str:
        return f"{self._prefix}/event/{device}/{signal}"

    def topic_of(self, kind: Kind, body: bytes) -> str | None:
        """Return the topic that a record with this body has; None: it has none."""
        try:
            said = _decoder.decode(body)
        except msgspec.DecodeError:
            return None
        return None if kind in KEPT_HERE else self.topic(said.device, said.signal)

    def state_topic(self, device: str) -> str:
        return f"{self._prefix}/state/{device}"

    @property
    def status_topic(self) -> str:
        return f"{self._prefix}/status"

    @property
    def anchor_topic(self) -> str:
        return f"{self._prefix}/anchor"

    def event(self, event: Event) -> Draft:
        """Return the record of an event; edges stay on the box."""
        kind = Kind.OUTCOME if event.kind in OUTCOMES else Kind.EVENT
        if event.kind == InputEdge.kind:
            kind = Kind.EDGE
        return self._draft(event.id, kind, event.priority, event, event.kind, event.fields)

    def decision(
        self, event: Event, signal: str, data: Mapping[str, Any], priority: Priority
    ) -> Draft:
        """Return the record of a decision; `event` gives the stamp. Decisions are the site's."""
        stamp = _Stamp(SITE, event)
        return self._draft(secrets.token_hex(16), Kind.DECISION, priority, stamp, signal, data)

    def trace(
        self, event: Event, signal: str, data: Mapping[str, Any], priority: Priority
    ) -> Draft:
        """Return the record of why a rule fired or nearly did; it stays on the box."""
        stamp = _Stamp(SITE, event)
        return self._draft(secrets.token_hex(16), Kind.TRACE, priority, stamp, signal, data)

    def order(self, event: Event, given: Given) -> Draft:
        """Return the record of an order handed to its device."""
        data: dict[str, Any] = {
            "command": given.command.kind,
            "by": given.by,
            "cause": event.id,
            **given.command.fields(),
        }
        if given.rule is not None:
            data["rule"] = given.rule
        if given.firing is not None:
            data["firing"] = given.firing
        stamp = _Stamp(given.device, event)
        own = secrets.token_hex(16)
        return self._draft(own, Kind.ORDER, given.priority, stamp, "order.given", data)

    def gap(self, event: Event) -> Draft:
        """Return the record that says what is missing."""
        return self._draft(event.id, Kind.GAP, event.priority, event, event.kind, event.fields)

    def snapshot(self, event: Event, state: Mapping[str, Any]) -> Draft:
        """Return the record of everything that must survive a restart.

        The quota never takes the last one. Older ones only help a backtest, and go before what
        the broker does not have yet.
        """
        own, stamp = secrets.token_hex(16), _Stamp(SITE, event)
        priority = Priority.telemetry
        return self._draft(own, Kind.SNAPSHOT, priority, stamp, "snapshot", state)

    def _draft(
        self,
        own: str,
        kind: Kind,
        priority: Priority,
        stamp: Event | _Stamp,
        signal: str,
        data: Mapping[str, Any],
    ) -> Draft:
        body = Body(
            signal=signal,
            device=stamp.device,
            at=utc(stamp.at),
            tick=round(stamp.tick, 6),
            boot=stamp.boot,
            clock="trusted" if stamp.trusted else "untrusted",
            config=self.config,
            data=dict(data),
            sets=stamp.sets,
        )
        topic = None if kind in KEPT_HERE else self.topic(stamp.device, signal)
        return Draft(id=own, kind=kind, priority=int(priority), topic=topic, body=_encoded(body))


def _encoded(body: Body) -> bytes:
    try:
        return _encoder.encode(body)
    except (UnicodeEncodeError, OverflowError, TypeError):
        # Half a character, or a number beyond 64 bits: somebody's input must not stop the road.
        text = json.dumps(body.data, default=str, ensure_ascii=False).encode("utf-8", "replace")
        body.data = json.loads(text, parse_int=_short)
        return _encoder.encode(body)


def _short(digits: str) -> int | str:
    return int(digits) if len(digits) < 19 else digits


class _Stamp:
    """Another device's name on the time of an event."""

    __slots__ = ("at", "boot", "device", "sets", "tick", "trusted")

    def __init__(self, device: str, event: Event) -> None:
        self.device = device
        self.at, self.tick, self.boot, self.trusted = (
            event.at,
            event.tick,
            event.boot,
            event.trusted,
        )
        self.sets: dict[str, str] = {}


def body_of(record: Record) -> Body:
    """Return what a record's body says.

    Raises:
        msgspec.DecodeError: the body is not one of ours.
    """
    return _decoder.decode(record.body)


def event_of(record: Record) -> Event:
    """Return the event that a record was made of.

    Raises:
        msgspec.DecodeError: the body is not one of ours.
    """
    body = body_of(record)
    return Event(
        id=record.id,
        device=body.device,
        kind=body.signal,
        priority=Priority(record.priority),
        tick=body.tick,
        at=datetime.fromisoformat(body.at),
        boot=body.boot,
        trusted=body.clock == "trusted",
        fields=body.data,
        sets=body.sets,
    )


NEVER = Corrections()
"""No clock was ever wrong."""


def cloud_event(
    record: Record, site: str, *, replayed: bool, corrections: Corrections = NEVER
) -> dict[str, Any]:
    """Return the CloudEvents 1.0 attributes and data of a record.

    Where `corrections` know better than the record, `time` is theirs and `recordedtime` its own.
    """
    body = body_of(record)
    true_time = corrections.true_time(body.boot, body.tick)
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": record.id,
        "source": f"/site/{site}/device/{body.device}",
        "type": f"storewarden.{body.signal}",
        "time": body.at if true_time is None else utc(true_time),
        "subject": body.device,
        "datacontenttype": "application/json",
        "sequence": str(record.sequence),
        "priority": Priority(record.priority).name,
        "bootid": body.boot,
        "tick": f"{body.tick:.6f}",
        "clock": body.clock,
        "config": body.config,
        "replayed": replayed,
        "data": body.data,
    }
    if record.previous is not None:
        found["previous"] = str(record.previous)
    if true_time is not None:
        found["recordedtime"] = body.at
    return found


def message_of(
    record: Record, site: str, *, replayed: bool, corrections: Corrections = NEVER
) -> Message:
    """Return the publication of a record that has a topic."""
    assert record.topic is not None  # noqa: S101 - the lanes hold records with a topic only
    event = cloud_event(record, site, replayed=replayed, corrections=corrections)
    payload = _encoder.encode(event)
    return Message(topic=record.topic, payload=payload, content_type=CONTENT_TYPE)
