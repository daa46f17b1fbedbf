"""The payload of Sparkplug B messages, as bytes and back.

Only the fields in use are declared; others are skipped when reading, as protobuf does.
Source: Eclipse Sparkplug 3.0.0, chapter 6.4, and eclipse/tahu sparkplug_b/sparkplug_b.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

_VARINT_TYPES = {"uint64": 4, "uint32": 13, "bool": 8}
_METRIC = {
    "name": (1, "string"),
    "timestamp": (3, "uint64"),
    "datatype": (4, "uint32"),
    "is_historical": (5, "bool"),
    "is_null": (7, "bool"),
    "long_value": (11, "uint64"),
    "boolean_value": (14, "bool"),
    "string_value": (15, "string"),
}
"""Field to its number and type."""
_UINT64, _BOOLEAN, _STRING = 8, 11, 12
"""Sparkplug's data types."""
REBIRTH = "Node Control/Rebirth"
"""The one thing that a host may ask of us: to be told everything again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value of a payload."""

    name: str
    value: str | int | bool | None
    """None is a text that is not known."""
    at: int
    """When it became so: milliseconds since 1970, UTC."""
    historical: bool = False
    """Whether it comes late, so that it must not pass for the present."""


def encode(metrics: Iterable[Metric], at: int | None, seq: int | None = None) -> bytes:
    """Return a payload sent `at` (milliseconds since 1970); NDEATH has neither `at` nor `seq`."""
    payload = _payload()()
    if at is not None:
        payload.timestamp = at
    if seq is not None:
        payload.seq = seq
    for metric in metrics:
        made = payload.metrics.add(name=metric.name, timestamp=metric.at)
        if metric.historical:
            made.is_historical = True
        if metric.value is None:
            made.datatype, made.is_null = _STRING, True
        elif isinstance(metric.value, bool):
            made.datatype, made.boolean_value = _BOOLEAN, metric.value
        elif isinstance(metric.value, int):
            made.datatype, made.long_value = _UINT64, metric.value
        else:
            made.datatype, made.string_value = _STRING, metric.value
    return bytes(payload.SerializeToString())


def asks_for_rebirth(payload: bytes) -> bool:
    """Return whether an NCMD asks for births; any other command, and rubbish, asks for nothing."""
    from google.protobuf.message import DecodeError

    try:
        found = _payload().FromString(payload)
    except DecodeError:
        return False
    return any(one.name == REBIRTH and one.boolean_value for one in found.metrics)


@cache
def _payload() -> Any:
    """Return the class of the message; importing protobuf takes memory, so only where it is on."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="storewarden_sparkplug_b.proto",
        package="org.eclipse.tahu.protobuf",
        syntax="proto2",
    )
    message = file.message_type.add(name="Payload")
    inner = message.nested_type.add(name="Metric")
    types = {**_VARINT_TYPES, "string": 9}
    for name, (number, kind) in _METRIC.items():
        inner.field.add(name=name, number=number, type=types[kind], label=1)
    message.field.add(name="timestamp", number=1, type=types["uint64"], label=1)
    message.field.add(
        name="metrics",
        number=2,
        type=11,
        label=3,
        type_name=".org.eclipse.tahu.protobuf.Payload.Metric",
    )
    message.field.add(name="seq", number=3, type=types["uint64"], label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("org.eclipse.tahu.protobuf.Payload")
    return message_factory.GetMessageClass(found)
