"""MQTT v5 reason codes: which speak of a record, which of us, and which of the broker.

OASIS MQTT 5.0, sections 2.4, 3.2.2.2 (CONNACK), 3.4.2.1 (PUBACK) and 3.14.2.1 (DISCONNECT).
"""

POISON = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: such a record is never taken."""
TOO_MUCH = frozenset({0x91, 0x97})
"""Packet identifier in use, quota exceeded: the same record may pass a little later."""
DENIED = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95, 0x9A, 0x9B, 0x9C, 0x9D})
"""Answers to CONNECT that do not change by asking again: somebody has to do something."""
BUSY = frozenset({0x80, 0x83, 0x88, 0x89, 0x93, 0x96, 0x97, 0x98, 0x9F, 0xA0})
"""The broker is there, and has no time for us."""
SENT_AWAY = frozenset({0x87, 0x8A, 0x8C, 0x9C, 0x9D})
"""A link that had been granted is taken back."""
NOT_AUTHORIZED = 0x87
TAKEN_OVER = 0x8E
KEPT_ALIVE_IN_VAIN = 0x8D

_NAMES = {
    0x80: "Unspecified error",
    0x81: "Malformed packet",
    0x82: "Protocol error",
    0x83: "Implementation specific error",
    0x84: "Unsupported protocol version",
    0x85: "Client identifier not valid",
    0x86: "Bad user name or password",
    0x87: "Not authorized",
    0x88: "Server unavailable",
    0x89: "Server busy",
    0x8A: "Banned",
    0x8B: "Server shutting down",
    0x8C: "Bad authentication method",
    0x8D: "Keep alive timeout",
    0x8E: "Session taken over",
    0x8F: "Topic filter invalid",
    0x90: "Topic name invalid",
    0x91: "Packet identifier in use",
    0x92: "Packet identifier not found",
    0x93: "Receive maximum exceeded",
    0x94: "Topic alias invalid",
    0x95: "Packet too large",
    0x96: "Message rate too high",
    0x97: "Quota exceeded",
    0x98: "Administrative action",
    0x99: "Payload format invalid",
    0x9A: "Retain not supported",
    0x9B: "QoS not supported",
    0x9C: "Use another server",
    0x9D: "Server moved",
    0x9E: "Shared subscriptions not supported",
    0x9F: "Connection rate exceeded",
    0xA0: "Maximum connect time",
    0xA1: "Subscription identifiers not supported",
    0xA2: "Wildcard subscriptions not supported",
}

_MEANINGS = {
    0x84: "the broker does not speak MQTT v5",
    0x86: "look at the user name and the password",
    0x87: "look at user name, password and certificate, and at what the broker allows them",
    0x8A: "the broker has banned this client",
    0x8B: "the broker is being stopped",
    0x8E: "another client has the same name: is there a second box with this site id?",
    0x93: "a smaller `window` is wanted",
    0x96: "a lower `drain_rate` is wanted",
    0x9C: "the broker's address has changed for a while",
    0x9D: "the broker's address has changed",
}
"""What a person should know or do."""


def name(code: int) -> str:
    """Return what the standard calls a code."""
    return _NAMES.get(code, "Unknown reason")


def told(code: int, more: str | None = None) -> str:
    """Return a code in words: its name, its number, what the broker adds, what it means."""
    text = f"{name(code)} (0x{code:02x})"
    return ": ".join(filter(None, (text, more, _MEANINGS.get(code))))
