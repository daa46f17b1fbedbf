"""What the uplink asks of an MQTT client: to publish, to acknowledge, to say when it is over."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from buffer.reasons import POISON


class Unreachable(Exception):
    """There is no link to the broker, or it has ended. Worth another try."""

    def __init__(self, reason: str, *, code: int | None = None, hung_up: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        """MQTT v5 reason code, where the broker said why."""
        self.hung_up = hung_up
        """Whether the other side ended a link that was up without a word."""


class Refused(Exception):
    """The broker answered one message with a failure, so it was not delivered."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} (0x{code:02x})")
        self.code = code
        """MQTT v5 reason code, 0x80 or above."""
        self.reason = reason
        """Its name in the standard: `Not authorized`."""

    @property
    def final(self) -> bool:
        """Whether the message itself is what the broker will never take."""
        return self.code in POISON


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One publication."""

    topic: str
    payload: bytes
    retain: bool = False
    content_type: str | None = None
    """MQTT v5 content type, like `application/cloudevents+json`."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """MQTT v5 user properties."""
    expiry: int | None = None
    """Seconds after which the broker need not hand it on any more."""
    qos: int = 1
    """1; 0 only where a foreign convention demands it: nobody confirms such a message."""


class Publisher(Protocol):
    """One connection to the broker, from CONNACK to its end."""

    @property
    def receive_maximum(self) -> int:
        """How many messages the broker takes before it has acknowledged one."""

    @property
    def ended(self) -> asyncio.Future[Unreachable]:
        """Done when the link is down; holds the reason."""

    def publish(self, message: Message) -> asyncio.Future[None]:
        """Send `message` now, behind those sent before. Does not wait.

        The future is done with the PUBACK of this very message. It holds None when the code means
        success (no matching subscribers is one), else `Refused`, or `Unreachable` when the link
        ended first. At QoS 0 it is done at once.
        """


class Conversation(Publisher, Protocol):
    """One connection over which something is heard too."""

    def hear(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """Subscribe to `topic`, without waiting; `heard` gets each payload, on the loop."""


Connect = Callable[[], AbstractAsyncContextManager[Publisher]]
"""Makes one new connection, which ends with the block. Entering it raises Unreachable."""
